"""The features of torch that work with every kernel and transform: other devices, compiling, copying and storing.

The claims are the same for both kinds; `inputs.example` gives each what it takes.
"""

from torch import nn

from warpkit.testing import common, inputs
from warpkit.testing.check import Checks

checks = Checks("component")


@checks.add()
def survives_copies(component: nn.Module) -> None:
    """copy.deepcopy, pickle and a state_dict bring back a component that gives the same results.

    Why:
        Networks are copied (for averaging, for several processes) and stored; a component that does not come back
        takes the network with it.
    How:
        Results before and after. A pickle only where the class can be imported by its name.
    Mend:
        No lambda, open file or generator as an attribute; what has been learned in an nn.Parameter, other tensors in
        `register_buffer`.
    """
    common.check_copies(component, lambda c: c, *inputs.example(component))


@checks.add()
def tensors_are_registered(component: nn.Module) -> None:
    """What is to be learned is an nn.Parameter that the module knows.

    Why:
        `parameters()` does not list it, so no optimiser ever moves it; `.to()` and `state_dict` leave it behind.
    How:
        The attributes of the component and its submodules are looked through for tensors that want gradients.
    Mend:
        `self.a = nn.Parameter(torch.tensor(a))`; a list of them is an `nn.ParameterList`.
    """
    common.check_tensors_are_registered(component)


@checks.add("survives_copies")
def trains_after_inference_mode(component: nn.Module) -> None:
    """A component that was first used under torch.inference_mode() can be trained with afterwards.

    Why:
        What is kept for later (a basis, a constant, a buffer) is an inference tensor then, and autograd refuses it:
        training fails after an evaluation.
    How:
        A copy is called under inference_mode, then differentiated.
    Mend:
        Make constants in `__init__`, or under `torch.inference_mode(False)`.
    """
    common.check_trains_after_inference(component, lambda c: c, *inputs.example(component))


@checks.add("survives_copies")
def works_on_meta(component: nn.Module) -> None:
    """On the `meta` device, which has shapes and no numbers, the result has the right shape.

    Why:
        Shapes are inferred, and graphs exported, without numbers; whatever fails here needs numbers on the CPU, and
        fails on a GPU or waits for it.
    How:
        A copy moved to `meta`, with distances, or θ and points, there.
    Mend:
        No `.item()`, `float(tensor)`, NumPy, nor an `if` about a tensor's values; make new tensors on the input's
        device (`theta.new_zeros`, `torch.zeros_like`); plain tensor attributes become buffers, which move with the
        module.
    """
    common.check_meta(component, lambda c: c, *inputs.example(component))


@checks.add("works_on_meta")
def works_under_compile(component: nn.Module) -> None:
    """torch.compile(fullgraph=True) gives the same result and gradients.

    Why:
        A component is traced with the network around it; one graph break there stops `fullgraph` and export of the
        whole network.
    How:
        The backend `aot_eager`, which traces everything and generates no code.
    Mend:
        No `if` about values, no `.item()`, no printing, no Python state that changes from call to call. An
        autograd.Function with a `jvp` of its own cannot be traced: write the formula in functions of torch.
    """
    common.check_compiles(component, *inputs.example(component))
