"""Lens distortion after Brown and Conrady."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

import warpkit as wk


class Lens(wk.Transform):
    """Radial and tangential distortion, θ = (k1, k2, p1, p2, k3) in OpenCV's order; all zeros are the identity.

    With (x, y) = (p − center) / focal and r² = x² + y², a point is sampled from center + focal · (x', y'):

        x' = x (1 + k1 r² + k2 r⁴ + k3 r⁶) + 2 p1 x y + p2 (r² + 2x²)
        y' = y (1 + k1 r² + k2 r⁴ + k3 r⁶) + p1 (r² + 2y²) + 2 p2 x y

    An output point is the ideal one; it is sampled from where the lens imaged it. So the θ of a calibrated camera
    removes the distortion from its photographs (a barrel has k1 < 0). The inverse, which imitates a lens, is no member
    of the family: −θ comes near it while the distortion is small.

    `focal` and `center` are two numbers each, x and y, in normalised coordinates, where −1 … 1 spans the image.
    θ has no unit; its meaning depends on `focal`, the distance from the centre at which r = 1. The default (1, 1) is
    half the width in x and half the height in y, which is round on a square image only: for H × W pixels say
    `focal=(H / W, 1)`, and for a calibrated camera `Lens.from_camera(matrix, size)`.

    Raises `warpkit.InputError` for options that are not two finite numbers, and for a focal of 0.

    D. C. Brown, "Decentering distortion of lenses", Photogrammetric Engineering 32(3), 1966, and "Close-range camera
    calibration", ibid. 37(8), 1971.
    """

    ndim = 2
    num_params = 5
    param_names = ("k1", "k2", "p1", "p2", "k3")

    def __init__(self, focal: Sequence[float] = (1.0, 1.0), center: Sequence[float] = (0.0, 0.0)) -> None:
        super().__init__()
        self.focal, self.center = _pair("focal", focal), _pair("center", center)
        if 0.0 in self.focal:
            raise wk.InputError("focal", expected="numbers other than 0", given=focal)

    @classmethod
    def from_camera(cls, matrix: Sequence[Sequence[float]], size: Sequence[int]) -> "Lens":
        """The lens of a camera matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels, for images of `size` (H, W).

        Pixel centres are whole numbers, as in OpenCV, and `align_corners` is False when warping. The result does what
        `cv2.undistort(image, matrix, distCoeffs)` does, with θ = (k1, k2, p1, p2, k3) = distCoeffs.
        """
        try:
            height, width = size
            (fx, skew, cx), (shear, fy, cy), last = ([float(v) for v in row] for row in matrix)
        except (TypeError, ValueError) as error:
            raise wk.InputError("lens", expected="a camera matrix and (H, W)", given=(matrix, size)) from error
        if [skew, shear, *last] != [0.0, 0.0, 0.0, 0.0, 1.0]:
            raise wk.InputError("lens", expected="a camera matrix [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]", given=matrix)
        return cls((2 * fx / width, 2 * fy / height), ((2 * cx + 1) / width - 1, (2 * cy + 1) / height - 1))

    def identity(self) -> Float[Tensor, "P"]:
        """The identity's θ, five zeros, which distorts nothing."""
        return torch.zeros(self.num_params)

    def forward(self, theta: Float[Tensor, "N P"], points: Float[Tensor, "B M D"]) -> Float[Tensor, "N M D"]:
        """The place of each ideal point in the distorted image."""
        k1, k2, p1, p2, k3 = theta[:, :, None].unbind(1)
        (fx, fy), (cx, cy) = self.focal, self.center
        x, y = (points[..., 0] - cx) / fx, (points[..., 1] - cy) / fy
        r2 = x**2 + y**2
        radial = ((k3 * r2 + k2) * r2 + k1) * r2
        dx = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
        dy = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
        # Added to the point itself, so that zeros are exactly the identity.
        return points + torch.stack([fx * dx, fy * dy], -1)


def _pair(name: str, given: Any) -> tuple[float, float]:
    try:
        x, y = (float(v) for v in given)
    except (TypeError, ValueError) as error:
        raise wk.InputError(name, expected="two numbers, x and y", given=given) from error
    if not (math.isfinite(x) and math.isfinite(y)):
        raise wk.InputError(name, expected="two finite numbers", given=given)
    return x, y
