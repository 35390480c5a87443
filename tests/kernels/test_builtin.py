"""The built-in kernels against the formulas of the paper and of Keys."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import WEIGHTS
from scipy.interpolate import BSpline
from scipy.ndimage import gaussian_filter1d
from strategies import uniform

import warpkit as wk


@pytest.mark.parametrize(("name", "radius"), [("nearest", 0.5), ("bilinear", 1.0), ("bicubic", 2.0)])
@given(x=st.floats(-1, 1))
def test_the_formula_is_the_papers(name, radius, x):
    kernel = wk.get_kernel(name)
    assert kernel.radius == radius
    d = x * radius * 0.999
    weight = kernel(torch.tensor([d], dtype=torch.float64)).item()
    assert weight == pytest.approx(WEIGHTS[name](d, 0), abs=1e-14)


@given(a=st.floats(-2, 0), x=st.floats(0.01, 0.99))
def test_bicubic_takes_keys_a(a, x):
    image = uniform(0, 1, 1, 8)
    out = wk.sample(
        image, torch.tensor([[[(2 * (3 + x) + 1) / 8 - 1]]], dtype=torch.float64), kernel={"type": "bicubic", "a": a}
    )
    expected = sum(WEIGHTS["bicubic"](3 + x, m, a) * image[0, 0, m] for m in range(8))
    torch.testing.assert_close(out[0, 0, 0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "options", "degree"), [("bilinear", {}, 1), ("bicubic", {"a": -0.5}, 2)])
def test_reproduces_the_polynomials_it_claims(name, options, degree):
    kernel = wk.get_kernel(name, **options)
    assert kernel.reproduces == degree
    x = torch.arange(12, dtype=torch.float64)
    at = torch.linspace(3, 8, 23, dtype=torch.float64)
    out = wk.sample((x**degree)[None, None], ((2 * at + 1) / 12 - 1)[None, :, None], kernel=kernel)
    torch.testing.assert_close(out[0, 0], at**degree, rtol=0, atol=1e-11)


@pytest.mark.parametrize("a", ["steep", float("nan"), float("inf"), None])
def test_bicubic_refuses_an_a_that_is_no_number(unchecked, a):
    with pytest.raises(wk.InputError, match="a: expected a finite number"):
        wk.get_kernel("bicubic", a=a)


def test_mitchell_s_family_holds_the_cubics_that_have_names():
    d = torch.linspace(-2, 2, 81, dtype=torch.float64)
    catmull_rom = wk.get_kernel("mitchell", b=0, c=0.5)
    torch.testing.assert_close(catmull_rom(d), wk.get_kernel("bicubic", a=-0.5)(d))
    spline = torch.from_numpy(BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)(d.numpy())).nan_to_num()
    torch.testing.assert_close(wk.get_kernel("mitchell", b=1, c=0)(d), spline)
    third = wk.get_kernel("mitchell")
    assert third(torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)).tolist() == pytest.approx([8 / 9, 1 / 18, 0])
    facts = [
        (k.interpolating, k.continuity, k.reproduces) for k in (third, catmull_rom, wk.get_kernel("mitchell", b=1, c=0))
    ]
    assert facts == [(False, 1, 1), (True, 1, 2), (False, 2, 1)]


@pytest.mark.parametrize("sigma", [0.3, 0.8, 2.0])
def test_a_gaussian_blurs_as_scipy_s_does(sigma):
    """At the pixels themselves; SciPy's is cut off a little elsewhere, and not lowered to end without a jump."""
    image = uniform(0, 1, 1, 40)
    found = wk.sample(image, wk.lattice(40, dtype=torch.float64)[None], kernel=wk.get_kernel("gaussian", sigma=sigma),
                      padding_mode="reflection")  # fmt: skip
    expected = gaussian_filter1d(image[0, 0].numpy(), sigma, mode="reflect", truncate=4)
    torch.testing.assert_close(found[0, 0], torch.from_numpy(expected), atol=4e-3, rtol=0)


def test_a_gaussian_learns_its_width():
    image = uniform(0, 1, 1, 60)
    coords = wk.lattice(60, dtype=torch.float64)[None]
    wanted = wk.sample(image, coords, kernel=wk.get_kernel("gaussian", sigma=0.7))
    kernel = wk.get_kernel("gaussian", sigma=0.5, radius=3, learnable=True)
    optimizer = torch.optim.LBFGS(kernel.parameters(), max_iter=6, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        off = (wk.sample(image, coords, kernel=kernel) - wanted).square().mean()
        off.backward()
        return off

    optimizer.step(loss)
    assert kernel.sigma.item() == pytest.approx(0.7, abs=1e-3)


@pytest.mark.parametrize("wrong", [{"sigma": 0.1}, {"sigma": float("nan")}, {"radius": 0}, {"radius": 33}])
def test_a_gaussian_of_no_width_is_refused(unchecked, wrong):
    with pytest.raises(wk.InputError, match=next(iter(wrong))):
        wk.get_kernel("gaussian", **wrong)
