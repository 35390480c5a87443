"""The sampler's doors: what was given is checked once, becomes a problem, and the chosen backend solves it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import warpkit.sampling.graphs  # noqa: F401 registers the operators that graphs, and who looks on, see
from warpkit import tracing
from warpkit.boundary import PaddingMode
from warpkit.errors import InputError
from warpkit.geometry import check_coordinates, check_floats, check_size, common_batch, half_extent, is_dense
from warpkit.kernels.base import KernelLike
from warpkit.precision import saturated, wide, working
from warpkit.sampling import mixups, operators, plans
from warpkit.sampling.backend import Backend, choose
from warpkit.sampling.coefficients import Coefficients, size_of
from warpkit.sampling.problem import Problem
from warpkit.sampling.rule import FillLike, Rule, filtered, missing_axis, rule_for


def sample(
    image: Tensor,
    coords: Tensor,
    *,
    kernel: KernelLike | Sequence[KernelLike] = "bilinear",
    padding_mode: PaddingMode | Sequence[PaddingMode] = "zeros",
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
    mixups.look_at_points(coords)
    with tracing.no_autocast(image.device):
        return resample(image, coords.to(working(coords.dtype)), "points", coords.shape[1:-1], rule)


def push(
    values: Tensor,
    coords: Tensor,
    size: int | Sequence[int],
    *,
    kernel: KernelLike | Sequence[KernelLike] = "bilinear",
    padding_mode: PaddingMode | Sequence[PaddingMode] = "zeros",
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
