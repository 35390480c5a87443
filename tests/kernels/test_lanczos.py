"""Lanczos, with and without normalised weights, against the formula written with NumPy."""

import numpy as np
import pytest
import torch
from strategies import uniform

import warpkit as wk

KINDS = [{}, {"normalized": True}]


def windowed_sinc(d, a):
    return np.where(np.abs(d) < a, np.sinc(d) * np.sinc(d / a), 0.0)


def sampled_by_hand(row, x, a, normalized):
    """The row at pixel coordinate x: the sum over every pixel, those outside being zero."""
    pixels = np.arange(-a - 1, len(row) + a + 1)
    weights = windowed_sinc(x - pixels, a)
    inside = (pixels >= 0) & (pixels < len(row))
    return weights[inside] @ row[pixels[inside]] / (weights.sum() if normalized else 1.0)


def at_pixels(x, width):
    """Normalised coordinates [1, M, 1] of pixel coordinates."""
    return torch.as_tensor((2 * np.asarray(x, dtype=np.float64) + 1) / width - 1)[None, :, None]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("a", [2, 3, 5])
def test_samples_agree_with_the_formula(kind, a):
    row = np.random.default_rng(0).normal(size=13)
    x = np.linspace(-2, 14, 83)
    given = wk.sample(torch.as_tensor(row)[None, None], at_pixels(x, 13), kernel={"type": "lanczos", "a": a, **kind})
    expected = [sampled_by_hand(row, xi, a, bool(kind)) for xi in x]
    np.testing.assert_allclose(given[0, 0].numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("options", [{"a": 2}, {"a": 5}, {"normalized": True}, {"a": 2, "normalized": True}])
def test_what_lanczos_claims_is_so(unchecked, options):
    assert wk.testing.check_kernel(wk.get_kernel("lanczos", **options)).passed


def test_the_weights_do_not_sum_to_one_but_nearly():
    for a, middle in [(2, 1.0189), (3, 0.9943), (4, 1.0024)]:
        kernel = wk.get_kernel("lanczos", a=a)
        assert (kernel.partition_of_unity, kernel.reproduces) == (False, -1)
        halfway = wk.sample(torch.ones(1, 1, 20, dtype=torch.float64), at_pixels([9.5], 20), kernel=kernel)
        assert halfway.item() == pytest.approx(middle, abs=5e-5)


@pytest.mark.parametrize("a", [2, 3, 4])
def test_normalized_weights_sum_to_one(a):
    kernel = wk.get_kernel("lanczos", a=a, normalized=True)
    assert (kernel.partition_of_unity, kernel.reproduces) == (True, 0)
    flat = wk.sample(torch.ones(1, 1, 20, dtype=torch.float64), at_pixels(np.linspace(6, 12, 50), 20), kernel=kernel)
    torch.testing.assert_close(flat, torch.ones_like(flat), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("a", [2, 3, 8, 63])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_formula_has_a_table(kind, a, dtype):
    assert wk.get_kernel("lanczos", a=a, **kind).table(dtype) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_continuously_differentiable_at_the_radius(kind):
    near_radius = torch.tensor([3 - 1e-4], dtype=torch.float64)
    assert abs(wk.get_kernel("lanczos", **kind)(near_radius).item()) < 1e-7  # a slope would make it 1e-4 of the slope


def test_lanczos_differs_from_axis_to_axis():
    volume = uniform(0, 1, 1, 4, 5, 6)
    theta = wk.get_transform("affine", ndim=3).identity()[None].double()
    warped = wk.warp(volume, "affine", theta, kernel=("lanczos", "nearest", {"type": "lanczos", "a": 2}))
    torch.testing.assert_close(warped, volume)


@pytest.mark.parametrize("a", [1, -1, 2.5, True, "3", 64])
def test_a_radius_that_is_no_whole_number_of_pixels_is_refused(unchecked, a):
    with pytest.raises(wk.InputError, match="a: expected a whole number of pixels"):
        wk.get_kernel("lanczos", a=a)


def test_normalized_is_a_yes_or_a_no(unchecked):
    with pytest.raises(wk.InputError, match="normalized: expected True or False"):
        wk.get_kernel("lanczos", normalized=2)
