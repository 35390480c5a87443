"""The task to add two distorted digits, one in each channel (the paper's appendix A.1)."""

from typing import Literal

from jaxtyping import Float, Int64
from torch import Tensor

from warpkit.datasets import Addition as Pairs
from warpkit.training.tasks.base import Classification, Half, Raw
from warpkit.training.tasks.digits import DigitSource, DigitTask


class AdditionData(DigitSource):
    """The table `[data]` of `type = "addition"`: pairs of digits, each distorted by RTS in 42×42; 19 sums."""

    type: Literal["addition"] = "addition"


class Addition(DigitTask, Classification):
    """The task to tell the sum of two digits."""

    classes = Pairs.classes

    def __init__(self, data: AdditionData) -> None:
        self.pairs = Pairs()
        super().__init__(data, self.pairs, "in pairs")

    def take(self, half: Half, indices: Int64[Tensor, " N"], drawn: Float[Tensor, "N L"]) -> Raw:
        """Each digit beside another one of its half, and their sum."""
        digits = self.halves[half]
        images, sums = self.pairs.pair(digits, indices % len(digits.labels), drawn)
        return Raw(images, sums, drawn)
