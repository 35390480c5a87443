"""Eq. 3 to 7 of Jaderberg et al. 2015, by hand and as a literal sum."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import WEIGHTS, eq3
from strategies import modes, pixels_off_joints, seeds, sizes, to_normalised, uniform

import warpkit as wk

pytestmark = pytest.mark.usefixtures("each_backend")

IMAGE = torch.tensor([[[[1.0, 2, 4], [8, 16, 32]]]], dtype=torch.float64)  # two rows, three columns


def at(*points: tuple[float, float]) -> torch.Tensor:
    """Pixel coordinates (x, y) of IMAGE, as normalised ones [1, M, 2]."""
    return to_normalised(torch.tensor([points], dtype=torch.float64), (2, 3), False)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@given(data=st.data(), seed=seeds, align_corners=st.booleans())
def test_eq_3_with_a_kernel_and_a_padding_for_each_axis(ndim, data, seed, align_corners):
    names = data.draw(st.tuples(*[st.sampled_from(list(WEIGHTS))] * ndim))
    padding, size = data.draw(modes(ndim)), data.draw(sizes(ndim, 2 if align_corners else 1, 4))
    pixels = torch.stack(
        [pixels_off_joints(seed + i, 4, size, wk.get_kernel(name))[:, i] for i, name in enumerate(names)], dim=-1
    )
    image = uniform(seed, 1, 2, *size)
    coords = to_normalised(pixels, size, align_corners)[None]
    out = wk.sample(image, coords, kernel=names, padding_mode=padding, align_corners=align_corners)
    expected = eq3(image[0].numpy(), pixels.numpy(), [WEIGHTS[n] for n in names], padding, align_corners)
    torch.testing.assert_close(out[0], torch.from_numpy(expected), rtol=0, atol=1e-12)


def test_eq_5_between_four_pixels():
    out = wk.sample(IMAGE, at((0.25, 0.5)))
    assert out.item() == pytest.approx(0.5 * (0.75 * 1 + 0.25 * 2) + 0.5 * (0.75 * 8 + 0.25 * 16))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nearest_rounds_a_half_up(dtype):
    image = torch.arange(6, dtype=dtype).reshape(1, 1, 6)
    halves = torch.tensor([-0.5, 0.5, 1.5, 2.5, 3.5, 4.5], dtype=torch.float64)[None, :, None]
    out = wk.sample(image, to_normalised(halves, (6,), False).to(dtype), kernel="nearest", padding_mode="border")
    assert out.flatten().tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("n", [6, 7, 28, 100, 224])
def test_nearest_rounds_every_half_of_an_axis_up_in_float32(n):
    """Whatever rounding does to a coordinate that ought to be a half."""
    image = torch.arange(n).reshape(1, 1, n)
    halves = (2 * (torch.arange(n - 1, dtype=torch.float64) + 0.5) + 1) / n - 1
    out = wk.sample(image, halves.float()[None, :, None], kernel="nearest")
    assert out.flatten().tolist() == list(range(1, n))


def test_eq_6_the_gradient_in_one_pixel_is_its_weight():
    x, y, n, m = 1.3, 0.6, 1, 2  # row n, column m
    image = IMAGE.clone().requires_grad_()
    wk.sample(image, at((x, y))).sum().backward()
    assert image.grad[0, 0, n, m].item() == pytest.approx(max(0, 1 - abs(x - m)) * max(0, 1 - abs(y - n)))
    assert image.grad[0, 0, 0, 0].item() == 0


def test_eq_7_the_gradient_in_x_is_the_sum_of_signed_neighbours():
    x, y = 1.3, 0.6
    coords = at((x, y)).requires_grad_()
    wk.sample(IMAGE, coords).sum().backward()
    total = 0.0
    for n in range(2):
        for m in range(3):
            sign = 0 if abs(m - x) >= 1 else 1 if m >= x else -1
            total += IMAGE[0, 0, n, m].item() * max(0, 1 - abs(y - n)) * sign
    assert coords.grad[0, 0, 0].item() == pytest.approx(total * 3 / 2)  # normalised: three columns are two units


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic"])
@given(seed=seeds)
def test_eq_6_for_every_pixel_is_the_kernel_there(kernel, seed):
    pixels = pixels_off_joints(seed, 1, (3, 4), wk.get_kernel(kernel))
    image = torch.zeros(1, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    wk.sample(image, to_normalised(pixels, (3, 4), False)[None], kernel=kernel).sum().backward()
    x, y = pixels[0].tolist()
    k = WEIGHTS[kernel]
    expected = [[k(x, m) * k(y, n) for m in range(4)] for n in range(3)]
    torch.testing.assert_close(image.grad[0, 0], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-13)


@given(angle=st.floats(-math.pi, math.pi), seed=seeds)
def test_warp_is_sample_where_the_transform_takes_the_lattice(angle, seed):
    c, s = math.cos(angle), math.sin(angle)
    theta = torch.tensor([[c, -s, 0.1, s, c, -0.2]], dtype=torch.float64)
    image = uniform(seed, 1, 2, 5, 6)
    points = wk.get_transform("affine")(theta, wk.lattice((4, 3), dtype=torch.float64)[None])
    out = wk.warp(image, "affine", theta, size=(4, 3), kernel="bicubic")
    torch.testing.assert_close(out, wk.sample(image, points, kernel="bicubic"), rtol=0, atol=1e-12)
