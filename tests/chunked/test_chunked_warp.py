"""Warps in tiles: the bits of the warp in memory, whatever is warped, by what, and in which tiles."""

import itertools
import math

import cases
import dask
import dask.array as da
import numpy as np
import pytest
import torch
import zarr

import warpkit as wk
from warpkit import chunked
from warpkit.testing.flattened import Flattened

AFFINE = torch.tensor([[0.8, -0.35, 0.1, 0.4, 0.9, -0.2]])
FAR = torch.tensor([[2.9, -1.1, 1.3, 1.4, 3.1, -2.2]])
PROJECTIVE = torch.tensor([[0.8, -0.35, 0.1, 0.4, 0.9, -0.2, 0.7, 0.9]])  # its horizon crosses the output


def image(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def noise(*shape, scale=0.1):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def check(pixels, transform, theta, *, axes="NCYX", chunks=(37, 53), array=None, **ways):
    """Raise where tiles give other bits than the whole."""
    expected = wk.warp(pixels, transform, theta, **ways).numpy()
    given = pixels.numpy() if array is None else array
    lazy = chunked.warp(given, transform, theta, axes=axes, chunks=chunks, **ways)
    found = lazy.compute(scheduler="synchronous")
    assert isinstance(lazy, da.Array)
    assert lazy.dtype == found.dtype == expected.dtype
    assert lazy.shape == found.shape
    np.testing.assert_array_equal(found.reshape(expected.shape), expected, strict=True)


PADDINGS = ["zeros", "border", "reflection", "wrap", "none"]
EDGES = list(itertools.product(PADDINGS, [False, True]))
WAYS = list(itertools.product(cases.KERNELS, EDGES))
# Every kernel with every padding and alignment, each with one transform, of which none is left out.
SOME = [(kernel, *edge, *cases.TRANSFORMS[7 * k % len(cases.TRANSFORMS)]) for k, (kernel, edge) in enumerate(WAYS)]
# Every kernel with every transform, each with one padding and alignment.
MORE = [
    (kernel, *EDGES[3 * k % len(EDGES)], *transform)
    for k, (kernel, transform) in enumerate(itertools.product(cases.KERNELS, cases.TRANSFORMS))
]
ALL = [*SOME, *(pytest.param(*case, marks=pytest.mark.exhaustive) for case in MORE if case not in SOME)]
SIZES = {1: [(301,), (277,), (67,)], 2: [(41, 77), (23, 131), (11, 53)], 3: [(9, 11, 33), (7, 9, 75), (4, 5, 37)]}


@pytest.mark.parametrize(("kernel", "padding", "aligned", "transform", "ndim"), ALL)
def test_tiles_have_the_bits_of_the_whole(unchecked, kernel, padding, aligned, transform, ndim):
    made = cases.transform(transform, ndim)
    if made.is_field or isinstance(made, Flattened):
        made = wk.get_transform(transform, ndim=ndim, align_corners=aligned)
        theta = noise(1, ndim, *range(5, 5 + ndim))
    else:
        theta = cases.start(made, dtype=torch.float32) + noise(1, made.num_params, scale=0.05)
    size, out, chunks = SIZES[ndim]
    ways = {"kernel": kernel, "padding_mode": padding, "align_corners": aligned, "size": out, "chunks": chunks}
    check(image(1, 1, *size), made, theta, axes="NC" + "ZYX"[-ndim:], **ways)


def test_of_those_that_run_by_default_none_is_missing():
    assert {case[:3] for case in SOME} == {(kernel, *edge) for kernel, edge in WAYS}
    assert {case[3:] for case in SOME} == set(cases.TRANSFORMS)


@pytest.mark.parametrize("kernel", ["bilinear", "bspline"])
def test_what_lies_far_outside(kernel):
    check(image(1, 2, 103, 141), "affine", FAR, chunks=(64, 141), align_corners=True, kernel=kernel)


@pytest.mark.parametrize("padding", ["zeros", "wrap", "none", ("reflection", "border")])
def test_a_horizon_has_no_seams(padding):
    check(image(1, 2, 103, 141), "projective", PROJECTIVE, padding_mode=padding, kernel="bicubic")


def _transforms():
    spline = wk.get_transform("thin_plate_spline", grid=(3, 3))
    warped = spline.identity()[None] + noise(1, spline.num_params)
    free_form = wk.get_transform("free_form", grid=(4, 5))
    pixels = wk.get_transform("displacement", units="pixels")
    parts = wk.Compose(["affine", wk.get_transform("displacement"), "projective"])
    return {
        "thin_plate_spline": (spline, warped),
        "free_form": (free_form, free_form.identity()[None] + noise(1, free_form.num_params)),
        "polar": ("polar", torch.tensor([[0.1, -0.1]])),
        "field as large as the output": ("displacement", noise(2, 2, 103, 141)),
        "field in pixels": (pixels, noise(1, 2, 9, 11, scale=0.7)),
        "field by a spline": (wk.get_transform("displacement", kernel="bspline"), noise(1, 2, 9, 11)),
        "velocity": ("velocity", noise(1, 2, 9, 11)),
        "composition": (wk.Compose(["affine", spline]), torch.cat([AFFINE, warped], dim=1)),
        "composition with a field": (parts, (AFFINE, noise(1, 2, 9, 11), PROJECTIVE)),
    }


@pytest.mark.parametrize("name", _transforms())
def test_every_kind_of_transform_has_the_same_bits(name):
    transform, theta = _transforms()[name]
    check(image(2, 1, 103, 141), transform, theta, chunks=(64, 90), padding_mode="reflection")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64", "float16", "float64", "bool", "complex64"])
def test_every_type_has_the_same_bits(dtype):
    pixels = image(1, 3, 60, 71) * 200
    pixels = pixels > 100 if dtype == "bool" else pixels.to(getattr(torch, dtype))
    for kernel in ("nearest", "bicubic", "bspline"):
        check(pixels, "affine", AFFINE, kernel=kernel, fill=[1, 0, 1], chunks=(60, 50))


@pytest.mark.parametrize("kernel", ["bicubic", "bspline"])
def test_fill_may_mark_what_the_outside_touches(kernel):
    fill = [1.0, math.nan, 0.0]
    check(image(1, 3, 60, 71), "affine", AFFINE, kernel=kernel, fill=fill, padding_mode=("zeros", "none"))


@pytest.mark.parametrize("padding", ["zeros", "wrap"])
@pytest.mark.parametrize("kernel", ["bilinear", "bspline"])
def test_volumes_and_lines(kernel, padding):
    affine = wk.get_transform("affine", ndim=3)
    theta = affine.identity()[None] + noise(1, 12, scale=0.2)
    ways = {"kernel": kernel, "padding_mode": padding}
    check(image(1, 1, 20, 31, 42), affine, theta, axes="NCZYX", chunks=(17, 20, 31), **ways)
    check(image(1, 1, 1001), "affine", torch.tensor([[0.7, 0.1]]), axes="NCX", chunks=(100,), **ways)


def test_a_plugin_needs_no_bound():
    class Swirl(wk.Transform):
        ndim, num_params = 2, 1

        def forward(self, theta, points):
            angle = theta[:, None, :] * torch.exp(-(points**2).sum(-1, keepdim=True))
            x, y = points.unbind(-1)
            cos, sin = angle.cos()[..., 0], angle.sin()[..., 0]
            return torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1)

    check(image(1, 1, 103, 141), Swirl(), torch.tensor([[2.5]]), padding_mode="wrap")


