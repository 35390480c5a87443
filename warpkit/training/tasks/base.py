"""The interface of a task: its images, their preparation in each batch, its loss and its error.

A task has two halves of work: `take` picks raw images where they are kept, `prepare` distorts them on the device that
trains. Between them everything random is drawn, by number, so that any number of processes make the same batches.
"""

from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int64, Num
from torch import Generator, Tensor, nn
from torch.nn import functional

from warpkit.errors import require

Half = Literal["train", "test"]
_TEST_SEED = 2015  # test images are the same whatever seed a model is trained with


class Raw(NamedTuple):
    """Images as they are kept, the target of each, and the random numbers drawn for each."""

    images: Num[Tensor, "N C *S"]
    targets: Num[Tensor, "N *K"]
    drawn: Float[Tensor, "N L"]

    def to(self, device: torch.device | str) -> "Raw":
        """The same images, targets and numbers on another device."""
        return Raw(*(part.to(device) for part in self))


class Batch(NamedTuple):
    """The inputs that a network is called with, and the targets."""

    inputs: tuple[Tensor, ...]
    targets: Tensor


class Task(ABC):
    """Images to learn from and to be tested on, with a loss and an error."""

    train_images: int
    test_images: int
    validates: bool  # whether the test half is no secret: the error on it is then measured in every epoch
    tested_on: str
    least_batch: int = 1

    @property
    @abstractmethod
    def shapes(self) -> dict[str, Any]:
        """The input as a spec has it: `input`, the shape [C, *S] of an image, or `inputs`, of several."""

    @abstractmethod
    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N L"]:
        """The random numbers for `count` images."""

    @abstractmethod
    def take(self, half: Half, indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N L"]) -> Raw:
        """The raw images of a batch."""

    @abstractmethod
    def prepare(self, raw: Raw) -> Batch:
        """The network's inputs and targets, made on the device of `raw`."""

    @abstractmethod
    def step(self, model: nn.Module, batch: Batch) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
        """The loss of a batch, and the error of each of its images: 0 for a right answer, 1 for a wrong one."""

    def measures(self, model: nn.Module, batch: Batch) -> dict[str, Float[Tensor, " N"]]:
        """What a test measures besides loss and error, for each image of a batch, by name."""
        return {}

    def test_draws(self) -> Float[Tensor, "M L"]:
        """The random numbers for the test images, which are always the same."""
        return self.draw(self.test_images, torch.Generator().manual_seed(_TEST_SEED))


class Classification(Task):
    """A task whose targets are classes: the loss is cross-entropy, the error a highest score of another class."""

    classes: int
    smoothing: float = 0.0  # the part of each label that is shared out among all classes, while a model learns

    def step(self, model: nn.Module, batch: Batch) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
        """The mean cross-entropy, and which answers are wrong."""
        scores = model(*batch.inputs)
        given = list(scores.shape) if isinstance(scores, Tensor) else scores
        wanted = [len(batch.targets), self.classes]
        require(given == wanted, "the model's output", expected=f"scores of shape {wanted}", given=given)
        smoothing = self.smoothing if model.training else 0.0
        loss = functional.cross_entropy(scores, batch.targets, label_smoothing=smoothing)
        return loss, (scores.argmax(1) != batch.targets).float()
