"""Distorted digits as in the paper's section 4.1, made with warpkit itself.

A distortion is two things: what is random about an image, drawn on any machine in the same way, and what it does to
images, all of a batch at once and on their device. So a batch that is shared out among processes is still the same one.
"""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from warpkit.errors import unknown
from warpkit.geometry import lattice
from warpkit.warping import warp

Images = Float[Tensor, "N C H W"]
Placed = Float[Tensor, "N C *canvas"]
Draws = Float[Tensor, "N K"]
_FLAT = 0.1  # of P: a corner that turns by less, where 1 is a right angle between whole sides


class Distortion(ABC):
    """A distortion, called with images `[N, C, H, W]` and a generator; the results may be on a larger canvas."""

    @abstractmethod
    def draw(self, count: int, generator: Generator) -> Draws:
        """The random numbers for each of `count` images, `[count, K]`, on the generator's device."""

    @abstractmethod
    def apply(self, images: Images, drawn: Draws, others: Float[Tensor, "M C H W"]) -> Placed:
        """The images, distorted by the numbers drawn for them; clutter is cut out of `others`."""

    def __call__(self, images: Images, generator: Generator) -> Placed:
        """Distort `images` at random; clutter is cut out of themselves."""
        return self.apply(images, self.draw(len(images), generator).to(images), images)


class Undistorted(Distortion):
    """No distortion, to know what a classifier is capable of."""

    def draw(self, count: int, generator: Generator) -> Draws:
        """Empty rows [count, 0]: nothing is random."""
        return torch.empty(count, 0, device=generator.device)

    def apply(self, images: Images, drawn: Draws, others: Float[Tensor, "M C H W"]) -> Placed:
        """The images as they are."""
        return images


class Rotate(Distortion):
    """R: turned by an angle uniform in ±90°."""

    def draw(self, count: int, generator: Generator) -> Draws:
        """The angle of each image, in radians: [count, 1]."""
        return uniform(count, generator, (-math.pi / 2, math.pi / 2))

    def apply(self, images: Images, drawn: Draws, others: Float[Tensor, "M C H W"]) -> Placed:
        """The images, turned, on a canvas of their own size."""
        n = len(images)
        return place(images, drawn[:, 0], images.new_ones(n), images.new_zeros(n, 2), _size(images))


class RotateScaleTranslate(Distortion):
    """RTS: turned by ±45°, scaled by 0.7 … 1.2 and placed on a canvas half as large again (28 → 42), all uniform.

    The place is such that the scaled image, before it is turned, lies wholly on the canvas.
    """

    def draw(self, count: int, generator: Generator) -> Draws:
        """The angle, the scale, and the place x y in −1 … 1 of the room there is: [count, 4]."""
        return uniform(count, generator, (-math.pi / 4, math.pi / 4), (0.7, 1.2), (-1, 1), (-1, 1))

    def apply(self, images: Images, drawn: Draws, others: Float[Tensor, "M C H W"]) -> Placed:
        """The images, turned, scaled and moved, on a canvas of 3/2 of their size."""
        rows, columns = _larger(images)
        angle, scale, *_ = drawn.T
        filled = images.new_tensor([images.shape[3] / columns, images.shape[2] / rows])
        return place(images, angle, scale, drawn[:, 2:] * (1 - scale[:, None] * filled), (rows, columns))


class Project(Distortion):
    """P: scaled by 0.75 … 1 (uniform), then each corner moved by a normal of 5 pixels' standard deviation, x and y.

    Four corners fix a projective transform. Where the four sides cross, or a corner is nearly flat, no digit could be
    read: such draws (3 %) are drawn again.
    """

    def draw(self, count: int, generator: Generator) -> Draws:
        """The scale, and the pixels x y by which each of the four corners moves, row by row: [count, 9]."""
        drawn = torch.cat([uniform(count, generator, (0.75, 1.0)), 5 * _normal(count, 8, generator)], 1)
        flat = (_turns(drawn) < _FLAT).any(1)
        if flat.any():
            drawn[flat] = self.draw(int(flat.sum()), generator)
        return drawn

    def apply(self, images: Images, drawn: Draws, others: Float[Tensor, "M C H W"]) -> Placed:
        """The images, projected, on a canvas of 3/2 of their size, as moved corners may lie far out."""
        canvas, corners = _larger(images), lattice((2, 2), align_corners=True).reshape(4, 2).to(images)
        sides = images.new_tensor([images.shape[3], images.shape[2]])
        pixels = drawn[:, :1, None] * corners * sides / 2 + drawn[:, 1:].reshape(-1, 4, 2)
        moved = pixels * 2 / images.new_tensor([canvas[1], canvas[0]])
        return warp(images, "projective", homography(moved, corners), size=canvas)


