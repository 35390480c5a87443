"""The states of torch around our Python code. No other file touches torch's private names."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch._C import _len_torch_function_stack
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.autograd import forward_ad
from torch.overrides import _pop_mode, _push_mode
from torch.utils._python_dispatch import _disable_current_modes


@contextlib.contextmanager
def _no_function_modes() -> Iterator[None]:
    modes = [_pop_mode() for _ in range(_len_torch_function_stack())]  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for mode in reversed(modes):
            _push_mode(mode)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def constants() -> Iterator[None]:
    """Make tensors that are kept: real ones on the CPU that can be trained with, whatever mode the caller is in.

    Without it a cache that is first filled under `torch.inference_mode`, `torch.export`, `torch.device("meta")` or a
    function transform would hold tensors that are useless afterwards, and an export would record the switches.
    """
    with (
        _no_function_modes(),  # the first: one of them writes down what follows
        temporarily_clear_interpreter_stack(),
        _disable_current_modes(),
        torch.inference_mode(False),
        torch.no_grad(),
        torch.device("cpu"),
    ):
        yield


F = TypeVar("F", bound=Callable[..., Any])


def constant(function: F) -> F:
    """Decorator: the result is a constant of a compiled graph. It is torch's own, without loading the compiler."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def uncompiled(function: F) -> F:
    """It runs eagerly, between graphs, and so does all that it calls; the compiler is not loaded for it."""
    told, disabled = f"{function.__name__} depends on values", list[Callable[..., Any]]()

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        if "torch._dynamo" not in sys.modules:
            return function(*args)
        if not disabled:
            disabled.append(torch.compiler.disable(function, reason=told))  # type: ignore[no-untyped-call]
        return disabled[0](*args)

    run._torchdynamo_disable = True  # type: ignore[attr-defined]  # nor is this wrapper compiled
    run._torchdynamo_disable_msg = told  # type: ignore[attr-defined]
    return run  # type: ignore[return-value]


def no_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Turn autocast off, so that coordinates and weights keep their precision."""
    if torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()


def function_transforms_active() -> bool:
    """Whether `torch.func` or forward mode is active: an opaque operator would silently give zeros there."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def is_batched(tensor: Tensor) -> bool:
    """Whether it stands for many, as the gradients of `torch.autograd.grad(…, is_grads_batched=True)` do."""
    return torch._C._dispatch_keys(tensor).has(_BATCHED)


def torch_func_active() -> bool:
    """Whether a transform of `torch.func` is at work, within which `torch.autograd.grad` is not to be called."""
    return torch._C._are_functorch_transforms_active()


def below_autograd() -> AbstractContextManager[object]:
    """Run the operators that are called inside at once, unseen by autograd."""
    return torch._C._AutoDispatchBelowAutograd()


def in_backward() -> bool:
    """Whether a backward pass is running: then a forward pass is a checkpoint's, computed again."""
    return torch._C._current_graph_task_id() != -1


def is_recording() -> bool:
    """Whether a compiler or a mode of fake tensors is active: they do not know tensors that were made before."""
    return torch.compiler.is_compiling() or torch._C._get_dispatch_mode(_FAKE) is not None


def is_watched() -> bool:
    """Whether a compiler or a dispatch mode looks on, which sees nothing but operators of torch."""
    return torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0


def is_scripting() -> bool:
    """Whether `torch.jit.trace` writes down what torch's own operators do, and sees nothing else."""
    return torch._C._get_tracing_state() is not None


def is_written_as_onnx() -> bool:
    """Whether `torch.onnx` translates what is recorded, and knows torch's own operators alone."""
    # A graph that dynamo compiles is none of it, and there a look at all loaded modules would be compiled along.
    loaded = not torch.compiler.is_dynamo_compiling() and "torch.onnx" in sys.modules
    return loaded and torch.onnx.is_in_onnx_export()


def is_plain() -> bool:
    """Whether nobody looks on: no compiler, no dispatch mode, no function transform."""
    # Written out: it is asked before every small image.
    return not (
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


_FAKE = torch._C._TorchDispatchModeKey.FAKE
_BATCHED: Any = torch._C._parse_dispatch_key("Batched")  # of the older vmap, which autograd has its own use for


def has_fake_tensors() -> bool:
    """Whether a mode of fake tensors is active without a compiler; it refuses tensors that were made before it."""
    return not torch.compiler.is_compiling() and torch._C._get_dispatch_mode(_FAKE) is not None


def taken_in(kept: Tensor) -> Tensor:
    """The kept tensor as a mode of fake tensors knows it; the tensor itself where there is no such mode."""
    return torch._C._get_dispatch_mode(_FAKE).from_tensor(kept) if has_fake_tensors() else kept


def is_traced(tensor: Tensor) -> bool:
    """Whether the tensor's numbers cannot be read: it is held by a compiler or a function transform, or has none."""
    return (
        torch.compiler.is_compiling()
        or tensor.is_meta
        or isinstance(tensor, torch._subclasses.FakeTensor)
        or torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def is_mapped(tensor: Tensor) -> bool:
    """Whether `torch.func.vmap` lets it stand for many, whose numbers cannot be looked at one by one."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        if functorch.is_batchedtensor(tensor):
            return True
        tensor = functorch.get_unwrapped(tensor)
    return False


def is_hollow(tensor: Tensor) -> bool:
    """Whether it has a shape and no numbers, as on `meta`."""
    return tensor.is_meta or isinstance(tensor, torch._subclasses.FakeTensor)


def are_equal(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two sizes are one; of sizes that are still open, whether they will always be: nothing is laid down."""
    if not any(isinstance(n, torch.SymInt) for n in (*a, *b)):
        return a == b
    from torch.fx.experimental.symbolic_shapes import statically_known_true  # half a second, which few need

    return len(a) == len(b) and all(statically_known_true(n == m) for n, m in zip(a, b, strict=True))


def tensors(module: nn.Module) -> list[Tensor]:
    """The parameters and buffers of a module."""
    return [*module.parameters(), *module.buffers()]
