"""The error of a warp's coordinates, found from its output alone.

An image whose columns are 0, 1, 0, 1 … and bilinear interpolation: between two columns the output rises or falls by one
a pixel, so its error is the error of x in pixels. The truth is computed in float64 from the same float32 θ. Points
close to a column are left out: the slope turns there, and a rounded coordinate may be given the slope of either side.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from warpkit.benchmark.results import Accuracy
from warpkit.benchmark.workloads import mild
from warpkit.geometry import lattice
from warpkit.sampling.sampler import sample
from warpkit.transforms.affine import Affine
from warpkit.warping import warp

WIDTHS = tuple(2**k for k in range(7, 16))
_HEIGHT = 8
_COLUMN = 1 / 32  # pixels from a column that are left out
_ANGLES = 5  # so many θ, of different turns and shifts


def _fused(image: Tensor, theta: Tensor) -> Tensor:
    return warp(image, "affine", theta.flatten(1), padding_mode="border")


def _on_grid(image: Tensor, theta: Tensor) -> Tensor:
    grid = Affine()(theta.flatten(1), lattice(image.shape[2:])[None])
    return sample(image, grid, padding_mode="border")


def _torch(image: Tensor, theta: Tensor) -> Tensor:
    grid = affine_grid(theta, list(image.shape), align_corners=False)
    return grid_sample(image, grid, padding_mode="border", align_corners=False)


WAYS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "warpkit.warp": _fused,
    "warpkit.sample on a float32 grid": _on_grid,
    "affine_grid + grid_sample": _torch,
}


def accuracy(width: int) -> Accuracy:
    """The largest error over some turns and every point between columns that are not the outermost."""
    theta = mild(_ANGLES, 2)
    image = (torch.arange(width) % 2).float().expand(_ANGLES, 1, _HEIGHT, width).contiguous()
    x = true_x(theta, width)
    truth = triangle(x)
    inside = (x > 1) & (x < width - 2) & ((x - x.round()).abs() > _COLUMN)  # beyond, the border rules
    errors = {}
    for name, way in WAYS.items():
        errors[name] = float((way(image, theta)[:, 0].double() - truth).abs()[inside].max())
    return Accuracy(width, errors)


def true_x(theta: Tensor, width: int) -> Tensor:
    """The pixel coordinate that each output pixel is sampled from: ((x + 1) · W − 1) / 2 in float64, [N, H, W]."""
    points = lattice((_HEIGHT, width), dtype=torch.float64)
    row = theta.double()[:, 0, :, None, None]
    return ((row[:, 0] * points[..., 0] + row[:, 1] * points[..., 1] + row[:, 2] + 1) * width - 1) / 2


def triangle(x: Tensor) -> Tensor:
    """A triangle wave: 0, 1, 0, 1 … at whole x, and linear between."""
    return 1 - (x.remainder(2) - 1).abs()