class Deform(Distortion):
    """E: a thin-plate spline; its 4×4 control points are moved by a normal of 1.5 pixels' deviation, x and y."""

    def draw(self, count: int, generator: Generator) -> Draws:
        """The pixels by which each control point is moved, x y interleaved: [count, 32]."""
        return 1.5 * _normal(count, 32, generator)

    def apply(self, images: Images, drawn: Draws, others: Float[Tensor, "M C H W"]) -> Placed:
        """The images, bent, on a canvas of their own size."""
        points = lattice((4, 4), align_corners=True).reshape(16, 2).to(images)
        looks_at = points + drawn.reshape(-1, 16, 2) * _pixel(images)
        return warp(images, "thin_plate_spline", looks_at.flatten(1))


class TranslateClutter(Distortion):
    """TC: placed anywhere in 60×60 by whole pixels, and six 6×6 crops of other digits, too; the brighter shows."""

    def __init__(self, canvas: int = 60, crops: int = 6, side: int = 6) -> None:
        self.canvas, self.crops, self.side = canvas, crops, side

    def draw(self, count: int, generator: Generator) -> Draws:
        """The place x y; then for each crop its digit, its place x y there and its target x y: all in 0 … 1."""
        return uniform(count, generator, *[(0.0, 1.0)] * (2 + 5 * self.crops))

    def apply(self, images: Images, drawn: Draws, others: Float[Tensor, "M C H W"]) -> Placed:
        """The images among clutter, on a canvas of `canvas` × `canvas` pixels."""
        room, corner = self._corner(images, drawn)
        centre = (corner * 2 - room) / self.canvas
        n = len(images)
        zero, one = images.new_zeros(n), images.new_ones(n)
        digits = place(images, zero, one, centre, (self.canvas, self.canvas))
        return torch.maximum(digits, self._clutter(drawn[:, 2:].reshape(n, self.crops, 5), others))

    def boxes(self, images: Images, drawn: Draws) -> Float[Tensor, "N 4"]:
        """The boxes of the images that `apply` places: left, top, right and bottom edge in pixels of the canvas."""
        room, corner = self._corner(images, drawn)
        return torch.cat([corner, corner + self.canvas - room], 1)

    def _corner(self, images: Images, drawn: Draws) -> tuple[Float[Tensor, "2"], Float[Tensor, "N 2"]]:
        """The room there is on the canvas and how much of it is left of and above the image, in pixels x y."""
        room = self.canvas - images.new_tensor([images.shape[3], images.shape[2]])
        return room, (drawn[:, :2] * (room + 1)).floor()

    def _clutter(self, drawn: Float[Tensor, "N crops 5"], others: Float[Tensor, "M C H W"]) -> Placed:
        which = (drawn[..., 0] * len(others)).long().clamp(max=len(others) - 1).flatten()
        whole = others.new_tensor([others.shape[3], others.shape[2]])
        start = (drawn[..., 1:3] * (whole - self.side + 1)).floor().reshape(-1, 2)
        scale, shift = self.side / whole.expand_as(start), (start * 2 + self.side) / whole - 1
        zero = torch.zeros_like(scale[:, 0])
        theta = torch.stack([scale[:, 0], zero, shift[:, 0], zero, scale[:, 1], shift[:, 1]], 1)
        crops = warp(others[which], "affine", theta, size=(self.side, self.side), kernel="nearest")
        channels = others.shape[1]
        pixels = torch.arange(self.side, device=others.device)
        to = (drawn[..., 3:] * (self.canvas - self.side + 1)).long()
        rows, columns = to[..., 1, None] + pixels, to[..., 0, None] + pixels
        index = (rows[..., :, None] * self.canvas + columns[..., None, :]).flatten(1)[:, None]
        values = crops.reshape(len(drawn), self.crops, channels, self.side**2).transpose(1, 2).flatten(2)
        canvas = others.new_zeros(len(drawn), channels, self.canvas**2)
        canvas = canvas.scatter_reduce(2, index.expand_as(values), values, "amax")
        return canvas.reshape(len(drawn), channels, self.canvas, self.canvas)


