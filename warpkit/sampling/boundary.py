"""Padding extends the image: a rule maps the index of each tap to a pixel, so it means the same for every kernel.

In SciPy's words the modes are grid-constant, nearest, reflect (or mirror, with `align_corners`) and grid-wrap.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

PADDING_MODES = ("zeros", "border", "reflection", "wrap")


def place(
    index: Int[Tensor, "*S"], n: int, mode: str, align_corners: bool
) -> tuple[Int[Tensor, "*S"], Bool[Tensor, "*S"] | None]:
    """The pixel that stands at any index of an axis of `n` pixels, and where there is one (None: everywhere).

    Under "zeros" pixels are counted from 1, and 0 and n + 1 are the outside.
    """
    if mode == "zeros":
        return index.clamp(-1, n) + 1, (index >= 0) & (index < n)
    if mode == "border":
        return index.clamp(0, n - 1), None
    if mode == "wrap":
        return torch.remainder(index, n), None
    if align_corners:  # mirrored about the centres 0 and n − 1, which are not repeated
        period = max(2 * n - 2, 1)
        index = torch.remainder(index, period)
        return torch.minimum(index, period - index), None
    index = torch.remainder(index, 2 * n)  # mirrored about the edges −½ and n − ½
    return torch.minimum(index, 2 * n - 1 - index), None
