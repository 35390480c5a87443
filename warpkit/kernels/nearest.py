"""The kernel that takes the nearest pixel."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.kernels.base import Kernel


class Nearest(Kernel):
    """Nearest pixel: ⌊x + ½⌋, so a half rounds up. It copies values, and its gradient in the coordinates is zero.

    Jaderberg et al. 2015, eq. 4.
    """

    radius = 0.5
    symmetric = True
    continuity = -1
    reproduces = 0

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """The weight 1 for the one pixel inside the radius."""
        return torch.ones_like(distance)
