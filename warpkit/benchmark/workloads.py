"""The workloads: sizes and types from the uses of warps, random values, a mild affine θ for each image, or points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.functional import affine_grid

from warpkit.benchmark.peer import FORWARD, POINTS
from warpkit.errors import unknown
from warpkit.kernels.base import Kernel, kernels
from warpkit.kernels.bspline import BSpline


@dataclass(frozen=True)
class Workload:
    """Work of one size. `small` is the shape of a smoke run; `kernels` lists the only ones it is for, if not empty.

    `points`: the image is sampled at given points, and no matrix is given. `dtype`: of the image.
    """

    name: str
    shape: tuple[int, ...]
    small: tuple[int, ...]
    channels_last: bool = False
    kernels: tuple[str, ...] = ()
    points: bool = False
    dtype: torch.dtype = torch.float32

    def size(self, quick: bool) -> tuple[int, ...]:
        """The shape [N, C, *S] in this run."""
        return self.small if quick else self.shape

    def kernels_of(self, asked: Sequence[str] | None) -> list[str]:
        """Those of the kernels asked for that it is for; all that it is for, or the usual ones, where none was."""
        if asked is None:
            return list(self.kernels or default_kernels())
        return [kernel for kernel in asked if not self.kernels or kernel in self.kernels]

    def directions_of(self, asked: Sequence[str]) -> list[str]:
        """Those of the directions asked for that there are: no gradient of integers, or of points where none are."""
        none = () if self.points else (POINTS,)
        return [d for d in asked if d == FORWARD or (self.dtype.is_floating_point and d not in none)]


_COMMON = ("bilinear", "bicubic")
_READ = ("nearest", *_COMMON)
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
        Workload("points", (4, 3, 256, 256), (2, 3, 32, 32), kernels=_COMMON, points=True),
        Workload("points-full-hd", (1, 3, 1080, 1920), (1, 3, 96, 128), kernels=_COMMON, points=True),
        Workload("points-features", (2, 64, 96, 96), (2, 16, 24, 24), kernels=_COMMON, points=True),
        Workload("points-pairs", (8, 2, 256, 256), (2, 2, 32, 32), kernels=_COMMON, points=True),
        Workload("points-volume", (1, 1, 128, 128, 128), (1, 1, 24, 24, 24), kernels=("bilinear",), points=True),
        Workload("points-tiny", (1, 1, 28, 28), (1, 1, 28, 28), kernels=_COMMON, points=True),
        Workload("bytes", (1, 3, 1080, 1920), (1, 3, 96, 128), kernels=_READ, dtype=torch.uint8),
        Workload("bytes-last", (1, 3, 1080, 1920), (1, 3, 96, 128), True, kernels=_READ, dtype=torch.uint8),
        Workload("bytes-gray", (1, 1, 1080, 1920), (1, 1, 96, 128), kernels=_READ, dtype=torch.uint8),
        Workload("labels", (1, 1, 128, 128, 128), (1, 1, 24, 24, 24), kernels=("nearest",), dtype=torch.int64),
        Workload("halves", (16, 3, 224, 224), (2, 3, 64, 64), kernels=_COMMON, dtype=torch.float16),
        Workload("brain-floats", (16, 3, 224, 224), (2, 3, 64, 64), kernels=_COMMON, dtype=torch.bfloat16),
        Workload("doubles", (16, 3, 224, 224), (2, 3, 64, 64), kernels=_COMMON, dtype=torch.float64),
    )
}


class Work(NamedTuple):
    """The tensors of a call. `theta` [N, D, D + 1] takes output points to input points; `grad` is the output's.

    `points`: those that θ takes the output's to, bent a little, where these are what is given.
    """

    image: Shaped[Tensor, "N C *S"]
    theta: Float[Tensor, "N D D1"]
    grad: Shaped[Tensor, "N C *S"]
    points: Float[Tensor, "N *S D"] | None = None

    @property
    def least_bytes(self) -> int:
        """The bytes of image and output, which a forward pass must at least read and write."""
        return 2 * self.image.numel() * self.image.element_size()


def make(workload: Workload, quick: bool = False) -> Work:
    """The tensors of this work, with the same values each time."""
    generator, shape = torch.Generator().manual_seed(0), workload.size(quick)
    image, grad = (_values(shape, workload.dtype, generator) for _ in range(2))
    if workload.channels_last:
        image, grad = (t.contiguous(memory_format=torch.channels_last) for t in (image, grad))
    theta = mild(shape[0], len(shape) - 2)
    if not workload.points:
        return Work(image, theta, grad)
    points = affine_grid(theta, list(shape), align_corners=False)
    return Work(image, theta, grad, points + 0.02 * torch.sin(5 * points.flip(-1)))


def _values(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    return torch.randint(256, shape, generator=generator).to(dtype)


def mild(batch: int, dimensions: int) -> Float[Tensor, "N D D1"]:
    """An affine θ: a turn of −½ … ½ radians in the plane of x and y, a scale of 0.9, a small shift."""
    angle = torch.linspace(-0.5, 0.5, batch)
    theta = 0.9 * torch.eye(dimensions, dimensions + 1).repeat(batch, 1, 1)
    theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, -1] = 0.9 * angle.cos(), -angle.sin(), 0.1 * angle + 0.03
    theta[:, 1, 0], theta[:, 1, 1], theta[:, 1, -1] = angle.sin(), 0.9 * angle.cos(), 0.2 * angle - 0.02
    return theta


_OWN: dict[str, Kernel] = {"bspline": BSpline(prefilter=False)}  # as the peer that has it samples coefficients
_DEFAULT = ("bilinear", "bicubic", "bspline", "lanczos")


def kernel_names() -> list[str]:
    """The names of the kernels that can be measured."""
    return sorted({*kernels.names(), *_OWN})


def default_kernels() -> list[str]:
    """The kernels that are measured unless others are asked for."""
    return list(_DEFAULT)


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
