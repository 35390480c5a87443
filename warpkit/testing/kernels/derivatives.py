"""The formula's own derivatives, in the distance and in the parameters Φ."""

import torch
from hypothesis import assume
from torch import Tensor

from warpkit.kernels.base import Kernel
from warpkit.testing import inputs
from warpkit.testing.check import Checks, NotApplicable, expect, expect_close
from warpkit.testing.differences import TOLERANCE, check_derivatives, derivative, slope
from warpkit.testing.kernels.contract import BASICS

checks = Checks("kernel")


@checks.add(*BASICS, distance=inputs.special_distance)
def derivatives_are_finite(kernel: Kernel, distance: float) -> None:
    """The derivative in the distance is a finite number everywhere inside the radius, at joints too.

    Why:
        A gradient of NaN spreads to every parameter of a network in one step. torch.where does not protect from it:
        the branch that is not taken is differentiated too, and 0 · NaN is NaN.
    How:
        Autograd at whole and half distances, the declared joints, places a hair away, and others.
    Mend:
        Select the argument before the delicate function, not its result: `safe = torch.where(d == 0, 1.0, d)`. Not
        sqrt, |d|^p (p < 1) or log where their argument may be 0.
    """
    for dtype in (torch.float64, torch.float32):
        d = inputs.tensor(kernel, [distance]).to(dtype).requires_grad_()
        (given,) = derivative(kernel(d), d)
        expect(bool(given.isfinite().all()), f"in {dtype} dk/dd = {float(given):g}", "a finite number")


@checks.add(*BASICS, "derivatives_are_finite", distance=inputs.distance)
def derivative_in_distance(kernel: Kernel, distance: float) -> None:
    """Autograd's first and second derivative in the distance are those of the values.

    Why:
        A kernel without a table is differentiated by autograd of its formula: coordinates, and with them θ, would be
        trained with a wrong gradient, or with none.
    How:
        Central differences at generated distances and on a grid, wherever the formula is smooth, but not at whole and
        half pixels and declared joints.
    Mend:
        No `.detach()`, `.data`, NumPy or `torch.no_grad()` in the formula; a `torch.autograd.Function` needs a backward
        that is right and can itself be differentiated.
    """
    assume(2 * kernel.pieces * distance % 1 != 0)  # at a joint autograd may take either side, or the middle
    check_derivatives(kernel, inputs.tensor(kernel, [distance]), 0, "the distance", {"distance": distance})
    everywhere = inputs.grid(kernel)
    expected, smooth = slope(lambda steps: kernel(everywhere + steps.to(everywhere)[:, None]))
    at = everywhere.clone().requires_grad_()
    found = torch.where(smooth, derivative(kernel(at), at)[0].cpu(), expected.cpu())
    expect_close(found, expected, TOLERANCE, "autograd's first derivative", {"distance": everywhere})


@checks.add(*BASICS, distance=inputs.distance, phi=inputs.wide_phi, seed=inputs.seed)
def derivative_in_parameters(kernel: Kernel, distance: float, phi: int, seed: int) -> None:
    """Autograd's first and second derivatives in the kernel's own parameters Φ are those of the values.

    Why:
        A parameter whose gradient is lost never learns, and nothing says so.
    How:
        Central differences in float64, along one entry of Φ and along all, near where Φ starts and far from it.
    Mend:
        Use the nn.Parameter itself in the formula: `float(self.a)`, `self.a.item()`, `self.a.data` and
        `torch.tensor(self.a)` cut its gradient off.
    """
    if not inputs.has_phi(kernel):
        raise NotApplicable("it has no parameters")
    moved = inputs.at_phi(kernel, phi)
    d, start = inputs.tensor(moved, [distance]), inputs.parameters(moved)

    def weight(vector: Tensor) -> Tensor:
        return inputs.with_parameters(moved, vector, d)

    check_derivatives(weight, start, seed, "Φ", {"distance": distance, "Φ": start})
