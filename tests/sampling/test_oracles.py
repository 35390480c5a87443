"""Agreement with `F.grid_sample` and SciPy wherever both define the answer."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import scipy_sample
from strategies import MODES, alignments, pixels_off_joints, seeds, sizes, to_normalised, uniform
from torch.nn import functional

import warpkit as wk

pytestmark = pytest.mark.usefixtures("each_backend")

TORCH = [(2, "nearest"), (2, "bilinear"), (2, "bicubic"), (3, "nearest"), (3, "bilinear")]
each_of_torchs = pytest.mark.parametrize(("ndim", "kernel"), TORCH)
each_mode_of_torch = pytest.mark.parametrize("mode", MODES[:3])
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}


@each_of_torchs
@each_mode_of_torch
@pytest.mark.parametrize("dtype", TOLERANCE)
@given(data=st.data(), seed=seeds, align_corners=alignments, far=st.sampled_from([1.0, 10.0]))
def test_agrees_with_grid_sample(ndim, kernel, mode, dtype, data, seed, align_corners, far):
    size = data.draw(sizes(ndim, 2 if align_corners else 1, 6))
    image = uniform(seed, 2, 3, *size, dtype=dtype)
    pixels = (pixels_off_joints(seed + 1, 2 * 12, size, wk.get_kernel(kernel)) * far).reshape(2, 12, ndim)
    if kernel == "nearest" and far > 1:
        pixels = pixels.floor() + 0.2
    coords = to_normalised(pixels, size, align_corners).to(dtype)
    out = wk.sample(image, coords, kernel=kernel, padding_mode=mode, align_corners=align_corners)
    grid = coords.reshape(2, *[1] * (ndim - 1), 12, ndim)
    expected = functional.grid_sample(image, grid, kernel, mode, align_corners).reshape(2, 3, 12)
    torch.testing.assert_close(out, expected, rtol=0, atol=TOLERANCE[dtype] * far)


@each_of_torchs
@each_mode_of_torch
@given(seed=seeds, align_corners=alignments)
def test_gradients_agree_with_grid_sample(ndim, kernel, mode, seed, align_corners):
    size = (3, 4, 5)[:ndim]
    image = uniform(seed, 1, 2, *size).requires_grad_()
    pixels = pixels_off_joints(seed + 1, 9, size, wk.get_kernel(kernel))
    if mode == "reflection":  # torch has no slope where it clips the reflected coordinate, half a pixel inside the edge
        pixels = torch.minimum(pixels.clamp(min=0.2), torch.tensor(size[::-1]) - 1.2)
    coords = to_normalised(pixels, size, align_corners)[None].requires_grad_()
    weight = uniform(seed + 2, 1, 2, 9)
    ours = wk.sample(image, coords, kernel=kernel, padding_mode=mode, align_corners=align_corners)
    grid = coords.reshape(1, *[1] * (ndim - 1), 9, ndim)
    theirs = functional.grid_sample(image, grid, kernel, mode, align_corners).reshape(1, 2, 9)
    for a, b in zip(
        torch.autograd.grad((ours * weight).sum(), (image, coords)),
        torch.autograd.grad((theirs * weight).sum(), (image, coords)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
@given(seed=seeds, align_corners=alignments, mode=st.sampled_from(MODES[:3]))
def test_a_warp_agrees_with_affine_grid_and_grid_sample(kernel, seed, align_corners, mode):
    image, theta = uniform(seed, 3, 2, 7, 9), uniform(seed + 1, 3, 2, 3)
    grid = functional.affine_grid(theta, [3, 2, 5, 6], align_corners=align_corners)
    expected = functional.grid_sample(image, grid, kernel, mode, align_corners)
    out = wk.warp(
        image, "affine", theta.flatten(1), size=(5, 6), kernel=kernel, padding_mode=mode, align_corners=align_corners
    )
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("order", "kernel"), [(0, "nearest"), (1, "bilinear")])
@pytest.mark.parametrize("ndim", [1, 2, 3])
@given(data=st.data(), seed=seeds, align_corners=alignments)
def test_agrees_with_scipy(ndim, order, kernel, mode, data, seed, align_corners):
    size = data.draw(sizes(ndim, 2, 6))
    image, pixels = uniform(seed, 1, 2, *size), pixels_off_joints(seed + 1, 20, size, wk.get_kernel(kernel))
    coords = to_normalised(pixels, size, align_corners)[None]
    out = wk.sample(image, coords, kernel=kernel, padding_mode=mode, align_corners=align_corners)
    expected = scipy_sample(image[0].numpy(), pixels.numpy(), order, mode, align_corners)
    torch.testing.assert_close(out[0], torch.from_numpy(expected), rtol=0, atol=1e-12)
