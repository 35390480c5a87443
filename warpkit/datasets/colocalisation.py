"""Co-localisation: images that show a digit of one class somewhere, among clutter or alone (the paper's appendix)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from warpkit.datasets.digits import Labelled
from warpkit.datasets.distortions import TranslateClutter
from warpkit.errors import require

Boxes = Float[Tensor, "N 4"]


class Located(NamedTuple):
    """Images, and for each the box of its digit's 28×28 frame: left, top, right and bottom edge, in pixels."""

    images: Float[Tensor, "N 1 84 84"]
    boxes: Boxes


def colocalisation(
    digits: Labelled, label: int, generator: Generator, *, count: int = 100, clutter: bool = True
) -> Located:
    """`count` images of one class: a digit placed anywhere in 84×84 by whole pixels, and sixteen 6×6 crops of others.

    The digits shown are drawn from those of `digits` with this label, each at most once; the crops are cut out of those
    of other classes. `clutter=False` gives the paper's "translated" images, without crops. The generator, on the CPU,
    decides everything.

    Raises `InputError` where there are fewer than `count` digits of the class, or no other digits to cut crops out of.
    """
    shown = (digits.labels == label).nonzero()[:, 0]
    require(
        0 <= count <= len(shown),
        f"colocalisation: {count} images of class {label} are wanted, there are {len(shown)} such digits",
    )
    others = digits.images[digits.labels != label]
    require(len(others) > 0 or not clutter, f"colocalisation: all digits are of class {label}: there are no others")
    chosen = digits.images[shown[torch.randperm(len(shown), generator=generator)[:count]]]
    place = TranslateClutter(canvas=84, crops=16 if clutter else 0)
    drawn = place.draw(count, generator)
    return Located(place.apply(chosen, drawn, others), place.boxes(chosen, drawn))


def iou(first: Boxes, second: Boxes) -> Float[Tensor, " N"]:
    """The intersection over union of each pair of boxes (left, top, right, bottom); the paper's "found" is > 0.5."""
    low, high = torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    areas = [(box[:, 2:] - box[:, :2]).prod(1) for box in (first, second)]
    return shared / (areas[0] + areas[1] - shared)
