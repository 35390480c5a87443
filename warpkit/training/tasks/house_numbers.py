"""The task to read house numbers digit by digit (the paper's section 4.2)."""

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.utils.data import ConcatDataset

from warpkit.datasets import HouseNumber, HouseNumbers
from warpkit.datasets.digit_struct import BLANK
from warpkit.datasets.svhn import MOST
from warpkit.errors import require
from warpkit.training.tables import Table
from warpkit.training.tasks.base import Batch, Half, Raw, Task


class HouseNumbersData(Table):
    """The table `[data]` of `type = "house_numbers"`: whole numbers of SVHN.

    `folder`: with `train`, `test` and, unless `extra = false`, `extra` in it. `size`: the side that the crop around a
    number is brought to, in pixels. `margin`: how much larger than the digits' box it is.
    """

    type: Literal["house_numbers"] = "house_numbers"
    folder: str
    extra: bool = True
    size: Annotated[int, Field(ge=8, le=512)] = 64
    margin: Annotated[float, Field(ge=0, le=4)] = 0.3


class HouseNumbersTask(Task):
    """The task to read a number: five places, each a digit or none. One wrong place makes a number wrong."""

    validates = False

    def __init__(self, data: HouseNumbersData) -> None:
        splits = ["train", "extra"] if data.extra else ["train"]
        each = [HouseNumbers(data.folder, split, size=data.size, margin=data.margin) for split in [*splits, "test"]]
        self.halves: dict[Half, ConcatDataset[HouseNumber]] = {
            "train": ConcatDataset(each[:-1]),
            "test": ConcatDataset(each[-1:]),
        }
        self.size, self.train_images, self.test_images = data.size, len(self.halves["train"]), len(each[-1])
        self.tested_on = f"{self.test_images:,} numbers of {Path(data.folder).name}, the test split"

    @property
    def shapes(self) -> dict[str, Any]:
        """The shape of a crop, in colour."""
        return {"input": [3, self.size, self.size]}

    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N 0"]:
        """Empty rows [count, 0]: nothing is random."""
        return torch.empty(count, 0)

    def take(self, half: Half, indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N L"]) -> Raw:
        """The crops, read from their files, and the digits of each."""
        numbers = [self.halves[half][index] for index in indices.tolist()]
        return Raw(torch.stack([n.image for n in numbers]), torch.stack([n.label for n in numbers]), drawn)

    def prepare(self, raw: Raw) -> Batch:
        """The crops, with the mean of each image and channel taken away."""
        image = raw.images.float() / 255
        return Batch((image - image.mean((2, 3), keepdim=True),), raw.targets)

    def step(self, model: nn.Module, batch: Batch) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
        """The cross-entropy, summed over the places and averaged over images, and which numbers are wrong."""
        scores = model(*batch.inputs)
        wanted = [len(batch.targets), BLANK + 1, MOST]
        given = list(scores.shape)
        require(given == wanted, "the model's output", expected=f"scores of shape {wanted}", given=given)
        wrong = (scores.argmax(1) != batch.targets).any(1)
        return functional.cross_entropy(scores, batch.targets) * MOST, wrong.float()
