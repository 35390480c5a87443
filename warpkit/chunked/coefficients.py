"""A part of an image's coefficients, for kernels with a prefilter: from a part of its pixels, with the whole's bits."""

import torch
from torch import Tensor

from warpkit.chunked.reading import Box, Read, gather, intervals
from warpkit.chunked.windows import Reach
from warpkit.errors import InputError
from warpkit.kernels.base import Kernel
from warpkit.kernels.spline_filter import LinePart, line_part, margin_of
from warpkit.precision import arithmetic
from warpkit.quoting import Told
from warpkit.sampling.rule import Rule


def check_prefilters(kernels: tuple[Kernel, ...]) -> None:
    """Raise `InputError` for a kernel whose prefilter says nothing of how a part of an image is filtered."""
    for kernel in kernels:
        if kernel.has_prefilter and not kernel.prefilter_samples:
            name = type(kernel).__name__
            hint = f"Where it is wk.spline_filter of samples, give them as {name}.prefilter_samples."
            given = Told(f"{name}, whose prefilter wants the whole image")
            raise InputError("kernel", expected="one that can filter a part of an image", given=given, hint=hint)


def margins_of(rule: Rule, dtype: torch.dtype) -> tuple[int, ...]:
    """How many coefficients there are beyond either edge along each axis, rows first."""
    real = _summed(dtype)
    each = zip(reversed(rule.kernels), reversed(rule.padding), strict=True)
    return tuple(margin_of(k.prefilter_samples, real, mode) if k.has_prefilter else 0 for k, mode in each)


def stored(read: Read, dtype: torch.dtype, reaches: list[Reach], size: tuple[int, ...], rule: Rule) -> Tensor:
    """What is sampled for these reaches, `[1, C, *counts]`: pixels, or coefficients where a kernel has a prefilter."""
    if rule.filters:
        return coefficients(read, dtype, reaches, size, rule)
    return gather(read, [reach.pixels for reach in reaches])


def coefficients(read: Read, dtype: torch.dtype, reaches: list[Reach], size: tuple[int, ...], rule: Rule) -> Tensor:
    """The coefficients that these reaches name, `[1, C, *counts]`, of an image of this type and size."""
    outside = rule.fill if "zeros" in rule.padding and rule.fill.numel() > 0 else None  # the image is extended by it
    real = _summed(dtype)

    def filtered(box: Box) -> Tensor:
        lines = _lines(box, size, rule, real)
        image = gather(read, _sources(box, lines))
        image = image if image.is_complex() else image.to(arithmetic(image.dtype, image.device))
        beyond = None if outside is None else outside.to(image.dtype).reshape(1, -1, *[1] * len(size))
        image = image if beyond is None else image - beyond
        for k, line in enumerate(reversed(lines)):  # x first, as in the whole
            image = image if line is None else line.filtered(image, -1 - k)
        return image if beyond is None else image + beyond

    return gather(filtered, [reach.pixels for reach in reaches])


def read_along(reaches: list[Reach], dtype: torch.dtype, size: tuple[int, ...], rule: Rule) -> list[Tensor]:
    """Of each axis, the pixels that are read for these reaches: all their combinations, or fewer."""
    if not rule.filters:
        return [reach.pixels for reach in reaches]
    each = [intervals(reach.pixels) for reach in reaches]
    found: list[list[Tensor]] = [[] for _ in size]
    for k in range(max(map(len, each))):
        box = tuple(along[min(k, len(along) - 1)] for along in each)
        for axis, index in enumerate(_sources(box, _lines(box, size, rule, _summed(dtype)))):
            found[axis].append(index)
    return [torch.cat(along) for along in found]


def _lines(box: Box, size: tuple[int, ...], rule: Rule, dtype: torch.dtype) -> list[LinePart | None]:
    """What filters each axis, rows first."""
    found: list[LinePart | None] = []
    for (start, stop), n, kernel, mode in zip(box, size, reversed(rule.kernels), reversed(rule.padding), strict=True):
        samples = kernel.prefilter_samples
        filters = kernel.has_prefilter
        found.append(line_part(n, samples, dtype, mode, rule.align_corners, start, stop) if filters else None)
    return found


def _sources(box: Box, lines: list[LinePart | None]) -> list[Tensor]:
    return [torch.arange(*ends) if line is None else line.pixels for ends, line in zip(box, lines, strict=True)]


def _summed(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_complex else arithmetic(dtype, torch.device("cpu"))
