"""The sampler's doors: what was given is checked once, becomes a problem, and the chosen backend solves it."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from warpkit import tracing
from warpkit.boundary import check_fill, check_padding, for_each_axis
from warpkit.errors import InputError
from warpkit.geometry import check_coordinates, check_floats, check_size, common_batch, half_extent, is_dense
from warpkit.kernels.base import Kernel, kernels
from warpkit.precision import arithmetic, saturated, wide, working
from warpkit.quoting import Told
from warpkit.sampling import operators, plans
from warpkit.sampling.backend import Backend, choose
from warpkit.sampling.coefficients import Coefficients, How, Margin, check_how, find, size_of
from warpkit.sampling.problem import Problem, no_fill, tables

KernelLike = str | dict[str, Any] | Kernel
FillLike = complex | Sequence[complex] | Tensor | np.ndarray
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128)
_INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64)
_IMAGE_TYPES = frozenset((*_FLOATS, *_INTEGERS, torch.bool))


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

    def problem(self, values: Tensor, where: Tensor, kind: str, size: Sequence[int], target: Sequence[int]) -> Problem:
        """Sampling an image of this size there, with the margin; `values` is what is sampled, or pushed."""
        table, shapes, formulas = tables(self.kernels, arithmetic(values.dtype, values.device))
        beyond = self.margin or (0,) * len(size)
        extent = tuple(n - 2 * m for n, m in zip(size, beyond, strict=True))
        return Problem(
            where, table, self.fill, kind, shapes, self.padding, tuple(size), tuple(target), extent,
            tuple(-m for m in beyond), self.align_corners, values.dtype, formulas,
        )  # fmt: skip


def sample(
    image: Tensor,
    coords: Tensor,
    *,
    kernel: KernelLike | Sequence[KernelLike] = "bilinear",
    padding_mode: str | Sequence[str] = "zeros",
    fill: FillLike = 0.0,
    align_corners: bool = False,
) -> Tensor:
    """Sample images at given points.

    Args:
        image: `[N, C, *S]`, S = (W,), (H, W) or (D, H, W); any real, integer, boolean or complex type.
        coords: `[N, *T, D]`, normalised, the last axis x, y, z: a grid, or a list of points `[N, M, D]`. One image with
            N sets of points, or one set with N images, is shared.
        kernel: as in `warp`, and so are `padding_mode`, `fill` and `align_corners`.
        padding_mode: see `warp`.
        fill: see `warp`.
        align_corners: see `warp`.

    Returns:
        `[N, C, *T]` in the image's type.

    Raises:
        InputError: for a wrong shape, type, device, name or option.

    >>> sample(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[-0.5], [0.0]]])).tolist()
    [[[1.0, 1.5]]]
    """
    met = plans.met(image, coords, "points", None, plans.words(kernel, padding_mode, fill, align_corners))
    if met is not None and (known := plans.plans.get(met)) is not None:
        return operators.by_plan(known, image, coords)  # all of it was checked before
    rule = rule_for(image, kernel, padding_mode, fill, align_corners)
    _check_points(coords, image)
    common_batch("image", image, "coords", coords)
    with tracing.no_autocast(image.device):
        return resample(image, coords.to(working(coords.dtype)), "points", coords.shape[1:-1], rule)


def push(
    values: Tensor,
    coords: Tensor,
    size: int | Sequence[int],
    *,
    kernel: KernelLike | Sequence[KernelLike] = "bilinear",
    padding_mode: str | Sequence[str] = "zeros",
    align_corners: bool = False,
) -> Tensor:
    """Spread values over the pixels around given points, and add up: the adjoint of `sample` in the image.

    For every image u, the sum of `push(v, coords, size) * u` is that of `v * sample(u, coords)`. Pushed ones count how
    often each pixel is sampled; pushed values over pushed ones are a forward warp.

    Args:
        values: `[N, C, *T]`, floating-point: one for each point.
        coords: `[N, *T, D]`, as in `sample`. One set of values with N sets of points, or one set of points with N of
            values, is shared.
        size: of the result, rows first.
        kernel: as in `sample`, and so are `padding_mode` and `align_corners`.
        padding_mode: see `sample`. What falls outside is lost under "zeros", and folded back in the other modes.
        align_corners: see `sample`.

    Returns:
        `[N, C, *size]` in the values' type; the same bits for any number of threads.

    Raises:
        InputError: for a wrong shape, type, device, size, name or option.

    Jaderberg et al. 2015, eq. 6.

    >>> push(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[-0.5], [0.0]]]), 2).tolist()
    [[[2.0, 1.0]]]
    """
    check_floats("values", values)
    check_floats("coords", coords)
    dimensions = coords.shape[-1] if coords.ndim > 1 else 0
    if not 1 <= dimensions <= 3:
        raise InputError("coords", expected="[N, *T, D] with D of 1 to 3", given=list(coords.shape))
    check_coordinates("coords", coords, dimensions)
    rule = rule_for(None, kernel, padding_mode, 0.0, align_corners, dimensions=dimensions, device=values.device)
    target, out = coords.shape[1:-1], check_size(size, dimensions)
    if values.ndim < 2 or values.shape[2:] != target or values.shape[1] == 0:
        raise InputError(
            "values",
            expected=f"[N, C, {', '.join(map(str, target))}], a value for each point",
            given=list(values.shape),
        )
    batch = common_batch("values", values, "coords", coords)
    with tracing.no_autocast(values.device):
        where = coords.to(working(coords.dtype))
        spread = values.to(working(values.dtype)).expand(batch, *values.shape[1:])
        if not rule.filters:
            return _pushed(spread, where, out, target, rule).to(values.dtype)
        blank = spread.new_zeros(batch, values.shape[1], *out)
        stored, inner = filtered(blank, rule)
        pushed = _pushed(spread, where, stored.shape[2:], target, inner)
        adjoint = torch.func.vjp(lambda image: filtered(image, rule)[0], blank)[1]
        found: Tensor = adjoint(pushed)[0]
        return found.to(values.dtype)


def _pushed(spread: Tensor, where: Tensor, size: Sequence[int], target: Sequence[int], rule: Rule) -> Tensor:
    problem = rule.problem(spread, where, "points", size, target)
    name, backend = choose(problem)
    return operators.push(backend, spread, problem, spread.shape[0], name)


def resample(
    image: Tensor, where: Tensor, kind: str, target: Sequence[int], rule: Rule, backend: Backend | None = None
) -> Tensor:
    """The image at points, shifts or by matrices that were checked, `[N, C, *target]` in the image's type.

    `backend`: one to be used whatever it refuses; chosen unless given.
    """
    if rule.marks:
        return _marked(image, where, kind, target, rule, backend)
    if rule.filters or isinstance(image, Coefficients):
        stored, (image, rule) = image.dtype, filtered(image, rule)
        return saturated(resample(image, where, kind, target, rule, backend), stored)
    listed = kind in ("points", "shifts")
    met = None
    if backend is None and rule.words is not None:
        met = plans.met(image, where, kind, None if listed else tuple(target), rule.words)
    if met is not None and (known := plans.plans.get(met)) is not None:
        return operators.by_plan(known, image, where)
    problem = rule.problem(image, where, kind, image.shape[2:], target)
    if met is not None and (made := plans.prepared(image, problem)) is not None:
        return operators.by_plan(plans.plans.keep(met, made), image, where)
    is_narrow = image.dtype in (torch.float16, torch.bfloat16)
    if is_narrow:
        problem = problem._replace(stored=torch.float32)
    name, chosen = choose(problem) if backend is None else ("", backend)
    if not is_narrow:
        return operators.pull(chosen, image, problem, name)
    if chosen.reads_halves and not (tracing.is_recording() or operators.learns(image, problem)):
        return operators.pull(chosen, image, problem._replace(stored=image.dtype), name)
    return operators.pull(chosen, image.to(torch.float32), problem, name).to(image.dtype)


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


def slopes(image: Tensor, coords: Tensor, rule: Rule) -> Tensor:
    """How what `sample` gives changes with the coordinates x, y, z: [N, C, D, *T]; differentiable (eq. 7)."""
    if rule.filters:
        image, rule = filtered(image, rule)
    target = coords.shape[1:-1]
    problem = rule.problem(image, coords, "points", image.shape[2:], target)
    if problem.formulas:  # of kernels without a table
        along = torch.eye(coords.shape[-1], dtype=coords.dtype, device=coords.device)
        each = [
            torch.func.jvp(
                lambda p: resample(image, p, "points", target, rule), (coords,), (axis.expand_as(coords).contiguous(),)
            )[1]
            for axis in along
        ]
        return torch.stack(each, dim=2)
    name, backend = choose(problem)
    halves = [half_extent(n, rule.align_corners) for n in reversed(problem.extent)]
    pulled = [operators.pull(backend, image, problem.derivative(axis), name) for axis in range(len(halves))]
    return torch.stack([slope * half for slope, half in zip(pulled, halves, strict=True)], dim=2)


def _marked(
    image: Tensor, where: Tensor, kind: str, target: Sequence[int], rule: Rule, backend: Backend | None
) -> Tensor:
    """NaN in each output that anything outside has a weight in, with no gradient there, where `fill` is NaN."""
    marks = rule.fill.detach().isnan()
    rule = rule._replace(marks=False, fill=torch.where(marks, 0.0, rule.fill))
    found = resample(image, where, kind, target, rule, backend)
    # What weighs less where the outside is nothing. Both are sums over the same taps in the same order.
    rule = rule._replace(filters=False)
    ones = torch.ones(1, 1, *size_of(image), dtype=torch.float32, device=image.device)
    extended = tuple("border" if mode in ("zeros", "none") else mode for mode in rule.padding)
    one = torch.ones(1, dtype=torch.float64, device=torch.device("cpu")).to(image.device, wide(image.device))
    place = where.detach()
    whole = resample(ones, place, kind, target, rule._replace(padding=extended, fill=one), backend)
    inside = resample(ones, place, kind, target, rule._replace(fill=one[:0]), backend)
    channels = marks.to(image.device).reshape(1, -1, *[1] * len(target))
    return torch.where((whole != inside) & channels, torch.nan, found)


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


def simple_problem() -> Problem:
    """The least of problems: a point in a small float32 image on the CPU, bilinear."""
    image = torch.zeros(1, 1, 2, 2, device="cpu")
    rule = rule_for(image, "bilinear", "zeros", 0.0, False)
    return rule.problem(image, torch.zeros(1, 1, 2, device="cpu"), "points", (2, 2), (1,))


def _check_points(coords: Any, image: Tensor) -> None:
    try:
        check_coordinates("coords", coords, image.ndim - 2)
    except InputError as error:
        if (
            isinstance(coords, Tensor)
            and is_dense(coords)
            and coords.ndim > 1
            and coords.shape[-1] == image.ndim - 1 < 4
        ):
            raise error.hinting(missing_axis(image)) from None
        raise


def _check_image(image: Any) -> None:
    if not isinstance(image, Tensor):
        raise InputError("image", expected="a tensor [N, C, *S]", given=image)
    if not is_dense(image) or image.dtype not in _IMAGE_TYPES:
        kind = "nested" if image.is_nested else "sparse" if image.layout != torch.strided else str(image.dtype)
        raise InputError("image", expected="a dense tensor of real, complex, integer or boolean type", given=Told(kind))
    if not 3 <= image.ndim <= 5:
        hint = "Are batch and channels missing: image[None, None]?" if image.ndim == 2 else ""
        raise InputError("image", expected="[N, C, *S] with one to three axes in S", given=list(image.shape), hint=hint)
    if 0 in image.shape[1:]:
        raise InputError("image", expected="a channel and a pixel at least", given=list(image.shape))


def missing_axis(image: Tensor) -> str:
    """What to ask about an image that has one axis less than what else was given says."""
    shape = list(image.shape)
    batch, channels = [1, *shape], [shape[0], 1, *shape[1:]]
    return f"Is the image's batch missing (image[None], {batch}), or are its channels (image[:, None], {channels})?"
