"""An attention window (Jaderberg et al. 2015, eq. 2): one scale for all axes, and a translation."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.component import as_number
from warpkit.errors import InputError, require
from warpkit.precision import default
from warpkit.transforms.matrix import MatrixTransform, affine_part, check_matrix, check_ndim, reject, with_last_row


class Attention(MatrixTransform):
    """Isotropic scale and translation, T(p) = s · p + t: θ is s, t_x, t_y in 2-D.

    With `scale`, s is fixed and only the translation is left: a window that moves (the paper's bird experiment). Such a
    transform has no identity, unless the scale is 1.

    Jaderberg et al. 2015, eq. 2.
    """

    is_affine = True

    def __init__(self, scale: float | None = None, ndim: int = 2) -> None:
        super().__init__()
        scale = as_number(scale)
        valid = scale is None or (isinstance(scale, int | float) and 0 < abs(scale) < 1e308)
        require(valid, "scale", expected="a finite number other than 0", given=scale)
        self.scale = scale
        self.ndim = check_ndim(ndim)
        self.num_params = ndim + (scale is None)

    @property
    def param_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names s, unless the scale is fixed, then t_x, t_y, t_z."""
        return ("s",) * (self.scale is None) + ("t_x", "t_y", "t_z")[: self.ndim]

    def identity(self) -> Float[Tensor, " P"]:
        """The identity's θ, 1 0 0 in 2-D; `InputError` with a fixed scale other than 1."""
        if self.scale not in (None, 1):
            raise InputError(f"attention with a fixed scale of {self.scale} has no identity")
        return torch.eye(1, self.ndim + 1, dtype=default())[0, self.ndim + 1 - self.num_params :]

    def matrix(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N E E"]:
        """The matrix [[s, 0, t_x], [0, s, t_y], [0, 0, 1]]."""
        shift = theta[:, -self.ndim :, None]
        s = theta[:, :1, None] if self.scale is None else torch.full_like(theta[:, :1, None], self.scale)
        return with_last_row(
            torch.cat([s * torch.eye(self.ndim, dtype=theta.dtype, device=theta.device), shift], dim=-1)
        )

    def from_matrix(self, matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N P"]:
        """The θ of a matrix; `InputError` for one that does more, or has another scale than the fixed one."""
        check_matrix(matrix, self.ndim)
        rows = affine_part(matrix)
        theta = torch.cat([rows[:, 0, :1], rows[:, :, -1]], dim=-1)[:, -self.num_params :]
        # Relative to the matrix's own size; 1e-6 forgives one that came out of float32.
        bad = (self.matrix(theta)[:, :-1] - rows).detach().abs().amax((1, 2)) > 1e-6 * rows.detach().abs().amax((1, 2))
        family = "one scale" if self.scale is None else f"the scale {self.scale}"
        reject(f"no attention matrix ({family}, no rotation)", bad)
        return theta
