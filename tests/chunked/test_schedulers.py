"""Threads, processes and workers of a cluster compute the same bits, and one of these that dies is replaced."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
import zarr

import warpkit as wk
from warpkit import chunked

AFFINE = torch.tensor([[0.8, -0.35, 0.1, 0.4, 0.9, -0.2]])


@pytest.fixture
def store(tmp_path):
    array = zarr.create_array(tmp_path / "in.zarr", shape=(90, 130), chunks=(32, 32), dtype="float32")
    array[:] = torch.rand(90, 130, generator=torch.Generator().manual_seed(0)).numpy()
    return array


def lazy(array):
    return chunked.warp(array, "affine", AFFINE, kernel="bspline", padding_mode="reflection", chunks=(45, 64))


@pytest.fixture
def expected(store):
    pixels = torch.from_numpy(store[:])[None, None]
    return wk.warp(pixels, "affine", AFFINE, kernel="bspline", padding_mode="reflection")[0, 0].numpy()


def test_threads_and_processes(store, expected):
    np.testing.assert_array_equal(lazy(store).compute(scheduler="threads", num_workers=4), expected)
    found = lazy(store[:]).compute(scheduler="processes", num_workers=1)
    np.testing.assert_array_equal(found, expected)


def test_two_workers_of_which_one_is_killed_at_its_work(store, tmp_path):
    distributed = pytest.importorskip("distributed")
    mark = tmp_path / "killed"

    class Fatal(wk.Transform):
        """Half the image; whoever computes a point of it first is killed."""

        ndim, num_params = 2, 1

        def forward(self, theta, points):
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return theta[:, None] * points

    theta = torch.tensor([[0.5]])
    lazy = chunked.warp(store, Fatal(), theta, chunks=(45, 64))
    ways = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "local_directory": str(tmp_path)}
    with distributed.LocalCluster(**ways) as cluster, distributed.Client(cluster):
        before = {worker.pid for worker in cluster.workers.values()}
        chunked.save(lazy, tmp_path / "out.zarr")
        found = lazy.compute()
        assert mark.exists()
        assert before != {worker.pid for worker in cluster.workers.values()}
    expected = wk.warp(torch.from_numpy(store[:])[None, None], Fatal(), theta)[0, 0].numpy()
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "out.zarr")[:], expected)


def test_another_process_goes_on_where_one_was_killed(store, expected, tmp_path, monkeypatch):
    monkeypatch.setattr("warpkit.chunked.saving._BATCH", 2)
    code = (
        "import os, signal, sys\nfrom warpkit import chunked\nimport torch\n"
        "def stop(done, whole):\n    if done == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from warpkit.chunked import saving\nsaving._BATCH = 2\n"
        "lazy = chunked.warp(sys.argv[1], 'affine', torch.tensor([[0.8, -0.35, 0.1, 0.4, 0.9, -0.2]]),"
        " kernel='bspline', padding_mode='reflection', chunks=(45, 64))\n"
        "chunked.save(lazy, sys.argv[2], progress=stop)"
    )
    source, out = str(tmp_path / "in.zarr"), str(tmp_path / "out.zarr")
    assert subprocess.run([sys.executable, "-c", code, source, out]).returncode == -signal.SIGKILL
    done = []
    again = chunked.warp(source, "affine", AFFINE, kernel="bspline", padding_mode="reflection", chunks=(45, 64))
    chunked.save(again, out, progress=lambda count, whole: done.append(count))
    assert done == [2, 4, 6]
    np.testing.assert_array_equal(zarr.open_array(out)[:], expected)
