"""The Euclidean transform: a turn and a translation, which keeps every length."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.precision import default
from warpkit.transforms.matrix import affine_part, check_matrix, with_last_row
from warpkit.transforms.rotation import Aspect, Turning, family, in_pixels, normalised, plane, rotation, rotation_vector


class Euclidean(Turning):
    """T(p) = R · p + t: θ is the angle in radians, t_x, t_y; in 3-D the rotation vector, then t_x, t_y, t_z.

    A positive angle turns the picture counter-clockwise, as `cv2.getRotationMatrix2D` does. The translation is
    normalised. `aspect`: W / H of the image, with `align_corners` (W − 1) / (H − 1), so that a turn is one in pixels;
    in 3-D the extents W, H, D. A rotation vector is the axis, as long as the angle.

    R. Hartley, A. Zisserman, "Multiple View Geometry in Computer Vision", 2004, section 2.4.1.
    """

    def __init__(self, aspect: Aspect = 1.0, ndim: int = 2) -> None:
        super().__init__(aspect, ndim)
        self.num_params = ndim * (ndim + 1) // 2

    @property
    def param_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The name angle, or those of the rotation vector, then t_x, t_y, t_z."""
        turn = ("angle",) if self.ndim == 2 else ("r_x", "r_y", "r_z")
        return (*turn, *("t_x", "t_y", "t_z")[: self.ndim])

    def identity(self) -> Float[Tensor, " P"]:
        """The θ that moves nothing, zeros."""
        return torch.zeros(self.num_params, dtype=default())

    def matrix(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N E E"]:
        """The matrix [[cos, −sin, t_x], [sin, cos, t_y], [0, 0, 1]] of an image whose aspect is 1."""
        turn, shift = theta[:, : -self.ndim], theta[:, -self.ndim :, None]
        r = plane(turn[:, 0].cos(), turn[:, 0].sin()) if self.ndim == 2 else rotation(turn)
        return with_last_row(torch.cat([normalised(r, self.aspect), shift], dim=-1))

    def from_matrix(self, matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N P"]:
        """The θ of a matrix that turns and moves; `InputError` names the batch entries that do more."""
        check_matrix(matrix, self.ndim)
        rows = affine_part(matrix)
        r = in_pixels(rows[:, :, : self.ndim], self.aspect)
        turn = torch.atan2(r[:, 1, 0] - r[:, 0, 1], r[:, 0, 0] + r[:, 1, 1])[:, None]
        theta = torch.cat([turn if self.ndim == 2 else rotation_vector(r), rows[:, :, -1]], dim=-1)
        return family(self, "not a turn and a translation", theta, matrix)