def test_images_and_sets_of_parameters_are_paired_as_in_memory():
    both = torch.cat([AFFINE, FAR])
    check(image(2, 1, 40, 50), "affine", both)
    check(image(1, 2, 40, 50), "affine", both)
    times = image(2, 3, 1, 40, 50)  # two axes that count images
    found = chunked.warp(times.numpy(), "affine", AFFINE, axes="TPCYX").compute(scheduler="synchronous")
    expected = wk.warp(times.reshape(6, 1, 40, 50), "affine", AFFINE).reshape(times.shape)
    np.testing.assert_array_equal(found, expected.numpy())


def test_axes_come_in_any_order():
    pixels = image(1, 3, 60, 71)
    found = chunked.warp(pixels[0].permute(2, 1, 0).numpy(), "affine", AFFINE, axes="XYC", chunks=(30, 30))
    expected = wk.warp(pixels, "affine", AFFINE)[0].permute(2, 1, 0)
    np.testing.assert_array_equal(found.compute(scheduler="synchronous"), expected.numpy())


@pytest.mark.parametrize("kernel", ["bilinear", "bspline"])
def test_a_zarr_array_is_read_by_the_tiles_and_may_lack_chunks(tmp_path, kernel):
    pixels = image(1, 1, 103, 141)
    array = zarr.create_array(tmp_path / "a.zarr", shape=(103, 141), chunks=(32, 32), dtype="float32", fill_value=0.25)
    array[32:] = pixels[0, 0, 32:].numpy()
    pixels[..., :32, :] = 0.25  # no chunk was written there
    ways = {"kernel": kernel, "padding_mode": "wrap"}
    check(pixels, "affine", AFFINE, axes="YX", array=array, **ways)
    check(pixels, "affine", AFFINE, axes="YX", array=da.from_zarr(array), **ways)


