"""Kernels and transforms as a user would write them, each with a difficulty of its own."""

import torch
from torch import Tensor, nn

import warpkit as wk


class WideTriangle(wk.Kernel):
    """Joints at −1.5, 0 and 1.5: between the taps of a kernel that touches three pixels."""

    radius = 1.5
    pieces = 2
    interpolating = partition_of_unity = False

    def forward(self, distance: Tensor) -> Tensor:
        return (1 - distance.abs() / 1.5) / 1.5


class Lanczos(wk.Kernel):
    """A kernel that is smooth, and no polynomial."""

    radius = 3.0
    partition_of_unity = False

    def forward(self, distance: Tensor) -> Tensor:
        return torch.sinc(distance) * torch.sinc(distance / 3)


class Rough(wk.Kernel):
    """|d|^1.5 is no polynomial near 0, of any degree."""

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance: Tensor) -> Tensor:
        return 1 - distance.abs() ** 1.5


class Forward(wk.Kernel):
    """Not symmetric: all weight on the left neighbour at f = 0, none of it by f = 1."""

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance: Tensor) -> Tensor:
        return torch.where(distance < 0, 0.3 * (1 + distance), 1 - distance**2)


class Bending(wk.Kernel):
    """Bilinear at Φ = 0, but its derivative in Φ is a quadratic there."""

    radius = 1.0

    def __init__(self, bend: float = 0.0):
        super().__init__()
        self.bend = nn.Parameter(torch.tensor(bend))

    def forward(self, distance: Tensor) -> Tensor:
        d = distance.abs()
        return 1 - d + self.bend * d * (1 - d) * (1 - 2 * d)


class Damped(wk.Kernel):
    """Bilinear at Φ = 0; the larger Φ, the higher the degree it needs."""

    radius = 1.0
    partition_of_unity = False

    def __init__(self, damping: float = 0.0):
        super().__init__()
        self.damping = nn.Parameter(torch.tensor(damping))

    def forward(self, distance: Tensor) -> Tensor:
        return (1 - distance.abs()) * torch.exp(-self.damping * distance**2)


class Swirl(wk.Transform):
    """Turns points about the centre, by an angle that falls off with the distance: no matrix, no basis."""

    ndim = 2
    num_params = 1

    def identity(self) -> Tensor:
        return torch.zeros(1)

    def forward(self, theta: Tensor, points: Tensor) -> Tensor:
        angle = theta[:, :1] * torch.exp(-points.square().sum(-1))
        x, y = points.unbind(-1)
        c, s = angle.cos(), angle.sin()
        return torch.stack([c * x - s * y, s * x + c * y], dim=-1)


class Shear(wk.MatrixTransform):
    """x + θ y: a matrix without from_matrix."""

    ndim = 2
    num_params = 1

    def identity(self) -> Tensor:
        return torch.zeros(1)

    def matrix(self, theta: Tensor) -> Tensor:
        one, zero = torch.ones_like(theta[:, 0]), torch.zeros_like(theta[:, 0])
        return torch.stack([one, theta[:, 0], zero, zero, one, zero, zero, zero, one], dim=-1).reshape(-1, 3, 3)


class Waves(wk.BasisTransform):
    """A displacement along each axis by two sines of x."""

    ndim = 2
    num_params = 4

    def identity(self) -> Tensor:
        return torch.zeros(4)

    def basis(self, points: Tensor) -> Tensor:
        return torch.stack([torch.sin(3 * points[..., 0]), torch.cos(2 * points[..., 0])], dim=-1)

    def coefficients(self, theta: Tensor) -> Tensor:
        return theta.reshape(-1, 2, 2)
