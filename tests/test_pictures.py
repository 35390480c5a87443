"""What is drawn is what is true: read off the figures' own lines."""

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import warpkit as wk
from warpkit.pictures import kernel_figure, transform_figure


class WideHat(wk.Kernel):
    """A triangle with two pieces a pixel."""

    radius = 1.5
    pieces = 2

    def forward(self, distance):
        return (1.5 - distance.abs()) / 2.25


class Spike(wk.Kernel):
    """No table: a joint that `pieces` does not name."""

    radius = 1.0

    def forward(self, distance):
        return torch.exp(-4 * (distance - 0.3).abs())


class Difference(wk.Kernel):
    """Its integral is zero, so that no response can be divided by it."""

    radius = 1.0

    def forward(self, distance):
        return torch.where(distance < 0, -1.0, 1.0)


class Broken(wk.Kernel):
    """A kernel that is NaN everywhere."""

    radius = 1.0

    def forward(self, distance):
        return distance * torch.nan


class Learned(wk.Kernel):
    """A kernel with a parameter Φ."""

    radius = 1.0

    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, distance):
        return 1 - self.slope * distance.abs()


KERNELS = [*(wk.get_kernel(name) for name in wk.list_kernels()), WideHat(), Spike(), Difference(), Broken(), Learned()]


def curve(axes) -> tuple[np.ndarray, np.ndarray]:
    """The pieces of a curve, one behind the other: what is drawn solid and is no straight line across."""
    pieces = [line.get_xydata() for line in axes.lines if line.get_linewidth() == 1.8]
    return tuple(np.concatenate(pieces).T)


def jumps(axes) -> list[float]:
    return [float(line.get_xdata()[0]) for line in axes.lines if line.get_linestyle() == ":"]


def dots(axes) -> np.ndarray:
    return next(line.get_xydata() for line in axes.lines if line.get_marker() == "o")


def named(axes, label: str):
    return next(line for line in axes.lines if line.get_label() == label)


def drawn(figure: Figure) -> Figure:
    figure.canvas.draw()
    return figure


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: type(k).__name__)
def test_every_kernel_is_drawn_in_three_panels(kernel):
    figure = drawn(kernel_figure(kernel))
    assert len(figure.axes) == 3
    assert figure.get_suptitle().startswith(type(kernel).__name__)


@pytest.mark.parametrize("name", wk.list_kernels())
def test_the_shape_is_the_formula_and_zero_outside(name):
    kernel = wk.get_kernel(name)
    d, k = curve(kernel_figure(kernel).axes[0])
    inside = np.abs(d) < kernel.radius - 1e-10
    assert k[inside] == pytest.approx(kernel(torch.as_tensor(d[inside])).numpy())
    assert not k[~inside].any()
    assert (d.min(), d.max()) == (-kernel.radius - 0.5, kernel.radius + 0.5)


def test_a_jump_is_drawn_as_one_and_a_joint_is_not():
    shape, slope, _ = kernel_figure(wk.get_kernel("nearest")).axes
    assert (jumps(shape), jumps(slope)) == (pytest.approx([-0.5, 0.5]), [])
    shape, slope, _ = kernel_figure(wk.get_kernel("bilinear")).axes
    assert (jumps(shape), jumps(slope)) == ([], pytest.approx([-1, 0, 1], abs=1e-8))


def test_the_dots_are_the_weights_of_whole_pixels():
    assert dots(kernel_figure(wk.get_kernel("bicubic")).axes[0]) == pytest.approx(
        np.array([[-1, 0], [0, 1], [1, 0]]), abs=1e-8
    )
    assert dots(kernel_figure(WideHat()).axes[0])[:, 1] == pytest.approx(np.array([0.5, 1.5, 0.5]) / 2.25)


@pytest.mark.parametrize("kernel", [wk.get_kernel("bicubic", a=-0.5), WideHat()], ids=lambda k: type(k).__name__)
def test_the_derivative_is_autograd_s_off_the_joints(kernel):
    d, slope = curve(kernel_figure(kernel).axes[1])
    inside = np.abs(d * 2 - np.round(d * 2)) > 1e-6
    inside &= np.abs(d) < kernel.radius
    distance = torch.tensor(d[inside], requires_grad=True)
    (expected,) = torch.autograd.grad(kernel(distance).sum(), distance)
    assert slope[inside] == pytest.approx(expected.numpy(), abs=1e-6)


def test_without_a_table_the_derivative_is_the_formula_s_too():
    d, slope = curve(kernel_figure(Spike()).axes[1])
    inside = (np.abs(d) < 1 - 1e-8) & (np.abs(d - 0.3) > 0.05) & (np.abs(d) > 1e-8)
    expected = -4 * np.sign(d - 0.3) * np.exp(-4 * np.abs(d - 0.3))
    assert slope[inside] == pytest.approx(expected[inside], rel=0.01)


