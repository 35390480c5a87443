"""What bad input gets: one `InputError` that quotes it, before anything is computed."""

import numpy as np
import pytest
import torch
from examples import Rough, Swirl

import warpkit as wk

IMAGE = torch.zeros(2, 3, 4, 5)
THETA = torch.zeros(2, 6)
COORDS = torch.zeros(2, 7, 2)
NAN = float("nan")

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.zeros(4, 5), r"image: expected \[N, C, \*S\].*\[4, 5\]"),
        (torch.zeros(1, 1, 2, 2, 2, 2), r"\[1, 1, 2, 2, 2, 2\]"),
        ([[1.0]], r"image: expected a tensor.*\[\[1\.0\]\]"),
        (None, "image: expected a tensor.*None"),
        (torch.zeros(2, 3, 0, 5), r"image: expected a channel and a pixel at least, got \[2, 3, 0, 5\]"),
        (torch.zeros(2, 0, 4, 5), r"image: expected a channel and a pixel at least, got \[2, 0, 4, 5\]"),
    ],
)
def test_a_wrong_image_is_told(image, words):
    with pytest.raises(wk.InputError, match=words):
        wk.warp(image, "affine", THETA)
    with pytest.raises(wk.InputError, match=words):
        wk.sample(image, COORDS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kernel": "bicubik"}, r"unknown kernel 'bicubik'.*Did you mean 'bicubic'.*nearest"),
        ({"kernel": {"type": "bicubic", "b": 1}}, "unknown option of kernel 'bicubic' 'b'.*a"),
        ({"kernel": {"type": "bicubic", "a": "x"}}, "a: expected a finite number"),
        ({"kernel": {"a": 1}}, "kernel: expected a name"),
        ({"kernel": Rough}, "give an object of this class"),
        ({"kernel": Swirl()}, "kernel: expected a name"),
        ({"kernel": None}, "kernel: expected a name"),
        ({"kernel": ("bilinear",) * 3}, "kernel: expected one, or 2 in the order x, y, z, got 3"),
        ({"padding_mode": "zero"}, "unknown padding_mode 'zero'.*Did you mean 'zeros'"),
        ({"padding_mode": "reflect"}, "unknown padding_mode 'reflect'.*'reflection'"),
        ({"padding_mode": ("zeros",) * 3}, "padding_mode: expected one, or 2.*got 3"),
        ({"padding_mode": None}, "padding_mode"),
        ({"padding_mode": {"x": "zeros"}}, "padding_mode"),
        ({"fill": float("inf")}, "fill: expected a finite number.*inf"),
        ({"fill": (1.0, 2.0)}, r"fill: .*3 channels.*2"),
        ({"fill": (1.0, 2.0, float("inf"))}, "fill: expected a finite number"),
        ({"fill": 1 + 2j}, "fill: expected a finite number"),
        ({"fill": [10**400]}, "fill: expected a finite number"),
        ({"fill": np.array(["a"])}, "fill: expected a finite number"),
        ({"fill": torch.zeros(3).to_sparse()}, "fill: expected a finite number"),
        ({"fill": torch.zeros(3, dtype=torch.float8_e4m3fn, requires_grad=True)}, "fill: expected a finite number"),
        ({"fill": torch.zeros(3, device="meta")}, "fill: expected the device of image, cpu, got meta"),
        ({"fill": torch.zeros(3, 1)}, "fill: expected a finite number or NaN, or one for each of 3 channels"),
        ({"fill": "black"}, "fill: .*'black'"),
        ({"fill": None}, "fill: .*None"),
        ({"align_corners": None}, "align_corners: expected True or False, got None"),
        ({"align_corners": "no"}, "align_corners: .*'no'"),
    ],
)
def test_a_wrong_option_is_told(options, words):
    with pytest.raises(wk.InputError, match=words):
        wk.warp(IMAGE, "affine", THETA, **options)
    with pytest.raises(wk.InputError, match=words):
        wk.sample(IMAGE, COORDS, **options)


@pytest.mark.parametrize(
    ("transform", "theta", "words"),
    [
        ("afine", THETA, "unknown transform 'afine'.*Did you mean 'affine'.*projective"),
        ({"type": "thin_plate_spline", "gird": (3, 3)}, THETA, "'gird'.*Did you mean 'grid'"),
        (wk.get_kernel("bilinear"), THETA, "transform: expected a name"),
        (type(Swirl()), THETA, "give an object of this class"),
        (
            wk.get_transform("affine", ndim=3),
            torch.zeros(2, 12),
            r"transform: .* in 2-D, as .*\[2, 3, 4, 5\] is, got Affine in 3-D",
        ),
        ({"type": "affine", "ndim": 4}, THETA, "ndim: expected 1, 2 or 3, got 4"),
        ("affine", torch.zeros(2, 5), r"\[N, 6\] for Affine \(θ11 θ12 θ13 θ21 θ22 θ23\), or \[N, 2, 3\], got \[2, 5\]"),
        ("affine", torch.zeros(6), r"got \[6\]: theta has no batch axis: theta\[None\] is \[1, 6\]"),
        ("affine", torch.zeros(2, 3), r"got \[2, 3\]: theta has no batch axis: theta\[None\] is \[1, 2, 3\]"),
        ("thin_plate_spline", torch.zeros(16, 2), r"got \[16, 2\]: theta has no batch axis"),
        ("affine", torch.zeros(2, 3, 3), r"got \[2, 3, 3\]. Where its last row is 0 … 0 1, theta\[:, :2\] is meant"),
        ("projective", torch.zeros(2, 2, 3), r"or \[N, 3, 3\], got \[2, 2, 3\]. A last row.* makes it \[2, 3, 3\]"),
        ("euclidean", torch.zeros(2, 2, 3), r"got \[2, 2, 3\]: from_matrix makes θ of matrices \[N, 3, 3\]"),
        ("affine", torch.zeros(2, 6, dtype=torch.int32), "theta: expected a floating-point tensor, got torch.int32"),
        ("affine", torch.zeros(2, 6, dtype=torch.complex64), "complex64"),
        ("affine", [[1.0, 0, 0, 0, 1, 0]], "theta: expected a floating-point tensor, got"),
        ("affine", torch.zeros(3, 6), "batch of theta: expected that of image, 2, or 1 in one of them, got 3"),
        ("affine", torch.zeros(2, 6, device="meta"), "theta: expected the device of image, cpu, got meta"),
        ("thin_plate_spline", torch.zeros(2, 6), r"\[N, 32\] for ThinPlateSpline \(x1 y1"),
    ],
)
def test_a_wrong_transform_or_theta_is_told(transform, theta, words):
    with pytest.raises(wk.InputError, match=words):
        wk.warp(IMAGE, transform, theta)


