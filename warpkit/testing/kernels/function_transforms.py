"""Function transforms of torch over a kernel: vmap and forward mode."""

import torch

from warpkit.kernels.base import Kernel
from warpkit.testing import common, inputs
from warpkit.testing.check import Checks, expect_close
from warpkit.testing.differences import TOLERANCE, derivative
from warpkit.testing.kernels.contract import BASICS

checks = Checks("kernel")


@checks.add(*BASICS, "works_on_meta")
def works_under_vmap(kernel: Kernel) -> None:
    """torch.vmap over the kernel gives the same weights.

    Why:
        Per-sample gradients and ensembles go through vmap.
    How:
        vmap over the rows of a matrix of distances.
    Mend:
        No `if` about values, no `.item()`, no in-place writing; an autograd.Function needs `generate_vmap_rule` or a
        `vmap` of its own.
    """
    d = inputs.example(kernel)[0].reshape(3, 2)
    expect_close(torch.vmap(kernel)(d), kernel(d), common.SAME, "under vmap k", at={"distance": d})


@checks.add(*BASICS, "works_on_meta", "derivative_in_distance")
def works_under_jvp(kernel: Kernel) -> None:
    """Forward mode gives the weights and the derivative that reverse mode gives.

    Why:
        Jacobians, Hessians and Gauss-Newton methods use forward mode; an operator that does not know it gives zeros
        and says nothing.
    How:
        torch.func.jvp beside autograd.
    Mend:
        Functions of torch have it; an autograd.Function needs a `jvp`, or better none is used.
    """
    d = inputs.example(kernel)[0]
    values, found, *_ = torch.func.jvp(kernel, (d,), (torch.ones_like(d),))
    at = d.clone().requires_grad_()
    output = kernel(at)
    expect_close(values, output, common.SAME, "under jvp k", at={"distance": d})
    expect_close(found, derivative(output, at)[0], TOLERANCE, "by forward mode dk/dd", at={"distance": d})
