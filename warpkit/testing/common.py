"""The checks that are the same for every kind of component, as functions of a component and its inputs."""

import copy
import functools
import importlib
import io
import pickle
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from warpkit.component import NOTES
from warpkit.testing.check import Broken, expect, expect_close
from warpkit.testing.differences import derivative

Call = Callable[..., Tensor]
_EXACT = 1e-12  # the same numbers, by the same operations
SAME = 1e-10  # the same numbers by another order of additions
_OWN_DTYPE = (
    "give every new tensor the input's dtype: `points.new_tensor(…)`, `torch.linspace(…, dtype=points.dtype)`; plain "
    "numbers and math.pi need none"
)


def check_inputs_unchanged(call: Call, **inputs: Tensor) -> None:
    """Raise `Broken` where a call writes to its inputs."""
    before = {name: x.clone() for name, x in inputs.items()}
    call(*inputs.values())
    for name, x in inputs.items():
        expect(
            torch.equal(x, before[name]), f"{name} = {x.tolist()} after the call", f"{before[name].tolist()}, as before"
        )


def check_repeats(call: Call, inputs: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> None:
    """Raise `Broken` where a result depends on earlier calls, on random numbers or on recording gradients."""
    unused = copied(call)
    first = call(*inputs)
    kept = first.clone()
    torch.manual_seed(0)
    state, default, others_before = torch.get_rng_state(), torch.get_default_dtype(), _other_states()
    for again in (others, tuple(0.9 * x for x in inputs), others):
        expect_close(call(*again), unused(*again), _EXACT, "after another call")
        expect_close(
            first, kept, _EXACT, "the first result, after another call",
            hint="the result is kept and written to again: return a new tensor",
        )  # fmt: skip
        expect_close(call(*inputs), kept, _EXACT, "the same input again")
    with torch.no_grad():
        expect_close(call(*inputs), kept, _EXACT, "under torch.no_grad()")
    if isinstance(call, nn.Module):
        for mode in (False, True):
            expect_close(call.train(mode)(*inputs), kept, _EXACT, f"after train({mode})")
    expect(
        torch.is_grad_enabled(),
        "gradients are turned off after the call",
        "on, as before",
        hint=("`with torch.no_grad():` ends with its block; torch.set_grad_enabled(False) stays"),
    )
    moved = not torch.equal(torch.get_rng_state(), state) or others_before != _other_states()
    expect(not moved, "the global random state has moved", "it stays as it was")
    expect(torch.get_default_dtype() == default, f"the default dtype is {torch.get_default_dtype()}", default)


def check_default_dtypes(unused: Call, *inputs: Tensor) -> None:
    """Raise `Broken` where a call gives another result under another `torch.set_default_dtype`.

    Each call is the first one of a copy, so that what a component keeps is made under that default too.
    """
    before, expected = torch.get_default_dtype(), copied(unused)(*inputs)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        what = f"under torch.set_default_dtype({dtype})"
        try:
            torch.set_default_dtype(dtype)
            given = copied(unused)(*inputs)
        except Exception as error:
            raise Broken(f"{what} {type(error).__name__}: {error}", "the same result", hint=_OWN_DTYPE) from error
        finally:
            torch.set_default_dtype(before)
        expect_close(given, expected, _EXACT, what, hint=_OWN_DTYPE)


def copied(call: Call) -> Call:
    """A copy, or the component itself where it cannot be copied."""
    try:
        return copy.deepcopy(call)
    except Exception:  # survives_copies tells
        return call


def _other_states() -> tuple[Any, ...]:
    """The states of Python's and NumPy's random numbers."""
    return random.getstate(), np.random.get_state()[1].tobytes()  # type: ignore[index]


def check_meta(component: nn.Module, call: Callable[[Any], Call], *inputs: Tensor) -> None:
    """Raise `Broken` where the component, moved to the `meta` device, does not give the right shape there."""
    expected = call(component)(*inputs)
    there = copy.deepcopy(component).to("meta")
    given = call(there)(*(x.to("meta") for x in inputs))
    expect(given.is_meta, f"a result on {given.device}", "on the inputs' device, meta")
    expect(given.shape == expected.shape, f"shape {list(given.shape)} on meta", f"shape {list(expected.shape)}")
    expect(given.dtype == expected.dtype, f"{given.dtype} on meta", expected.dtype)


def check_compiles(call: Call, *inputs: Tensor) -> None:
    """Raise `Broken` where the compiled call, or its gradient, differs from the eager one."""

    def run_it(*given: Tensor) -> Tensor:
        return call(*given)

    run_it.__code__ = run_it.__code__.replace(co_name=type(call).__name__)  # torch compiles one code a few times only
    compiled = torch.compile(run_it, backend="aot_eager", fullgraph=True)
    results = []
    for run in (call, compiled):
        given = [x.clone().requires_grad_() for x in inputs]
        output = run(*given)
        # torch refuses to differentiate a compiled gradient again
        results.append([output, *derivative(output, *given, again=False)])
    for eager, other, what in zip(*results, ["the result", *["its gradient"] * len(inputs)], strict=True):
        expect_close(other, eager, SAME, f"{what}, compiled")


def check_trains_after_inference(component: nn.Module, call: Callable[[Any], Call], *inputs: Tensor) -> None:
    """Raise `Broken` where a component that was first called under `inference_mode` cannot be trained afterwards."""
    used = copy.deepcopy(component)
    with torch.inference_mode():
        call(used)(*(x.clone() for x in inputs))
    expected, given = [x.clone().requires_grad_() for x in inputs], [x.clone().requires_grad_() for x in inputs]
    wanted = derivative(call(component)(*expected), *expected)
    for a, b in zip(derivative(call(used)(*given), *given), wanted, strict=True):
        expect_close(a, b, SAME, "a gradient after a call under inference_mode")


def check_tensors_are_registered(component: nn.Module) -> None:
    """Raise `Broken` where a tensor that wants a gradient is no registered parameter."""
    for module in component.modules():
        for name, value in vars(module).items():
            if name in ("_parameters", "_buffers", "_modules", *NOTES):
                continue
            for tensor in _tensors_in(value):
                kind = "nn.Parameter" if isinstance(tensor, nn.Parameter) else "tensor that requires a gradient"
                inside = "" if tensor is value else " inside a plain container"
                expect(
                    not tensor.requires_grad,
                    f"{type(module).__name__}.{name}: a {kind}{inside}, which the module does not know",
                    "an nn.Parameter assigned to an attribute, or an nn.ParameterList",
                )


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _tensors_in(each)


def check_copies(component: nn.Module, call: Callable[[Any], Call], *inputs: Tensor) -> None:
    """Raise `Broken` where a deep copy, a pickle or a `state_dict` does not bring back the same results."""
    expected = call(component)(*inputs)
    copies: dict[str, Callable[[], Any]] = {
        "copy.deepcopy": functools.partial(copy.deepcopy, component),
        "a state_dict": functools.partial(_through_state, component),
    }
    if _importable(type(component)):  # no pickle can name a class of a function or a notebook
        copies["pickle"] = lambda: pickle.loads(pickle.dumps(component))
    for what, make in copies.items():
        try:
            made = make()
        except Exception as error:
            raise Broken(f"{what} raises {type(error).__name__}: {error}", "the same component again") from error
        expect_close(call(made)(*inputs), expected, _EXACT, f"the result after {what}")


def _through_state(component: nn.Module) -> nn.Module:
    """A copy whose parameters and buffers were overwritten and then loaded again from a file's bytes."""
    other, file = copy.deepcopy(component), io.BytesIO()
    torch.save(component.state_dict(), file)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                tensor.add_(1.0)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    return other


def _importable(cls: type) -> bool:
    try:
        found: Any = importlib.import_module(cls.__module__)
        for part in cls.__qualname__.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return False
    return found is cls
