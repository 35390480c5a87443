"""The Lanczos kernel: a sinc under the central lobe of a wider sinc."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.component import as_number
from warpkit.errors import require
from warpkit.kernels.base import Kernel


class Lanczos(Kernel):
    """A windowed sinc: k(d) = sinc(d) · sinc(d / a) for |d| < a, with sinc(d) = sin(πd) / (πd); C1, interpolating.

    The weights do not sum to one: halfway between two pixels the sum is 1.0189 for a = 2 and 0.9943 for a = 3 along
    each axis, so a flat area gets a ripple.

    `a`: a whole number of pixels from 2 to 63, the radius: 2 and 3 are usual, and 2a pixels are read along each axis.
    `normalized`: the weights are divided by their sum, k(d) / Σₙ k(d − n) with n any whole number, so that a flat area
    stays flat; this is what most image editors mean by "Lanczos".

    C. E. Duchon, "Lanczos filtering in one and two dimensions", J. Applied Meteorology 18(8), 1979 (the window);
    K. Turkowski, "Filters for common resampling tasks", Graphics Gems I, 1990 (the kernel for images).
    """

    symmetric = True
    continuity = 1  # at |d| = a both factors are zero, so the slope is too

    def __init__(self, a: int = 3, normalized: bool = False) -> None:
        super().__init__()
        a = as_number(a)
        right = isinstance(a, int) and not isinstance(a, bool) and 2 <= a <= 63
        require(right, "a", expected="a whole number of pixels from 2 to 63", given=a)
        require(isinstance(normalized, bool), "normalized", expected="True or False", given=normalized)
        self.a, self.normalized = a, normalized

    @property
    def radius(self) -> float:  # type: ignore[override]
        """Half the width of the window, in pixels."""
        return float(self.a)

    @property
    def pieces(self) -> int:  # type: ignore[override]
        """Two where it is normalised: no joint, but over half a pixel the quotient is close to a polynomial."""
        return 2 if self.normalized else 1

    @property
    def partition_of_unity(self) -> bool:  # type: ignore[override]
        """Whether the weights sum to one."""
        return self.normalized

    @property
    def reproduces(self) -> int:  # type: ignore[override]
        """The degree of the polynomials that sampling gives back exactly: constants, or not even these."""
        return 0 if self.normalized else -1

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """The weight of a tap at this distance, in pixels."""
        if not self.normalized:
            return self._windowed(distance)
        # The sum over all taps repeats from pixel to pixel: it depends on the fraction alone.
        fraction = distance - distance.floor()
        total = torch.stack([self._windowed(fraction + n) for n in range(-self.a, self.a)]).sum(0)
        return self._windowed(distance) / total

    def _windowed(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        return torch.sinc(distance) * torch.sinc(distance / self.a)
