"""What a kernel with a prefilter samples in place of an image: its coefficients."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from warpkit.errors import InputError
from warpkit.geometry import is_dense
from warpkit.kernels.base import Kernel
from warpkit.quoting import Told

Margin = tuple[int, ...]  # coefficients beyond the edge, at either end of each axis, rows first


class Coefficients(Tensor):
    """Coefficients, of which some lie beyond the image's edge: a tensor that knows how many.

    `margin`: their number at either end of each axis, rows first. It goes along when the tensor is moved, copied or
    cast; whatever else is computed from it is a plain tensor.
    """

    margin: Margin

    @staticmethod
    def of(tensor: Tensor, margin: Margin) -> Tensor:
        """The tensor itself, which has that margin; a plain one without a margin."""
        if not any(margin):
            return tensor
        made = tensor.as_subclass(Coefficients)
        made.margin = margin
        return made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Keep the margin where the pixels stay what they are."""
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*args, **(kwargs or {}))
        return Coefficients.of(found, args[0].margin) if func in _KEEPING and type(found) is Tensor else found


_KEEPING = frozenset(
    (Tensor.to, Tensor.detach, Tensor.clone, Tensor.contiguous, Tensor.float, Tensor.double, Tensor.cpu, Tensor.cuda)
)


def size_of(image: Tensor) -> tuple[int, ...]:
    """The size of the image, without what lies beyond its edge."""
    if not isinstance(image, Coefficients):
        return tuple(image.shape[2:])
    return tuple(n - 2 * m for n, m in zip(image.shape[2:], image.margin, strict=True))


def find(
    image: Tensor, kernels: Sequence[Kernel], padding: Sequence[str], fill: Tensor, align_corners: bool
) -> tuple[Tensor, Margin]:
    """The coefficients of a floating-point or complex image `[N, C, *S]`, and their margin."""
    outside = None
    if "zeros" in padding and fill.numel() > 0:  # the image is extended by it
        outside = fill.to(image.dtype).reshape(1, -1, *[1] * (image.ndim - 2))
        image = image - outside
    margin = [0] * len(kernels)
    for k, (kernel, mode) in enumerate(zip(kernels, padding, strict=True)):
        if not kernel.has_prefilter:
            continue
        axis = -1 - k
        found = kernel.prefilter(image, axis, mode, align_corners)
        margin[axis] = _margin(kernel, found, image, axis)
        image = found
    return image if outside is None else image + outside, tuple(margin)


def _margin(kernel: Kernel, found: Any, image: Tensor, axis: int) -> int:
    """How many more coefficients there are than pixels, at either end; `InputError` for what are none."""
    what, shape = f"{type(kernel).__name__}.prefilter(image, axis={axis}, …)", list(image.shape)
    if not isinstance(found, Tensor) or not is_dense(found) or found.dtype != image.dtype:
        given = Told(str(found.dtype)) if isinstance(found, Tensor) else found
        raise InputError(what, expected=f"a tensor of {image.dtype}", given=given)
    more = found.shape[axis] - shape[axis] if found.ndim == len(shape) else -1
    shape[axis] += more
    if list(found.shape) != shape or more < 0 or more % 2:
        expected = f"the image's shape {list(image.shape)}, or as many more at either end of that axis"
        raise InputError(what, expected=expected, given=list(found.shape))
    return more // 2
