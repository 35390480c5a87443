"""The task to bring pairs of images onto each other, without anybody saying how."""

import math
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional

from warpkit.datasets.distortions import Distortion, Draws, Images, Placed, uniform
from warpkit.geometry import lattice
from warpkit.training.tasks.base import Batch, Raw
from warpkit.training.tasks.digits import DigitSource, DigitTask
from warpkit.training.tasks.looking import called, looking
from warpkit.transforms.affine import Affine
from warpkit.warping import warp


class Move(Distortion):
    """A digit turned, scaled and shifted on its own canvas, which a registration has to undo. Angles are in radians."""

    def __init__(self, turn: float, scale: float, shift: float) -> None:
        self.limits = ((-turn, turn), (-math.log(scale), math.log(scale)), (-shift, shift), (-shift, shift))

    def draw(self, count: int, generator: Generator) -> Draws:
        """The angle, the logarithm of the scale, and the shift x y in normalised coordinates."""
        return uniform(count, generator, *self.limits)

    def theta(self, drawn: Draws) -> Float[Tensor, "N 6"]:
        """The θ of the affine transform that makes the moved image."""
        angle, log_scale, x, y = drawn.T
        cos, sin = angle.cos() * log_scale.exp(), angle.sin() * log_scale.exp()
        return torch.stack([cos, -sin, x, sin, cos, y], 1)

    def apply(self, images: Images, drawn: Draws, others: Float[Tensor, "M C H W"]) -> Placed:
        """The images, each moved by its own θ."""
        return warp(images, "affine", self.theta(drawn))


class RegistrationData(DigitSource):
    """The table `[data]` of `type = "registration"`: a moved digit, and the digit as it was.

    `turn`: the largest angle, in degrees. `scale`: the most, and its inverse the least. `shift`: the largest, as a part
    of the image's side.
    """

    type: Literal["registration"] = "registration"
    turn: Annotated[float, Field(ge=0, le=180)] = 30.0
    scale: Annotated[float, Field(ge=1, le=4)] = 1.25
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.1


class Registration(DigitTask):
    """The task to bring `moving` onto `fixed`.

    The loss is the mean square of what is left. The error is how far the corners of the image are from where they
    belong, as a part of how far they were: 0 for a perfect match, 1 for none.
    """

    def __init__(self, data: RegistrationData) -> None:
        self.move = Move(math.radians(data.turn), data.scale, 2 * data.shift)
        super().__init__(data, self.move, "moved")

    @property
    def shapes(self) -> dict[str, Any]:
        """The shapes of the two images."""
        return {"inputs": {"moving": [1, 28, 28], "fixed": [1, 28, 28]}}

    def prepare(self, raw: Raw) -> Batch:
        """The moved digit and the digit; the targets are θ of the move."""
        moving = self.move.apply(raw.images, raw.drawn, raw.images)
        return Batch((moving, raw.images), self.move.theta(raw.drawn))

    def step(self, model: nn.Module, batch: Batch) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
        """The mean square difference, and the corners' distance relative to the batch's mean distance before."""
        with looking(model) as look:
            output = called(model, *batch.inputs)
        corners = lattice((2, 2), align_corners=True).reshape(1, 4, 2).to(output)
        points = look.points(corners)
        moved = Affine(2)
        before = (moved(batch.targets, corners) - corners).norm(dim=2).mean(1)
        after = (moved(batch.targets, points) - corners).norm(dim=2).mean(1)
        return functional.mse_loss(output, batch.inputs[1]), after / before.mean().clamp(min=1e-9)
