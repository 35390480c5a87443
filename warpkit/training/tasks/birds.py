"""The task to tell birds apart by their species (the paper's section 4.3)."""

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Generator, Tensor

from warpkit.datasets import Birds
from warpkit.training.tables import Table
from warpkit.training.tasks.base import Batch, Classification, Half, Raw


class BirdsData(Table):
    """The table `[data]` of `type = "birds"`: CUB-200-2011.

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
    """The task to tell the species; crops lie anywhere in training, and in the middle in the test."""

    validates = False

    def __init__(self, data: BirdsData) -> None:
        self.data = data
        self.halves: dict[Half, Birds] = {
            half: Birds(data.folder, half, size=data.size, short=data.short) for half in ("train", "test")
        }
        self.classes = len(self.halves["train"].classes)
        self.train_images, self.test_images = len(self.halves["train"]), len(self.halves["test"])
        self.tested_on = f"{self.test_images:,} images of {Path(data.folder).name}, the test split"

    @property
    def shapes(self) -> dict[str, Any]:
        """The shape of a crop, in colour."""
        return {"input": [3, self.data.size, self.data.size]}

    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N 3"]:
        """The place x y of each crop, and whether it is mirrored, all in 0 … 1."""
        return torch.rand(count, 3, generator=generator)

    def test_draws(self) -> Float[Tensor, "M 3"]:
        """The draws of a crop in the middle that is not mirrored."""
        return torch.full((self.test_images, 3), 0.5)

    def take(self, half: Half, indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N L"]) -> Raw:
        """The crops, read from their files, and their species."""
        birds = self.halves[half]
        crops = [birds.crop(index, place[:2]) for index, place in zip(indices.tolist(), drawn, strict=True)]
        return Raw(torch.stack([c.image for c in crops]), torch.tensor([c.label for c in crops]), drawn)

    def prepare(self, raw: Raw) -> Batch:
        """The crops, normalised, those mirrored that were drawn to be."""
        image = raw.images.float() / 255
        image = torch.where((raw.drawn[:, 2] > 0.5)[:, None, None, None], image.flip(3), image)
        mean, std = (image.new_tensor(values)[:, None, None] for values in (self.data.mean, self.data.std))
        return Batch(((image - mean) / std,), raw.targets)
