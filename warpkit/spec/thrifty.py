"""Tensors that are never allocated: a network is tried out before there is memory for it."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

_LARGE = 2**14  # numbers; what is smaller is made, since a constructor may look at it
_FACTORIES = {
    torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.randint, torch.eye, torch.arange,
    torch.linspace,
}  # fmt: skip


class Thrifty(TorchFunctionMode):
    """Context manager: new tensors of many numbers are made on the `meta` device, where they have a shape only."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Try each factory on `meta` first."""
        kwargs = kwargs or {}
        if func in _FACTORIES:
            shape = func(*args, **(kwargs | {"device": "meta"}))
            if shape.numel() > _LARGE:
                return shape
        return func(*args, **kwargs)


def on_meta(module: nn.Module) -> nn.Module:
    """A copy without numbers; what is shared in it stays shared, and lazy layers stay lazy."""
    return copy.deepcopy(module, {id(t): _without_numbers(t) for t in (*module.parameters(), *module.buffers())})


def _without_numbers(held: Tensor) -> Tensor:
    if is_lazy(held):
        kind: Any = type(held)  # torch does not say that it takes these
        return kind(requires_grad=held.requires_grad, device="meta", dtype=held.dtype)  # type: ignore[no-any-return]
    empty = torch.empty_like(held, device="meta")
    return nn.Parameter(empty, held.requires_grad) if isinstance(held, nn.Parameter) else empty
