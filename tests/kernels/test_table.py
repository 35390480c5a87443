"""A formula becomes a table of polynomials."""

import pytest
import torch
from examples import Forward, Lanczos, Rough, WideTriangle
from hypothesis import given
from hypothesis import strategies as st
from oracles import eq3
from strategies import MODES, pixels_off_joints, seeds, to_normalised, uniform
from torch import Tensor

import warpkit as wk
from warpkit.kernels.fitting import fitted

A = -0.75


def evaluate(table: Tensor, pieces: int, f: Tensor) -> Tensor:
    """The table at fractions f [M] → weights [M, taps]."""
    piece = (f * pieces).floor().clamp(max=pieces - 1)
    powers = (f * pieces - piece)[:, None] ** torch.arange(table.shape[-1])
    return torch.einsum("mtk,mk->mt", table[piece.long()], powers)


def formula(kernel: wk.Kernel, f: Tensor) -> Tensor:
    """The formula at each tap's distance, f + r − 1 − t."""
    return kernel(f[:, None] + kernel.radius - 1 - torch.arange(int(2 * kernel.radius)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nearest", [[1.0]]),
        ("bilinear", [[1.0, -1.0], [0.0, 1.0]]),
        ("bicubic", [[0, A, -2 * A, A], [1, 0, -A - 3, A + 2], [0, -A, 2 * A + 3, -A - 2], [0, 0, A, -A]]),
    ],
)
def test_tables_of_the_built_ins_worked_by_hand(name, expected):
    table = wk.get_kernel(name).table(torch.float64)
    assert table.dtype == torch.float64
    torch.testing.assert_close(table, torch.tensor([expected], dtype=torch.float64), rtol=0, atol=1e-13)
    assert torch.equal(table[..., 0], torch.tensor([expected], dtype=torch.float64)[..., 0])  # f = 0: an exact identity


