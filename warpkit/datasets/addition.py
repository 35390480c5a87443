"""MNIST addition: two channels with a distorted digit each, to be added up (the paper's appendix)."""

import torch
from jaxtyping import Float, Float32, Int64
from torch import Generator, Tensor

from warpkit.datasets.digits import CLASSES, Labelled
from warpkit.datasets.distortions import Distortion, Draws, Images, Placed, RotateScaleTranslate


class Addition(Distortion):
    """Two digits, one in each channel, each turned, scaled and placed on its own 42×42 canvas as RTS does it."""

    classes = 2 * CLASSES - 1  # sums 0 … 18
    _each = RotateScaleTranslate()

    def draw(self, count: int, generator: Generator) -> Draws:
        """The digit that is added, in 0 … 1, then RTS's draws for the first digit and the second: [count, 9]."""
        partner = torch.rand(count, 1, generator=generator, device=generator.device)
        return torch.cat([partner, *(self._each.draw(count, generator) for _ in range(2))], 1)

    def pair(
        self, digits: Labelled, indices: Int64[Tensor, " N"], drawn: Draws
    ) -> tuple[Float32[Tensor, "N 2 28 28"], Int64[Tensor, " N"]]:
        """The digits at these indices beside those drawn to be added (any of `digits`), undistorted, and the sums."""
        many = len(digits.labels)
        partners = (drawn[:, 0] * many).long().clamp(max=many - 1)
        images = torch.cat([digits.images[indices], digits.images[partners]], 1)
        return images, digits.labels[indices] + digits.labels[partners]

    def apply(self, images: Images, drawn: Draws, others: Float[Tensor, "M _ H W"]) -> Placed:
        """The pairs [N, 2, H, W], each digit distorted on a canvas of 3/2 of its size."""
        single = images.flatten(0, 1)[:, None]
        out = self._each.apply(single, drawn[:, 1:].reshape(-1, 4), single)
        return out.reshape(*images.shape[:2], *out.shape[2:])
