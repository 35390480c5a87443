"""A Gaussian, whose width may be learned."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from warpkit.component import as_number
from warpkit.errors import require
from warpkit.kernels.base import Kernel


class Gaussian(Kernel):
    """A Gaussian of standard deviation σ pixels, cut off at 4 σ: it blurs, never rings, and does not interpolate.

    k(d) = G(d) / Σₙ G(d − n) with G(d) = exp(−d² / 2σ²) − exp(−r² / 2σ²): it ends at the radius r without a jump, and
    a flat area stays flat. `learnable`: σ is a parameter, and the radius stays that of the σ that is given, or
    `radius`, so leave it room to grow.

    `sigma`: 0.3 to 8 pixels. `radius`: a whole number of pixels, the next one above 4 σ unless given.
    """

    interpolating = False
    symmetric = True
    continuity = 0
    pieces = 4  # no joint: over a quarter of a pixel the quotient is close to a polynomial for a small σ, too

    def __init__(self, sigma: float = 1.0, radius: int | None = None, learnable: bool = False) -> None:
        super().__init__()
        sigma, radius = as_number(sigma), as_number(radius)
        right = isinstance(sigma, int | float) and 0.3 <= sigma <= 8
        require(right, "sigma", expected="a number of pixels from 0.3 to 8", given=sigma)
        right = radius is None or (type(radius) is int and 1 <= radius <= 32)
        require(right, "radius", expected="a whole number of pixels from 1 to 32", given=radius)
        self.radius = float(math.ceil(4 * sigma) if radius is None else radius)
        self.sigma = nn.Parameter(torch.tensor(float(sigma))) if learnable else float(sigma)

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """The weight of a tap at this distance, in pixels."""
        fraction, r = distance - distance.floor(), int(self.radius)
        total = torch.stack([self._bell(fraction + n) for n in range(-r, r)]).sum(0)
        return self._bell(distance) / total

    def _bell(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        narrow = -0.5 / (self.sigma * self.sigma)
        edge = torch.full_like(distance, self.radius**2)
        return (narrow * distance.square()).exp() - (narrow * edge).exp()
