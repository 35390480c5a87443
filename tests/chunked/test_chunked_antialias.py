"""Antialiased warps in tiles: the bits of the warp in memory, and only what footprints reach is read."""

import math

import dask.array as da
import numpy as np
import pytest
import torch
import zarr

import warpkit as wk
from warpkit import chunked

SMALLER = torch.tensor([[1.4, 0.5, 0.1, -0.5, 1.3, -0.1]])
WHOLE = torch.tensor([[1.0, 0, 0, 0, 1, 0]])
HORIZON = torch.tensor([[0.8, 0, 0, 0, 0.8, 0, 0, -0.75]])


@pytest.fixture(autouse=True)
def small_boxes(monkeypatch):
    """Several boxes of footprints in what is small."""
    monkeypatch.setattr("warpkit.footprints._BOX", {1: (64,), 2: (16, 64), 3: (4, 8, 64)})


def image(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def noise(*shape, scale=0.1):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def check(pixels, transform, theta, *, array=None, axes="NCYX", chunks=(14, 70), antialias=True, **ways):
    """Raise where tiles give other bits than the whole."""
    expected = wk.warp(pixels, transform, theta, antialias=antialias, **ways).numpy()
    given = pixels.numpy() if array is None else array
    lazy = chunked.warp(given, transform, theta, axes=axes, chunks=chunks, antialias=antialias, **ways)
    found = lazy.compute(scheduler="synchronous")
    np.testing.assert_array_equal(found.reshape(expected.shape), expected, strict=True)
    return found


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection", "wrap", "none"])
@pytest.mark.parametrize("kernel", ["bilinear", "bspline"])
def test_tiles_have_the_bits_of_the_whole(kernel, padding):
    ways = {"padding_mode": padding, "kernel": kernel, "fill": 0.5, "align_corners": kernel == "bilinear"}
    check(image(1, 2, 60, 101), "affine", SMALLER, size=(27, 75), **ways)


@pytest.mark.parametrize("antialias", [True, 2, 3])
def test_a_strong_reduction_reads_coarse_levels(antialias):
    pixels = image(1, 1, 300, 411)
    check(pixels, "affine", SMALLER, size=(31, 90), chunks=(16, 70), kernel="bicubic", antialias=antialias)
    check(pixels, "affine", 3 * SMALLER, size=(31, 90), chunks=(16, 70), antialias=antialias, fill=7.0)


@pytest.mark.parametrize("padding", ["zeros", "wrap"])
def test_footprints_differ_from_place_to_place(unchecked, padding):
    check(image(1, 1, 93, 131), "projective", HORIZON, size=(30, 75), padding_mode=padding, kernel="bicubic")


@pytest.mark.parametrize("transform", ["affine", "projective"])
def test_threads_do_not_see_each_other_s_derivatives(unchecked, transform):
    pixels, theta = image(1, 1, 60, 101), SMALLER if transform == "affine" else HORIZON
    ways = {"size": (27, 75), "antialias": True}
    lazy = chunked.warp(pixels[0, 0].numpy(), transform, theta, chunks=(9, 30), **ways)
    expected = wk.warp(pixels, transform, theta, **ways)[0, 0].numpy()
    np.testing.assert_array_equal(lazy.compute(scheduler="threads", num_workers=4), expected)


def _transforms():
    spline = wk.get_transform("thin_plate_spline", grid=(3, 3))
    parts = wk.Compose(["affine", wk.get_transform("displacement")])
    return {
        "thin_plate_spline": (spline, 1.8 * spline.identity()[None] + noise(1, spline.num_params)),
        "polar": ("polar", torch.tensor([[0.1, -0.1]])),
        "field": ("displacement", noise(1, 2, 9, 11)),
        "composition": (parts, (SMALLER, noise(1, 2, 9, 11))),
    }


@pytest.mark.parametrize("name", _transforms())
def test_every_kind_of_transform_has_the_same_bits(unchecked, name):
    check(image(1, 1, 60, 101), *_transforms()[name], size=(27, 75))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float64", "complex64"])
def test_every_type_has_the_same_bits(dtype):
    pixels = (image(1, 3, 60, 101) * 200).to(getattr(torch, dtype))
    check(pixels, "affine", SMALLER, size=(27, 75), fill=[1, 0, 1])
    check(pixels, "affine", WHOLE, size=(30, 101), chunks=(10, 70))  # means of whole pixels


@pytest.mark.parametrize("transform", ["affine", "projective"])
def test_fill_may_mark_what_the_outside_touches(unchecked, transform):
    theta = SMALLER if transform == "affine" else torch.cat([SMALLER, HORIZON[:, 6:]], dim=1)
    found = check(image(1, 3, 60, 101), transform, theta, size=(30, 66), fill=[1.0, math.nan, 0.0])
    assert 0 < np.isnan(found[:, 1]).mean() < 1
    assert not np.isnan(found[:, ::2]).any()


def test_volumes_and_lines():
    affine = wk.get_transform("affine", ndim=3)
    theta = 1.5 * affine.identity()[None] + noise(1, 12)
    check(image(1, 1, 20, 31, 82), affine, theta, axes="NCZYX", chunks=(8, 20, 70), size=(11, 17, 80))
    check(image(1, 1, 1001), "affine", torch.tensor([[1.7, 0.1]]), axes="NCX", chunks=(100,), size=(301,))


@pytest.mark.parametrize("transform", ["affine", "projective"])
def test_each_image_has_its_own_footprint(unchecked, transform):
    theta = SMALLER if transform == "affine" else torch.cat([SMALLER, HORIZON[:, 6:]], dim=1)
    check(image(2, 1, 60, 101), transform, torch.cat([theta, 0.6 * theta]), size=(27, 75))


def test_alike_maps_are_means_of_pixels_and_others_are_not():
    pixels = image(2, 1, 96, 160)
    check(pixels, "affine", WHOLE.repeat(2, 1), size=(12, 20), chunks=(5, 7))
    check(pixels, "affine", torch.cat([WHOLE, SMALLER]), size=(12, 20), chunks=(5, 7))


@pytest.mark.parametrize(("transform", "theta"), [("affine", SMALLER), ("projective", HORIZON), ("affine", WHOLE)])
def test_what_is_read_is_what_footprints_reach(unchecked, tmp_path, transform, theta, monkeypatch):
    monkeypatch.setattr("warpkit.chunked.areas.MANY", 2**13)  # in some rows, and points, at a time
    pixels = image(1, 1, 96, 320)
    store = zarr.create_array(tmp_path / "a.zarr", shape=(96, 320), chunks=(16, 16), dtype="float32")
    store[:] = pixels[0, 0].numpy()
    ways = {"axes": "YX", "size": (24, 80), "chunks": (8, 70)}
    check(pixels, transform, theta, array=store, **ways)
    source = da.from_zarr(store)
    check(pixels, transform, theta, array=source, **ways)
    lazy = chunked.warp(source, transform, theta, antialias=True, **ways)
    _, _, _, chunks, _ = lazy.dask[(lazy.name, 2, 0)]
    assert 0 < len(chunks) < 6 * 20


def test_rounding_asks_for_no_further_level_beside_another_map():
    twice = torch.tensor([1 + 1e-9, 1.05], dtype=torch.float64)[:, None] * WHOLE.double()
    check(image(2, 1, 48, 160).double(), "affine", twice, size=(24, 80), antialias=1)
