"""Function transforms of torch over a transform: vmap and forward mode."""

import torch

from warpkit.testing import common, inputs
from warpkit.testing.check import Checks, expect_close
from warpkit.testing.differences import TOLERANCE, derivative
from warpkit.testing.transforms.contract import BASICS
from warpkit.transforms.base import Transform

checks = Checks("transform")


@checks.add(*BASICS, "works_on_meta")
def works_under_vmap(transform: Transform) -> None:
    """torch.vmap over θ gives what a batch of θ gives.

    Why:
        Per-sample gradients and ensembles go through vmap.
    How:
        vmap over three θ, beside the batch of three.
    Mend:
        No `if` about values, no `.item()`, no in-place writing; an autograd.Function needs `generate_vmap_rule` or a
        `vmap` of its own.
    """
    theta, points = inputs.example(transform, 3)
    given = torch.vmap(lambda t: transform(t[None], points)[0])(theta)
    expect_close(given, transform(theta, points), common.SAME, "under vmap T")


@checks.add(*BASICS, "works_on_meta", "derivative_in_theta", "derivative_in_points")
def works_under_jvp(transform: Transform) -> None:
    """Forward mode gives the result and the derivatives that reverse mode gives.

    Why:
        Jacobians, Hessians and Gauss-Newton methods use forward mode; an operator that does not know it gives zeros
        and says nothing.
    How:
        torch.func.jvp along a random way in θ and in the points, beside autograd.
    Mend:
        Functions of torch have it; an autograd.Function needs a `jvp`, or better none is used.
    """
    theta, points = inputs.example(transform, 1)
    ways = inputs.uniform(8, *theta.shape).to(theta), inputs.uniform(9, *points.shape).to(points)
    for i, what in enumerate(("θ", "the points")):
        given, fixed = [theta, points], [torch.zeros_like(theta), torch.zeros_like(points)]
        fixed[i] = ways[i]
        values, found, *_ = torch.func.jvp(lambda t, p: transform(t, p), tuple(given), tuple(fixed))
        weights = inputs.uniform(10, *values.shape).to(values)
        given[i] = given[i].clone().requires_grad_()
        output = transform(*given)
        expect_close(values, output, common.SAME, "under jvp T")
        expected = (derivative(output * weights, given[i])[0] * ways[i]).sum()
        expect_close((found * weights).sum(), expected, TOLERANCE, f"by forward mode the derivative in {what}")
