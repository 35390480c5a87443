"""Photographs to be recognised: house numbers and birds, read while they are trained on."""

from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional

from warpkit.datasets import Birds, HouseNumbers
from warpkit.errors import require
from warpkit.training.tables import Table
from warpkit.training.tasks.base import Batch, Classification, Half, Raw, Task

_HEADS, _CLASSES = 5, 11  # of a house number: places, and ten digits or none


class HouseNumbersData(Table):
    """`[data]` with `type = "house_numbers"`: SVHN, whole numbers.

    `folder`: with `train`, `test` and, unless `extra = false`, `extra` in it. `size`: the side that the crop around a
    number is brought to, in pixels. `margin`: how much larger than the digits' box it is.
    """

    type: Literal["house_numbers"] = "house_numbers"
    folder: str
    extra: bool = True
    size: Annotated[int, Field(ge=8, le=512)] = 64
    margin: Annotated[float, Field(ge=0, le=4)] = 0.3


class HouseNumbersTask(Task):
    """Read a number: five places, each a digit or none. A number is wrong where one of its places is."""

    validates = False

    def __init__(self, data: HouseNumbersData) -> None:
        splits = ["train", "extra"] if data.extra else ["train"]
        each = [HouseNumbers(data.folder, split, size=data.size, margin=data.margin) for split in [*splits, "test"]]
        self.halves: dict[Half, list[HouseNumbers]] = {"train": each[:-1], "test": each[-1:]}
        self.size, self.train_images, self.test_images = data.size, sum(map(len, each[:-1])), len(each[-1])
        self.tested_on = f"{self.test_images:,} house numbers of SVHN's test files"

    @property
    def shapes(self) -> dict[str, Any]:
        """In colour."""
        return {"input": [3, self.size, self.size]}

    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N 0"]:
        """Nothing is random."""
        return torch.empty(count, 0)

    def take(self, half: Half, indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N L"]) -> Raw:
        """The crops, read from their files; the digits of each."""
        images, labels = [], []
        for index in indices.tolist():
            part = 0
            while index >= len(self.halves[half][part]):
                index -= len(self.halves[half][part])
                part += 1
            number = self.halves[half][part][index]
            images.append(number.image)
            labels.append(number.label)
        return Raw(torch.stack(images), torch.stack(labels), drawn)

    def prepare(self, raw: Raw) -> Batch:
        """Each image and channel about its own mean."""
        image = raw.images.float() / 255
        return Batch((image - image.mean((2, 3), keepdim=True),), raw.targets)

    def step(self, model: nn.Module, batch: Batch) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
        """Cross-entropy, summed over the places and averaged; which numbers are wrong."""
        scores = model(*batch.inputs)
        wanted = [len(batch.targets), _CLASSES, _HEADS]
        require(list(scores.shape) == wanted, f"the model gives {list(scores.shape)}, expected scores {wanted}")
        wrong = (scores.argmax(1) != batch.targets).any(1)
        return functional.cross_entropy(scores, batch.targets) * _HEADS, wrong.float()


class BirdsData(Table):
    """`[data]` with `type = "birds"`: CUB-200-2011.

    `folder`: CUB_200_2011, or the one that it lies in. `size`: the side of a crop, in pixels, out of an image whose
    short side is `short` (the size unless given). `mean` and `std`: of each channel, as a backbone was trained with.
    """

    type: Literal["birds"] = "birds"
    folder: str
    size: Annotated[int, Field(ge=8, le=1024)] = 224
    short: Annotated[int, Field(ge=8, le=2048)] | None = None
    mean: Annotated[tuple[float, float, float], Field(strict=False)] = (0.485, 0.456, 0.406)
    std: Annotated[tuple[float, float, float], Field(strict=False)] = (0.229, 0.224, 0.225)


class BirdsTask(Classification):
    """Tell the species; crops lie anywhere while it learns, in the middle when it is tested."""

    validates = False

    def __init__(self, data: BirdsData) -> None:
        self.data = data
        self.halves: dict[Half, Birds] = {
            half: Birds(data.folder, half, size=data.size, short=data.short) for half in ("train", "test")
        }
        self.classes = len(self.halves["train"].classes)
        self.train_images, self.test_images = len(self.halves["train"]), len(self.halves["test"])
        self.tested_on = f"{self.test_images:,} birds of CUB-200-2011's test split"

    @property
    def shapes(self) -> dict[str, Any]:
        """In colour."""
        return {"input": [3, self.data.size, self.data.size]}

    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N 3"]:
        """Where a crop lies, and whether it is mirrored."""
        return torch.rand(count, 3, generator=generator)

    def test_draws(self) -> Float[Tensor, "M 3"]:
        """The middle, as it is."""
        return torch.full((self.test_images, 3), 0.5)

    def take(self, half: Half, indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N L"]) -> Raw:
        """The crops, read from their files."""
        birds = self.halves[half]
        crops = [birds.crop(index, place[:2]) for index, place in zip(indices.tolist(), drawn, strict=True)]
        return Raw(torch.stack([c.image for c in crops]), torch.tensor([c.label for c in crops]), drawn)

    def prepare(self, raw: Raw) -> Batch:
        """Normalised, half of them mirrored."""
        image = raw.images.float() / 255
        image = torch.where((raw.drawn[:, 2] > 0.5)[:, None, None, None], image.flip(3), image)
        mean, std = (image.new_tensor(values)[:, None, None] for values in (self.data.mean, self.data.std))
        return Batch(((image - mean) / std,), raw.targets)
