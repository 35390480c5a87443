"""What may be given in pixels: tensors, arrays, lists and numbers, of one image or of many."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from warpkit.errors import InputError, require
from warpkit.precision import working
from warpkit.transforms.matrix import with_last_row

ArrayLike = Any  # a tensor, a NumPy array, nested lists, a number


def as_floats(what: str, given: ArrayLike) -> Tensor:
    """The numbers as a tensor: floating-point tensors and arrays keep their type, float32 at least; others are float64.

    Raises `InputError` for what holds no real numbers.
    """
    try:
        tensor = given if isinstance(given, Tensor) else torch.as_tensor(given, dtype=_kind(given))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(what, expected="numbers: a tensor, an array or a list", given=given) from error
    require(not tensor.is_complex() and tensor.dtype != torch.bool, what, expected="real numbers", given=tensor.dtype)
    return tensor.to(working(tensor.dtype) if tensor.is_floating_point() else torch.float64)


def _kind(given: Any) -> torch.dtype | None:
    return None if hasattr(given, "dtype") or _holds_tensors(given) else torch.float64


def _holds_tensors(given: Any) -> bool:
    return isinstance(given, Sequence) and any(isinstance(x, Tensor) or _holds_tensors(x) for x in given[:8])


def together(**given: ArrayLike) -> list[Tensor]:
    """The given numbers as tensors of one type, the widest, on the device of those that are tensors."""
    made = [as_floats(name, value) for name, value in given.items()]
    tensors = [tensor for tensor, value in zip(made, given.values(), strict=True) if isinstance(value, Tensor)]
    kinds = [t.dtype for t in tensors] or [t.dtype for t in made]
    device = tensors[0].device if tensors else torch.device("cpu")
    return [tensor.to(device, working(*kinds)) for tensor in made]


def vectors(what: str, given: Tensor, length: int) -> Tensor:
    """The vector, or one for each image, as [N, length]; `InputError` for another shape."""
    right = given.ndim in (1, 2) and given.shape[-1] == length
    require(right, what, expected=f"{length} numbers, or [N, {length}]", given=list(given.shape))
    return given if given.ndim == 2 else given[None]


def numbers(what: str, given: Tensor) -> Tensor:
    """The number, or one for each image, as [N]; `InputError` for another shape."""
    require(given.ndim <= 1, what, expected="a number, or [N]", given=list(given.shape))
    return given.reshape(-1)


def matrices(given: ArrayLike) -> Tensor:
    """The matrix, or one for each image, as [N, D + 1, D + 1]; a last row that is left out is 0 … 0 1.

    Raises `InputError` for another shape.
    """
    matrix = as_floats("matrix", given)
    d = matrix.shape[-1] - 1 if matrix.ndim in (2, 3) else 0
    right = 1 <= d <= 3 and matrix.shape[-2] in (d, d + 1)
    require(right, "matrix", expected="[N, 2, 3] or [N, 3, 3], in 3-D [N, 3, 4] or [N, 4, 4]", given=list(matrix.shape))
    matrix = matrix if matrix.ndim == 3 else matrix[None]
    return matrix if matrix.shape[1] == d + 1 else with_last_row(matrix)
