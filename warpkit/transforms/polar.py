"""Polar coordinates: the picture around a centre, unrolled. A row is an angle, a column a radius."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.component import as_number
from warpkit.errors import InputError, require
from warpkit.transforms.base import Transform
from warpkit.transforms.rotation import Aspect, check_aspect

_CENTRE = 1e-30  # a squared radius: below it there is no direction


class Around(Transform):
    """What polar transforms share: their options, and both formulas."""

    ndim = 2
    num_params = 2

    def __init__(self, log: bool = False, radius: float = 1.0, inner: float = 0.01, aspect: Aspect = 1.0) -> None:
        super().__init__()
        require(isinstance(log, bool), "log", expected="True or False", given=log)
        radius, inner = as_number(radius), as_number(inner)
        for name, given, most in (("radius", radius, math.inf), ("inner", inner, 1.0)):
            right = isinstance(given, int | float) and 0 < given < most
            require(right, name, expected=f"a number above 0 and below {most:g}", given=given)
        self.log, self.radius, self.inner = log, float(radius), float(inner)
        self.aspect = check_aspect(aspect, 2)

    @property
    def param_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The centre's names c_x, c_y."""
        return ("c_x", "c_y")

    def unrolled(self, theta: Float[Tensor, "N 2"], points: Float[Tensor, "B M 2"]) -> Float[Tensor, "NB M 2"]:
        """Radius and angle of points, each as −1 … 1 from nothing (`inner`) to `radius`, and once around."""
        x, y = (points - theta[:, None]).unbind(-1)
        x = x * (self.aspect[0] / self.aspect[1])
        square = x * x + y * y
        away = square > _CENTRE
        r = torch.where(away, square, 1.0).sqrt()  # at the centre the slope of a root is infinite
        turned = torch.atan2(torch.where(away, -y, 0.0), torch.where(away, -x, -1.0)) / math.pi
        part = torch.where(away, r, math.sqrt(_CENTRE) if self.log else 0.0) / self.radius
        along = 1 - 2 * part.log() / math.log(self.inner) if self.log else 2 * part - 1
        return torch.stack([along, turned], dim=-1)

    def rolled(self, theta: Float[Tensor, "N 2"], points: Float[Tensor, "B M 2"]) -> Float[Tensor, "NB M 2"]:
        """The way back of `unrolled`."""
        along, turned = points.unbind(-1)
        part = torch.exp((1 - along) / 2 * math.log(self.inner)) if self.log else (along + 1) / 2
        r, angle = self.radius * part, math.pi * (turned + 1)
        x, y = r * angle.cos() * (self.aspect[1] / self.aspect[0]), r * angle.sin()
        return torch.stack([x, y], dim=-1) + theta[:, None]


class Polar(Around):
    """The picture around a centre, unrolled: columns are radii, rows are angles, as `cv2.warpPolar` has them.

    The left edge is the centre, or the least circle; the right edge is the largest one. From top to
    bottom the angle goes once around, clockwise from the right. (OpenCV counts from the centres of the first column and
    row, half a pixel away.)

    `radius`: of the largest circle, in half heights of the image. `log`: whether radii grow by factors, and not by
    steps. `inner`: where `log` begins, as a part of `radius`. `aspect`: W / H of the image, so that circles are circles
    in pixels. θ is the centre x, y, normalised.

    The way back is `inverse_polar`, of the same θ and options.
    """

    def forward(self, theta: Float[Tensor, "N 2"], points: Float[Tensor, "B M 2"]) -> Float[Tensor, "NB M 2"]:
        """The centre, and from there a radius along an angle."""
        return self.rolled(theta, points)

    def inverse(self, theta: Tensor) -> Tensor:
        """There is none in this family: `InputError` names the transform that is."""
        raise InputError("polar has no inverse in its own family", hint="inverse_polar is its inverse, with the same θ")

    def preimages(self, theta: Float[Tensor, "N 2"], points: Float[Tensor, "B M 2"]) -> Float[Tensor, "NB M 2"]:
        """Radius and angle of each point; none of the centre, which is a whole edge of the output."""
        away = (points - theta[:, None]).square().sum(-1, keepdim=True) > _CENTRE
        return torch.where(away, self.unrolled(theta, points), torch.nan)


class InversePolar(Around):
    """An unrolled picture, rolled up again: what `polar` with the same θ and options undoes, and undoes it.

    Pixels beyond the largest circle lie outside of the unrolled image, and the padding says what they are.

    `radius`: of the largest circle, in half heights of the image. `log`: whether radii grow by factors, and not by
    steps. `inner`: where `log` begins, as a part of `radius`. `aspect`: W / H of the image, so that circles are circles
    in pixels. θ is the centre x, y, normalised.
    """

    def forward(self, theta: Float[Tensor, "N 2"], points: Float[Tensor, "B M 2"]) -> Float[Tensor, "NB M 2"]:
        """The radius and the angle of each point."""
        return self.unrolled(theta, points)

    def inverse(self, theta: Tensor) -> Tensor:
        """There is none in this family: `InputError` names the transform that is."""
        raise InputError("inverse_polar has no inverse in its own family", hint="polar is its inverse, with the same θ")

    def preimages(self, theta: Float[Tensor, "N 2"], points: Float[Tensor, "B M 2"]) -> Float[Tensor, "NB M 2"]:
        """The place of each radius and angle."""
        return self.rolled(theta, points)
