"""Cubic convolution along each axis."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from warpkit.component import as_number
from warpkit.errors import require
from warpkit.kernels.base import Kernel


class Bicubic(Kernel):
    """Cubic convolution: C1, interpolating; reproduces quadratics at a = −0.5 (Catmull-Rom), else constants.

    `a` is the slope at distance 1: −0.75 as in torch and OpenCV, −0.5 as in Pillow. `learnable`: `a` is a parameter.

    R. Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29(6), 1981, eq. 15.
    """

    radius = 2.0
    symmetric = True
    continuity = 1

    def __init__(self, a: float = -0.75, learnable: bool = False) -> None:
        super().__init__()
        a = as_number(a)
        require(isinstance(a, int | float) and abs(a) < 1e308, "a", expected="a finite number", given=a)
        self.a = nn.Parameter(torch.tensor(float(a))) if learnable else float(a)

    @property
    def reproduces(self) -> int:  # type: ignore[override]
        """The degree of the polynomials that sampling gives back exactly."""
        return 2 if isinstance(self.a, float) and self.a == -0.5 else 0

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """Keys' two cubics, joined at |d| = 1."""
        d, a = distance.abs(), self.a
        near = ((a + 2) * d - (a + 3)) * d**2 + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return torch.where(d < 1, near, far)
