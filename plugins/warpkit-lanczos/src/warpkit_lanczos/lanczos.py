"""The Lanczos kernel: a sinc under the central lobe of a wider sinc."""

import torch
from jaxtyping import Float
from torch import Tensor

import warpkit as wk


class Lanczos(wk.Kernel):
    """Lanczos-a: k(d) = sinc(d) · sinc(d / a) for |d| < a, with sinc(d) = sin(πd) / (πd); C1, interpolating.

    `a`, a whole number of pixels from 2 on, is the radius: 2a taps along an axis. 2 and 3 are usual; 3 is the default.

    The weights do not sum to one: halfway between pixels the sum is 0.9943 for a = 3 and 1.0189 for a = 2, along each
    axis. That is a ripple on flat areas, which `lanczos_normalized` does not have.

    Raises `warpkit.InputError` where `a` is not a whole number, 2 at least.

    C. E. Duchon, "Lanczos filtering in one and two dimensions", J. Applied Meteorology 18(8), 1979 (the window);
    K. Turkowski, "Filters for common resampling tasks", Graphics Gems I, 1990 (the kernel for images).
    """

    interpolating = True
    partition_of_unity = False
    symmetric = True
    continuity = 1  # at |d| = a both factors are zero, so the slope is too

    def __init__(self, a: int = 3) -> None:
        super().__init__()
        if isinstance(a, bool) or not isinstance(a, int) or a < 2:
            raise wk.InputError("a", expected="a whole number of pixels, 2 or more", given=a)
        self.a = a
        self.radius = float(a)

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """The weight of a tap at this distance, in pixels."""
        return torch.sinc(distance) * torch.sinc(distance / self.a)
