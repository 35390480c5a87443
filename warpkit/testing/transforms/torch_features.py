"""What torch can do with a transform: other devices, vmap, forward mode, compiling, copying and storing."""

import torch
from torch import Tensor

from warpkit.testing import common, inputs
from warpkit.testing.check import Checks, expect_close
from warpkit.testing.differences import TOLERANCE, derivative
from warpkit.testing.transforms.contract import BASICS
from warpkit.transforms.base import Transform

checks = Checks("transform")


def _inputs(transform: Transform, batch: int = 2) -> tuple[Tensor, Tensor]:
    """θ [N, P] near where it starts, and points [1, M, D]."""
    begin = inputs.centre(transform).to(inputs.device(transform))
    theta = begin + 0.15 * inputs.uniform(5, batch, transform.num_params).to(begin)
    return theta, 0.9 * inputs.uniform(6, 1, 4, transform.ndim).to(begin)


@checks.add(*BASICS)
def survives_copies(transform: Transform) -> None:
    """copy.deepcopy, pickle and a state_dict bring the same transform back.

    Why:
        Networks are copied (for averaging, for several processes) and stored; a transform that does not come back
        takes the network with it.
    How:
        Results before and after. A pickle only where the class can be imported by its name.
    Mend:
        No lambda, open file or generator as an attribute; what has been learned in an nn.Parameter, other tensors in
        `register_buffer`.
    """
    common.check_copies(transform, lambda t: t, *_inputs(transform))


@checks.add(*BASICS)
def tensors_are_registered(transform: Transform) -> None:
    """What is to be learned is an nn.Parameter that the module knows.

    Why:
        `parameters()` does not list it, so no optimiser ever moves it; `.to()` and `state_dict` leave it behind.
    How:
        The attributes of the transform and its submodules are looked through for tensors that want gradients.
    Mend:
        `self.a = nn.Parameter(torch.tensor(a))`; a list of them is an `nn.ParameterList`.
    """
    common.check_tensors_are_registered(transform)


@checks.add(*BASICS, "survives_copies")
def trains_after_inference_mode(transform: Transform) -> None:
    """A transform that was first used under torch.inference_mode() can be trained with afterwards.

    Why:
        What is kept for later (a basis, a constant) is an inference tensor then, and autograd refuses it: training
        fails after an evaluation.
    How:
        A copy is called under inference_mode, then differentiated.
    Mend:
        Make constants in `__init__`, or under `torch.inference_mode(False)`.
    """
    common.check_trains_after_inference(transform, lambda t: t, *_inputs(transform))


@checks.add(*BASICS, "survives_copies")
def works_on_meta(transform: Transform) -> None:
    """On the `meta` device, which has shapes and no numbers, the result has the right shape.

    Why:
        Shapes are inferred, and graphs exported, without numbers; whatever fails here needs numbers on the CPU, and
        fails on a GPU or waits for it.
    How:
        A copy moved to `meta`, with θ and points there.
    Mend:
        No `.item()`, `float(tensor)`, NumPy, nor an `if` about a tensor's values; make new tensors on θ's device
        (`theta.new_zeros`, `torch.zeros_like`); plain tensor attributes become buffers, which move with the module.
    """
    common.check_meta(transform, lambda t: t, *_inputs(transform))


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
    theta, points = _inputs(transform, 3)
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
    theta, points = _inputs(transform, 1)
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


@checks.add(*BASICS, "works_on_meta")
def works_under_compile(transform: Transform) -> None:
    """torch.compile(fullgraph=True) gives the same result and gradients.

    Why:
        One graph break in a transform stops `fullgraph` and export of the whole network.
    How:
        The backend `aot_eager`, which traces everything and generates no code.
    Mend:
        No `if` about values, no `.item()`, no printing, no Python state that changes from call to call. An
        autograd.Function with a `jvp` of its own cannot be traced: write the formula in functions of torch.
    """
    common.check_compiles(transform, *_inputs(transform))
