"""What torch can do with a kernel: other devices, vmap, forward mode, compiling, copying and storing."""

import torch

from warpkit.kernels.base import Kernel
from warpkit.testing import common, inputs
from warpkit.testing.check import Checks, expect_close
from warpkit.testing.differences import TOLERANCE, derivative
from warpkit.testing.kernels.contract import BASICS

checks = Checks("kernel")

_PLACES = (-0.83, -0.41, 0.07, 0.29, 0.66, 0.94)  # of the radius: off the usual joints


def _distance(kernel: Kernel) -> torch.Tensor:
    return inputs.tensor(kernel, _PLACES) * kernel.radius


@checks.add(*BASICS)
def survives_copies(kernel: Kernel) -> None:
    """copy.deepcopy, pickle and a state_dict bring the same weights back.

    Why:
        Networks are copied (for averaging, for several processes) and stored; a kernel that does not come back takes
        the network with it.
    How:
        Weights before and after. A pickle only where the class can be imported by its name.
    Mend:
        No lambda, open file or generator as an attribute; what has been learned in an nn.Parameter, other tensors in
        `register_buffer`.
    """
    common.check_copies(kernel, lambda k: k, _distance(kernel))


@checks.add(*BASICS)
def tensors_are_registered(kernel: Kernel) -> None:
    """What is to be learned is an nn.Parameter that the module knows.

    Why:
        `parameters()` does not list it, so no optimiser ever moves it; `.to()` and `state_dict` leave it behind.
    How:
        The attributes of the kernel and its submodules are looked through for tensors that want gradients.
    Mend:
        `self.a = nn.Parameter(torch.tensor(a))`; a list of them is an `nn.ParameterList`.
    """
    common.check_tensors_are_registered(kernel)


@checks.add(*BASICS, "survives_copies")
def trains_after_inference_mode(kernel: Kernel) -> None:
    """A kernel that was first used under torch.inference_mode() can be trained with afterwards.

    Why:
        What is kept for later (a constant, a buffer) is an inference tensor then, and autograd refuses it: training
        fails after an evaluation.
    How:
        A copy is called under inference_mode, then differentiated.
    Mend:
        Make constants in `__init__`, or under `torch.inference_mode(False)`.
    """
    common.check_trains_after_inference(kernel, lambda k: k, _distance(kernel))


@checks.add(*BASICS, "survives_copies")
def works_on_meta(kernel: Kernel) -> None:
    """On the `meta` device, which has shapes and no numbers, the result has the right shape.

    Why:
        Shapes are inferred, and graphs exported, without numbers; whatever fails here needs numbers on the CPU, and
        fails on a GPU or waits for it.
    How:
        A copy moved to `meta`, with distances there.
    Mend:
        No `.item()`, `float(tensor)`, NumPy, nor an `if` about a tensor's values; plain tensor attributes become
        buffers, which move with the module.
    """
    common.check_meta(kernel, lambda k: k, _distance(kernel))


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
    d = _distance(kernel).reshape(3, 2)
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
    d = _distance(kernel)
    values, found, *_ = torch.func.jvp(kernel, (d,), (torch.ones_like(d),))
    at = d.clone().requires_grad_()
    output = kernel(at)
    expect_close(values, output, common.SAME, "under jvp k", at={"distance": d})
    expect_close(found, derivative(output, at)[0], TOLERANCE, "by forward mode dk/dd", at={"distance": d})


@checks.add(*BASICS, "works_on_meta", "derivatives_are_finite")
def works_under_compile(kernel: Kernel) -> None:
    """torch.compile(fullgraph=True) gives the same weights and derivatives.

    Why:
        A kernel that learns is traced with the network around it; one graph break there stops `fullgraph` and export.
    How:
        The backend `aot_eager`, which traces everything and generates no code.
    Mend:
        No `if` about values, no `.item()`, no printing, no Python state that changes from call to call. An
        autograd.Function with a `jvp` of its own cannot be traced: write the formula in functions of torch.
    """
    common.check_compiles(kernel, _distance(kernel))
