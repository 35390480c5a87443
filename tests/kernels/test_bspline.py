"""Splines pass through the pixels: held against SciPy, and against the linear system that defines them."""

import copy

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.interpolate import BSpline as SciPyBSpline

import warpkit as wk
from warpkit.kernels import spline_filter as filters
from warpkit.sampling.coefficients import Coefficients

# Ours, by SciPy's names. It has errors of its own up to 3e-6: in lines of few pixels, and in degree 5, since it
# fills up 12 pixels beyond an edge.
MODES = {
    "reflect": ("reflection", False),
    "mirror": ("reflection", True),
    "grid-wrap": ("wrap", False),
    "nearest": ("border", False),
    "grid-constant": ("zeros", False),
}
OURS = [*MODES.values(), ("border", True), ("zeros", True), ("none", False), ("none", True)]


def spline(degree, **options):
    return wk.get_kernel("bspline", degree=degree, **options)


def at_pixels(points, size, align_corners=False):
    """Normalised coordinates [1, M, D] of pixel coordinates, rows first."""
    n = np.array(size)
    normalised = 2 * points / (n - 1) - 1 if align_corners else (2 * points + 1) / n - 1
    return torch.as_tensor(normalised[:, ::-1].copy())[None]


@pytest.mark.parametrize("degree", range(6))
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(40,), (14, 17), (13, 14, 15)])
def test_agrees_with_scipy(size, mode, degree):
    rng = np.random.default_rng(0)
    image, points = rng.normal(size=size), rng.uniform(-4, max(size) + 3, size=(200, len(size)))
    expected = ndimage.map_coordinates(image, points.T, order=degree, mode=mode)
    padding_mode, align_corners = MODES[mode]
    coords = at_pixels(points, size, align_corners)
    ways = {"kernel": spline(degree), "padding_mode": padding_mode, "align_corners": align_corners}
    found = wk.sample(torch.as_tensor(image)[None, None], coords, **ways)
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-6)
    narrow = wk.sample(torch.as_tensor(image, dtype=torch.float32)[None, None], coords, **ways)
    np.testing.assert_allclose(narrow[0, 0].numpy(), found[0, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize(("aligned", "mode"), [(True, "constant"), (False, "mirror")])
def test_none_is_the_mirrored_image_within(aligned, mode):
    """With `align_corners` that is SciPy's "constant", which mirrors the coefficients."""
    rng = np.random.default_rng(0)
    image, points = rng.normal(size=(9, 12)), rng.uniform(0, 8, size=(100, 2))
    found = wk.sample(
        torch.as_tensor(image)[None, None],
        at_pixels(points, (9, 12), aligned),
        kernel="bspline",
        padding_mode="none",
        align_corners=aligned,
    )
    np.testing.assert_allclose(found[0, 0], ndimage.map_coordinates(image, points.T, order=3, mode=mode), atol=1e-12)


@pytest.mark.parametrize("degree", range(8))
@pytest.mark.parametrize("padding", ["zeros", "border", "wrap"])
def test_is_the_spline_through_the_extended_image(padding, degree):
    """The linear system of a line that is extended far beyond its ends, with SciPy's B-spline."""
    row, far = np.random.default_rng(1).normal(size=11), 110
    extended = np.pad(row, far, mode={"zeros": "constant", "border": "edge", "wrap": "wrap"}[padding])
    basis = SciPyBSpline.basis_element(np.arange(degree + 2) - (degree + 1) / 2, extrapolate=False)

    def weights(x):
        return np.nan_to_num(basis(x[:, None] + far - np.arange(len(extended))[None]))

    at_whole = weights(np.arange(len(extended)) - far + (0.0 if degree else 1e-9))
    x = np.linspace(-4.03, 14.07, 77)
    expected = weights(x) @ np.linalg.solve(at_whole, extended)
    coords = at_pixels(x[:, None], (11,))
    found = wk.sample(torch.as_tensor(row)[None, None], coords, kernel=spline(degree), padding_mode=padding)
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-11)


@pytest.mark.parametrize("degree", range(8))
def test_agrees_with_torch_interpols_weights(degree):
    """The B-spline at whole numbers and halves: numerators over 2ⁿ n!, from tables of the literature."""
    known = {2: (3 / 4, 1 / 8), 3: (2 / 3, 1 / 6), 4: (115 / 192, 19 / 96), 5: (11 / 20, 13 / 60)}
    known |= {0: (1.0,), 1: (1.0, 0.0), 6: (5887 / 11520, 10543 / 46080), 7: (151 / 315, 397 / 1680)}
    d = torch.arange(len(known[degree]), dtype=torch.float64)
    np.testing.assert_allclose(spline(degree)(d), known[degree], rtol=1e-14)


@pytest.mark.parametrize(("padding", "aligned"), OURS)
@pytest.mark.parametrize("degree", [2, 3, 7])
def test_the_identity_gives_the_image_back(degree, padding, aligned):
    image = torch.randn(2, 2, 6, 11)
    theta = wk.get_transform("affine").identity()[None]
    ways = {"kernel": spline(degree), "padding_mode": padding, "align_corners": aligned}
    torch.testing.assert_close(wk.warp(image, "affine", theta, **ways), image, rtol=0, atol=1e-5)
    one = torch.randn(1, 1, 1, 1)
    torch.testing.assert_close(wk.warp(one, "affine", theta, **ways), one, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("padding", "aligned"), OURS)
def test_coefficients_found_once_give_the_same(padding, aligned):
    image = torch.randn(1, 2, 6, 9)
    theta = torch.tensor([[0.9, 0.3, 0.1, -0.2, 1.1, 0.3]])
    ways = {"padding_mode": padding, "align_corners": aligned, "fill": 0.7}
    coefficients = wk.prefilter(image, "bspline", **ways)
    again = wk.warp(coefficients, "affine", theta, kernel=spline(3, prefilter=False), **ways)
    assert torch.equal(again, wk.warp(image, "affine", theta, kernel="bspline", **ways))
    coords = torch.rand(1, 20, 2) * 3 - 1.5
    again = wk.sample(coefficients.double().float(), coords, kernel=spline(3, prefilter=False), **ways)
    torch.testing.assert_close(again, wk.sample(image, coords, kernel="bspline", **ways))
    assert any(coefficients.margin) == (padding not in ("reflection", "wrap"))


def test_coefficients_keep_their_margin_while_the_axes_stay():
    c = wk.prefilter(torch.randn(4, 2, 6, 7))
    same = [c[:2], c[:, :1], c.half(), torch.cat([c, c]), 2 * c, torch.clone(c), copy.deepcopy(c), c.to("cpu")]
    assert all(type(one) is Coefficients and one.margin == c.margin for one in same)
    others = [c[..., 3:-3], c.sum(), c > 0, c.to(torch.int32), c.flatten(2)]
    assert all(type(one) is torch.Tensor for one in others)
    theta = wk.get_transform("affine").identity()[None]
    assert wk.warp(c[:2], "affine", theta, kernel=spline(3, prefilter=False)).shape == (2, 2, 6, 7)


@pytest.mark.parametrize(
    ("named", "ways"),
    [
        ("padding_mode", {"padding_mode": "border"}),
        ("align_corners", {"align_corners": True}),
        ("fill", {"fill": 1.0}),
        ("kernel", {"kernel": "bilinear"}),
        ("kernel", {"kernel": {"type": "bspline", "degree": 5, "prefilter": False}}),
    ],
)
def test_coefficients_are_sampled_as_they_were_found(named, ways):
    coefficients, coords = wk.prefilter(torch.randn(1, 1, 8), padding_mode="zeros"), torch.zeros(1, 1, 1)
    with pytest.raises(wk.InputError, match=rf"{named}.*were found for"):
        wk.sample(coefficients, coords, **({"kernel": spline(3, prefilter=False)} | ways))


def test_what_is_filtered_twice_or_never_is_told(unchecked):
    image, coords = torch.randn(1, 1, 8), torch.zeros(1, 1, 1)
    for padding in ("zeros", "wrap"):
        with pytest.raises(wk.InputError, match="prefilter=False"):
            wk.sample(wk.prefilter(image, padding_mode=padding), coords, kernel="bspline", padding_mode=padding)
    with pytest.raises(wk.InputError, match="has a prefilter"):
        wk.prefilter(image, "bicubic")
    for options in ({"degree": 8}, {"degree": 2.0}, {"degree": True}, {"prefilter": 1}):
        with pytest.raises(wk.InputError, match=next(iter(options))):
            wk.get_kernel("bspline", **options)


def test_fill_is_what_the_image_is_extended_by():
    image, theta = torch.randn(1, 2, 6, 7), torch.tensor([[1.3, 0.3, 0.1, -0.2, 1.4, 0.3]])
    fill = torch.tensor([2.0, -3.0])
    found = wk.warp(image, "affine", theta, kernel="bspline", fill=fill)
    shifted = wk.warp(image - fill[:, None, None], "affine", theta, kernel="bspline") + fill[:, None, None]
    torch.testing.assert_close(found, shifted, rtol=0, atol=1e-5)
    marked = wk.warp(image, "affine", theta, kernel="bspline", fill=torch.nan)
    plain = wk.warp(image, "affine", theta, kernel=spline(3, prefilter=False), fill=torch.nan)
    assert torch.equal(marked.isnan(), plain.isnan())
    assert marked.isnan().any()
    assert not marked.isnan().all()


def test_integers_are_rounded_and_stop_at_their_limits():
    image = torch.tensor([0, 0, 0, 255, 255, 255, 0, 0], dtype=torch.uint8)[None, None]
    coords = torch.linspace(-1, 1, 50)[None, :, None]
    found = wk.sample(image, coords, kernel="bspline", padding_mode="border")
    exact = wk.sample(image.double(), coords, kernel="bspline", padding_mode="border")
    assert found.dtype == torch.uint8
    assert exact.min() < -10
    assert exact.max() > 265
    assert torch.equal(found, exact.round().clamp(0, 255).to(torch.uint8))
    half = wk.sample(image.half(), coords, kernel="bspline", padding_mode="border")
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.double(), exact, rtol=2e-3, atol=0.1)