@pytest.mark.parametrize("kernel", [WideTriangle(), Forward()], ids=["pieces", "asymmetric"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_piecewise_polynomial_is_exact(kernel, dtype):
    table = kernel.table(dtype)
    assert table.shape[:2] == (kernel.pieces, int(2 * kernel.radius))
    f = torch.linspace(0, 1, 41, dtype=torch.float64)[:-1] + 0.01
    torch.testing.assert_close(evaluate(table, kernel.pieces, f), formula(kernel, f), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_a_smooth_kernel_is_right_to_the_precision_of_the_type(dtype, tolerance):
    f = torch.linspace(0, 1, 101, dtype=torch.float64)[1:-1]
    table = Lanczos().table(dtype)
    torch.testing.assert_close(evaluate(table, 1, f), formula(Lanczos(), f), rtol=0, atol=tolerance)


def test_a_kernel_without_a_table_warns_that_its_formula_is_evaluated():
    with pytest.warns(UserWarning, match=r"Rough.*formula"):
        assert Rough().table() is None


@pytest.mark.filterwarnings("ignore:Rough")
@pytest.mark.parametrize(
    ("kernel", "weight"),
    [
        (WideTriangle(), lambda x, m: max(0.0, 1 - abs(x - m) / 1.5) / 1.5),
        (Rough(), lambda x, m: max(0.0, 1 - abs(x - m) ** 1.5)),
        (Forward(), lambda x, m: 0.0 if abs(x - m) >= 1 else 0.3 * (1 + x - m) if x < m else 1 - (x - m) ** 2),
    ],
    ids=["pieces", "no table", "asymmetric"],
)
@given(seed=seeds, modes=st.tuples(st.sampled_from(MODES), st.sampled_from(MODES)), align_corners=st.booleans())
def test_a_users_kernel_samples_as_eq_3_says(kernel, weight, seed, modes, align_corners):
    size = (4, 5)
    image, pixels = uniform(seed, 1, 2, *size), pixels_off_joints(seed + 1, 6, size, kernel)
    coords = to_normalised(pixels, size, align_corners)[None]
    out = wk.sample(image, coords, kernel=kernel, padding_mode=modes, align_corners=align_corners)
    expected = eq3(image[0].numpy(), pixels.numpy(), (weight, weight), modes, align_corners)
    torch.testing.assert_close(out[0], torch.from_numpy(expected), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Rough")
@pytest.mark.parametrize("kernel", [WideTriangle(), Rough(), Forward(), Lanczos()], ids=lambda k: type(k).__name__)
@given(seed=seeds, align_corners=st.booleans())
def test_a_users_kernel_has_the_derivatives_of_its_formula(kernel, seed, align_corners):
    size = (3, 4)
    image = uniform(seed, 1, 1, *size).requires_grad_()
    coords = to_normalised(pixels_off_joints(seed + 1, 4, size, kernel), size, align_corners)[None].requires_grad_()

    def sample(image, coords):
        return wk.sample(image, coords, kernel=kernel, align_corners=align_corners)

    torch.autograd.gradcheck(sample, (image, coords), fast_mode=True, check_forward_ad=True)


@pytest.mark.filterwarnings("ignore:Rough")
@pytest.mark.parametrize("kernel", [WideTriangle(), Rough(), Forward()], ids=["pieces", "no table", "asymmetric"])
def test_a_users_kernel_takes_the_right_hand_derivative_at_its_joints(kernel):
    image, h = uniform(0, 1, 1, 7), 1e-7
    joints = (
        2.5 + torch.arange(4, dtype=torch.float64)[:, None] / 2 if kernel.pieces == 2 else torch.tensor([[2.0], [3.0]])
    )
    coords = to_normalised(joints.double(), (7,), False)[None]
    step = coords + 2 * h / 7
    analytic = torch.autograd.grad(wk.sample(image, c := coords.requires_grad_(), kernel=kernel).sum(), c)[0]
    forward = (wk.sample(image, step, kernel=kernel) - wk.sample(image, coords, kernel=kernel)) / (2 * h / 7)
    torch.testing.assert_close(
        analytic[0, :, 0], forward[0, 0].detach(), rtol=0, atol=2e-2 if isinstance(kernel, Rough) else 1e-5
    )


@pytest.mark.parametrize(("attribute", "value"), [("radius", 0.7), ("radius", -1.0), ("radius", "2"), ("pieces", 0)])
def test_a_wrong_declaration_is_named(unchecked, attribute, value):
    kernel = type("Wrong", (WideTriangle,), {attribute: value})()
    with pytest.raises(wk.InputError, match=rf"Wrong\.{attribute}"):
        wk.sample(torch.zeros(1, 1, 4), torch.zeros(1, 1, 1), kernel=kernel)


def test_a_kernel_without_a_radius_or_a_formula_is_named(unchecked):
    with pytest.raises(wk.InputError, match="radius"):
        type("Unfinished", (wk.Kernel,), {})().table()
    with pytest.raises(NotImplementedError, match="forward"):
        type("Unfinished", (wk.Kernel,), {"radius": 1.0})().table()


class Scaled(wk.Kernel):
    """A kernel that holds another."""

    radius = 2.0

    def __init__(self):
        super().__init__()
        self.inner = wk.get_kernel("bicubic")

    def forward(self, distance):
        return self.inner(distance)


def test_an_option_of_a_kernel_inside_a_kernel_is_noticed():
    kernel = Scaled()
    kernel.table()
    kernel.inner.a = -0.5
    torch.testing.assert_close(kernel.table(), wk.get_kernel("bicubic", a=-0.5).table())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_narrow_type_has_the_table_of_float32(dtype):
    assert torch.equal(wk.get_kernel("bicubic").table(dtype), wk.get_kernel("bicubic").table())


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
@pytest.mark.parametrize("kernel", [None, WideTriangle()], ids=["one piece", "two pieces"])
def test_a_differentiated_table_is_the_slope_of_the_weights(name, kernel):
    table = fitted(kernel or wk.get_kernel(name), torch.float64)
    f, h = torch.tensor([0.03, 0.21, 0.47, 0.62, 0.9], dtype=torch.float64), 1e-6
    slopes = torch.stack(table.derivative().weights(f, 0.0))
    steps = torch.stack(table.weights(f + h, 0.0)) - torch.stack(table.weights(f - h, 0.0))
    torch.testing.assert_close(slopes, steps / (2 * h), rtol=0, atol=1e-8)


class Plain(torch.nn.Module):
    """What counts no changes of its own."""

    def __init__(self):
        super().__init__()
        self.held = wk.get_kernel("bicubic")

    def forward(self, distance):
        return self.held(distance)


@pytest.mark.parametrize("held", [False, True])
def test_a_kernel_put_in_the_place_of_another_is_noticed(held):
    kernel = Scaled()
    if held:
        kernel.inner = Plain()
    kernel.table()
    other = wk.get_kernel("bicubic", a=-1.0)
    if held:
        kernel.inner.held = other
    else:
        kernel.inner = other
    torch.testing.assert_close(kernel.table(), other.table())
