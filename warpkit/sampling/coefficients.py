"""What a kernel with a prefilter samples in place of an image: its coefficients."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from warpkit.errors import InputError
from warpkit.geometry import is_dense
from warpkit.kernels.base import Kernel
from warpkit.quoting import Told

Margin = tuple[int, ...]  # coefficients beyond the edge, at either end of each axis, rows first


class How(NamedTuple):
    """What coefficients were found for: they mean nothing to other kernels, and something else under other padding."""

    padding: tuple[str, ...]  # x, y, z
    align_corners: bool
    fill: tuple[float | complex, ...]
    radius: tuple[float, ...]  # of the kernels of x, y, z


class Coefficients(Tensor):
    """Coefficients of an image, of which some may lie beyond its edge: a tensor that knows how they were found.

    `margin`: the number at either end of each axis, rows first. Both go along with whatever leaves the axes S of
    `[N, C, *S]` as they are (a part of the batch, another type, a sum); what does not is a plain tensor.
    """

    margin: Margin
    how: How

    @staticmethod
    def of(tensor: Tensor, margin: Margin, how: How) -> "Coefficients":
        """The tensor itself, with a margin."""
        made = tensor.as_subclass(Coefficients)
        made.margin, made.how = margin, how
        return made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Keep the margin where the axes stay what they are."""
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*args, **(kwargs or {}))
        if type(found) is not Tensor or not (found.is_floating_point() or found.is_complex()):
            return found
        given = next((part for part in _parts(args) if isinstance(part, Coefficients)), None)
        if given is None or found.ndim != given.ndim or found.shape[2:] != given.shape[2:]:
            return found
        return Coefficients.of(found, given.margin, given.how)

    def __deepcopy__(self, memo: Any) -> "Coefficients":
        """Copy the numbers, and how they were found."""
        return Coefficients.of(self.as_subclass(Tensor).detach().clone(), self.margin, self.how)


def _parts(args: Any) -> Iterator[Any]:
    for part in args:
        yield from part if isinstance(part, list | tuple) else [part]


def check_how(image: Coefficients, how: How) -> None:
    """Raise `InputError` where coefficients are sampled in another way than they were found for."""
    each: list[tuple[str, Any, Any]] = list(zip(How._fields, image.how, how, strict=True))
    for name, then, now in each:
        if then != now:
            what = "kernel" if name == "radius" else "padding_mode" if name == "padding" else name
            words = [f"radius {n:g}" for n in now] if name == "radius" else now
            expected = "the one that the coefficients were found for"
            raise InputError(what, expected=expected + ("" if name == "radius" else f", {then}"), given=words)


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
