"""Linear interpolation along each axis."""

from jaxtyping import Float
from torch import Tensor

from warpkit.kernels.base import Kernel


class Bilinear(Kernel):
    """Linear interpolation along each axis: C0, interpolating, reproduces straight lines.

    Jaderberg et al. 2015, eq. 5.
    """

    radius = 1.0
    symmetric = True
    continuity = 0
    reproduces = 1

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """The triangle 1 − |d| of eq. 5."""
        return 1 - distance.abs()