@pytest.mark.parametrize("lattice", [(103, 141), (20, 31)])
@pytest.mark.parametrize("ways", [{}, {"units": "pixels", "kernel": "bspline"}, {"padding_mode": "wrap"}])
def test_a_large_field_stays_where_it_is(tmp_path, monkeypatch, ways, lattice):
    monkeypatch.setattr("warpkit.chunked.fields._LARGE", 0)
    transform = wk.get_transform("displacement", **ways)
    theta = noise(2, 2, *lattice, scale=0.7 if "units" in ways else 0.1)
    held = zarr.create_array(tmp_path / "theta", shape=theta.shape, chunks=(1, 2, 16, 16), dtype="float32")
    held[:] = theta.numpy()
    pixels = image(2, 1, 103, 141)
    expected = wk.warp(pixels, transform, theta).numpy()
    for given in (held, da.from_zarr(held)):
        lazy = chunked.warp(pixels.numpy(), transform, given, axes="NCYX", chunks=(64, 90))
        np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), expected)


@pytest.mark.parametrize("antialias", [False, True])
def test_what_lies_in_a_short_gap_between_pixels_is_asked_for(antialias):
    pixels = image(1, 1, 4, 30)
    across = torch.tensor([[1.0, 0, 1.0, 0, 1, 0]])  # the end of the image, and its beginning
    source = da.from_array(pixels.numpy(), chunks=(1, 1, 4, 3))
    ways = {"size": (4, 8), "padding_mode": "wrap", "antialias": antialias, "chunks": (4, 8)}
    half = torch.tensor([[0.2, 0, 1.0, 0, 1, 0]])
    check(pixels, "affine", half, array=source, **ways)
    check(pixels, "affine", across, array=source, **ways)


def test_nothing_is_read_before_it_is_computed_and_then_only_what_a_tile_reaches():
    read = []

    def block(block_info=None):
        place = block_info[None]["array-location"]
        read.append(place)
        return np.full([stop - start for start, stop in place], 1.0, dtype="float32")

    source = da.map_blocks(block, chunks=((64,) * 8, (64,) * 8), dtype="float32", meta=np.empty((0, 0), "float32"))
    lazy = chunked.warp(source, "affine", torch.tensor([[1.0, 0, 0, 0, 1, 0]]), chunks=(64, 64))
    assert read == []
    lazy[:60, :60].compute(scheduler="synchronous")
    assert 0 < len(read) <= 4