def test_complex_images_are_two_real_ones():
    image = torch.randn(1, 1, 5, 6, dtype=torch.complex128)
    coords = torch.rand(1, 9, 2, dtype=torch.float64) * 3 - 1.5
    found = wk.sample(image, coords, kernel="bspline")
    parts = [wk.sample(part, coords, kernel="bspline") for part in (image.real, image.imag)]
    torch.testing.assert_close(found, torch.complex(*parts))


@pytest.mark.parametrize(("padding", "aligned"), OURS)
def test_gradients_are_those_of_the_values(padding, aligned):
    torch.manual_seed(0)
    image = torch.randn(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    theta = torch.tensor([[0.83, 0.21, 0.07, -0.17, 0.91, -0.05]], dtype=torch.float64, requires_grad=True)

    def warped(image, theta):
        return wk.warp(image, "affine", theta, kernel="bspline", padding_mode=padding, align_corners=aligned, size=3)

    assert torch.autograd.gradcheck(warped, (image, theta))
    assert torch.autograd.gradgradcheck(warped, (image, theta))


@pytest.mark.parametrize(("padding", "aligned"), OURS)
def test_push_is_the_adjoint(padding, aligned):
    image, values = torch.randn(2, 3, 5, 8, dtype=torch.float64), torch.randn(2, 3, 30, dtype=torch.float64)
    coords = torch.rand(2, 30, 2, dtype=torch.float64) * 3 - 1.5
    ways = {"kernel": spline(5), "padding_mode": padding, "align_corners": aligned}
    there = (wk.sample(image, coords, **ways) * values).sum()
    torch.testing.assert_close((image * wk.push(values, coords, (5, 8), **ways)).sum(), there)
    assert torch.autograd.gradcheck(
        lambda v, p: wk.push(v, p, (5, 8), **ways),
        (values[:1, :1, :4].requires_grad_(), coords[:1, :4].requires_grad_()),
    )


@pytest.mark.parametrize(("padding", "aligned"), OURS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1, 5), (2, 1, 1, 7), (2, 3, 70, 33), (1, 9, 4, 3, 5), (0, 2, 4, 4)])
def test_the_recursion_is_the_finite_sum(shape, dtype, padding, aligned, monkeypatch):
    image = torch.randn(shape, dtype=dtype, requires_grad=True)
    ways = {"padding_mode": padding, "align_corners": aligned}
    found = wk.prefilter(image, spline(5), **ways)
    weights = torch.randn(found.shape, dtype=dtype)
    (slope,) = torch.autograd.grad((found * weights).sum(), image)
    monkeypatch.setattr(filters, "_native", lambda: None)
    plain = wk.prefilter(image, spline(5), **ways)
    (expected,) = torch.autograd.grad((plain * weights).sum(), image)
    rounding = 20 * torch.finfo(dtype).eps
    for one, other in ((found.as_subclass(torch.Tensor), plain.as_subclass(torch.Tensor)), (slope, expected)):
        largest = float(one.abs().max()) if one.numel() else 1.0
        torch.testing.assert_close(one, other, rtol=0, atol=rounding * largest)


