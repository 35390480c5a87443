"""Threads, processes and workers of a cluster compute the same bits, and one of these that dies is replaced."""

import os
import signal

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


def test_two_workers_of_which_one_is_killed(store, expected, tmp_path):
    distributed = pytest.importorskip("distributed")
    ways = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "local_directory": str(tmp_path)}
    with distributed.LocalCluster(**ways) as cluster, distributed.Client(cluster):
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        np.testing.assert_array_equal(lazy(store).compute(), expected)
        chunked.save(lazy(store), tmp_path / "out.zarr")
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "out.zarr")[:], expected)
