"""The interface of a kernel: one formula; everything else about it is found out."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.component import Drawn, Formula
from warpkit.errors import InputError
from warpkit.registry import Registry

_FAR = 64  # pixels: more is a blur, for which there are better ways


class Kernel(Drawn, Formula):
    """A sampling kernel k(d; Φ) of eq. 3: the weight of a pixel at signed distance d = x − m, in pixels.

    A subclass gives `radius`, a multiple of ½, and `forward(distance)`, which is evaluated for −radius < d < radius
    only and may be anything outside. It is elementwise; the kernel's own parameters Φ, if it has any, are its
    `nn.Parameter`s.

    `pieces`: the joints of the formula lie at multiples of 1/pieces from −radius (a triangle of radius 1.5 has one at
    0, and needs 2).

    Options are read again when an attribute is set; what changes inside a list, a dict or a submodule is not seen.

    What follows are claims, about the kernel together with its `prefilter`, if it has one; None means "not stated".
    `interpolating`: k(0) = 1 and k = 0 at the other integers.
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
    prefilter_samples: Sequence[float] = ()
    """The kernel at 0, 1, 2 …, where `prefilter` is `spline_filter` of these: then a part of an image can be filtered.
    """

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

    def prefilter(self, image: Tensor, axis: int, padding_mode: str, align_corners: bool) -> Tensor:
        """What is sampled in place of the image: its coefficients along one axis. A kernel need not have it.

        It is linear and differentiable, and treats every line along the axis alike and alone. A kernel that does not
        interpolate by itself does so with the right coefficients, as B-splines do: see `spline_filter`.

        Args:
            image: `[N, C, *S]`, in float32, float64 or complex.
            axis: −1 for x, −2 for y, −3 for z. Other axes may have been filtered already.
            padding_mode: what extends the image along this axis.
            align_corners: what "reflection" is about.

        Returns:
            As many coefficients along the axis as there are pixels, for which the boundary's rule holds; or more, as
            many at either end, which are those beyond the edge.
        """
        return image

    @property
    def has_prefilter(self) -> bool:
        """Whether the image is filtered before it is sampled."""
        return type(self).prefilter is not Kernel.prefilter

    def table(self, dtype: torch.dtype = torch.float32) -> Float[Tensor, "pieces taps K"] | None:
        """The formula as polynomials, in float64, accurate to `dtype`'s precision; differentiable in Φ.

        Tap t lies at distance f + radius − 1 − t, f in 0 … 1. Piece p holds the weights for f = (p + u) / pieces, in
        ascending powers of u. None where no degree up to 15 carries the formula: it is then evaluated itself.
        """
        from warpkit.kernels.fitting import table  # it needs this class

        return table(self, dtype)


kernels: Registry[Kernel] = Registry("kernel", Kernel)
# Editors complete these names; any other may be a plugin's.
KernelName = Literal["bicubic", "bilinear", "bspline", "gaussian", "lanczos", "mitchell", "nearest"]
KernelLike = KernelName | str | dict[str, Any] | Kernel


def get_kernel(name: KernelName | str | dict[str, Any], **options: Any) -> Kernel:
    """A new kernel of this name, a plugin's too: `get_kernel("bicubic", a=-0.5)` is `Bicubic(a=-0.5)`.

    A table `{"type": name, **options}` is taken as well; options beside it are added to its own.

    Raises `InputError` for an unknown name or option, and for an option that is missing.
    """
    return kernels.own({**name, **options}) if isinstance(name, dict) else kernels.create(name, **options)
