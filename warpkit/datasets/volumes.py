"""Digits in three dimensions: extruded along depth and placed at random in a 60×60×60 volume (the paper's appendix)."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from warpkit.datasets.distortions import Distortion, Draws, Images, uniform
from warpkit.transforms.affine import Affine
from warpkit.warping import warp


class Extrude(Distortion):
    """A digit repeated along depth, turned, scaled and placed in a cube of `canvas` voxels' side, all uniform.

    `depth`: how many voxels deep the digit becomes; the paper does not say, half a digit's side is taken. `turn`: the
    largest angle about each of x, y and z, either way, in radians; `scale`: its limits. Both are off unless given. The
    place is such that the scaled digit, before it is turned, lies wholly in the cube.
    """

    def __init__(
        self, canvas: int = 60, depth: int = 14, turn: float = 0.0, scale: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        self.canvas, self.depth, self.turn, self.scale = canvas, depth, turn, scale

    def draw(self, count: int, generator: Generator) -> Draws:
        """The angles about x, y and z, the scale, and the place x y z in −1 … 1 of the room there is: [count, 7]."""
        return uniform(count, generator, *[(-self.turn, self.turn)] * 3, self.scale, *[(-1.0, 1.0)] * 3)

    def apply(
        self, images: Images, drawn: Draws, others: Float[Tensor, "M C H W"]
    ) -> Float[Tensor, "N C canvas canvas canvas"]:
        """The volumes [N, C, canvas, canvas, canvas] that the digits are placed in."""
        solid = images[:, :, None].expand(-1, -1, self.depth, -1, -1)
        theta = Affine(3).inverse(self.where(images, drawn))
        return warp(solid, "affine", theta, size=(self.canvas,) * 3)

    def where(self, images: Images, drawn: Draws) -> Float[Tensor, "N 12"]:
        """The place of each digit: θ of the 3-D affine transform that samples it back, as depth × H × W.

        It takes q in the digit to p in the volume, so its last column is the digit's middle, normalised x y z:

            canvas · (p − centre) = scale · R · sides · q,   R = R_z R_y R_x
        """
        sides = images.new_tensor([images.shape[3], images.shape[2], self.depth]) / self.canvas
        scaled = drawn[:, 3:4] * sides
        centre = drawn[:, 4:] * (1 - scaled)
        linear = _turned(drawn[:, :3]) * scaled[:, None]
        return torch.cat([linear, centre[:, :, None]], 2).flatten(1)


def _turned(angles: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3 3"]:
    """The matrices R_z R_y R_x; each turns the next axis towards the one after it."""
    rotation = torch.eye(3).to(angles).expand(len(angles), 3, 3)
    for axis in range(3):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        step = torch.eye(3).to(angles).repeat(len(angles), 1, 1)
        step[:, i, i] = step[:, j, j] = angles[:, axis].cos()
        step[:, j, i] = angles[:, axis].sin()
        step[:, i, j] = -step[:, j, i]
        rotation = step @ rotation
    return rotation
