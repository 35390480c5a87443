"""The kernels that a backend is tried with: built-in ones, and three that have what those lack."""

import torch
from torch import Tensor, nn

from warpkit.kernels.base import Kernel
from warpkit.kernels.bicubic import Bicubic
from warpkit.kernels.bilinear import Bilinear
from warpkit.kernels.nearest import Nearest


class Lopsided(Kernel):
    """A parabola that is not symmetric, and whose weights do not sum to one."""

    radius = 1.5
    interpolating = partition_of_unity = False

    def forward(self, distance: Tensor) -> Tensor:
        """k(d) = 0.4 + 0.3 d − 0.2 d²."""
        return 0.4 + 0.3 * distance - 0.2 * distance**2


class Tent(Kernel):
    """A triangle three pixels wide: joined at −1.5, 0 and 1.5, so its table has two pieces."""

    radius = 1.5
    pieces = 2
    interpolating = partition_of_unity = False

    def forward(self, distance: Tensor) -> Tensor:
        """k(d) = (1 − |d| / 1.5) / 1.5."""
        return (1 - distance.abs() / 1.5) / 1.5


class Learned(Kernel):
    """Keys' cubic convolution, as `Bicubic`, with a as a parameter that is learned."""

    radius = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(-0.6, dtype=torch.float64))

    def forward(self, distance: Tensor) -> Tensor:
        """Keys' two cubics, joined at |d| = 1."""
        d, a = distance.abs(), self.a
        near = ((a + 2) * d - (a + 3)) * d**2 + 1
        return torch.where(d < 1, near, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a)


SMOOTH: tuple[Kernel, ...] = (Bilinear(), Bicubic(), Lopsided())
STANDARD: tuple[Kernel, ...] = (Bilinear(), Bicubic(), Nearest())
EVERY: tuple[Kernel, ...] = (*STANDARD, Lopsided(), Tent(), Learned())
