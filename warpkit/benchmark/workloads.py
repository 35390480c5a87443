"""The workloads: sizes from the uses of warps, values from a normal distribution, a mild affine θ for each image."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.errors import unknown
from warpkit.kernels.base import Kernel, kernels


@dataclass(frozen=True)
class Workload:
    """Work of one size. `small` is the shape of a smoke run; `kernels` lists the only ones it is for, if not empty."""

    name: str
    shape: tuple[int, ...]
    small: tuple[int, ...]
    channels_last: bool = False
    kernels: tuple[str, ...] = ()

    def size(self, quick: bool) -> tuple[int, ...]:
        """The shape [N, C, *S] in this run."""
        return self.small if quick else self.shape


WORKLOADS = {
    w.name: w
    for w in (
        Workload("digits", (256, 1, 40, 40), (8, 1, 40, 40)),
        Workload("photos", (16, 3, 224, 224), (2, 3, 64, 64)),
        Workload("full-hd", (1, 3, 1080, 1920), (1, 3, 96, 128)),
        Workload("gray", (1, 1, 2048, 2048), (1, 1, 128, 128)),
        Workload("features", (32, 64, 56, 56), (2, 16, 28, 28)),
        Workload("features-last", (32, 64, 56, 56), (2, 16, 28, 28), channels_last=True),
        Workload("volume", (1, 1, 128, 128, 128), (1, 1, 24, 24, 24)),
        Workload("tiny", (1, 1, 28, 28), (1, 1, 28, 28)),
        Workload("megapixels", (1, 1, 4096, 4096), (1, 1, 256, 256), kernels=("bicubic",)),
    )
}


class Work(NamedTuple):
    """The tensors of a call. `theta` [N, D, D + 1] takes output points to input points; `grad` is the output's."""

    image: Float[Tensor, "N C *S"]
    theta: Float[Tensor, "N D D1"]
    grad: Float[Tensor, "N C *S"]

    @property
    def least_bytes(self) -> int:
        """The bytes of image and output, which a forward pass must at least read and write."""
        return 2 * self.image.numel() * self.image.element_size()


def make(shape: tuple[int, ...], channels_last: bool = False) -> Work:
    """The tensors of a shape, with the same values each time."""
    generator = torch.Generator().manual_seed(0)
    image, grad = (torch.randn(shape, generator=generator) for _ in range(2))
    if channels_last:
        image, grad = (t.contiguous(memory_format=torch.channels_last) for t in (image, grad))
    return Work(image, mild(shape[0], len(shape) - 2), grad)


def mild(batch: int, dimensions: int) -> Float[Tensor, "N D D1"]:
    """An affine θ: a turn of −½ … ½ radians in the plane of x and y, a scale of 0.9, a small shift."""
    angle = torch.linspace(-0.5, 0.5, batch)
    theta = 0.9 * torch.eye(dimensions, dimensions + 1).repeat(batch, 1, 1)
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, -1] = 0.9 * angle.cos(), -angle.sin(), 0.1 * angle + 0.03
    theta[:, 1, 0], theta[:, 1, 1], theta[:, 1, -1] = angle.sin(), 0.9 * angle.cos(), 0.2 * angle - 0.02
    return theta


class CubicBSpline(Kernel):
    """The cubic B-spline itself, which smooths: order 3 of torch-interpol without its prefilter.

    M. Unser, "Splines: a perfect fit for signal and image processing", IEEE Signal Processing Magazine 16(6), 1999.
    """

    radius = 2.0
    interpolating = False
    symmetric = True
    continuity = 2
    reproduces = 1

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        """The two cubics of the B-spline, joined at |d| = 1."""
        d = distance.abs()
        return torch.where(d < 1, 2 / 3 - d**2 + d**3 / 2, (2 - d) ** 3 / 6)


_OWN = {"bspline": CubicBSpline()}
_DEFAULT = ("bilinear", "bicubic", "bspline", "lanczos")


def kernel_names() -> list[str]:
    """The names of the kernels that can be measured."""
    return sorted({*kernels.names(), *_OWN})


def default_kernels() -> list[str]:
    """The kernels that are measured unless others are asked for; `lanczos` comes with a plugin."""
    return [name for name in _DEFAULT if name in kernel_names()]


def get_kernel(name: str) -> str | Kernel:
    """The kernel to give to `warp`: a registered name stays a name, as a user would write it."""
    if name not in kernel_names():
        raise unknown("kernel", name, kernel_names())
    return _OWN.get(name, name)


def get_workload(name: str) -> Workload:
    """The workload of this name; `InputError` names the nearest."""
    if name not in WORKLOADS:
        raise unknown("workload", name, WORKLOADS)
    return WORKLOADS[name]


def shown(shape: tuple[int, ...]) -> str:
    """A shape as text, such as 16×3×224×224."""
    return "×".join(map(str, shape))
