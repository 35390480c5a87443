"""What the two kernels claim, against the formula written with NumPy."""

import numpy as np
import pytest
import torch

import warpkit as wk

NAMES = ["lanczos", "lanczos_normalized"]


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


@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_are_found(name):
    assert name in wk.list_kernels()


@wk.testing.parametrize_with_checks([*NAMES, wk.get_kernel("lanczos", a=5), wk.get_kernel("lanczos_normalized", a=2)])
def test_conforms(check):
    check()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("a", [2, 3, 5])
def test_samples_agree_with_the_formula(name, a):
    row = np.random.default_rng(0).normal(size=13)
    x = np.linspace(-2, 14, 83)
    given = wk.sample(torch.as_tensor(row)[None, None], at_pixels(x, 13), kernel=wk.get_kernel(name, a=a))
    expected = [sampled_by_hand(row, xi, a, name == "lanczos_normalized") for xi in x]
    np.testing.assert_allclose(given[0, 0].numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection", "wrap"])
def test_interpolating_the_identity_gives_the_image_back(name, padding_mode):
    image = torch.randn(2, 3, 9, 14)
    theta = wk.get_transform("affine").identity()[None]
    torch.testing.assert_close(wk.warp(image, "affine", theta, kernel=name, padding_mode=padding_mode), image)


def test_lanczos_weights_do_not_sum_to_one_but_nearly():
    for a, middle in [(2, 1.0189), (3, 0.9943), (4, 1.0024)]:
        kernel = wk.get_kernel("lanczos", a=a)
        assert not kernel.partition_of_unity
        halfway = wk.sample(torch.ones(1, 1, 20, dtype=torch.float64), at_pixels([9.5], 20), kernel=kernel)
        assert halfway.item() == pytest.approx(middle, abs=5e-5)


@pytest.mark.parametrize("a", [2, 3, 4])
def test_normalized_weights_sum_to_one(a):
    kernel = wk.get_kernel("lanczos_normalized", a=a)
    flat = wk.sample(torch.ones(1, 1, 20, dtype=torch.float64), at_pixels(np.linspace(6, 12, 50), 20), kernel=kernel)
    torch.testing.assert_close(flat, torch.ones_like(flat), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("a", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_formula_has_a_table(name, a, dtype):
    assert wk.get_kernel(name, a=a).table(dtype) is not None


@pytest.mark.parametrize("name", NAMES)
def test_symmetric_and_continuously_differentiable_at_the_radius(name):
    kernel = wk.get_kernel(name)
    d = torch.linspace(0, 3, 301, dtype=torch.float64)
    torch.testing.assert_close(kernel(d), kernel(-d))
    near_radius = torch.tensor([3 - 1e-4], dtype=torch.float64)
    assert abs(kernel(near_radius).item()) < 1e-7  # a slope would make it 1e-4 of the slope


@pytest.mark.parametrize("name", NAMES)
def test_gradients_agree_with_finite_differences(name):
    torch.manual_seed(0)
    image = torch.randn(1, 2, 7, 8, dtype=torch.float64, requires_grad=True)
    theta = torch.tensor([[0.83, 0.21, 0.07, -0.17, 0.91, -0.05]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u, t: wk.warp(u, "affine", t, kernel=name), (image, theta))


def test_one_kernel_for_each_axis_in_three_dimensions():
    volume = torch.randn(1, 1, 4, 5, 6)
    theta = wk.get_transform("affine", ndim=3).identity()[None]
    warped = wk.warp(volume, "affine", theta, kernel=("lanczos", "nearest", {"type": "lanczos", "a": 2}))
    torch.testing.assert_close(warped, volume)


@pytest.mark.parametrize("a", [1, -1, 2.5, True, "3"])
@pytest.mark.parametrize("name", NAMES)
def test_a_radius_that_is_no_whole_number_is_refused(name, a):
    with pytest.raises(wk.InputError, match="whole number of pixels"):
        wk.get_kernel(name, a=a)
