"""Rows, memory and accuracy, on images as small as they can be."""

import math

import pytest
import torch

from warpkit.benchmark.accuracy import WAYS, accuracy, triangle
from warpkit.benchmark.memory import peaks
from warpkit.benchmark.peers import PEERS, Torch
from warpkit.benchmark.results import ALONE, OTHER_FORMULA, OTHER_RESULT, SAME
from warpkit.benchmark.run import Plan, measure
from warpkit.benchmark.workloads import Workload


class Broken(Torch):
    name = "broken"

    def forward(self, kernel):
        def call(image, theta):
            raise RuntimeError("out of order")

        return call


class Twice(Torch):
    name = "twice"

    def forward(self, kernel):
        right = super().forward(kernel)
        return lambda image, theta: 2 * right(image, theta)


def plan(**changes):
    usual = {
        "workloads": [Workload("w", (2, 1, 6, 7), (2, 1, 6, 7))],
        "kernels": ["bilinear"],
        "directions": ["forward", "forward+backward"],
        "peers": [PEERS["torch"]],
        "threads": 1,
        "seconds": 1.0,
        "repeats": 1,
        "memory": False,
    }
    return Plan(**usual | changes)


def test_a_row_each_for_work_kernel_direction_and_peer():
    rows = list(measure(plan()))
    assert [row.key for row in rows] == [("w", "bilinear", d, "torch") for d in ("forward", "forward+backward")]
    for row, passes in zip(rows, (1, 2), strict=True):
        assert row.status == SAME
        assert row.ratio.median == pytest.approx(row.theirs.median / row.ours.median)
        assert row.least_bytes == passes * 2 * 2 * 6 * 7 * 4
        assert row.pairs == 1


def test_what_has_no_peer_is_timed_alone():
    (row,) = measure(plan(kernels=["bspline"], directions=["forward"]))
    assert (row.peer, row.status, row.ratio, row.theirs) == (None, ALONE, None, None)
    assert row.ours.median > 0


def test_another_result_and_a_failure_are_told_and_not_timed():
    twice, broken = measure(plan(peers=[Twice(), Broken()], directions=["forward"]))
    assert twice.status == OTHER_RESULT
    assert twice.difference["output"] == pytest.approx(1, abs=1e-3)
    assert broken.status == "failed: RuntimeError: out of order"
    assert twice.ratio is twice.theirs is broken.ratio is broken.theirs is None


def test_another_formula_is_timed_and_not_compared():
    (row,) = measure(plan(kernels=["bspline"], peers=[Like()], directions=["forward"]))
    assert row.status == OTHER_FORMULA
    assert row.difference == {}
    assert row.ratio.median > 0


class Like(type(PEERS["our bicubic"])):
    def lacks(self, shape, kernel, direction):
        return None


def test_rows_that_are_known_are_left_out():
    assert len(list(measure(plan(), {("w", "bilinear", "forward", "torch")}))) == 1


def test_a_workload_may_be_for_some_kernels_only():
    only = Workload("w", (1, 1, 5, 5), (1, 1, 5, 5), kernels=("bicubic",))
    assert {row[1] for row in plan(workloads=[only], kernels=["bilinear", "bicubic"]).rows()} == {"bicubic"}


def test_peak_memory_of_a_large_warp_is_its_output():
    from warpkit.benchmark import memory

    if not memory._RESET.exists():
        pytest.skip("the system does not tell peak memory")
    from warpkit.benchmark.workloads import WORKLOADS

    wanted = ("bicubic", "forward", "warpkit")
    # what else happens in the process can only add to it
    used = min(peaks(WORKLOADS["photos"], False, 1, [wanted])[wanted] for _ in range(3))
    output = math.prod(WORKLOADS["photos"].shape) * 4
    assert output * 0.9 < used < output * 1.5


def test_the_triangle_rises_and_falls_by_one_a_pixel():
    x = torch.tensor([0.0, 0.25, 1.0, 1.75, 2.0, 3.5], dtype=torch.float64)
    assert triangle(x).tolist() == [0, 0.25, 1, 0.25, 0, 0.5]


def test_a_known_shift_is_found_as_an_error_of_its_size(monkeypatch):
    """A sampler that is off by a hundredth of a pixel everywhere."""
    right = WAYS["affine_grid + grid_sample"]

    def off(image, theta):
        moved = theta.clone()
        moved[:, 0, 2] += 0.01 * 2 / image.shape[-1]
        return right(image, moved)

    monkeypatch.setitem(WAYS, "off", off)
    errors = accuracy(128).errors
    assert errors["off"] == pytest.approx(0.01, rel=0.01)
    assert errors["affine_grid + grid_sample"] < 1e-4


def test_a_matrix_s_coordinates_are_exact_to_float32_values():
    assert accuracy(2048).errors["warpkit.warp"] < 1e-6
