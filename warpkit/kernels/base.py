"""The interface of a kernel: one formula; everything else about it is found out."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.component import Component
from warpkit.errors import InputError
from warpkit.registry import Registry

_FAR = 64  # pixels: more is a blur, for which there are better ways


class Kernel(Component):
    """A sampling kernel k(d; Φ) of eq. 3: the weight of a pixel at signed distance d = x − m, in pixels.

    A subclass gives `radius`, a multiple of ½, and `forward(distance)`, which is evaluated for −radius < d < radius
    only and may be anything outside. It is elementwise; the kernel's own parameters Φ, if it has any, are its
    `nn.Parameter`s.

    `pieces`: the joints of the formula lie at multiples of 1/pieces from −radius (a triangle of radius 1.5 has one at
    0, and needs 2).

    Options are read again when an attribute is set; what changes inside a list, a dict or a submodule is not seen.

    What follows are claims; None means "not stated". `interpolating`: k(0) = 1 and k = 0 at the other integers.
    `partition_of_unity`: the weights sum to one. `symmetric`: k(−d) = k(d). `continuity`: k of C^k, −1 where it jumps.
    `reproduces`: the degree of the polynomials that sampling gives back exactly.

    >>> class Triangle(Kernel):
    ...     radius = 1.0
    ...     def forward(self, distance):
    ...         return 1 - distance.abs()
    >>> Triangle().table().tolist()  # [pieces, taps, degree + 1]: 1 − f and f
    [[[1.0, -1.0], [0.0, 1.0]]]
    """

    radius: float
    pieces: int = 1
    interpolating: bool = True
    partition_of_unity: bool = True
    symmetric: bool | None = None
    continuity: int | None = None
    reproduces: int | None = None

    @property
    def taps(self) -> int:
        """The number of pixels that the kernel touches along an axis: 2 · radius."""
        radius, pieces = getattr(self, "radius", None), self.pieces
        if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 < radius < _FAR or 2 * radius % 1:
            raise InputError(
                f"{type(self).__name__}.radius", expected=f"a positive multiple of 1/2 below {_FAR}", given=radius
            )
        if not isinstance(pieces, int) or pieces < 1:
            raise InputError(f"{type(self).__name__}.pieces", expected="a positive integer", given=pieces)
        return int(2 * radius)

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """The formula: the weight k at signed distances in pixels."""
        raise NotImplementedError(f"{type(self).__name__} has no formula: define forward(self, distance)")

    def table(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "pieces taps K"] | None:
        """The formula as polynomials, in float64, accurate to `dtype`'s precision; differentiable in Φ.

        Tap t lies at distance f + radius − 1 − t, f in 0 … 1. Piece p holds the weights for f = (p + u) / pieces, in
        ascending powers of u. None where no degree up to 15 carries the formula: it is then evaluated itself.
        """
        from warpkit.kernels.fitting import table  # it needs this class

        return table(self, dtype)


kernels: Registry[Kernel] = Registry("kernel", Kernel)
