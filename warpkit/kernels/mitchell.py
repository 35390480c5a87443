"""Mitchell and Netravali's family of cubic kernels."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.component import as_number
from warpkit.errors import require
from warpkit.kernels.base import Kernel


class Mitchell(Kernel):
    """A cubic between blurring and ringing: C1; the image's noise is damped, and its pixels are not kept exactly.

    `b` blurs, `c` rings: b = c = 1/3 is what the authors recommend. b = 1, c = 0 is the cubic B-spline (C2, of the
    pixels as its coefficients), b = 0, c = 1/2 is Catmull-Rom. It interpolates where b = 0, and reproduces straight
    lines where b + 2c = 1.

    D. Mitchell, A. Netravali, "Reconstruction filters in computer graphics", SIGGRAPH 1988, eq. 8.
    """

    radius = 2.0
    symmetric = True

    def __init__(self, b: float = 1 / 3, c: float = 1 / 3) -> None:
        super().__init__()
        b, c = as_number(b), as_number(c)
        for name, given in (("b", b), ("c", c)):
            right = isinstance(given, int | float) and abs(given) < 1e6
            require(right, name, expected="a number", given=given)
        self.b, self.c = float(b), float(c)

    @property
    def interpolating(self) -> bool:  # type: ignore[override]
        """Whether a pixel's own place gives the pixel back."""
        return self.b == 0

    @property
    def continuity(self) -> int:  # type: ignore[override]
        """The number of continuous derivatives, two for the B-spline."""
        return 2 if (self.b, self.c) == (1, 0) else 1

    @property
    def reproduces(self) -> int:  # type: ignore[override]
        """The degree of the polynomials that sampling gives back exactly."""
        if (self.b, self.c) == (0, 0.5):
            return 2
        return 1 if abs(self.b + 2 * self.c - 1) < 1e-12 else 0

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """The authors' two cubics, joined at |d| = 1."""
        d, b, c = distance.abs(), self.b, self.c
        near = ((12 - 9 * b - 6 * c) * d - (18 - 12 * b - 6 * c)) * d**2 + (6 - 2 * b)
        far = (((-b - 6 * c) * d + (6 * b + 30 * c)) * d - (12 * b + 48 * c)) * d + (8 * b + 24 * c)
        return torch.where(d < 1, near, far) / 6
