"""Padding and fill: what lies beyond the image."""

import numpy as np
import pytest
import torch
from cases import KERNELS, kernel
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import WEIGHTS, eq3
from strategies import MODES, alignments, modes, pixels_off_joints, seeds, sizes, to_normalised, uniform

import warpkit as wk

pytestmark = pytest.mark.usefixtures("each_backend")

NUMPY = {"border": "edge", "wrap": "wrap", ("reflection", False): "symmetric", ("reflection", True): "reflect"}


def row(values, x, **options):
    """A row of pixels sampled at pixel coordinates x."""
    image = torch.tensor(values, dtype=torch.float64).reshape(1, 1, -1)
    coords = to_normalised(torch.tensor(x, dtype=torch.float64)[None, :, None], (len(values),), False)
    return wk.sample(image, coords, **options).flatten().tolist()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("zeros", [0, 0, 1, 2, 3, 0, 0]),
        ("border", [1, 1, 1, 2, 3, 3, 3]),
        ("reflection", [2, 1, 1, 2, 3, 3, 2]),
        ("wrap", [2, 3, 1, 2, 3, 1, 2]),
    ],
)
@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic"])
def test_each_rule_by_hand(name, mode, expected):
    assert row([1, 2, 3], range(-2, 5), kernel=name, padding_mode=mode) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=8)
@given(seed=seeds, align_corners=alignments)
def test_padding_extends_the_image(name, mode, seed, align_corners):
    """A kernel near the edge sees what it would see inside an image that NumPy has padded."""
    k, size = kernel(name), (5, 6)
    margin = 2 + int(k.radius) + 25 * k.has_prefilter  # which dies away
    image, pixels = uniform(seed, 1, 1, *size), pixels_off_joints(seed + 1, 8, size, k).clamp(-0.9, 5.9)
    how = NUMPY.get(mode) or NUMPY[mode, align_corners]
    extended = torch.from_numpy(np.pad(image[0, 0].numpy(), margin, mode=how))[None, None]
    inside = to_normalised(pixels, size, align_corners)[None]
    out = wk.sample(image, inside, kernel=k, padding_mode=mode, align_corners=align_corners)
    shifted = to_normalised(pixels + margin, (5 + 2 * margin, 6 + 2 * margin), align_corners)[None]
    expected = wk.sample(extended, shifted, kernel=k, padding_mode=mode, align_corners=align_corners)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-11)


def test_wrap_ignores_the_alignment():
    image = uniform(0, 1, 1, 5)
    pixels = torch.linspace(-12, 12, 37, dtype=torch.float64)[:, None]
    a, b = (
        wk.sample(image, to_normalised(pixels, (5,), c)[None], padding_mode="wrap", kernel="bicubic", align_corners=c)
        for c in (False, True)
    )
    torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


def test_a_panorama_wraps_in_x_alone():
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    beside, above = to_normalised(torch.tensor([[4.0, 1.0], [1.0, -1.0]]), (3, 4), False)
    sampled = wk.sample(image, torch.stack([beside, above])[None], padding_mode=("wrap", "zeros"))
    assert sampled.flatten().tolist() == [4.0, 0.0]


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("name", KERNELS)
def test_an_image_of_one_pixel_is_that_pixel_everywhere(name, align_corners, mode):
    if not kernel(name).partition_of_unity:
        pytest.skip("the weights do not sum to one")
    image = torch.full((1, 1, 1, 1), 3.0, dtype=torch.float64)
    coords = 5 * uniform(0, 1, 9, 2)
    out = wk.sample(image, coords, kernel=name, padding_mode=mode, align_corners=align_corners)
    torch.testing.assert_close(out, torch.full_like(out, 3.0), rtol=0, atol=1e-9)


@given(seed=seeds, fill=st.floats(-3, 3), names=st.tuples(*[st.sampled_from(list(WEIGHTS))] * 2), padding=modes(2))
def test_a_fill_is_what_zeros_finds_outside(seed, fill, names, padding):
    size = (3, 4)
    pixels = torch.stack([pixels_off_joints(seed + i, 6, size, kernel(n))[:, i] for i, n in enumerate(names)], dim=-1)
    image = uniform(seed, 1, 2, *size)
    out = wk.sample(image, to_normalised(pixels, size, False)[None], kernel=names, padding_mode=padding, fill=fill)
    expected = eq3(image[0].numpy(), pixels.numpy(), [WEIGHTS[n] for n in names], padding, False, fill)
    torch.testing.assert_close(out[0], torch.from_numpy(expected), rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("ndim", [1, 2, 3])
@settings(max_examples=6)
@given(data=st.data(), seed=seeds, fill=st.floats(-3, 3), align_corners=alignments)
def test_fill_c_is_warping_the_image_minus_c_and_adding_c(ndim, name, data, seed, fill, align_corners):
    image = uniform(seed, 2, 2, *data.draw(sizes(ndim, 1, 5)))
    theta = torch.eye(ndim, ndim + 1, dtype=torch.float64).flatten() + 0.5 * uniform(seed + 1, 2, ndim * (ndim + 1))
    options = {"kernel": name, "align_corners": align_corners}
    out = wk.warp(image, "affine", theta, fill=fill, **options)
    torch.testing.assert_close(out, wk.warp(image - fill, "affine", theta, **options) + fill, rtol=0, atol=1e-11)


@pytest.mark.parametrize("fill", [(0.5, -1.0, 2.0), [0.5, -1.0, 2.0], torch.tensor([0.5, -1.0, 2.0])])
@pytest.mark.parametrize("name", KERNELS)
def test_a_fill_for_each_channel(name, fill):
    image, theta = uniform(0, 2, 3, 4, 5), 1.5 * uniform(1, 2, 6)
    out = wk.warp(image, "affine", theta, kernel=name, fill=fill)
    for i, c in enumerate([0.5, -1.0, 2.0]):
        torch.testing.assert_close(
            out[:, i : i + 1], wk.warp(image[:, i : i + 1], "affine", theta, kernel=name, fill=c)
        )


@pytest.mark.parametrize("mode", MODES[1:])
def test_a_fill_changes_nothing_in_the_other_modes(mode):
    image, theta = uniform(0, 1, 1, 5, 5), 2 * uniform(1, 1, 6)
    assert torch.equal(
        wk.warp(image, "affine", theta, padding_mode=mode, fill=7.0), wk.warp(image, "affine", theta, padding_mode=mode)
    )


def test_a_fill_has_a_gradient():
    fill = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
    image, theta = uniform(0, 1, 2, 4, 4), 2 * uniform(1, 1, 6)
    torch.autograd.gradcheck(lambda f: wk.warp(image, "affine", theta, fill=f), (fill,))