def test_a_tile_never_holds_much_more_than_it_gives(monkeypatch):
    # A strong reduction: each tile reaches a large window, and is worked on in parts.
    monkeypatch.setattr("warpkit.chunked.tiles.MANY", 2**12)
    monkeypatch.setattr("warpkit.chunked.tiles._POINTS", 2**10)
    spline = wk.get_transform("thin_plate_spline", grid=(2, 2))
    check(image(1, 1, 300, 400), "affine", AFFINE, size=(90, 200), chunks=(90, 200))
    check(image(1, 1, 200, 300), spline, spline.identity()[None] * 0.9, size=(50, 140), chunks=(50, 140))


def test_the_named_backend_is_used_on_every_thread():
    class Refuses(wk.Backend):
        def refuses(self, problem):
            return "is for tests"

        def pull(self, image, problem):
            raise NotImplementedError

        def push(self, values, problem, images):
            raise NotImplementedError

    with wk.use_backend("reference"):
        lazy = chunked.warp(image(20, 70).numpy(), "affine", AFFINE, chunks=(20, 33))
        expected = wk.warp(image(20, 70)[None, None], "affine", AFFINE)[0, 0]
    np.testing.assert_array_equal(lazy.compute(scheduler="threads"), expected.numpy())


def test_sums_over_a_warped_array_stay_lazy():
    lazy = chunked.warp(image(60, 71).numpy(), "affine", AFFINE, chunks=(30, 30))
    whole = wk.warp(image(60, 71)[None, None], "affine", AFFINE).double().sum().item()
    assert lazy.astype("float64").sum().compute(scheduler="threads") == pytest.approx(whole)


@pytest.mark.parametrize(
    ("ways", "told"),
    [
        ({"axes": "CYX"}, "axes: expected a letter for each axis of [20, 30]"),
        ({"axes": "YY"}, "axes: expected different letters"),
        ({"antialias": 65}, "antialias"),
        ({"antialias": True, "kernel": "nearest"}, "Means of labels"),
        ({"chunks": (0, 3)}, "chunks"),
        ({"theta": torch.zeros(3, 6)}, "batch of theta"),
        ({"theta": torch.zeros(1, 5)}, "theta"),
        ({"transform": wk.get_transform("affine", ndim=3)}, "transform: expected one in 2-D"),
        ({"array": "no such file.zarr"}, "is no Zarr array"),
        ({"array": np.array([["a"]])}, "numbers or truth values"),
        ({"array": 3}, "array: expected"),
        ({"array": np.ma.masked_less(np.zeros((20, 30)), 1)}, "without a mask"),
        ({"array": torch.zeros(20, 30, dtype=torch.bfloat16)}, "numbers that NumPy has"),
        ({"chunks": True}, "chunks"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_read(ways, told):
    given = {"array": np.zeros((20, 30), "float32"), "transform": "affine", "theta": AFFINE} | ways
    with pytest.raises(wk.InputError) as error:
        chunked.warp(given.pop("array"), given.pop("transform"), given.pop("theta"), **given)
    assert told in str(error.value)


def test_a_prefilter_that_wants_the_whole_image_is_refused():
    class Sharp(wk.Kernel):
        radius = 1.0

        def forward(self, distance):
            return 1 - distance.abs()

        def prefilter(self, image, axis, padding_mode, align_corners):
            return image - image.mean()

    with pytest.raises(wk.InputError, match="prefilter_samples"):
        chunked.warp(np.zeros((20, 30), "float32"), "affine", AFFINE, kernel=Sharp())


def test_dask_is_told_of_every_task():
    lazy = chunked.warp(image(60, 71).numpy(), "affine", AFFINE, chunks=(30, 30))
    assert lazy.numblocks == (2, 3)
    (optimised,) = dask.optimize(lazy)
    np.testing.assert_array_equal(optimised.compute(scheduler="threads"), lazy.compute(scheduler="synchronous"))