def test_the_same_bits_for_any_number_of_threads():
    image = torch.randn(1, 3, 200, 310)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = wk.prefilter(image)
        torch.set_num_threads(5)
        assert torch.equal(one, wk.prefilter(image))
    finally:
        torch.set_num_threads(threads)


def test_function_transforms_and_forward_mode():
    image = torch.randn(3, 1, 5, 6, dtype=torch.float64)
    theta = torch.tensor([[0.83, 0.21, 0.07, -0.17, 0.91, -0.05]], dtype=torch.float64)

    def warped(image):
        return wk.warp(image, "affine", theta, kernel="bspline")

    each = torch.vmap(lambda one: warped(one[None])[0])(image)
    torch.testing.assert_close(each, warped(image))
    _, along = torch.func.jvp(warped, (image,), (image,))
    torch.testing.assert_close(along, warped(image))
    at = image.clone().requires_grad_()
    rows = torch.autograd.grad(warped(at), at, torch.randn(2, 3, 1, 5, 6).double(), is_grads_batched=True)[0]
    assert rows.shape == (2, *image.shape)
    assert rows.abs().sum() > 0


def test_compiled_and_exported(compiler):
    module = wk.SpatialTransformer(torch.nn.Flatten(), kernel="bspline", features=30, padding_mode="border")
    image = torch.randn(2, 1, 5, 6)
    expected = module(image)
    torch.testing.assert_close(torch.compile(module, fullgraph=True, backend="aot_eager")(image), expected)
    exported = torch.export.export(module, (image,)).module()
    torch.testing.assert_close(exported(image), expected)


