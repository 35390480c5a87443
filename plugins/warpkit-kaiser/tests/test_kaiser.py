"""What the kernel claims, against the formula written with NumPy."""

import numpy as np
import pytest
import torch

import warpkit as wk

KINDS = [{}, {"normalized": True}, {"learnable": True}]


def windowed_sinc(d, a, beta):
    window = np.i0(beta * np.sqrt(np.clip(1 - (d / a) ** 2, 0, None))) / np.i0(beta)
    return np.where(np.abs(d) < a, np.sinc(d) * window, 0.0)


def sampled_by_hand(row, x, a, beta, normalized):
    """The row at pixel coordinate x: the sum over every pixel, those outside being zero."""
    pixels = np.arange(-a - 1, len(row) + a + 1)
    weights = windowed_sinc(x - pixels, a, beta)
    inside = (pixels >= 0) & (pixels < len(row))
    return weights[inside] @ row[pixels[inside]] / (weights.sum() if normalized else 1.0)


def at_pixels(x, width):
    """Normalised coordinates [1, M, 1] of pixel coordinates."""
    return torch.as_tensor((2 * np.asarray(x, dtype=np.float64) + 1) / width - 1)[None, :, None]


def test_the_kernel_is_found():
    assert "kaiser" in wk.list_kernels()


@wk.testing.parametrize_with_checks(
    [
        "kaiser",
        wk.get_kernel("kaiser", a=5, beta=12.0),
        wk.get_kernel("kaiser", a=2, normalized=True),
        wk.get_kernel("kaiser", learnable=True),
    ]
)
def test_conforms(check):
    check()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("a", "beta"), [(2, 4.4), (3, 0.5), (3, 9.0), (5, 15.0)])
def test_samples_agree_with_the_formula(kind, a, beta):
    row = np.random.default_rng(0).normal(size=13)
    x = np.linspace(-2, 14, 83)
    kernel = wk.get_kernel("kaiser", a=a, beta=beta, **kind).double()
    given = wk.sample(torch.as_tensor(row)[None, None], at_pixels(x, 13), kernel=kernel)
    expected = [sampled_by_hand(row, xi, a, beta, "normalized" in kind) for xi in x]
    np.testing.assert_allclose(given[0, 0].detach().numpy(), expected, atol=1e-6 if "learnable" in kind else 1e-9)


@pytest.mark.parametrize("a", [2, 3, 4, 8])
def test_no_side_lobe_of_the_default_reaches_a_grey_level(a):
    """The response beyond its first minimum above Nyquist, by the sum over fine distances."""
    d = (np.arange(-200 * a, 200 * a) + 0.5) / 200
    f = np.linspace(0, 4, 1601)
    weights = wk.get_kernel("kaiser", a=a)(torch.as_tensor(d)).numpy()
    response = np.abs(np.cos(2 * np.pi * f[:, None] * d) @ weights)
    response /= response[0]
    first = np.argmax((f > 0.5) & (np.append(response[1:], 1) > response))
    assert 1 / 270 < response[first:].max() < 1 / 256


def test_beta_0_cuts_the_sinc_off():
    d = torch.linspace(-2.9, 2.9, 101, dtype=torch.float64)
    torch.testing.assert_close(wk.get_kernel("kaiser", beta=0)(d), torch.sinc(d))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("a", [2, 3, 8])
@pytest.mark.parametrize("beta", [1.0, 4.4, 9.0])
def test_the_formula_has_a_table(kind, a, beta):
    """In float64 too, where nothing is learned: the slope in Φ is a difference of near numbers, and loses digits."""
    kernel = wk.get_kernel("kaiser", a=a, beta=beta, **kind)
    assert kernel.table(torch.float32) is not None
    assert "learnable" in kind or kernel.table(torch.float64) is not None


def test_its_window_is_learned():
    torch.manual_seed(0)
    image = torch.rand(1, 1, 24, 24)
    theta = torch.tensor([[0.83, 0.21, 0.07, -0.17, 0.91, -0.05]])
    wanted = wk.warp(image, "affine", theta, kernel=wk.get_kernel("kaiser", beta=9.0))
    kernel = wk.get_kernel("kaiser", learnable=True)
    optimizer = torch.optim.Adam(kernel.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        (wk.warp(image, "affine", theta, kernel=kernel) - wanted).square().mean().backward()
        optimizer.step()
    assert kernel.beta.item() == pytest.approx(9.0, abs=0.05)


@pytest.mark.parametrize("phi", [-40.0, 40.0])
def test_no_parameter_takes_beta_out_of_its_range(phi):
    kernel = wk.get_kernel("kaiser", learnable=True)
    with torch.no_grad():
        kernel.phi.fill_(phi)
    assert 0 <= kernel.beta.item() <= 20
    weight = kernel(torch.tensor([0.0, 0.5, -2.9999999], requires_grad=True))
    (slope,) = torch.autograd.grad(weight.sum(), kernel.phi)
    assert weight.isfinite().all()
    assert slope.isfinite()


@pytest.mark.parametrize("a", [1, -1, 2.5, True, "3", 64])
def test_a_radius_that_is_no_whole_number_is_refused(a):
    with pytest.raises(wk.InputError, match="a: expected a whole number of pixels"):
        wk.get_kernel("kaiser", a=a)


@pytest.mark.parametrize("options", [{"beta": -1}, {"beta": 21}, {"beta": float("nan")}, {"beta": "wide"}])
def test_a_beta_out_of_range_is_refused(options):
    with pytest.raises(wk.InputError, match="beta: expected a number from 0 to 20"):
        wk.get_kernel("kaiser", **options)


def test_what_is_learned_starts_inside():
    with pytest.raises(wk.InputError, match="as it is learned"):
        wk.get_kernel("kaiser", beta=0, learnable=True)
