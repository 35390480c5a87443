"""The affine transform (Jaderberg et al. 2015, eq. 1)."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.precision import default
from warpkit.transforms.matrix import MatrixTransform, affine_part, check_matrix, check_ndim, with_last_row


class Affine(MatrixTransform):
    """Scale, rotation, shear and translation: θ is the matrix's first D rows, row by row (6 numbers in 2-D).

    Jaderberg et al. 2015, eq. 1.
    """

    is_affine = True

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.ndim = check_ndim(ndim)
        self.num_params = ndim * (ndim + 1)

    @property
    def param_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The entries θ11, θ12, … of the matrix."""
        return tuple(f"θ{i + 1}{j + 1}" for i in range(self.ndim) for j in range(self.ndim + 1))

    @property
    def theta_shape(self) -> tuple[int, int]:  # type: ignore[override]
        """The matrix's first D rows."""
        return self.ndim, self.ndim + 1

    def identity(self) -> Float[Tensor, " P"]:
        """The identity's θ, 1 0 0 0 1 0 in 2-D."""
        return torch.eye(self.ndim, self.ndim + 1, dtype=default()).flatten()

    def matrix(self, theta: Float[Tensor, "N *P"]) -> Float[Tensor, "N E E"]:
        """The matrix [[θ11, θ12, θ13], [θ21, θ22, θ23], [0, 0, 1]]."""
        theta = theta if getattr(theta, "ndim", 0) == 2 else self.as_theta(theta)
        return with_last_row(theta.reshape(-1, self.ndim, self.ndim + 1))

    def from_matrix(self, matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N P"]:
        """The θ of an affine matrix, its first rows; `InputError` for a matrix with a horizon."""
        check_matrix(matrix, self.ndim)
        return affine_part(matrix).flatten(1)
