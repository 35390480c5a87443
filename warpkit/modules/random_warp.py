"""Random warps of images, and of what lies on them: data augmentation."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from warpkit.antialias import check_antialias
from warpkit.boundary import PaddingMode, check_fill, check_padding
from warpkit.boxes import warp_boxes
from warpkit.component import Component, as_number
from warpkit.errors import require
from warpkit.geometry import UNITS, Units
from warpkit.kernels.base import KernelLike, kernels
from warpkit.pixels.matrices import affine
from warpkit.pixels.thetas import normalised
from warpkit.points import warp_points
from warpkit.precision import wide
from warpkit.transforms.base import Transform, transforms
from warpkit.warping import warp

Range = Sequence[float]


class Moved(NamedTuple):
    """An image after a random warp, and what lay on it; None for what was not given."""

    image: Tensor
    masks: Tensor | None
    points: Tensor | None
    boxes: Tensor | None


class RandomWarp(Component):
    """Turn, scale, shear, move and bend each image of a batch at random, with its masks, points and boxes.

    Each image is resampled once, whatever is asked for. In evaluation everything stays as it is. Ranges as in
    torchvision's RandomAffine:

    Args:
        degrees: turns by up to so many degrees either way, or a range (least, most).
        translate: moves by up to these parts of the width and of the height, (a, b).
        scale: a range of factors, how many times as large the picture becomes.
        shear: angles along x of up to so many degrees, or a range (least, most), or two, of x and of y.
        perspective: moves each corner by up to this part of the sides, below 0.5.
        elastic: moves control points by up to this part of the sides, and what is between them smoothly.
        grid: how many control points there are, rows first.
        kernel: what images are sampled with, as `padding_mode`, `fill` and `align_corners` go to `warp`.
        padding_mode: see `warp`.
        fill: see `warp`.
        align_corners: see `warp`.
        antialias: see `warp`; of images alone, masks keep their values.
        units: what points and boxes are counted in: "pixels", as in `warp_points`, or "normalized".

    Raises:
        InputError: for ranges that are none.

    >>> augment = RandomWarp(degrees=20, scale=(0.8, 1.2), elastic=0.02)
    >>> images, masks = torch.rand(4, 3, 32, 32), torch.zeros(4, 1, 32, 32, dtype=torch.uint8)
    >>> moved = augment(images, masks=masks)
    >>> moved.image.shape, moved.masks.dtype
    (torch.Size([4, 3, 32, 32]), torch.uint8)
    """

    def __init__(
        self,
        degrees: float | Range = 0.0,
        translate: Range | None = None,
        scale: Range | None = None,
        shear: float | Range | None = None,
        *,
        perspective: float = 0.0,
        elastic: float = 0.0,
        grid: int | Sequence[int] = 5,
        kernel: KernelLike = "bilinear",
        padding_mode: PaddingMode | Sequence[PaddingMode] = "zeros",
        fill: float | Sequence[float] = 0.0,
        align_corners: bool = False,
        antialias: bool | int = False,
        units: Units = "pixels",
    ) -> None:
        super().__init__()
        self.degrees = _range("degrees", degrees)
        self.translate = _numbers("translate", (0.0, 0.0) if translate is None else translate, (2,), least=0)
        self.scale = _numbers("scale", (1.0, 1.0) if scale is None else scale, (2,), least=1e-6)
        sheared = shear if isinstance(shear, Sequence) and len(shear) == 4 else (*_range("shear", shear or 0.0), 0, 0)
        self.shear = _numbers("shear", sheared, (4,))
        perspective, elastic = as_number(perspective), as_number(elastic)
        for name, given, most in (("perspective", perspective, 0.5), ("elastic", elastic, 1.0)):
            right = isinstance(given, int | float) and 0 <= given < most
            require(right, name, expected=f"a number of 0 or more and below {most}", given=given)
        require(units in UNITS, "units", expected="'pixels' or 'normalized'", given=units)
        self.perspective, self.elastic, self.units = float(perspective), float(elastic), units
        self.kernel, self.padding_mode, self.fill, self.align_corners = kernel, padding_mode, fill, align_corners
        check_padding(padding_mode, 2)
        check_fill(fill)
        check_antialias(antialias, [kernels.shared(kernel, torch.device("cpu"))])
        self.antialias = antialias
        flat = "affine" if perspective == 0 else "projective"
        bend = {"type": "free_form", "grid": list(grid) if isinstance(grid, Sequence) else grid}
        self.transform: Transform = transforms.own({"type": "compose", "of": [bend, flat]} if elastic else flat, ndim=2)

    def forward(
        self,
        image: Float[Tensor, "N C H W"],
        *,
        masks: Tensor | None = None,
        points: Tensor | None = None,
        boxes: Tensor | None = None,
        generator: Generator | None = None,
    ) -> Tensor | Moved:
        """The images, moved; with masks, points or boxes a `Moved` of all.

        `masks`: `[N, K, H, W]` of any type, whose values are kept (`nearest`), 0 outside. `points`: `[N, M, 2]`.
        `boxes`: `[N, M, 4]`; the tight boxes around what they become. `generator` decides, or torch's own.
        """
        moved = Moved(image, masks, points, boxes)
        if self.training:
            size = (int(image.shape[-2]), int(image.shape[-1]))
            theta = self.theta(image, generator)
            how: dict[str, Any] = {"align_corners": self.align_corners}
            ways: dict[str, Any] = {"kernel": self.kernel, "padding_mode": self.padding_mode, "fill": self.fill}
            image = warp(image, self.transform, theta, antialias=self.antialias, **ways, **how)
            if masks is not None:
                masks = warp(masks, self.transform, theta, kernel="nearest", **how)
            how |= {"units": self.units, "in_size": size}
            if points is not None:
                points = warp_points(points, self.transform, theta, **how)
            if boxes is not None:
                boxes = warp_boxes(boxes, self.transform, theta, **how)
            moved = Moved(image, masks, points, boxes)
        return moved if any(part is not None for part in moved[1:]) else moved.image

    def theta(self, image: Float[Tensor, "N C H W"], generator: Generator | None = None) -> Float[Tensor, "N P"]:
        """θ of `self.transform` for each image, drawn anew: on its device, and nothing waits for a device's numbers."""
        n, dtype = len(image), torch.float64 if image.dtype == torch.float64 else torch.float32
        where = image.device if generator is None else generator.device
        drawn = torch.rand(n, 14, generator=generator, device=where, dtype=torch.float32).to(
            image.device, wide(image.device)
        )
        ranges = (self.degrees, self.scale, self.shear[:2], self.shear[2:], *((-t, t) for t in self.translate))
        angle, scale, shear_x, shear_y, x, y = (
            low + (high - low) * part for (low, high), part in zip(ranges, drawn[:, :6].unbind(-1), strict=True)
        )
        size = (int(image.shape[-2]), int(image.shape[-1]))
        middle = drawn.new_tensor([(k - 1) / 2 for k in reversed(size)])
        moves = torch.stack([x * size[1], y * size[0]], dim=-1)
        sheared = torch.stack([shear_x, shear_y], dim=-1)
        forth = affine(middle, degrees=angle, translate=moves, scale=scale, shear=sheared)
        back, _ = torch.linalg.inv_ex(forth)  # which has an inverse, and waits for no error
        matrix = normalised(back, size, size, self.align_corners)
        if self.perspective:
            corners = self.perspective * 2 * (2 * drawn[:, 6:14] - 1).reshape(n, 4, 2)
            matrix = matrix @ _homography(corners)
            theta = (matrix / matrix[:, 2:, 2:]).flatten(1)[:, :8]
        else:
            theta = matrix[:, :2].flatten(1)
        if self.elastic:
            count = self.transform.num_params - theta.shape[1]
            bends = torch.rand(n, count, generator=generator, device=where, dtype=torch.float32).to(theta)
            theta = torch.cat([2 * self.elastic * (2 * bends - 1), theta], dim=1)
        return theta.to(dtype)


