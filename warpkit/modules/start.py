"""Where the θ of a transformer starts, and how far it may go."""

import numbers
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit import tracing
from warpkit.component import as_number
from warpkit.errors import InputError, require
from warpkit.quoting import Told
from warpkit.transforms.base import Transform


def start(transform: Transform, init: Any) -> Float[Tensor, " P"]:
    """θ as it was given for every image, `[P]` or of the family's `theta_shape`, or a batch of one.

    The identity where it was not given.

    Raises `InputError` for other numbers than the transform takes, and for a transform without an identity.
    """
    count = transform.num_params
    if init is None:
        return _identity(transform, count)
    given = _one(transform, _tensor("init", init, count))
    d = transform.ndim
    if given.shape == (d + 1, d + 1) and transform.theta_shape == (d, d + 1):
        hint = f"Where its last row is 0 … 0 1, init[:{d}] is meant; projective takes the whole matrix"
        raise InputError("init", expected=f"{count} numbers", given=Told(f"shape {list(given.shape)}"), hint=hint)
    given = transform.flattened(given[None])[0] if given.shape == transform.theta_shape else given
    return _checked("init", given, count, given.isfinite(), "finite numbers")


def limits_of(transform: Transform, limits: Any) -> Float[Tensor, " P"]:
    """The limit of each parameter, at least 0, in the shapes of `init`; one number counts for all."""
    count, limits = transform.num_params, as_number(limits)
    given = _tensor("limits", [limits] * count if isinstance(limits, numbers.Real) else limits, count)
    given = _one(transform, given)
    given = given.flatten() if given.shape == transform.theta_shape else given
    return _checked("limits", given, count, given >= 0, "numbers of at least 0")  # which NaN is not


def _one(transform: Transform, given: Tensor) -> Tensor:
    """What was given, without its batch of one."""
    return given[0] if given.ndim > 1 and len(given) == 1 and given.shape != transform.theta_shape else given


def _tensor(what: str, given: Any, count: int) -> Float[Tensor, "*S"]:
    try:
        return torch.as_tensor(given, dtype=torch.float64).detach().clone()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(what, expected=f"{count} numbers", given=given) from error


def _checked(what: str, given: Tensor, count: int, is_valid: Tensor, expected: str) -> Float[Tensor, " P"]:
    require(given.shape == (count,), what, expected=f"{count} numbers", given=Told(f"shape {list(given.shape)}"))
    if not tracing.is_traced(given):
        require(bool(is_valid.all()), what, expected=expected, given=given.tolist())
    return given


def _identity(transform: Transform, count: int) -> Tensor:
    try:
        start = transform.identity()
    except InputError as error:
        raise error.hinting("give init, where θ starts") from error
    return start.flatten() if transform.is_field and start.numel() == count else start
