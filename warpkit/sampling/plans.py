"""What does not change from call to call is found once: rules by the words that name them, plans by all that was met.

A small image takes less time than the checks before it. So a call whose words, shapes, types and layouts were all met
before takes the plan that was made then, and only that.
"""

import contextlib
from collections.abc import Hashable
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from warpkit import tracing
from warpkit.geometry import is_dense
from warpkit.kernels.base import kernels
from warpkit.sampling.backend import backends, choose, named
from warpkit.sampling.coefficients import Coefficients
from warpkit.sampling.operators import Prepared
from warpkit.sampling.problem import Problem

_MOST = 256
_FLOATS = (torch.float32, torch.float64)
_keys = torch._C._dispatch_keys
T = TypeVar("T")


class Kept(Generic[T]):
    """The last few hundred things that were made, by what they were made from."""

    def __init__(self) -> None:
        self._made: dict[Hashable, T] = {}

    def get(self, key: Hashable) -> T | None:
        """What was kept by this key, if anything was."""
        try:
            return self._made.get(key)
        except TypeError:  # a list in it
            return None

    def keep(self, key: Hashable, made: T) -> T:
        """The thing itself; it is not kept by a key with a list in it."""
        if len(self._made) >= _MOST:
            self._made.clear()
        with contextlib.suppress(TypeError):
            self._made[key] = made
        return made


def words(kernel: Any, padding_mode: Any, fill: Any, align_corners: Any) -> Hashable:
    """What names a rule; with types, since to a dictionary 1 is True. It may hold what cannot be hashed."""
    types = type(fill), type(align_corners)
    return kernel, padding_mode, fill, align_corners, *types, kernels.revision, backends.revision


def met(image: Any, where: Any, *words: Hashable) -> Hashable:
    """All about two tensors that a plan depends on, whatever they are, with the words; None of what cannot be kept."""
    if not tracing.is_plain() or isinstance(image, Coefficients):
        return None
    try:
        # By its dispatch keys torch tells a tensor's device, layout, class, and whether it is yet to be negated.
        return (
            words, named(), type(image), type(where), image.dtype, where.dtype, image.shape, where.shape,
            _keys(image).raw_repr(), _keys(where).raw_repr(), image.is_contiguous(), where.is_contiguous(),
            image.requires_grad or where.requires_grad,
        )  # fmt: skip
    except (AttributeError, RuntimeError, TypeError):  # no dense tensors
        return None


plans: Kept[Prepared] = Kept()  # by what was met


def prepared(image: Tensor, problem: Problem) -> Prepared | None:
    """The plan of the chosen backend for such tensors; None where it has none, and where they are not plain ones."""
    where, none = problem.where, cast(Any, None)
    learns = image.requires_grad or where.requires_grad
    if (learns and image.dtype not in _FLOATS) or not (_is_bare(image) and _is_bare(where)):
        return None
    name, backend = choose(problem)
    if image.dtype in (torch.float16, torch.bfloat16) and not backend.reads_halves:
        return None
    plan = backend.plan(image, problem)
    return None if plan is None else Prepared(plan, problem._replace(where=none), backend, name)


def _is_bare(tensor: Tensor) -> bool:
    """Whether it is nothing but numbers in a row, in the processor's memory."""
    plain = type(tensor) in (Tensor, nn.Parameter) and tensor.is_cpu and is_dense(tensor)
    return plain and tensor.is_contiguous() and not tensor.is_neg() and not tensor.is_conj()
