"""Where a kernel's pieces are joined, and how smoothly, found from its values alone.

Eighth differences of a smooth function vanish with the eighth power of the step; a jump in its j-th derivative makes
them fall with the j-th power only, around that place.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warpkit.kernels.base import Kernel
from warpkit.testing.inputs import device

_BINOMIALS = [(-1.0) ** k * math.comb(8, k) for k in range(9)]
_SEEN = 100  # times the noise: a smooth function's differences then fall into the noise when the step is halved
_STEPS = [1 / 64, 1 / 128, 1 / 256, 1 / 512, 1 / 1024, 1 / 2048]
_JUMP = 1e-6  # of the value, relative to the peak: less is rounding
_SMOOTHEST = 6  # derivatives beyond are not told apart from noise


class Joint(NamedTuple):
    """A place, at distance `at` ± `within`, where the derivative of this order is the first to jump."""

    at: float
    order: float
    within: float


def joints(kernel: Kernel) -> list[Joint]:
    """Every place where some derivative up to the fifth jumps, with ±radius, beyond which the kernel is zero."""
    found: list[Joint] = []
    level, negligible = _SEEN * _noise(kernel), 35 * _JUMP * peak(kernel)  # a jump of 1 has differences up to 35
    for step in _STEPS:  # a joint is seen at the coarser steps, and located by the finest that sees it
        seen = _rough_places(kernel, step, level)
        if len(seen) > 8 * kernel.taps * kernel.pieces + 16:  # a rough function, or a steep one at this step
            continue
        for place in seen:
            order, size = _order(kernel, place, step)
            if size < negligible:  # rounded constants: under a real joint they show at the finest steps only
                order = max([order, *(j.order for j in found if _near(j, place, step))])
                if order < 0.5:
                    continue
            if order < _SMOOTHEST:
                found = [j for j in found if not _near(j, place, step)]
                found.append(Joint(place, order, 5 * step))
    return sorted(joint._replace(order=_order_close_by(kernel, joint, level, negligible)) for joint in found)


def _order_close_by(kernel: Kernel, joint: Joint, level: float, negligible: float) -> float:
    """The order at ever finer steps, where a small jump of a low derivative outgrows a large one of a higher."""
    order = joint.order
    for step in (2.0**-13, 2.0**-15, 2.0**-17):
        finer, size = _order(kernel, joint.at, step, joint.within)
        if size < max(level, negligible):
            break
        order = min(order, finer)
    return order


def continuity(kernel: Kernel) -> int:
    """The k of C^k over all distances, the kernel being zero outside the radius: −1 where its value jumps."""
    orders = [joint.order for joint in joints(kernel)]
    return math.ceil(min(orders, default=_SMOOTHEST) - 0.25) - 1


def unnamed(kernel: Kernel) -> list[Joint]:
    """The joints that do not lie at multiples of 1/pieces from −radius."""
    return [joint for joint in joints(kernel) if not _named(joint, kernel.radius, kernel.pieces)]


def pieces_for(kernel: Kernel) -> int | None:
    """The fewest pieces that name every joint; None where none up to 24 does."""
    every = joints(kernel)
    fits = (n for n in range(1, 25) if all(_named(joint, kernel.radius, n) for joint in every))
    return next(fits, None)


def _named(joint: Joint, radius: float, pieces: int) -> bool:
    cells = (joint.at + radius) * pieces
    return abs(cells - round(cells)) / pieces <= joint.within


def _noise(kernel: Kernel) -> float:
    """The size of eighth differences that are only rounding: those of the finest step, except at a few joints."""
    return max(3 * float(_differences(kernel, _STEPS[-1]).median()), 3e-14 * peak(kernel))


def _rough_places(kernel: Kernel, step: float, level: float) -> list[float]:
    """The middle of each run of eighth differences above this level."""
    rough = _differences(kernel, step) > level
    places, start = [], None
    count = len(rough)
    flags = [*rough.tolist(), False]
    for i, flag in enumerate(flags):
        if flag and start is None:
            start = i
        elif not flag and start is not None:
            middle = (start + i - 1) / 2  # of the nine points, the fifth is in the middle
            places.append((middle - (count - 1) / 2) * step)
            start = None
    return places


def _near(joint: Joint, place: float, step: float) -> bool:
    return abs(joint.at - place) <= joint.within + 5 * step


def _order(kernel: Kernel, place: float, step: float, within: float = 0.0) -> tuple[float, float]:
    """The jump's order, from how much differences around it fall when the step is halved; and their size."""
    coarse = _differences(kernel, step, around=place, width=12 * step + within).max()
    # windows of half the width: the same centres
    fine = _differences(kernel, step / 2, around=place, width=10 * step + within).max()
    return float(torch.log2(coarse / fine.clamp(min=1e-300))), float(coarse)


def _differences(kernel: Kernel, step: float, around: float = 0.0, width: float = math.inf) -> Tensor:
    """The absolute eighth differences |Δ⁸k| at places a step apart, symmetric about `around`."""
    half = math.ceil(min(width, kernel.radius + 10 * step + abs(around)) / step)
    where = around + torch.arange(-half, half + 1, dtype=torch.float64) * step
    windows = extended(kernel, where).unfold(0, 9, 1)
    return (windows @ torch.tensor(_BINOMIALS, dtype=torch.float64)).abs()


def extended(kernel: Kernel, distance: Tensor) -> Tensor:
    """The kernel k, and zero from the radius on, where the formula may be anything."""
    inside = distance.abs() < kernel.radius
    with torch.no_grad():
        values = kernel(torch.where(inside, distance, 0.0).to(device(kernel)))
    return torch.where(inside, values.double().cpu(), 0.0)


def peak(kernel: Kernel) -> float:
    """The largest |k| over a fine lattice of distances, at least 1e-300."""
    count = math.ceil(2 * kernel.radius * 64)
    where = (torch.arange(count, dtype=torch.float64) + 0.5) / 64 - kernel.radius
    return max(float(extended(kernel, where).abs().max()), 1e-300)
