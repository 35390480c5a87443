"""The task to bring what one hand wrote onto what another wrote, without anybody saying how."""

from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Generator, Tensor, nn

from warpkit import losses
from warpkit.datasets import get_distortion
from warpkit.errors import require
from warpkit.training.tasks.base import Batch, Half, Raw
from warpkit.training.tasks.digits import DigitSource, DigitTask
from warpkit.training.tasks.looking import called, looking

_INK = 0.5  # from here on a pixel belongs to the digit


class HandsData(DigitSource):
    """The table `[data]` of `type = "hands"`: a digit, and another one of its class, which differs by its writer.

    `bending`: the weight of the bending energy of the warp, in pixels (`wk.losses.bending`); an affine one has none.
    """

    type: Literal["hands"] = "hands"
    bending: Annotated[float, Field(ge=0)] = 0.1


class Hands(DigitTask):
    """The task to bring `moving` onto `fixed`, two digits of one class.

    The loss is the mean square of what is left, and the bending energy. The error is the mean square of what is left,
    as a part of what the pairs of the test have: 0 for a perfect match, 1 for nothing done. Measured as well are the
    overlap (Dice) of what is above half of full ink, before and after, and the share of folded cells.
    """

    def __init__(self, data: HandsData) -> None:
        super().__init__(data, get_distortion("none"), "each beside another of its class")
        self.bending = data.bending
        self.classes = {half: _Classes(half, digits.labels) for half, digits in self.halves.items()}
        raw = self.take("test", torch.arange(self.test_images), self.test_draws())
        # Of all test pairs, and not of each batch: the error of a test does not depend on how it is cut into batches.
        self.before = (raw.images[:, 0] - raw.images[:, 1]).square().mean().clamp(min=1e-9)

    @property
    def shapes(self) -> dict[str, Any]:
        """The shapes of the two images."""
        return {"inputs": {"moving": [1, 28, 28], "fixed": [1, 28, 28]}}

    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N 1"]:
        """Which of the others of its class each digit meets, in 0 … 1."""
        return torch.rand(count, 1, generator=generator, device=generator.device)

    def take(self, half: Half, indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N 1"]) -> Raw:
        """The digits and, as a second channel, those that they are brought onto."""
        images, labels = self.halves[half]
        indices = indices % len(labels)
        others = self.classes[half].others(indices, drawn[:, 0])
        return Raw(torch.cat([images[indices], images[others]], 1), labels[indices], drawn)

    def prepare(self, raw: Raw) -> Batch:
        """The digit and the other one; the targets are their class, which no network is told."""
        moving, fixed = raw.images[:, :1], raw.images[:, 1:]
        return Batch((moving, fixed), raw.targets)

    def step(self, model: nn.Module, batch: Batch) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
        """The mean square difference and the weighted bending energy; what is left, by what test pairs have."""
        moving, fixed = batch.inputs
        with looking(model) as look:
            output = called(model, moving, fixed)
        left = (output - fixed).square().flatten(1).mean(1)
        bent = sum(losses.bending(transform, theta, output.shape[2:]).mean() for transform, theta in look.seen)
        return left.mean() + self.bending * bent, left.detach() / self.before.to(left)

    def measures(self, model: nn.Module, batch: Batch) -> dict[str, Float[Tensor, " N"]]:
        """The overlap before and after, and the share of cells that the model's transformers fold together."""
        moving, fixed = batch.inputs
        with looking(model) as look:
            output = called(model, moving, fixed)
        folds = [losses.folding(transform, theta, output.shape[2:]) for transform, theta in look.seen]
        return {
            "overlap before": _dice(moving, fixed),
            "overlap after": _dice(output, fixed),
            "folds": torch.stack(folds).sum(0),
        }


class _Classes:
    """The digits of each class, one after the other."""

    def __init__(self, half: Half, labels: Int64[Tensor, " N"]) -> None:
        self.labels, self.order, self.counts = labels, labels.argsort(stable=True), labels.bincount()
        self.starts = self.counts.cumsum(0) - self.counts
        self.rank = torch.empty_like(labels)  # of each digit in its class
        self.rank[self.order] = torch.arange(len(labels)) - self.starts[labels[self.order]]
        alone = (self.counts == 1).nonzero()[:, 0].tolist()
        require(not alone, f"digits to {half} with: of {alone} there is but one, which makes no pair")

    def others(self, indices: Int64[Tensor, " n"], drawn: Float[Tensor, " n"]) -> Int64[Tensor, " n"]:
        """For each digit another one of its class; `drawn`, in 0 … 1, says which."""
        labels = self.labels[indices]
        others = self.counts[labels] - 1
        ahead = torch.minimum((drawn * others).long() + 1, others)
        return self.order[self.starts[labels] + (self.rank[indices] + ahead) % self.counts[labels]]


def _dice(first: Tensor, second: Tensor) -> Float[Tensor, " N"]:
    """Twice what both cover, as a part of what each covers: L. R. Dice, Ecology 26(3), 1945."""
    one, other = ((image >= _INK).flatten(1) for image in (first, second))
    return 2 * (one & other).sum(1) / (one.sum(1) + other.sum(1)).clamp(min=1)
