"""At a joint, each derivative in one coordinate is the right-hand one."""

import pytest
import torch
from cases import KERNELS, kernel
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import MODES, alignments, seeds, sizes, to_normalised, uniform

import warpkit as wk

pytestmark = pytest.mark.usefixtures("each_backend")


@pytest.mark.parametrize("ndim", [1, 2, pytest.param(3, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=3)
@given(data=st.data(), seed=seeds, align_corners=alignments)
def test_derivatives_at_joints_are_forward_differences(name, mode, ndim, data, seed, align_corners):
    k, size = kernel(name), data.draw(sizes(ndim, 2, 4))
    n = torch.tensor(size[::-1])
    cells = (((uniform(seed, 5, ndim) + 1) / 2 * (n + 4)).floor() - 2) * k.pieces
    pixels = k.radius + cells / k.pieces
    image, coords = uniform(seed + 1, 1, 1, *size), to_normalised(pixels, size, align_corners)[None].requires_grad_()

    def sample(coords):
        return wk.sample(image, coords, kernel=k, padding_mode=mode, align_corners=align_corners)[0, 0]

    here = sample(coords)
    (analytic,) = torch.autograd.grad(here.sum(), coords)
    h = 1e-6
    for axis in range(ndim):
        step = torch.zeros(ndim, dtype=torch.float64)
        step[axis] = h
        forward = (sample(coords.detach() + step) - here.detach()) / h
        torch.testing.assert_close(analytic[0, :, axis], forward, rtol=0, atol=2e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [5, 28, 40, 60, 224])
def test_an_identity_takes_the_right_hand_derivative_in_every_pixel(n, dtype):
    """Not in some of them, as rounding would have it."""
    image = (torch.arange(n, dtype=dtype) ** 2).reshape(1, 1, n)
    coords = wk.lattice(n, dtype=dtype)[None].requires_grad_()
    wk.sample(image, coords, padding_mode="border").sum().backward()
    slopes = coords.grad.flatten() * 2 / n
    expected = torch.cat([image[0, 0, 1:] - image[0, 0, :-1], torch.zeros(1, dtype=dtype)])
    torch.testing.assert_close(slopes, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("transform", "dtype"),
    [
        ("affine", torch.float32),
        ("affine", torch.float64),
        ("projective", torch.float32),
        ("projective", torch.float64),
        ("thin_plate_spline", torch.float32),  # in float64 its identity, which is given in float32, is off by 1e-8
    ],
)
def test_theta_at_the_identity_follows_the_right_hand_derivatives_by_the_chain_rule(transform, dtype):
    made, size = wk.get_transform(transform), (28, 40)
    image = uniform(0, 1, 1, *size, dtype=dtype)
    theta = made.identity().to(dtype)[None].requires_grad_()
    wk.warp(image, made, theta, padding_mode="border").square().sum().backward()
    # By hand: the derivative of a pixel to its right and lower neighbour, in normalised units.
    u = image[0, 0].double()
    right, down = torch.zeros_like(u), torch.zeros_like(u)
    right[:, :-1], down[:-1] = (u[:, 1:] - u[:, :-1]) * size[1] / 2, (u[1:] - u[:-1]) * size[0] / 2
    slope = 2 * u[..., None] * torch.stack([right, down], dim=-1)
    again = made.identity().double()[None].requires_grad_()
    (made(again, wk.lattice(size, dtype=torch.float64)[None])[0] * slope).sum().backward()
    torch.testing.assert_close(theta.grad.double(), again.grad, rtol=2e-3, atol=2e-2)
