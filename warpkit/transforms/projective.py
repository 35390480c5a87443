"""The projective transform, a homography."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.precision import default, wide
from warpkit.transforms.matrix import MatrixTransform, check_matrix, check_ndim, invert, reject


class Projective(MatrixTransform):
    """A homography: θ is the matrix row by row without its last entry, which is 1 (8 numbers in 2-D).

    Points on or behind the horizon, where the denominator is not positive, have no image: the sampler fills them.

    R. Hartley, A. Zisserman, "Multiple View Geometry in Computer Vision", 2004, section 2.3.
    """

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.ndim = check_ndim(ndim)
        self.num_params = (ndim + 1) ** 2 - 1

    @property
    def param_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The entries θ11, θ12, … of the matrix, without the last one."""
        n = self.ndim + 1
        return tuple(f"θ{i // n + 1}{i % n + 1}" for i in range(self.num_params))

    @property
    def theta_shape(self) -> tuple[int, int]:  # type: ignore[override]
        """The whole matrix, of any scale."""
        return self.ndim + 1, self.ndim + 1

    def flattened(self, theta: Float[Tensor, "N E E"]) -> Float[Tensor, "N P"]:
        """The matrix's entries divided by the last one; `InputError` where that is 0."""
        return self.from_matrix(theta)

    def identity(self) -> Float[Tensor, " P"]:
        """The identity's θ, 1 0 0 0 1 0 0 0 in 2-D."""
        return torch.eye(self.ndim + 1, dtype=default()).flatten()[:-1]

    def matrix(self, theta: Float[Tensor, "N *P"]) -> Float[Tensor, "N E E"]:
        """The matrix [[θ11, θ12, θ13], [θ21, θ22, θ23], [θ31, θ32, 1]]."""
        theta = theta if getattr(theta, "ndim", 0) == 2 else self.as_theta(theta)
        return torch.cat([theta, torch.ones_like(theta[:, :1])], dim=1).reshape(-1, self.ndim + 1, self.ndim + 1)

    def from_matrix(self, matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N P"]:
        """The θ of a matrix: its entries divided by the last one, of either sign; `InputError` where that is 0."""
        check_matrix(matrix, self.ndim)
        last = matrix[:, -1, -1].detach().abs()
        reject("the centre is on the horizon", ~(last > 1e-12 * matrix.detach().flatten(1).abs().amax(1)))
        return (matrix / matrix[:, -1:, -1:]).flatten(1)[:, :-1]

    def inverse(self, theta: Float[Tensor, "N *P"]) -> Float[Tensor, "N P"]:
        """The θ whose transform undoes this one's.

        `InputError` names the batch entries whose matrix is singular, and those where the centre of the input is seen
        by no point of the output, since the inverse has it on or behind its horizon.
        """
        theta = self.as_theta(theta)
        inverse = invert(self.matrix(theta.to(wide(theta.device))))
        # θ stands for a matrix whose last entry is 1: another sign would exchange what lies before and behind.
        reject("the centre is on or behind the inverse's horizon", ~(inverse[:, -1, -1].detach() > 0))
        return self.from_matrix(inverse).to(theta.dtype)
