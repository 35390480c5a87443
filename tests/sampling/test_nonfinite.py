"""Coordinates and pixels that are not finite, horizons, and coordinates far outside."""

import pytest
import torch
from cases import KERNELS, kernel
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import MODES, alignments, pixels_off_joints, seeds, to_normalised, uniform

import warpkit as wk

pytestmark = pytest.mark.usefixtures("each_backend")

NOT_FINITE = [torch.nan, torch.inf, -torch.inf]


@pytest.mark.parametrize("mode", [*MODES, ("wrap", "zeros"), ("zeros", "border")], ids=str)
@pytest.mark.parametrize("name", KERNELS)
@given(seed=seeds, axis=st.integers(0, 1), fill=st.sampled_from([0.0, 0.25]))
@settings(max_examples=4)
def test_a_coordinate_that_is_not_finite_is_filled_and_has_no_gradient(name, mode, seed, axis, fill):
    image, coords = uniform(seed, 2, 2, 4, 5), uniform(seed + 1, 2, 6, 2)
    clean = wk.sample(image, coords, kernel=name, padding_mode=mode, fill=fill)
    coords[0, 2:5, axis] = torch.tensor(NOT_FINITE, dtype=torch.float64)
    image.requires_grad_(), coords.requires_grad_()
    out = wk.sample(image, coords, kernel=name, padding_mode=mode, fill=fill)
    assert (out[0, :, 2:5] == fill).all()
    mask = torch.ones_like(out, dtype=torch.bool)
    mask[0, :, 2:5] = False
    assert torch.equal(out[mask], clean[mask])
    out.square().sum().backward()
    assert torch.isfinite(image.grad).all()
    assert torch.isfinite(coords.grad).all()
    assert (coords.grad[0, 2:5] == 0).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", NOT_FINITE)
def test_integers_are_filled_where_a_coordinate_is_not_finite(mode, bad):
    coords = torch.tensor([[[bad, 0.0], [0.1, bad], [0.1, 0.1]]])
    for name in KERNELS:
        out = wk.sample(torch.full((1, 1, 3, 3), 9), coords, kernel=name, padding_mode=mode, fill=4)
        assert out.flatten()[:2].tolist() == [4, 4]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [name for name in KERNELS if not kernel(name).has_prefilter])  # it reaches whole lines
@given(seed=seeds, align_corners=alignments, bad=st.sampled_from(NOT_FINITE))
@settings(max_examples=6)
def test_a_bad_pixel_reaches_just_the_outputs_whose_taps_touch_it(name, mode, seed, align_corners, bad):
    k, size, y, x = kernel(name), (6, 7), 2, 3  # far enough from the edge that no padding rule mirrors it into the way
    image, pixels = uniform(seed, 1, 1, *size), pixels_off_joints(seed + 1, 40, size, k)
    at = torch.tensor([x, y])
    lowest = (pixels - k.radius).floor() + 1
    touched = ((lowest <= at) & (at < lowest + 2 * k.radius)).all(-1)
    inside = ((lowest >= 0) & (lowest + 2 * k.radius <= torch.tensor(size[::-1]))).all(-1) | torch.tensor(
        mode == "zeros"
    )
    coords = to_normalised(pixels, size, align_corners)[None]
    options = {"kernel": k, "padding_mode": mode, "align_corners": align_corners}
    clean = wk.sample(image, coords, **options)[0, 0]
    image[0, 0, y, x] = bad
    out = wk.sample(image, coords, **options)[0, 0]
    assert not torch.isfinite(out[touched & inside]).any()
    assert torch.equal(out[~touched & inside], clean[~touched & inside])


def test_nothing_outside_leaks_in_where_the_border_is_not_finite():
    image = torch.full((1, 1, 3, 3), torch.nan)
    image[0, 0, 1, 1] = 1.0
    out = wk.sample(image, torch.tensor([[[5.0, 0.0], [-7.0, -7.0]]]), kernel="bicubic")
    assert out.flatten().tolist() == [0, 0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coordinates_far_outside_read_what_the_rule_says(name, mode, dtype):
    image = uniform(0, 1, 2, 5, dtype=dtype).requires_grad_()
    coords = torch.tensor([[[1e6], [1e12], [1e30], [-1e6], [-1e30], [0.0]]], dtype=dtype, requires_grad=True)
    out = wk.sample(image, coords, kernel=name, padding_mode=mode)
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert torch.isfinite(coords.grad).all()
    if mode == "zeros":
        assert (out[..., :5] == 0).all()
    if mode == "border" and kernel(name).partition_of_unity:
        torch.testing.assert_close(out[0, :, :5], image[0][:, [4, 4, 4, 0, 0]], rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", KERNELS)
def test_pixels_on_and_behind_a_horizon_are_filled_and_harm_no_gradient(name, mode):
    image = uniform(0, 2, 1, 4, 8).requires_grad_()
    theta = torch.tensor(
        [[1.0, 0, 0, 0, 1, 0, 4.0, 0], [1.0, 0, 0, 0, 1, 0, 0, 0]], dtype=torch.float64, requires_grad=True
    )
    out = wk.warp(image, "projective", theta, kernel=name, padding_mode=mode, fill=0.25)
    # w = 1 + 4x, x = −0.875, −0.625, −0.375, −0.125 …: three columns are behind.
    assert (out[0, :, :, :3] == 0.25).all()
    out.square().sum().backward()
    assert torch.isfinite(theta.grad).all()
    assert torch.isfinite(image.grad).all()
    alone = image.detach()[1:].requires_grad_()
    wk.warp(
        alone, "projective", theta.detach()[1:], kernel=name, padding_mode=mode, fill=0.25
    ).square().sum().backward()
    torch.testing.assert_close(image.grad[1:], alone.grad)


def test_a_column_exactly_on_the_horizon_is_filled():
    theta = torch.tensor([[1.0, 0, 0, 0, 1, 0, 4 / 3, 0]], dtype=torch.float64, requires_grad=True)  # w = 0 at x = −3/4
    out = wk.warp(torch.ones(1, 1, 4, 4, dtype=torch.float64), "projective", theta, padding_mode="border", fill=7.0)
    out.sum().backward()
    assert (out[..., 0] == 7).all()
    assert (out[..., 1:] != 7).all()
    assert torch.isfinite(theta.grad).all()


@pytest.mark.parametrize("transform", ["affine", "projective", "thin_plate_spline", "compose"])
@pytest.mark.parametrize("bad", NOT_FINITE)
def test_a_theta_that_is_not_finite_gives_fill_and_harms_no_other(transform, bad):
    made = wk.Compose(["affine", "thin_plate_spline"]) if transform == "compose" else wk.get_transform(transform)
    theta = (made.identity().expand(2, -1) + 0.1 * uniform(0, 2, made.num_params, dtype=torch.float32)).contiguous()
    theta[0] = bad
    theta.requires_grad_()
    image = uniform(1, 2, 1, 5, 5, dtype=torch.float32).requires_grad_()
    out = wk.warp(image, made, theta, fill=0.5)
    assert (out[0] == 0.5).all()
    out.square().sum().backward()
    assert torch.isfinite(theta.grad[1]).all()
    assert torch.isfinite(image.grad).all()
