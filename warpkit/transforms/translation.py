"""A translation: every point is moved alike."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.precision import default
from warpkit.transforms.matrix import MatrixTransform, affine_part, check_matrix, check_ndim, with_last_row
from warpkit.transforms.rotation import family


class Translation(MatrixTransform):
    """T(p) = p + t: θ is t_x, t_y in 2-D, normalised (2 is the whole image).

    R. Hartley, A. Zisserman, "Multiple View Geometry in Computer Vision", 2004, section 2.4.
    """

    is_affine = True

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.ndim = self.num_params = check_ndim(ndim)

    @property
    def param_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names t_x, t_y, t_z."""
        return ("t_x", "t_y", "t_z")[: self.ndim]

    def identity(self) -> Float[Tensor, " P"]:
        """The θ that moves nothing, zeros."""
        return torch.zeros(self.ndim, dtype=default())

    def matrix(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N E E"]:
        """The matrix [[1, 0, t_x], [0, 1, t_y], [0, 0, 1]]."""
        one = torch.eye(self.ndim, dtype=theta.dtype, device=theta.device).expand(theta.shape[0], -1, -1)
        return with_last_row(torch.cat([one, theta[..., None]], dim=-1))

    def from_matrix(self, matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N P"]:
        """The θ of a matrix that only moves; `InputError` names the batch entries that do more."""
        check_matrix(matrix, self.ndim)
        return family(self, "no translation", affine_part(matrix)[:, :, -1], matrix)
