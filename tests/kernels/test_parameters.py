"""A kernel's own parameters Φ and options: learnt, changed, copied."""

import copy
import pickle

import pytest
import torch
from examples import Bending, Damped, Lanczos
from strategies import pixels_off_joints, to_normalised, uniform
from torch import Tensor, nn
from torch.autograd import forward_ad

import warpkit as wk

# Near the precision of float64 its table may miss the tolerance: then the formula is evaluated, with the same result.
pytestmark = pytest.mark.filterwarnings("ignore:Damped")
SIZE = (5, 6)


def inputs(kernel: wk.Kernel) -> tuple[Tensor, Tensor]:
    return uniform(0, 1, 2, *SIZE), to_normalised(pixels_off_joints(1, 12, SIZE, kernel), SIZE, False)[None]


def with_formula(image: Tensor, coords: Tensor, kernel: wk.Kernel) -> Tensor:
    """Two taps an axis, each weight straight from the formula."""
    pixels = ((coords[0] + 1) * torch.tensor(SIZE[::-1]) - 1) / 2
    padded, i = nn.functional.pad(image[0], (9, 9, 9, 9)), pixels.floor().long()
    out = 0
    for a in (0, 1):
        for b in (0, 1):
            weight = kernel(pixels[:, 0] - i[:, 0] - a) * kernel(pixels[:, 1] - i[:, 1] - b)
            out = out + weight * padded[:, i[:, 1] + b + 9, i[:, 0] + a + 9]
    return out[None]


@pytest.mark.parametrize(
    "kernel", [Bending(0.0), Bending(0.4), Damped(0.0), Damped(0.8)], ids=lambda k: repr(k.state_dict())
)
def test_the_gradient_in_phi_agrees_with_finite_differences(kernel):
    kernel = copy.deepcopy(kernel).double()
    image, coords = inputs(kernel)
    (phi,) = kernel.parameters()
    (analytic,) = torch.autograd.grad((wk.sample(image, coords, kernel=kernel) ** 2).sum(), phi)
    h, numbers = 1e-6, []
    for step in (h, -2 * h):
        with torch.no_grad():
            phi += step
        numbers.append((with_formula(image, coords, kernel) ** 2).sum())
    assert analytic.item() == pytest.approx(((numbers[0] - numbers[1]) / (2 * h)).item(), rel=1e-5)


def in_place(phi: nn.Parameter) -> None:
    with torch.no_grad():
        phi.fill_(0.8)


def past_autograd(phi: nn.Parameter) -> None:
    phi.data.fill_(0.8)


def another_tensor(phi: nn.Parameter) -> None:
    phi.data = torch.tensor(0.8, dtype=phi.dtype)


@pytest.mark.parametrize("change", [in_place, past_autograd, another_tensor], ids=lambda f: f.__name__)
@pytest.mark.parametrize("make", [Bending, Damped])
def test_a_change_of_phi_is_noticed(make, change):
    kernel = make(0.0).double()
    image, coords = inputs(kernel)
    wk.sample(image, coords, kernel=kernel)
    change(next(kernel.parameters()))
    assert next(kernel.parameters()).item() == pytest.approx(0.8)
    torch.testing.assert_close(wk.sample(image, coords, kernel=kernel), with_formula(image, coords, kernel))


def test_phi_learns():
    target, kernel = Bending(0.5), Bending(0.0)
    image, coords = (t.float() for t in inputs(kernel))
    wanted = wk.sample(image, coords, kernel=target).detach()
    optimiser = torch.optim.Adam(kernel.parameters(), lr=0.05)
    for _ in range(80):
        optimiser.zero_grad()
        nn.functional.mse_loss(wk.sample(image, coords, kernel=kernel), wanted).backward()
        optimiser.step()
    assert kernel.bend.item() == pytest.approx(0.5, abs=0.02)


def of_phi(kernel):
    """Φ → what is sampled, as a function."""
    image, coords = inputs(kernel)
    return lambda phi: torch.func.functional_call(_Sampler(kernel), {"kernel.damping": phi}, (image, coords))


def test_second_derivatives_reach_phi():
    sample, phi = of_phi(Damped(0.5).double()), torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(sample, (phi,))
    torch.autograd.gradgradcheck(sample, (phi,))


def test_forward_mode_reaches_phi():
    sample, phi = of_phi(Damped(0.5).double()), torch.tensor(0.5, dtype=torch.float64)
    numeric = (sample(phi + 1e-6) - sample(phi - 1e-6)) / 2e-6
    torch.testing.assert_close(torch.func.jvp(sample, (phi,), (torch.ones_like(phi),))[1], numeric, rtol=0, atol=1e-8)
    with forward_ad.dual_level():
        out = forward_ad.unpack_dual(sample(forward_ad.make_dual(phi, torch.ones_like(phi))))
    torch.testing.assert_close(out.tangent, numeric, rtol=0, atol=1e-8)


class _Sampler(nn.Module):
    def __init__(self, kernel):
        super().__init__()
        self.kernel = kernel

    def forward(self, image, coords):
        return wk.sample(image, coords, kernel=self.kernel)


def test_an_option_that_changes_is_noticed():
    kernel = wk.get_kernel("bicubic")
    image, coords = inputs(kernel)
    before = wk.sample(image, coords, kernel=kernel)
    kernel.a = -0.5
    after = wk.sample(image, coords, kernel=kernel)
    assert torch.equal(after, wk.sample(image, coords, kernel=wk.get_kernel("bicubic", a=-0.5)))
    assert not torch.equal(after, before)


def test_a_buffer_that_changes_is_noticed():
    kernel = Damped(0.0)
    phi = kernel.damping.data.double()
    del kernel.damping
    kernel.register_buffer("damping", phi)
    image, coords = inputs(kernel)
    wk.sample(image, coords, kernel=kernel)
    kernel.damping.fill_(0.8)
    torch.testing.assert_close(wk.sample(image, coords, kernel=kernel), with_formula(image, coords, kernel))


@pytest.mark.parametrize("make", [Bending, Damped, Lanczos, lambda: wk.get_kernel("bicubic")])
def test_copies_pickles_and_states_hold_nothing_the_framework_keeps(make):
    kernel = make()
    before, state = pickle.dumps(kernel), list(kernel.state_dict())
    image, coords = (t.float() for t in inputs(kernel))
    out = wk.sample(image, coords, kernel=kernel)
    assert pickle.dumps(kernel) == before
    assert list(kernel.state_dict()) == state
    for other in (copy.deepcopy(kernel), pickle.loads(pickle.dumps(kernel))):
        assert vars(other).keys() == vars(kernel).keys()
        assert torch.equal(wk.sample(image, coords, kernel=other), out)


def test_a_copy_learns_on_its_own():
    kernel = Damped(0.0).double()
    image, coords = inputs(kernel)
    out = wk.sample(image, coords, kernel=kernel)
    other = copy.deepcopy(kernel)
    with torch.no_grad():
        other.damping.fill_(0.8)
    torch.testing.assert_close(wk.sample(image, coords, kernel=other), with_formula(image, coords, other))
    assert torch.equal(wk.sample(image, coords, kernel=kernel), out)


def test_a_table_that_was_found_under_inference_mode_can_be_trained_with():
    kernel = Damped(0.3).double()
    image, coords = inputs(kernel)
    with torch.inference_mode():
        wk.sample(image, coords, kernel=kernel)
        wk.sample(image, coords, kernel="bilinear")
    wk.sample(image, coords.requires_grad_(), kernel=kernel).sum().backward()
    wk.sample(image, coords, kernel="bilinear").sum().backward()
    assert kernel.damping.grad.abs() > 0
