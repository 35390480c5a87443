"""The Lanczos kernel whose weights sum to one."""

import torch
from jaxtyping import Float
from torch import Tensor

import warpkit as wk
from warpkit_lanczos.lanczos import Lanczos


class NormalizedLanczos(wk.Kernel):
    """Lanczos-a divided by the sum of its taps: k(d) = L(d) / Σₙ L(d − n), n any whole number; C1, interpolating.

    The sum repeats from pixel to pixel, so the quotient is again a function of the distance alone. A flat area stays
    flat, as in image editors and resizers that offer "Lanczos". Option and error as for `lanczos`.
    """

    interpolating = True
    partition_of_unity = True
    symmetric = True
    continuity = 1
    pieces = 2  # no joint: over half a pixel the quotient is close enough to a polynomial for float64 too

    def __init__(self, a: int = 3) -> None:
        super().__init__()
        self.lanczos = Lanczos(a)
        self.radius = self.lanczos.radius

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """The weight of a tap at this distance, in pixels."""
        lanczos, fraction = self.lanczos.forward, distance - distance.floor()
        taps = range(-self.lanczos.a, self.lanczos.a)
        total = torch.stack([lanczos(fraction + n) for n in taps]).sum(0)
        return lanczos(distance) / total