def _homography(moves: Float[Tensor, "N 4 2"]) -> Float[Tensor, "N 3 3"]:
    """The matrix that takes the corners −1 … 1 to where they are moved."""
    x, y = moves.new_tensor([[-1.0, -1], [1, -1], [-1, 1], [1, 1]]).unbind(-1)
    u, v = moves[..., 0] + x, moves[..., 1] + y
    one, zero = torch.ones_like(u), torch.zeros_like(u)
    x, y = x.expand_as(u), y.expand_as(u)
    above = torch.stack([x, y, one, zero, zero, zero, -x * u, -y * u], dim=-1)
    below = torch.stack([zero, zero, zero, x, y, one, -x * v, -y * v], dim=-1)
    h, _ = torch.linalg.solve_ex(torch.cat([above, below], dim=1), torch.cat([u, v], dim=1))  # no wait for an error
    return torch.cat([h, one[:, :1]], dim=1).reshape(-1, 3, 3)


def _numbers(name: str, given: Any, lengths: tuple[int, ...], least: float = -math.inf) -> tuple[float, ...]:
    right = isinstance(given, Sequence) and not isinstance(given, str) and len(given) in lengths
    given = tuple(map(as_number, given)) if right else given
    right = right and all(isinstance(x, int | float) and least <= x < math.inf for x in given)
    right = right and (name == "translate" or all(a <= b for a, b in zip(given[::2], given[1::2], strict=True)))
    kind = "two parts of the sides, 0 or more" if name == "translate" else "ranges (least, most)"
    require(right, name, expected=kind, given=given)
    return tuple(float(x) for x in given)


def _range(name: str, given: Any) -> tuple[float, ...]:
    """The range of a number, from minus it to it, or as it is given."""
    given = as_number(given)
    if isinstance(given, int | float) and not isinstance(given, bool):
        require(0 <= given < math.inf, name, expected="a number of 0 or more, or a range (least, most)", given=given)
        given = (-float(given), float(given))
    return _numbers(name, given, (2,))
