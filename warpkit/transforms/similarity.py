"""The similarity transform: a turn, one scale and a translation, which keeps every shape."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.precision import default
from warpkit.transforms.matrix import affine_part, check_matrix, with_last_row
from warpkit.transforms.rotation import Aspect, Turning, family, in_pixels, normalised, plane, rotation, rotation_vector


class Similarity(Turning):
    """T(p) = s · R · p + t: θ is a = s · cos, b = s · sin, t_x, t_y.

    In 3-D it is the rotation vector, the logarithm of the scale, and t_x, t_y, t_z. The translation is normalised, and
    `aspect` as for `Euclidean`.

    R. Hartley, A. Zisserman, "Multiple View Geometry in Computer Vision", 2004, section 2.4.2.
    """

    def __init__(self, aspect: Aspect = 1.0, ndim: int = 2) -> None:
        super().__init__(aspect, ndim)
        self.num_params = 4 if ndim == 2 else 7

    @property
    def param_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names a, b, t_x, t_y, or r_x, r_y, r_z, log_s, t_x, t_y, t_z."""
        return ("a", "b", "t_x", "t_y") if self.ndim == 2 else ("r_x", "r_y", "r_z", "log_s", "t_x", "t_y", "t_z")

    def identity(self) -> Float[Tensor, " P"]:
        """The identity's θ: 1 0 0 0, in 3-D zeros."""
        theta = torch.zeros(self.num_params, dtype=default())
        theta[0] = 1.0 if self.ndim == 2 else 0.0
        return theta

    def matrix(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N E E"]:
        """The matrix [[a, −b, t_x], [b, a, t_y], [0, 0, 1]] of an image whose aspect is 1."""
        if self.ndim == 2:
            square = plane(theta[:, 0], theta[:, 1])
        else:
            square = theta[:, 3, None, None].exp() * rotation(theta[:, :3])
        return with_last_row(torch.cat([normalised(square, self.aspect), theta[:, -self.ndim :, None]], dim=-1))

    def from_matrix(self, matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N P"]:
        """The θ of a matrix that turns, scales and moves; `InputError` names the batch entries that do more."""
        check_matrix(matrix, self.ndim)
        rows = affine_part(matrix)
        square = in_pixels(rows[:, :, : self.ndim], self.aspect)
        if self.ndim == 2:
            half = torch.stack([square[:, 0, 0] + square[:, 1, 1], square[:, 1, 0] - square[:, 0, 1]], dim=-1) / 2
        else:
            log_scale = torch.linalg.det(square).clamp_min(1e-300 if square.dtype == torch.float64 else 1e-37).log() / 3
            r = square * (-log_scale).exp()[:, None, None]
            half = torch.cat([rotation_vector(r), log_scale[:, None]], dim=-1)
        theta = torch.cat([half, rows[:, :, -1]], dim=-1)
        return family(self, "not a turn, one scale and a translation", theta, matrix)
