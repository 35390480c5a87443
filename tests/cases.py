"""Every transform and kernel that is registered, plugins' too, in every dimension it serves."""

import contextlib
import functools
from collections.abc import Iterator

import torch
from torch import Tensor

import warpkit as wk
from warpkit.testing.flattened import Flattened

# Options of components that have no default for them.
_NEEDS = {"compose": lambda ndim: {"of": [{"type": "affine", "ndim": ndim}, {"type": "projective", "ndim": ndim}]}}


@functools.cache
def transform(name: str, ndim: int) -> wk.Transform | None:
    """The transform of this name in this dimension, or None where it serves another; a field's θ in one row."""
    options = _NEEDS[name](ndim) if name in _NEEDS else {}
    for given in ({**options, "ndim": ndim}, options):  # asked for the dimension, or built as it comes
        with contextlib.suppress(wk.InputError):
            made = wk.get_transform(name, **given)
            return None if made.ndim != ndim else Flattened(made) if made.is_field else made
    return None


@functools.cache
def kernel(name: str) -> wk.Kernel:
    """The kernel of this name with its defaults."""
    return wk.get_kernel(name)


def _served() -> Iterator[tuple[str, int]]:
    for name in wk.list_transforms():
        yield from ((name, ndim) for ndim in (1, 2, 3) if transform(name, ndim) is not None)


def _has_identity(made: wk.Transform) -> bool:
    with contextlib.suppress(wk.InputError):
        return made.identity() is not None
    return False


def paired(cases: list[tuple[str, int]], names: list[str]) -> list[tuple[str, int, str]]:
    """(transform, dimension, kernel): each with two of the others at least; as many as the sum, not the product."""
    cases = sorted(cases, key=lambda case: case[1])  # so that a kernel meets every dimension
    found = [
        (*cases[i % len(cases)], names[(i + shift) % len(names)])
        for shift in (0, len(names) // 2)
        for i in range(max(len(cases), len(names)))
    ]
    return list(dict.fromkeys(found))


TRANSFORMS = list(_served())
WITH_IDENTITY = [case for case in TRANSFORMS if _has_identity(transform(*case))]
# Each transform once, in its dimensions in turn: for what takes long and does not depend on them.
ONCE = [[case for case in TRANSFORMS if case[0] == name] for name in wk.list_transforms()]
ONCE = [cases[i % len(cases)] for i, cases in enumerate(ONCE)]
KERNELS = wk.list_kernels()
INTERPOLATING = [name for name in KERNELS if kernel(name).interpolating]
PAIRS = paired(TRANSFORMS, KERNELS)


def identity(made: wk.Transform, batch: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    """θ of the identity, [batch, P]."""
    return made.identity().to(dtype).expand(batch, -1)


def start(made: wk.Transform, batch: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    """θ of the identity, [batch, P], and zeros where there is none."""
    return identity(made, batch, dtype) if _has_identity(made) else torch.zeros(batch, made.num_params, dtype=dtype)
