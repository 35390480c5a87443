"""What is printed of components, and what notebooks show of them."""

import dataclasses
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

import warpkit as wk
from warpkit import notebook

PUBLIC = {name: getattr(wk, name) for name in wk.__all__}
EXPRESSIONS = [
    "Affine()",
    "Affine(ndim=3)",
    "Attention(scale=0.5)",
    "Euclidean(aspect=2.0)",
    "Similarity(ndim=3)",
    "Projective(ndim=1)",
    "Translation(ndim=3)",
    "ThinPlateSpline(grid=(3, 3))",
    "ThinPlateSpline(points=((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))",
    "FreeForm(grid=(3, 5))",
    "Polar(log=True, radius=0.5)",
    "InversePolar(inner=0.1)",
    "Displacement(ndim=3, units='pixels', kernel=BSpline(degree=2), align_corners=True)",
    "Velocity(steps=3, kernel=('bilinear', Bicubic(a=-0.5)), padding_mode='wrap')",
    "Compose(of=('affine', ThinPlateSpline(grid=(3, 3)), {'type': 'attention', 'scale': 2}), ndim=2)",
    "Nearest()",
    "Bilinear()",
    "Bicubic()",
    "Bicubic(a=-0.5, learnable=True)",
    "BSpline(degree=2, prefilter=False)",
    "Gaussian(sigma=2.0, radius=9)",
    "Lanczos(a=2, normalized=True)",
    "Mitchell(b=0.0, c=0.5)",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_transform_or_kernel_is_printed_as_the_call_that_makes_it(expression):
    made = eval(expression, dict(PUBLIC))
    assert repr(made) == expression
    assert repr(nn.Sequential(made)) == f"Sequential(\n  (0): {expression}\n)"


def test_so_is_every_one_of_them():
    kinds = {
        name for name, cls in PUBLIC.items() if isinstance(cls, type) and issubclass(cls, wk.Kernel | wk.Transform)
    }
    abstract = {"Kernel", "Transform", "MatrixTransform", "BasisTransform", "FieldTransform"}
    assert {expression.partition("(")[0] for expression in EXPRESSIONS} == kinds - abstract


def test_options_are_as_they_were_given_or_set_since():
    kernel = wk.get_kernel("bicubic", a=-1)
    assert repr(kernel) == "Bicubic(a=-1)"
    kernel = wk.Bicubic(-0.5)
    kernel.a = -0.6
    assert repr(kernel) == "Bicubic(a=-0.6)"


def test_a_plugin_needs_nothing_for_it_and_may_say_more(unchecked):
    class Weighted(wk.Kernel):
        radius = 1.0

        def __init__(self, weights, base=None, **more) -> None:
            super().__init__()

    assert repr(Weighted(torch.ones(2), base=wk.Bicubic(), x=1)) == "Weighted(weights=(1.0, 1.0), base=Bicubic(), x=1)"
    assert repr(Weighted(torch.ones(9, 9))) == "Weighted(weights=<Tensor [9, 9] float32>)"  # long, or without numbers
    assert repr(Weighted(torch.ones(2, device="meta"))) == "Weighted(weights=<Tensor [2] float32>)"
    assert len(repr(Weighted("x" * 10_000))) < 120

    class Odd(wk.Transform):
        ndim, num_params = 2, 1

        def extra_repr(self) -> str:
            return "odd"

    assert repr(Odd()) == "Odd(odd)"


def test_a_network_shows_its_parts_and_the_options_that_are_none():
    transformer = wk.SpatialTransformer(
        wk.DenseLocalization(hidden=(8,)), wk.ThinPlateSpline(grid=(3, 3)), kernel=wk.Bicubic(a=-0.5), limits=0.5
    )
    assert repr(transformer).splitlines()[:3] == [
        "SpatialTransformer(",
        "  limits=0.5",
        "  (localization): DenseLocalization(",
    ]
    assert "  (transform): ThinPlateSpline(grid=(3, 3))\n" in repr(transformer)
    assert "(0): Bicubic(a=-0.5)" in repr(transformer)
    assert repr(wk.RandomWarp(degrees=20)) == "RandomWarp(\n  degrees=20\n  (transform): Affine()\n)"


def drawn() -> list[nn.Module]:
    """A kernel, and networks."""
    transformer = wk.SpatialTransformer("conv_localization", "affine")
    spec = {"version": 1, "input": [1, 28, 28], "layers": ["Flatten", {"type": "Linear", "out_features": 2}]}
    return [wk.Bicubic(), transformer, wk.Parallel([transformer, transformer]), wk.build(spec)]


def test_notebooks_show_kernels_and_networks_as_pictures(monkeypatch):
    for made in drawn():
        shown = made._repr_html_()
        assert shown.startswith(f'<img alt="{type(made).__name__}" style="')
        assert 'src="data:image/png;base64,iVBOR' in shown
        assert len(shown) < 100_000
    monkeypatch.setattr(notebook, "_MOST", 1000)
    assert wk.Bicubic()._repr_html_() is None  # too large, and so the text is shown


def test_without_matplotlib_they_show_the_text(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("warpkit.pictures", "warpkit.spec.diagram"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert [made._repr_html_() for made in drawn()] == [None] * 4


def test_a_name_cannot_leave_its_picture():
    evil = type('"><script>', (wk.Bicubic,), {})
    assert evil()._repr_html_().startswith('<img alt="&quot;&gt;&lt;script&gt;" ')


def test_a_report_is_a_table_in_which_texts_stay_texts():
    class Jumps(wk.Kernel):
        radius, symmetric = 1.0, True

        def forward(self, distance):
            raise ValueError("<script>")

    report = wk.testing.run.run(wk.testing.run.session_for("kernel", Jumps()), ["symmetric"])
    assert not report.passed
    report = dataclasses.replace(report, component="<i>")
    assert repr(report).startswith("<kernel <i>: ")
    shown = report._repr_html_()
    assert shown.startswith("<b>kernel &lt;i&gt;: ")
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    assert "found: " in shown.partition("<details>")[0]


def test_what_has_learnt_is_printed_as_it_is_now():
    kernel = wk.Gaussian(sigma=0.7, learnable=True)
    assert repr(kernel) == "Gaussian(sigma=0.7, learnable=True)"
    with torch.no_grad():
        kernel.sigma.fill_(2.1)
    assert repr(kernel) == "Gaussian(sigma=2.1, learnable=True)"


@pytest.mark.parametrize(
    ("cls", "options", "expected"),
    [
        (wk.Bicubic, {"a": np.float32(-0.5)}, "Bicubic(a=-0.5)"),
        (wk.Gaussian, {"sigma": torch.tensor(2.0), "radius": np.array(9)}, "Gaussian(sigma=2.0, radius=9)"),
        (wk.BSpline, {"degree": np.int64(2)}, "BSpline(degree=2)"),
        (wk.Lanczos, {"a": np.uint8(4)}, "Lanczos(a=4)"),
        (wk.Mitchell, {"b": np.float64(0), "c": Fraction(1, 2)}, "Mitchell(b=0.0, c=0.5)"),
        (wk.Euclidean, {"aspect": np.float32(2)}, "Euclidean(aspect=2.0)"),
        (wk.Polar, {"radius": np.float16(0.5)}, "Polar(radius=0.5)"),
        (wk.Attention, {"scale": np.float32(0.5)}, "Attention(scale=0.5)"),
        (wk.Velocity, {"steps": np.int32(3)}, "Velocity(steps=3)"),
        (wk.ThinPlateSpline, {"grid": np.int64(3)}, "ThinPlateSpline(grid=3)"),
    ],
)
def test_numbers_of_numpy_and_torch_become_pythons(cls, options, expected, unchecked):
    made = cls(**options)
    assert repr(made) == expected
    assert repr(eval(repr(made), dict(PUBLIC))) == expected
    assert all(type(made.spec_options()[name]) in (int, float) for name in options)


def test_a_truth_value_of_numpy_is_no_number_and_one_that_learns_keeps_its_gradient(unchecked):
    for given in (np.True_, torch.tensor(True), torch.tensor(-0.5, requires_grad=True)):
        with pytest.raises(wk.InputError, match="a: expected a finite number"):
            wk.Bicubic(a=given)


def test_a_spec_takes_numbers_of_numpy(unchecked):
    kernel = {"type": "bicubic", "a": np.float32(-0.5)}
    spec = {"type": "spatial_transformer", "localization": "conv_localization", "kernel": kernel, "steps": np.int64(2)}
    made = wk.build({"version": 1, "layers": [spec]})[0]
    assert (repr(made.kernels[0]), made.steps) == ("Bicubic(a=-0.5)", 2)


def test_several_arguments_of_a_plugin_are_not_left_out():
    class Sum(wk.Kernel):
        def __init__(self, first=0, *weights, scale=1.0):
            super().__init__()

    assert repr(Sum(0, 2.5, 3)) == "Sum(0, 2.5, 3)"
    assert repr(Sum(1, 0.5, scale=2.0)) == "Sum(1, 0.5, scale=2.0)"
    assert repr(Sum(1)) == "Sum(first=1)"
    assert repr(Sum()) == "Sum()"
