"""Conjugate gradients for many images at once, each of which has the same result as alone.

M. R. Hestenes, E. Stiefel, "Methods of conjugate gradients for solving linear systems", 1952.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

_EXACT, _MOST = 0.05, 40  # how exactly it is solved, and with how many products by the matrix, at most


def solved(product: Callable[[Tensor], Tensor], right: Tensor, precondition: Callable[[Tensor], Tensor]) -> Tensor:
    """x of product(x) = right, roughly, by preconditioned conjugate gradients, for each image."""
    x, rest = torch.zeros_like(right), right
    z = precondition(rest)
    along, size = z, _dot(rest, z)
    first, goes_on = size, size > 0
    for _ in range(_MOST):
        image = product(along)
        curvature = _dot(along, image)
        # An image that is solved stays as it is while others go on, so that it has the same result alone.
        step = torch.where(goes_on & (curvature > 0), size / curvature.clamp_min(1e-30), 0.0)
        x, rest = x + each(step, x) * along, rest - each(step, x) * image
        z = precondition(rest)
        before, size = size, _dot(rest, z)
        goes_on = goes_on & (size > _EXACT**2 * first)
        if not goes_on.any():
            break
        along = z + each(torch.where(before > 0, size / before.clamp_min(1e-30), 0.0), x) * along
    return x


def _dot(a: Tensor, b: Tensor) -> Float[Tensor, " N"]:
    return (a * b).flatten(1).sum(1)


def each(factor: Shaped[Tensor, " N"], like: Tensor) -> Tensor:
    """A number for each image, in a shape that multiplies tensors as `like`."""
    return factor.reshape(-1, *[1] * (like.ndim - 1))
