"""The cost of a pass through a module, known from shapes before there are any numbers."""

import functools
import math
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from warpkit.errors import InputError

_LARGEST = 2 * 10**9  # numbers of one tensor, of the two images that a network is tried with
_MOST, _WORK = 2**28, 10**11  # of all that is made with numbers: how many, and the products and sums for them


class Cost(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context manager that counts, on the `meta` device, the numbers that operators make and the work they do.

    Raises `InputError` where one tensor alone is larger than any that a network makes.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        from torch.utils.flop_counter import flop_registry  # it imports Triton, where that is installed

        self.numbers = self.work = 0
        self._works: dict[Any, Any] = flop_registry

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator on shapes, then count."""
        given = func(*args, **(kwargs or {}))
        if _makes(func):
            made = [given] if isinstance(given, Tensor) else [t for t in tree_leaves(given) if isinstance(t, Tensor)]
            for tensor in made:
                self.numbers += tensor.numel()
                if tensor.numel() > _LARGEST:
                    raise InputError(f"it makes {list(tensor.shape)}, more than {_LARGEST:.0e} numbers")
            if func.overloadpacket in self._works:
                work = self._works[func.overloadpacket](*args, **(kwargs or {}), out_val=given)
                self.work += work
                if func is torch.ops.aten.convolution.default:  # the patches that it may write out on the way
                    self.numbers += work // max(2 * args[1].shape[0], 1)
            elif _pools(func):
                self.work += made[0].numel() * math.prod(args[1])
        return given


@functools.cache
def _makes(func: Any) -> bool:
    """Whether the operator's result is new: neither a view nor written in place."""
    return all(result.alias_info is None for result in func._schema.returns)


@functools.cache
def _pools(func: Any) -> bool:
    """Whether the operator reads a window for each number, of the size that is its second argument."""
    return "pool" in func.name() and "adaptive" not in func.name()


class Bounded(Cost):  # type: ignore[no-untyped-call]
    """Context manager under which operators run with numbers, each after its shapes were counted.

    Raises `InputError` before the operator that would take more than a trial may.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count the numbers that the operator will make, then run it."""
        try:
            shapes, more = tree_map(_without_numbers, (args, kwargs or {}))
            super().__torch_dispatch__(func, types, shapes, more)
        except InputError:
            raise
        except Exception:
            pass  # shapes that depend on numbers, or weights that are not made yet; its own mistakes it tells itself
        if self.numbers > _MOST or self.work > _WORK:
            raise InputError(f"it can only be tried with numbers, and takes more than {_MOST:.0e} of them")
        return func(*args, **(kwargs or {}))


def _without_numbers(value: Any) -> Any:
    if isinstance(value, Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    return torch.device("meta") if isinstance(value, torch.device) else value
