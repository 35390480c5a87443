"""Tensors that are never allocated, so that a network can be tried before there is memory for it."""

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
    """Context manager under which large new tensors are made on the `meta` device, with a shape and no numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Try each function that makes a tensor on `meta` first."""
        kwargs = kwargs or {}
        if func in _FACTORIES:
            shape = func(*args, **(kwargs | {"device": "meta"}))
            if shape.numel() > _LARGE:
                return shape
        return func(*args, **kwargs)


def on_meta(module: nn.Module) -> nn.Module:
    """A copy of the module without numbers; shared parts stay shared, and lazy layers stay lazy."""
    return copy.deepcopy(module, {id(t): _without_numbers(t) for t in (*module.parameters(), *module.buffers())})


def _without_numbers(held: Tensor) -> Tensor:
    if is_lazy(held):
        kind: Any = type(held)  # torch does not say that it takes these
        return kind(requires_grad=held.requires_grad, device="meta", dtype=held.dtype)  # type: ignore[no-any-return]
    empty = torch.empty_like(held, device="meta")
    return nn.Parameter(empty, held.requires_grad) if isinstance(held, nn.Parameter) else empty