@pytest.mark.parametrize(("name", "power"), [("nearest", 1), ("bilinear", 2)])
def test_the_response_of_a_b_spline_is_a_power_of_sinc(name, power):
    spectrum = kernel_figure(wk.get_kernel(name)).axes[2]
    f, decibels = next(line.get_xydata() for line in spectrum.lines if len(line.get_xdata()) > 100).T
    with np.errstate(divide="ignore"):
        expected = np.maximum(20 * power * np.log10(np.abs(np.sinc(f))), -80)
    assert (f[0], f[-1]) == (0, 2)
    seen = expected > -70  # a zero is as deep as rounding lets it be
    assert decibels[seen] == pytest.approx(expected[seen], abs=1e-4)
    assert decibels.min() == -80
    assert named(spectrum, "Nyquist").get_xdata()[0] == 0.5


def test_a_kernel_that_sums_to_zero_is_measured_by_its_peak():
    lines = kernel_figure(Difference()).axes[2].lines
    decibels = next(line.get_ydata() for line in lines if len(line.get_xdata()) > 100)
    assert decibels.max() == 0
    assert decibels[0] == -80


def bent(figure: Figure) -> np.ndarray:
    """All points of the grid that is drawn last, without the frame."""
    return np.concatenate([line.get_xydata() for line in figure.axes[1].lines if line.get_linestyle() == "-"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("affine", {"ndim": 1}),
        ("affine", {}),
        ("affine", {"ndim": 3}),
        ("projective", {}),
        ("projective", {"ndim": 3}),
        ("thin_plate_spline", {}),
        ("attention", {"scale": 0.5}),
    ],
)
def test_every_transform_is_drawn_always_the_same(name, options):
    transform = wk.get_transform(name, **options)
    first, again = drawn(transform_figure(transform)), drawn(transform_figure(transform))
    assert first.get_suptitle().startswith(f"{type(transform).__name__}\nθ = (")
    assert np.array_equal(np.asarray(first.canvas.buffer_rgba()), np.asarray(again.canvas.buffer_rgba()))


def test_the_grid_is_where_the_transform_puts_it():
    figure = drawn(transform_figure(wk.get_transform("affine"), torch.tensor([0.5, 0, 0.1, 0, 0.25, -0.2])))
    assert bent(figure).min(0) == pytest.approx([-0.4, -0.45])
    assert bent(figure).max(0) == pytest.approx([0.6, 0.05])
    assert figure.get_suptitle() == "Affine\nθ = (0.5, 0, 0.1, 0, 0.25, -0.2)"


@pytest.mark.parametrize("width", [0.5, -0.5])
def test_the_colour_is_the_jacobian_s_determinant(width):
    figure = transform_figure(wk.get_transform("affine"), torch.tensor([width, 0.3, 0, 0, 3.0, 0]))
    assert np.asarray(figure.axes[0].collections[0].get_array()) == pytest.approx(3 * width, rel=1e-5)


def test_what_lies_behind_a_horizon_is_left_out():
    figure = drawn(transform_figure(wk.get_transform("projective"), torch.tensor([1.0, 0, 0, 0, 1, 0, 2, 0])))
    colours = np.ma.getmaskarray(figure.axes[0].collections[0].get_array())
    assert colours[:, :12].all()  # 1 + 2x < 0 in the left quarter
    assert not colours[:, 13:].any()  # a cell that touches the horizon has no area
    assert np.isnan(bent(figure)).any()
    assert figure.axes[1].get_xlim() == pytest.approx((-3.1, 3.1))


def test_in_one_dimension_it_is_a_curve_beside_the_diagonal():
    axes = transform_figure(wk.get_transform("affine", ndim=1), torch.tensor([0.5, 0.25])).axes[0]
    x, moved = curve(axes)
    assert moved == pytest.approx(0.5 * x + 0.25)
    assert named(axes, "the identity").get_xydata().tolist() == [[-1, -1], [1, 1]]


def test_long_parameters_are_shortened():
    title = transform_figure(wk.get_transform("thin_plate_spline")).get_suptitle()
    assert title.endswith(", … 32 numbers)")


def test_four_dimensions_cannot_be_drawn():
    class Still(wk.Transform):
        ndim, num_params = 4, 1

    with pytest.raises(wk.InputError, match="Still: expected 1 to 3 dimensions, got 4"):
        transform_figure(Still())


def test_drawing_changes_neither_the_random_numbers_nor_matplotlib_nor_the_kernel():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    settings, kernel = dict(matplotlib.rcParams), Learned()
    kernel_figure(kernel)
    transform_figure(wk.get_transform("affine"))
    assert torch.equal(torch.rand(1), expected)
    assert dict(matplotlib.rcParams) == settings
    assert kernel.slope.grad is None