@pytest.mark.parametrize(
    "size",
    [(4,), (4, 5, 6), (0, 5), (-1, 5), (4.0, 5), "45", (True, 5), 0, np.array([4.0, 5.0]), (2**40, 2**40), 2**63],
)
def test_a_wrong_size_is_told(size):
    with pytest.raises(wk.InputError, match=r"size: expected (2 positive integers|fewer than)"):
        wk.warp(IMAGE, "affine", THETA, size=size)


@pytest.mark.parametrize(
    ("coords", "words"),
    [
        (torch.zeros(2, 7, 3), r"coords: expected \[N, \*T, 2\].*\[2, 7, 3\]"),
        (torch.zeros(2), r"\[2\]"),
        (torch.zeros(3, 7, 2), "batch of image: expected that of coords, 3, or 1 in one of them, got 2"),
        (torch.zeros(2, 7, 2, dtype=torch.int64), "coords: expected a floating-point tensor, got torch.int64"),
        (torch.zeros(2, 7, 2, device="meta"), "image: expected the device of coords, meta, got cpu"),
        ([[0.0, 0.0]], "coords: expected a floating-point tensor, got"),
    ],
)
def test_wrong_coords_are_told(coords, words):
    with pytest.raises(wk.InputError, match=words):
        wk.sample(IMAGE, coords)


@pytest.mark.parametrize("size", [[4, 5], torch.Size([4, 5]), np.array([4, 5]), torch.tensor([4, 5])], ids=type)
def test_a_size_may_be_any_row_of_whole_numbers(size):
    assert wk.warp(IMAGE, "affine", THETA, size=size).shape == (2, 3, 4, 5)


@pytest.mark.parametrize("size", [4, np.int64(4), torch.tensor(4)], ids=type)
def test_one_number_is_the_size_along_every_axis(size):
    assert wk.warp(IMAGE, "affine", THETA, size=size).shape == (2, 3, 4, 4)
    assert wk.SpatialTransformer("conv_localization", size=size)(IMAGE).shape == (2, 3, 4, 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: wk.warp(IMAGE[0], "affine", THETA),
        lambda: wk.warp(IMAGE[0], wk.get_transform("affine"), THETA),
        lambda: wk.warp(IMAGE[0], "thin_plate_spline", torch.zeros(1, 32)),
        lambda: wk.sample(IMAGE[0], COORDS),
        lambda: wk.warp(torch.zeros(2, 3, 4, 5), "affine", torch.zeros(2, 12)),
    ],
    ids=["warp", "an object", "spline", "sample", "volume"],
)
def test_a_batch_that_was_forgotten_is_named(call):
    with pytest.raises(wk.InputError, match=r"Is the image's batch missing \(image\[None\], \[1, "):
        call()


def test_every_complaint_is_a_value_error():
    assert issubclass(wk.InputError, ValueError)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wk.get_kernel("bicubic", b=1), "unknown option of kernel 'bicubic' 'b'"),
        (lambda: wk.get_transform("affine", dim=2), "Did you mean 'ndim'"),
        (lambda: wk.get_transform("affine", ndim="2"), "ndim: expected 1, 2 or 3, got '2'"),
        (lambda: wk.get_transform("attention", scale=0), "scale: expected a finite number other than 0"),
        (lambda: wk.get_transform("attention", scale=NAN), "scale: .*nan"),
        (lambda: wk.get_transform("compose"), "transform 'compose' needs its option 'of'"),
        (lambda: wk.get_kernel(3), "kernel: expected a name, got 3"),
        (lambda: wk.get_kernel(["bilinear"]), "kernel: expected a name"),
    ],
)
def test_wrong_components_are_told(call, words):
    with pytest.raises(wk.InputError, match=words):
        call()


def test_a_picture_whose_channels_are_last_is_told_its_axes():
    words = r"a picture \[H, W, C\]\? Then image.permute\(2, 0, 1\)\[None\], \[1, 3, 60, 51\], is meant"
    for transform in ("affine", wk.Affine()):
        with pytest.raises(wk.InputError, match=words):
            wk.warp(torch.rand(60, 51, 3), transform, torch.eye(2, 3)[None])
