"""Losses whose value, gradient and curvature follow from one table of products.

`products` [B, C, 3 + P, 3 + P] holds, for each channel, the mean over the overlap of the products of all pairs among 1,
m (the moving image where it is sampled), f (the fixed image) and the P derivatives ∂m/∂θ. Curvature is Gauss and
Newton's: that of m itself is left out, so that it is never negative.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Slope(NamedTuple):
    """A loss and how it changes with θ."""

    value: Float[Tensor, " B"]
    unexplained: Float[Tensor, " B"]  # 0 where the images agree, 1 where they have nothing to do with each other
    gradient: Float[Tensor, "B P"]
    curvature: Float[Tensor, "B P P"]


def mean_square(products: Float[Tensor, "B C E E"]) -> Slope:
    """The mean of (m − f)² over pixels and channels."""
    centred = _centred(products)
    value = products[..., 1, 1] - 2 * products[..., 1, 2] + products[..., 2, 2]
    if_unrelated = value + 2 * centred[..., 1, 2]
    return Slope(
        value.mean(1).clamp_min(0),
        (value.sum(1) / if_unrelated.sum(1).clamp_min(1e-12)).clamp_min(0),
        2 * (products[..., 1, 3:] - products[..., 2, 3:]).mean(1),
        2 * products[..., 3:, 3:].mean(1),
    )


def cross_correlation(products: Float[Tensor, "B C E E"]) -> Slope:
    """1 − the correlation of m and f, averaged over channels; brightness and contrast of each do not matter.

    Its Gauss-Newton form is ½ |m̂ − f̂|², with m̂ and f̂ of mean 0 and length 1.
    """
    centred = _centred(products)
    m, f = centred[..., 1, 1], centred[..., 2, 2]
    seen = (m > 1e-9) & (f > 1e-9)  # a flat channel correlates with nothing, and has no say
    m, f = torch.where(seen, m, 1.0), torch.where(seen, f, 1.0)
    correlation = torch.where(seen, centred[..., 1, 2] / (m * f).sqrt(), 0.0)
    m_j, f_j = centred[..., 1, 3:], centred[..., 2, 3:]
    gradient = correlation[..., None] * m_j / m[..., None] - f_j / (m * f).sqrt()[..., None]
    # The derivative of m̂: what is left of ∂m/∂θ beside m itself, over m's length.
    curvature = (centred[..., 3:, 3:] - m_j[..., :, None] * m_j[..., None, :] / m[..., None, None]) / m[..., None, None]
    value = (1 - correlation).mean(1)
    return Slope(
        value,
        value,
        torch.where(seen[..., None], gradient, 0.0).mean(1),
        torch.where(seen[..., None, None], curvature, 0.0).mean(1),
    )


def _centred(products: Float[Tensor, "B C E E"]) -> Float[Tensor, "B C E E"]:
    return products - products[..., :, :1] * products[..., :1, :]


class Loss(NamedTuple):
    """A loss, and whether it is the same for any brightness and contrast of either image."""

    slope: Callable[[Tensor], Slope]
    is_relative: bool


LossName = Literal["mse", "ncc"]
LOSSES: dict[LossName, Loss] = {"mse": Loss(mean_square, False), "ncc": Loss(cross_correlation, True)}
