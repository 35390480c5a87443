"""A kernel as data: between joints the weight of each tap, and its derivative, is a polynomial in the fraction."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Table(NamedTuple):
    """The polynomials of every tap, in ascending powers of the piece's own fraction u, in float64.

    Tap t lies at distance f + radius − 1 − t, for fractions f of a pixel in 0 … 1; piece p holds the weights for
    f = (p + u) / pieces. `unity`: the weights sum to one. `order`: how often it was differentiated.
    """

    coefficients: Float[Tensor, "pieces taps K"]
    unity: bool
    order: int = 0

    @property
    def pieces(self) -> int:
        """The number of polynomials into which the fraction's range is cut."""
        return self.coefficients.shape[0]

    @property
    def taps(self) -> int:
        """The number of pixels that the kernel touches along an axis: 2 · radius."""
        return self.coefficients.shape[1]

    def derivative(self) -> "Table":
        """The table of the weights' derivative in the pixel coordinate (eq. 7), right-hand at joints."""
        c = self.coefficients
        powers = torch.arange(1, c.shape[2], dtype=c.dtype, device=c.device)
        # f = (p + u) / pieces, so d/df is `pieces` times d/du.
        slopes = torch.nn.functional.pad(c[..., 1:] * powers * self.pieces, (0, 1))
        return Table(slopes, self.unity, self.order + 1)

    def weights(self, fraction: Float[Tensor, "*S"], eps: float) -> list[Float[Tensor, "*S"]]:
        """The weight of each tap at fractions −eps ≤ f < 1, in their dtype."""
        coefficients = self.coefficients.to(fraction.device, fraction.dtype)
        pieces, taps, width = coefficients.shape
        if pieces == 1:
            return [_horner(list(row.unbind()), fraction) for row in coefficients[0]]
        piece = torch.floor((fraction.detach() + eps) * pieces).clamp(0, pieces - 1)
        u, piece = fraction * pieces - piece, piece.long()
        return [_horner([coefficients[:, t, k][piece] for k in range(width)], u) for t in range(taps)]


def _horner(coefficients: list[Any], u: Tensor) -> Tensor:
    # u · 0: a constant weight has a gradient too, zero.
    result: Tensor = u * 0 + coefficients[-1]
    for c in coefficients[-2::-1]:
        result = result * u + c
    return result