class Glimpse(Distortion):
    """The view of a window that is not well placed: a digit or a part of one, on a canvas of the image's size.

    The window's side is 0.9 … 2 times the image's, and the image's middle lies up to 0.35 of that side off the
    window's, along either axis.
    """

    def draw(self, count: int, generator: Generator) -> Draws:
        """The window's side, in sides of the image, and its place x y in halves of its side: [count, 3]."""
        return uniform(count, generator, (0.9, 2.0), (-0.7, 0.7), (-0.7, 0.7))

    def apply(self, images: Images, drawn: Draws, others: Float[Tensor, "M C H W"]) -> Placed:
        """The images as their windows show them."""
        scale, x, y = drawn.T
        theta = torch.stack([scale, scale * x, scale * y], 1)
        return warp(images, "attention", theta)


distortions: dict[str, Distortion] = {
    "none": Undistorted(),
    "r": Rotate(),
    "rts": RotateScaleTranslate(),
    "p": Project(),
    "e": Deform(),
    "tc": TranslateClutter(),
    "glimpse": Glimpse(),
}


def get_distortion(name: str) -> Distortion:
    """The distortion of this name: "none", "r", "rts", "p", "e", "tc" or "glimpse"; `InputError` for another."""
    if name not in distortions:
        raise unknown("distortion", name, distortions)
    return distortions[name]


def place(
    images: Images,
    angle: Float[Tensor, " N"],
    scale: Float[Tensor, " N"],
    centre: Float[Tensor, "N 2"],
    canvas: tuple[int, int],
) -> Placed:
    """Each image turned by `angle` (radians, clockwise as seen), scaled, and put with its middle at `centre`.

    `centre` is in the canvas's normalised coordinates x, y; `canvas` is (rows, columns) in pixels. A transformer maps
    the canvas to the image, so θ undoes what is wanted. With p on the canvas and q in the image, both normalised, and
    their sides in pixels:

        image_side · scale · R(angle) q = canvas_side · (p − centre)
        q = R(−angle) · canvas_side / scale · (p − centre) / image_side
    """
    cos, sin = angle.cos() / scale, angle.sin() / scale
    back = torch.stack([cos, sin, -sin, cos], 1).reshape(-1, 2, 2)  # R(−angle) / scale
    from_pixels = images.new_tensor([1 / images.shape[3], 1 / images.shape[2]])  # x, y
    matrix = from_pixels[:, None] * back * images.new_tensor([canvas[1], canvas[0]])
    theta = torch.cat([matrix, -matrix @ centre[:, :, None]], 2)
    return warp(images, "affine", theta.flatten(1), size=canvas)


def homography(points: Float[Tensor, "N 4 2"], targets: Float[Tensor, "4 2"]) -> Float[Tensor, "N 8"]:
    """θ of the projective transform that takes each of four points to its target.

    With w = h₇x + h₈y + 1, u·w = h₁x + h₂y + h₃ and v·w = h₄x + h₅y + h₆: eight linear equations.
    """
    x, y = points.double().unbind(-1)
    u, v = targets.to(x).unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    across = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], -1)
    down = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], -1)
    system = torch.cat([across, down], 1)
    theta: Tensor = torch.linalg.solve(system, torch.cat([u, v]).expand(len(x), 8))
    return theta.to(points)


def _turns(drawn: Draws) -> Float[Tensor, "N 4"]:
    """The sine of the turn at each corner of a digit's moved frame, times both sides, 1 for the frame as it was."""
    frame = drawn[:, :1, None] * 28 * lattice((2, 2), align_corners=True).reshape(4, 2).to(drawn) / 2
    around = (frame + drawn[:, 1:].reshape(-1, 4, 2))[:, [0, 1, 3, 2]]
    x, y = (around.roll(-1, 1) - around).unbind(-1)
    turns: Tensor = x * y.roll(-1, 1) - y * x.roll(-1, 1)
    return turns / (28 * drawn[:, :1]) ** 2


def _size(images: Images) -> tuple[int, int]:
    return images.shape[2], images.shape[3]


def _larger(images: Images) -> tuple[int, int]:
    return images.shape[2] * 3 // 2, images.shape[3] * 3 // 2


def _pixel(images: Images) -> Float[Tensor, "2"]:
    """The size x y of a pixel in normalised coordinates."""
    pixel: Tensor = images.new_tensor([2 / images.shape[3], 2 / images.shape[2]])
    return pixel


def uniform(count: int, generator: Generator, *limits: tuple[float, float]) -> Draws:
    """Uniform random numbers [count, K], a column for each pair of limits, on the generator's device."""
    low, high = torch.tensor(limits, device=generator.device).T
    unit = torch.rand(count, len(limits), generator=generator, device=generator.device)
    return torch.lerp(low, high, unit)


def _normal(count: int, columns: int, generator: Generator) -> Draws:
    return torch.randn(count, columns, generator=generator, device=generator.device)
