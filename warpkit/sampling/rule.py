"""How an image is read between its pixels and beyond its edge: what was given is checked once, and becomes a rule."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from warpkit import tracing
from warpkit.boundary import check_fill, check_padding, for_each_axis
from warpkit.errors import InputError
from warpkit.geometry import Part, is_dense
from warpkit.kernels.base import Kernel, kernels
from warpkit.precision import arithmetic, wide
from warpkit.quoting import Told
from warpkit.sampling import mixups, plans
from warpkit.sampling.coefficients import Coefficients, How, Margin, check_how, find
from warpkit.sampling.problem import Problem, no_fill, tables

FillLike = complex | Sequence[complex] | Tensor | np.ndarray
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128)
_INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64)
_IMAGE_TYPES = frozenset((*_FLOATS, *_INTEGERS, torch.bool))


class Within(NamedTuple):
    """What is sampled is a part of a larger image, and what is asked for of a larger output. Tuples go rows first.

    `extent`: the image's size, and `begin` its pixel that is stored first. `part`: of the output.
    """

    extent: tuple[int, ...]
    begin: tuple[int, ...]
    part: Part


class Rule(NamedTuple):
    """How an image is read between its pixels and beyond its edge. Tuples go x, y, z."""

    kernels: tuple[Kernel, ...]
    padding: tuple[str, ...]
    fill: Tensor  # a number for each channel, or one for all; none: zero
    align_corners: bool
    marks: bool = False  # `fill` may be NaN, which marks what the outside has a part in
    words: Hashable = None  # what names it, where words alone do and nothing is filtered
    filters: bool = False  # a kernel has a prefilter
    margin: Margin = ()  # what is sampled goes on beyond the image's edge, rows first
    within: Within | None = None  # or is a part of it; without a margin

    def problem(self, values: Tensor, where: Tensor, kind: str, size: Sequence[int], target: Sequence[int]) -> Problem:
        """Sampling an image of this size there, with its margin or as a part; `values` is what is sampled."""
        table, shapes, formulas = tables(self.kernels, arithmetic(values.dtype, values.device))
        beyond = self.margin or (0,) * len(size)
        extent = tuple(n - 2 * m for n, m in zip(size, beyond, strict=True))
        begin, (_, whole, origin) = tuple(-m for m in beyond), Part.all_of(target)
        if self.within is not None:
            extent, begin, (_, whole, origin) = self.within
        return Problem(
            where, table, self.fill, kind, shapes, self.padding, tuple(size), tuple(target), extent, begin, whole,
            origin, self.align_corners, values.dtype, formulas,
        )  # fmt: skip

    def parted(self, size: tuple[int, ...], part: Part) -> "Rule":
        """The rule for a part of the output; `size`: of what is sampled, whose margin it knows. Nothing is filtered."""
        beyond = self.margin or (0,) * len(size)
        extent = tuple(n - 2 * m for n, m in zip(size, beyond, strict=True))
        return self._replace(words=None, margin=(), within=Within(extent, tuple(-m for m in beyond), part))


def rule_for(
    image: Any,
    kernel: Any,
    padding_mode: Any,
    fill: Any,
    align_corners: Any,
    *,
    dimensions: int = 0,
    device: torch.device | None = None,
) -> Rule:
    """The rule for an image, which is checked with it, or for images of that many dimensions on a device."""
    if device is None:
        _check_image(image)
        dimensions, device = image.ndim - 2, image.device
    words = None
    if not tracing.is_recording() and all(isinstance(k, str) for k in (kernel if type(kernel) is tuple else (kernel,))):
        words = plans.words(kernel, padding_mode, fill, align_corners)
    if words is not None and (known := _rules.get((words, dimensions, device))) is not None:
        return known
    if not isinstance(align_corners, bool):
        raise InputError("align_corners", expected="True or False", given=align_corners)
    if isinstance(kernel, list | tuple):
        resolved = tuple(kernels.shared(k, device) for k in for_each_axis("kernel", kernel, dimensions))
    else:
        resolved = (kernels.shared(kernel, device),) * dimensions
    for k in set(resolved):
        _ = k.taps  # complains about a radius that is none
    padding = check_padding(padding_mode, dimensions)
    filters = any(k.has_prefilter for k in resolved)
    if filters:
        words = None
    if isinstance(fill, float | int) and fill == 0:
        outside = no_fill(device) if not tracing.is_recording() else torch.zeros(0, dtype=torch.float64, device=device)
        rule = Rule(resolved, padding, outside, align_corners, words=words, filters=filters)
        return rule if words is None else _rules.keep((words, dimensions, device), rule)
    outside = check_fill(fill, image.shape[1], image).to(device)
    if outside.is_floating_point():
        outside = outside.to(wide(device))
    # Of a number it is known at once; what cannot be looked at may be.
    marks = fill != fill if isinstance(fill, complex | float | int) else _may_be_nan(outside)
    return Rule(resolved, padding, outside, align_corners, marks, filters=filters)


_rules: plans.Kept[Rule] = plans.Kept()


def _may_be_nan(fill: Tensor) -> bool:
    whole = not (fill.is_floating_point() or fill.is_complex())
    return not whole and (tracing.is_recording() or tracing.is_traced(fill) or bool(fill.detach().isnan().any()))


def filtered(image: Tensor, rule: Rule) -> tuple[Tensor, Rule]:
    """The coefficients of an image of any type, and the rule by which they are sampled."""
    if isinstance(image, Coefficients):
        if rule.filters:
            hint = "They were filtered before: a kernel with prefilter=False samples them."
            raise InputError("image", expected="an image", given=Told("coefficients"), hint=hint)
        check_how(image, how(rule))
        return image.as_subclass(Tensor), rule._replace(words=None, margin=image.margin)
    real = image if image.is_complex() else image.to(arithmetic(image.dtype, image.device))
    fill = rule.fill if rule.fill.is_complex() else rule.fill.to(wide(image.device))
    with tracing.no_autocast(image.device):
        found, margin = find(real, rule.kernels, rule.padding, fill, rule.align_corners)
    return found, rule._replace(fill=fill, filters=False, margin=margin)


def how(rule: Rule) -> How:
    """What coefficients are found for."""
    fill = tuple(rule.fill.detach().tolist()) if not tracing.is_traced(rule.fill) else ()
    radius = tuple(kernel.radius for kernel in rule.kernels)
    return How(rule.padding, rule.align_corners, fill, radius)


def _check_image(image: Any) -> None:
    if not isinstance(image, Tensor):
        raise InputError("image", expected="a tensor [N, C, *S]", given=image)
    if not is_dense(image) or image.dtype not in _IMAGE_TYPES:
        kind = "nested" if image.is_nested else "sparse" if image.layout != torch.strided else str(image.dtype)
        raise InputError("image", expected="a dense tensor of real, complex, integer or boolean type", given=Told(kind))
    if not 3 <= image.ndim <= 5:
        hint = "Are batch and channels missing: image[None, None]?" if image.ndim == 2 else ""
        raise InputError("image", expected="[N, C, *S] with one to three axes in S", given=list(image.shape), hint=hint)
    shape = image.shape
    if 0 in shape[1:]:
        raise InputError("image", expected="a channel and a pixel at least", given=list(shape))
    if image.ndim > 3 and not tracing.is_recording() and shape[-1] in mixups.CHANNELS:
        mixups.look_at_image(image)


def missing_axis(image: Tensor) -> str:
    """What to ask about an image that has one axis less than what else was given says."""
    shape = list(image.shape)
    if len(shape) == 3 and mixups.is_channels_last(shape):
        right = [1, shape[2], *shape[:2]]
        return f"Is the image a picture [H, W, C]? Then image.permute(2, 0, 1)[None], {right}, is meant"
    batch, channels = [1, *shape], [shape[0], 1, *shape[1:]]
    return f"Is the image's batch missing (image[None], {batch}), or are its channels (image[:, None], {channels})?"
