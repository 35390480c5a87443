"""What is hardly ever meant is told, once, and only where somebody sees it."""

import warnings
from pathlib import Path

import pytest
import torch

import warpkit as wk
from warpkit.sampling import mixups


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    monkeypatch.setattr(mixups, "_told", set())
    monkeypatch.setattr(mixups, "_calls", 0)


def said(call) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    package = str(Path(wk.__file__).parent)
    assert not any(c.filename.startswith(package) for c in caught)  # it is who called us that is told
    return [str(c.message) for c in caught]


def pixels(h: int, w: int) -> torch.Tensor:
    axes = torch.arange(float(h)), torch.arange(float(w))
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)[None]


def test_pixels_given_as_normalised_points_are_told_once():
    image = torch.rand(2, 1, 21, 23)
    (text,) = said(lambda: wk.sample(image, pixels(21, 23)))
    assert "coords: nearly all points lie far outside of −1 … 1" in text
    assert said(lambda: wk.sample(image, pixels(20, 23))) == []


def test_a_list_of_pixels_and_a_volume_are_told():
    some = torch.tensor([[[3.0, 4.0], [12.5, 0.0], [0.0, 7.0], [float("nan"), 1.0], [9.0, 9.0]]])
    assert len(said(lambda: wk.sample(torch.rand(1, 1, 17, 16), some))) == 1
    mixups._told.clear()
    grid = torch.stack(torch.meshgrid(*[torch.arange(9.0)] * 3, indexing="ij"), -1)[None]
    assert len(said(lambda: wk.sample(torch.rand(1, 1, 9, 9, 9), grid))) == 1


@pytest.mark.parametrize(
    "coords",
    [
        10 * wk.lattice((19, 18))[None],  # a picture made small in the middle of a large canvas
        3 + wk.lattice((19, 17))[None] - 3,
        pixels(3, 3),  # of an image as small as that
        torch.tensor([[[5.0, 5.0]]]),
        torch.full((1, 6, 2), float("inf")),
        1e30 * torch.rand(1, 40, 2),
    ],
    ids=["small", "usual", "few pixels", "one", "infinite", "huge"],
)
def test_what_may_be_meant_is_not_told(coords):
    assert said(lambda: wk.sample(torch.rand(1, 1, 18, 19), coords)) == []


def test_later_calls_are_looked_at_ever_less(monkeypatch):
    looked, isfinite = [], torch.Tensor.isfinite
    monkeypatch.setattr(torch.Tensor, "isfinite", lambda few: looked.append(mixups._calls) or isfinite(few))
    for _ in range(70):
        mixups.look_at_points(torch.zeros(1, 5, 2))
    assert looked == [*range(1, 17), 32, 64]


@pytest.mark.parametrize(
    ("shape", "right"),
    [
        ((8, 28, 28, 1), "[8, 1, 28, 28]"),
        ((1, 32, 48, 3), "[1, 3, 32, 48]"),
        ((1, 16, 20, 24, 4), "[1, 4, 16, 20, 24]"),
    ],
)
def test_channels_that_are_last_are_told_once(shape, right):
    theta = wk.get_transform("affine", ndim=len(shape) - 2).identity()[None]
    (text,) = said(lambda: wk.warp(torch.rand(shape), "affine", theta))
    assert f"image.movedim(-1, 1) is {right}" in text
    assert said(lambda: wk.sample(torch.rand(shape), torch.zeros(1, 5, len(shape) - 2))) == []


def test_aligning_tells_the_shape_that_was_given():
    image = torch.rand(1, 18, 20, 3)
    told = said(lambda: wk.align(image, image[:, :, :, :1].expand_as(image), "translation"))
    assert "[1, 18, 20, 3] looks like [N, H, W, C]" in told[0]


@pytest.mark.parametrize(
    "shape", [(8, 3, 28, 28), (2, 64, 1, 1), (2, 64, 7, 3), (1, 3, 20, 4), (2, 40, 3), (2, 64, 20, 20), (8, 32, 100, 4)]
)
def test_images_and_feature_maps_are_not_told(shape):
    theta = wk.get_transform("affine", ndim=len(shape) - 2).identity()[None]
    assert said(lambda: wk.warp(torch.rand(shape), "affine", theta)) == []


@pytest.mark.usefixtures("compiler")
def test_graphs_and_function_transforms_are_left_alone():
    image, coords = torch.rand(1, 20, 22, 3), pixels(6, 7)
    compiled = torch.compile(lambda u: wk.sample(u, coords), fullgraph=True, backend="aot_eager")
    assert said(lambda: compiled(image)) == []
    assert said(lambda: torch.func.vmap(lambda u: wk.sample(u[None], coords))(image[None][:, 0])) == []