def test_one_kernel_for_each_axis():
    image = torch.randn(1, 1, 5, 6, 7)
    theta = wk.get_transform("affine", ndim=3).identity()[None]
    found = wk.warp(image, "affine", theta, kernel=("bspline", "nearest", {"type": "bspline", "degree": 2}))
    torch.testing.assert_close(found, image, rtol=0, atol=1e-5)


class Moms(wk.Kernel):
    """T. Blu, P. Thévenaz, M. Unser, "MOMS: maximal-order interpolation of minimal support", IEEE TIP 10(7), 2001."""

    radius = 2.0
    symmetric = True
    continuity = 0
    reproduces = 3

    def forward(self, distance):
        """The cubic B-spline, plus 1/42 of its second derivative."""
        d = distance.abs()
        near = d**3 / 2 - d**2 + d / 14 + 13 / 21
        far = -(d**3) / 6 + d**2 - 85 / 42 * d + 29 / 21
        return torch.where(d < 1, near, far)

    def prefilter(self, image, axis, padding_mode, align_corners):
        """Its values at whole numbers are 13/21 and 4/21."""
        return wk.spline_filter(image, axis, [13 / 21, 4 / 21], padding_mode, align_corners)


@wk.testing.parametrize_with_checks([Moms(), spline(2), spline(7), spline(4, prefilter=False)])
def test_conforms(check, unchecked):
    check()


def test_the_filter_refuses_what_has_no_inverse():
    with pytest.raises(wk.InputError, match="real poles"):
        wk.spline_filter(torch.zeros(5), 0, [0.5, 0.25], "wrap")  # zero at the highest frequency


@pytest.mark.parametrize(
    ("named", "given"),
    [
        ("padding_mode", (torch.zeros(5), 0, [0.5, 0.2], "mirror")),
        ("padding_mode", (torch.zeros(5), 0, [0.5, 0.2], None)),
        ("axis", (torch.zeros(5), 3, [0.5, 0.2], "wrap")),
        ("image", (torch.zeros(5).half(), 0, [0.5, 0.2], "wrap")),
        ("image", (torch.zeros(5).int(), 0, [0.5, 0.2], "wrap")),
        ("image", ([1.0, 2.0], 0, [0.5, 0.2], "wrap")),
        ("image", (torch.zeros(()), 0, [0.5, 0.2], "wrap")),
        ("image", (torch.zeros(0), 0, [0.5, 0.2], "wrap")),
        ("samples", (torch.zeros(5), 0, [], "wrap")),
        ("samples", (torch.zeros(5), 0, [0.0], "wrap")),
        ("samples", (torch.zeros(5), 0, [float("nan"), 0.1], "wrap")),
    ],
)
def test_the_filter_names_what_is_wrong(named, given, unchecked):
    with pytest.raises(wk.InputError, match=named):
        wk.spline_filter(*given)


def test_one_graph_serves_several_sizes(compiler):
    theta = torch.tensor([[0.9, 0.2, 0.0, -0.2, 0.9, 0.1]])

    def warped(image, theta):
        return wk.warp(image, "affine", theta, kernel="bspline")

    compiled = torch.compile(warped, fullgraph=True, backend="aot_eager")
    for width in (11, 12, 13):
        image = torch.randn(1, 1, 6, width)
        torch.testing.assert_close(compiled(image, theta), warped(image, theta))
