"""B-splines, which interpolate by a prefilter."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.component import as_number
from warpkit.errors import require
from warpkit.kernels.base import Kernel
from warpkit.kernels.spline_filter import spline_filter


class BSpline(Kernel):
    """Interpolation by a spline of this degree: the smoothest kernel of its width, and the nearest to a sinc for it.

    β(d) = Σₖ (−1)ᵏ C(n + 1, k) (r − |d| − k)₊ⁿ / n!, of radius r = (n + 1) / 2, is C^(n−1), and reproduces polynomials
    of degree n. From degree 2 on it does not pass through the pixels; so what is sampled is not the image but its
    spline coefficients, which a recursive filter finds, and the spline does. Degree 0 takes the nearest pixel, 1 is
    bilinear.

    A NaN is filtered, too, and makes its image NaN: fill such pixels first, and mark what samples them.

    `degree`: 0 to 7. `prefilter`: False takes the image as coefficients, and so blurs a plain image.

    M. Unser, "Splines: a perfect fit for signal and image processing", IEEE Signal Processing Magazine 16(6), 1999.
    """

    symmetric = True

    def __init__(self, degree: int = 3, prefilter: bool = True) -> None:
        super().__init__()
        degree = as_number(degree)
        require(type(degree) is int and 0 <= degree <= 7, "degree", expected="a whole number from 0 to 7", given=degree)
        require(isinstance(prefilter, bool), "prefilter", expected="True or False", given=prefilter)
        self.degree, self.filters = degree, prefilter

    @property
    def radius(self) -> float:  # type: ignore[override]
        """Half the width of the B-spline itself, in pixels."""
        return (self.degree + 1) / 2

    @property
    def has_prefilter(self) -> bool:
        """Whether the image is filtered before it is sampled: from degree 2 on."""
        return self.filters and self.degree > 1

    @property
    def interpolating(self) -> bool:  # type: ignore[override]
        """Whether a pixel's own place gives the pixel back."""
        return self.filters or self.degree < 2

    @property
    def continuity(self) -> int:  # type: ignore[override]
        """The number of continuous derivatives."""
        return self.degree - 1

    @property
    def reproduces(self) -> int:  # type: ignore[override]
        """The degree of the polynomials that sampling gives back exactly."""
        return self.degree if self.interpolating else 1

    @property
    def prefilter_samples(self) -> list[float]:  # type: ignore[override]
        """The B-spline at 0, 1, 2 …; none where nothing is filtered."""
        return _samples(self.degree) if self.has_prefilter else []

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """The B-spline as a sum of truncated powers."""
        n, left = self.degree, self.radius - distance.abs()
        if n == 0:
            return torch.ones_like(distance)
        terms = [(-1) ** k * math.comb(n + 1, k) * (left - k).clamp(min=0) ** n for k in range(math.ceil(self.radius))]
        return torch.stack(terms).sum(0) / math.factorial(n)

    def prefilter(self, image: Tensor, axis: int, padding_mode: str, align_corners: bool) -> Tensor:
        """The spline's coefficients along an axis, and where the padding asks for it those beyond its ends."""
        if not self.has_prefilter:
            return image
        return spline_filter(image, axis, self.prefilter_samples, padding_mode, align_corners)


def _samples(degree: int) -> list[float]:
    """β at 0, 1, 2 … inside its radius, exactly: its numerators over 2ⁿ n! are whole numbers."""
    wide = degree + 1  # twice the radius
    return [
        sum((-1) ** k * math.comb(wide, k) * max(wide - 2 * d - 2 * k, 0) ** degree for k in range(wide))
        / (2**degree * math.factorial(degree))
        for d in range((wide + 1) // 2)
    ]
