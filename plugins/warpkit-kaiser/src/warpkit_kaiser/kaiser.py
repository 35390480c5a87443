"""A sinc under Kaiser's window, whose width may be learned."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

import warpkit as wk

WIDEST = 20.0  # β: side lobes lie below float32's rounding there, and I0(β) is far from its largest number


class Kaiser(wk.Kernel):
    """A windowed sinc: k(d) = sinc(d) · I0(β √(1 − (d/a)²)) / I0(β) for |d| < a; continuous, interpolating.

    I0 is the modified Bessel function of order 0. β trades sharpness for ringing: 0 cuts the sinc off, more lowers the
    side lobes and widens the way down to them. With the default of 4.4 no side lobe of the kernel's frequency response
    reaches 1/256 (−48 dB), one grey level of eight bits, for a = 2 to 8; those of Lanczos-3 reach −39 dB.

    `a`: a whole number of pixels from 2 to 63, the radius.
    `beta`: β, from 0 to 20, the ends left out where it is learned.
    `learnable`: β = 20 / (1 + exp(−Φ)) with a parameter Φ: no step of an optimiser takes β out of 0 … 20.
    `normalized`: the weights are divided by their sum, so that a flat area stays flat.

    Raises `warpkit.InputError` where an option is none of these.

    J. F. Kaiser, R. W. Schafer, "On the use of the I0-sinh window for spectrum analysis", IEEE Trans. Acoustics,
    Speech, and Signal Processing 28(1), 1980.
    """

    interpolating = True
    symmetric = True
    continuity = 0  # at |d| = a the window is 1 / I0(β), and the sinc is zero with a slope

    def __init__(self, a: int = 3, beta: float = 4.4, learnable: bool = False, normalized: bool = False) -> None:
        super().__init__()
        if isinstance(a, bool) or not isinstance(a, int) or not 2 <= a <= 63:
            raise wk.InputError("a", expected="a whole number of pixels from 2 to 63", given=a)
        if isinstance(beta, bool) or not isinstance(beta, int | float) or not 0 <= beta <= WIDEST:
            raise wk.InputError("beta", expected="a number from 0 to 20", given=beta)
        if learnable and beta in (0, WIDEST):
            raise wk.InputError("beta", expected="a number between 0 and 20, as it is learned", given=beta)
        self.a, self.normalized = a, normalized
        self.radius = float(a)
        # No joint: over a quarter of a pixel the formula is close to a polynomial for every β. One piece is quickest.
        self.pieces = 1 if beta < 5 and not (learnable or normalized) else 4
        self.fixed = float(beta)
        self.phi = nn.Parameter(torch.tensor(beta / WIDEST).logit()) if learnable else None

    @property
    def beta(self) -> Tensor | float:
        """β, the width of the window; a tensor where it is learned."""
        return self.fixed if self.phi is None else WIDEST * torch.sigmoid(self.phi)

    @property
    def partition_of_unity(self) -> bool:  # type: ignore[override]
        """Whether the weights sum to one."""
        return self.normalized

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """The weight of a tap at this distance, in pixels."""
        if not self.normalized:
            return self._windowed(distance)
        # The sum over all taps repeats from pixel to pixel: it depends on the fraction alone.
        fraction = distance - distance.floor()
        total = torch.stack([self._windowed(fraction + n) for n in range(-self.a, self.a)]).sum(0)
        return self._windowed(distance) / total

    def _windowed(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        beta = torch.as_tensor(self.beta, dtype=distance.dtype, device=distance.device)
        # Where the window ends the root's slope is infinite and I0's is zero, and their product would be NaN.
        inside = (1 - (distance / self.a) ** 2).clamp(min=1e-12)
        return torch.sinc(distance) * torch.i0(beta * inside.sqrt()) / torch.i0(beta)
