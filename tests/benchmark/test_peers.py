"""Every peer does the work that it is said to do, and one that does not is found out."""

import math
import sys

import pytest
import torch

from warpkit.benchmark import workloads
from warpkit.benchmark.compare import allowed, differences, relative
from warpkit.benchmark.peer import BOTH, DIRECTIONS, FORWARD, POINTS, in_pixels
from warpkit.benchmark.peers import PEERS, Torch, get_peer
from warpkit.benchmark.workloads import Workload, make, mild
from warpkit.errors import InputError

SHAPES = [(2, 1, 12, 17), (2, 3, 16, 9), (1, 6, 11, 11), (2, 2, 5, 6, 7)]
BYTES, LABELS, HALVES, DOUBLES = torch.uint8, torch.int64, torch.bfloat16, torch.float64


def work(shape, **how):
    return Workload("w", shape, shape, **how)


WORKS = [
    *map(work, SHAPES),
    *(work(shape, points=True) for shape in SHAPES),
    *(work((2, 3, 16, 9), dtype=dtype) for dtype in (BYTES, LABELS, HALVES, DOUBLES)),
    work((2, 3, 16, 9), dtype=BYTES, channels_last=True),
]
CASES = [
    pytest.param(name, one, kernel, direction, id=f"{name}-{one.shape}-{one.dtype}-{one.points}-{kernel}-{direction}")
    for name in ("torch", "kornia", "torch-interpol", "opencv", "kornia-rs")
    for one in WORKS
    for kernel in ("nearest", "bilinear", "bicubic", "bspline")
    for direction in one.directions_of(DIRECTIONS)
    if PEERS[name].lacks(one, kernel, direction) is None
]


@pytest.mark.parametrize(("name", "one", "kernel", "direction"), CASES)
def test_peers_give_what_we_give(name, one, kernel, direction):
    peer = PEERS[name]
    pytest.importorskip(peer.module)
    made = make(one)
    found, limits = differences(made, peer, kernel, direction), allowed(made, peer, kernel)
    where = "points" if one.points else "theta"
    assert set(found) == {FORWARD: {"output"}, BOTH: {"output", "image", where}, POINTS: {"output", where}}[direction]
    assert all(found[what] <= limits[what] for what in found), found


class OtherSlope(Torch):
    """Keys with a = −0.5, as some have it."""

    def forward(self, kernel):
        from warpkit import warp

        other = {"type": "bicubic", "a": -0.5}
        return lambda image, theta: warp(image, "affine", theta.flatten(1), kernel=other)


class OtherEdge(Torch):
    """A peer that has "border" where "zeros" is asked for."""

    def forward(self, kernel):
        from warpkit import warp

        return lambda image, theta: warp(image, "affine", theta.flatten(1), kernel=kernel, padding_mode="border")


class OtherGradient(Torch):
    """The right output, and a θ that learns half as fast."""

    def forward(self, kernel):
        right = super().forward(kernel)
        return lambda image, theta: right(image, theta / 2 + theta.detach() / 2)


@pytest.mark.parametrize(
    ("peer", "wrong"), [(OtherSlope(), "output"), (OtherEdge(), "output"), (OtherGradient(), "theta")]
)
def test_a_peer_that_computes_something_else_is_caught(peer, wrong):
    made = make(work((2, 1, 24, 24)))
    widest = PEERS["opencv"] if wrong == "output" else peer  # OpenCV has no gradients
    assert differences(made, peer, "bicubic", BOTH)[wrong] > allowed(made, widest, "bicubic")[wrong]


def test_a_difference_in_shape_or_a_nan_is_no_small_difference():
    ones = torch.ones(3)
    assert relative(ones, torch.ones(4)) == math.inf
    assert relative(ones, torch.tensor([1.0, math.nan, 1.0])) == math.inf
    assert relative(ones, ones) == 0
    assert relative(2 * ones, 3 * ones) == 0.5


def test_what_a_peer_lacks():
    flat, deep = work((1, 1, 8, 8)), work((1, 1, 8, 8, 8))
    assert PEERS["torch"].lacks(deep, "bicubic", FORWARD) == "has no bicubic in 3-D"
    assert PEERS["torch"].lacks(flat, "bspline", FORWARD) == "has no bspline"
    assert PEERS["kornia"].lacks(deep, "bilinear", FORWARD) == "has no bilinear in 3-D"
    assert PEERS["kornia"].lacks(work((1, 1, 8, 8), points=True), "bilinear", FORWARD) == "takes no points"
    assert PEERS["torch"].lacks(work((1, 1, 8, 8), dtype=torch.uint8), "bilinear", FORWARD) == "takes no torch.uint8"
    assert PEERS["opencv"].lacks(flat, "bilinear", BOTH) == "has no gradients"
    assert PEERS["opencv"].lacks(work((1, 5, 8, 8)), "bilinear", FORWARD) == "takes up to 4 channels"
    bytes_of_one = work((1, 1, 8, 8), dtype=torch.uint8)
    assert PEERS["kornia-rs"].lacks(bytes_of_one, "bilinear", FORWARD) == "takes 3 channels"
    assert PEERS["our bicubic"].lacks(flat, "bilinear", FORWARD) == "has bilinear"


def test_an_unknown_peer_and_one_that_is_not_installed(monkeypatch):
    with pytest.raises(InputError, match="Did you mean 'kornia'"):
        get_peer("kornai")
    monkeypatch.setitem(sys.modules, "interpol", None)
    with pytest.raises(InputError, match="peer 'torch-interpol' is not installed: pip install torch-interpol"):
        get_peer("torch-interpol")


def test_the_matrix_in_pixels_takes_centres_to_centres():
    """The identity stays; a flip in x takes the first pixel to the last; rows keep theirs."""
    identity = torch.eye(2, 3)[None]
    torch.testing.assert_close(in_pixels(identity, (5, 7)), torch.eye(3, dtype=torch.float64)[None])
    flip = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]])
    moved = in_pixels(flip, (5, 7))[0] @ torch.tensor([0.0, 3.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(moved, torch.tensor([6.0, 3.0, 1.0], dtype=torch.float64))


def test_theta_is_mild_and_differs_from_image_to_image():
    theta = mild(5, 2)
    assert theta.shape == (5, 2, 3)
    assert len({tuple(t.flatten().tolist()) for t in theta}) == 5
    assert (theta[:, :, :2] - torch.eye(2)).abs().max() < 0.6


def test_an_unknown_workload_or_kernel_names_the_nearest():
    with pytest.raises(InputError, match=r"unknown workload 'phots'\. Did you mean 'photos'"):
        workloads.get_workload("phots")
    with pytest.raises(InputError, match=r"unknown kernel 'b-spline'\. Did you mean 'bspline'"):
        workloads.get_kernel("b-spline")
