"""The floors that warpkit must reach, and whether it does."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from warpkit.benchmark.peer import BOTH, DIRECTIONS, FORWARD
from warpkit.benchmark.results import OTHER_FORMULA, SAME, Results, Row

Floors = dict[str, dict[str, tuple[float, ...]]]
# Beside affine_grid + grid_sample: workload → kernel → (forward, forward + backward), on two cores.
TABLE = {
    "digits": {"bilinear": (1.5, 2.0), "bicubic": (1.3, 1.5)},
    "photos": {"bilinear": (1.1, 1.3), "bicubic": (1.2, 1.5)},
    "full-hd": {"bilinear": (1.8, 2.5), "bicubic": (2.2, 2.2)},
    "gray": {"bilinear": (3.0, 1.8), "bicubic": (2.5, 1.8)},
    "features": {"bilinear": (1.0, 2.0), "bicubic": (2.0, 4.0)},
    "features-last": {"bilinear": (2.0, 3.5), "bicubic": (4.0, 6.0)},
    "volume": {"bilinear": (2.0, 2.0)},
}
# Beside grid_sample, at given points: forward, forward + backward, and the gradient of the points alone.
AT_POINTS: Floors = {
    "points": {"bilinear": (0.6, 0.6, 0.5), "bicubic": (1.2, 1.6, 1.1)},
    "points-full-hd": {"bilinear": (1.2, 0.7, 1.0), "bicubic": (2.0, 1.7, 1.9)},
    "points-features": {"bilinear": (0.7, 0.3, 0.6), "bicubic": (1.6, 1.0, 1.2)},
    "points-pairs": {"bilinear": (0.6, 0.5, 0.5), "bicubic": (1.2, 1.4, 0.9)},
    "points-volume": {"bilinear": (3.0, 1.5, 2.0)},
    "points-tiny": {"bilinear": (0.35, 0.35, 0.3), "bicubic": (0.5, 0.5, 0.4)},
}
# Other types: beside torch, forward and forward + backward; bytes beside OpenCV.
OF_TYPES: Floors = {
    "labels": {"nearest": (2.0,)},
    "halves": {"bilinear": (1.0, 0.9), "bicubic": (1.5, 2.0)},
    "brain-floats": {"bilinear": (0.9, 0.8), "bicubic": (1.3, 1.5)},
    "doubles": {"bilinear": (1.0, 1.0), "bicubic": (1.4, 2.0)},
}
BYTES = {"nearest": 0.3, "bilinear": 0.5, "bicubic": 0.8}
GEOMETRIC_MEAN = 2.5  # over the table
TINY = (0.4, 0.7)  # the cost of a call
OPENCV = {"bilinear": 1.0, "bicubic": 1.2}  # full-hd, forward
INTERPOL = 8.0  # everywhere
LANCZOS = 1 / 3  # of our own bicubic, everywhere
MEMORY = 1.05  # megapixels, forward + backward: over image + output + their gradients


@dataclass(frozen=True)
class Floor:
    """A bound for one number. `value` is None where it was not measured; `at_most` makes the bound an upper one."""

    what: str
    bound: float
    value: float | None
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the bound is kept; None where nothing was measured."""
        if self.value is None:
            return None
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        if self.value is None:
            return f"{self.what}: {sign} {self.bound:.3g}, not measured"
        return f"{self.what}: {self.value:.3g}, {sign} {self.bound:.3g} is asked for"


def floors(results: Results) -> list[Floor]:
    """Every floor, with the number that was measured for it."""
    table = list(_table(results))
    tiny = [
        _ratio(results, "tiny", kernel, direction, "torch", TINY[d])
        for kernel in ("bilinear", "bicubic")
        for d, direction in enumerate((FORWARD, BOTH))
    ]
    opencv = [_ratio(results, "full-hd", kernel, FORWARD, "opencv", bound) for kernel, bound in OPENCV.items()]
    points = [
        _ratio(results, workload, kernel, direction, "torch", bound)
        for table in (AT_POINTS, OF_TYPES)
        for workload, kernels in table.items()
        for kernel, bounds in kernels.items()
        for direction, bound in zip(DIRECTIONS, bounds, strict=False)
    ]
    stored = [
        _ratio(results, workload, kernel, FORWARD, "opencv", bound)
        for workload in ("bytes", "bytes-last", "bytes-gray")
        for kernel, bound in BYTES.items()
    ]
    everywhere = [_everywhere(results, "torch-interpol", INTERPOL), _everywhere(results, "our bicubic", LANCZOS)]
    return [*table, _mean(table), *tiny, *points, *stored, *opencv, *everywhere, _memory(results)]


def _table(results: Results) -> Iterator[Floor]:
    for workload, kernels in TABLE.items():
        for kernel, bounds in kernels.items():
            for direction, bound in zip((FORWARD, BOTH), bounds, strict=True):
                yield _ratio(results, workload, kernel, direction, "torch", bound)


def _ratio(results: Results, workload: str, kernel: str, direction: str, peer: str, bound: float) -> Floor:
    what = f"{workload}, {kernel}, {direction}, beside {peer}"
    return Floor(what, bound, _timed(results.find(workload, kernel, direction, peer)))


def _timed(row: Row | None) -> float | None:
    """The median ratio of a row; None for a peer that did other work and was not timed."""
    return row.ratio.median if row and row.ratio and row.status in (SAME, OTHER_FORMULA) else None


def _mean(table: list[Floor]) -> Floor:
    """The geometric mean over the table, only where the whole table was measured."""
    values = [floor.value for floor in table if floor.value is not None]
    whole = len(values) == len(table)
    mean = math.exp(math.fsum(map(math.log, values)) / len(values)) if whole else None
    return Floor("geometric mean over the table, beside torch", GEOMETRIC_MEAN, mean)


def _everywhere(results: Results, peer: str, bound: float) -> Floor:
    """The lowest of all ratios that were measured beside this peer."""
    rows = [row for row in results.rows if row.peer == peer and (peer != "our bicubic" or row.kernel == "lanczos")]
    found = [(ratio, ", ".join(row.key[:3])) for row in rows if (ratio := _timed(row)) is not None]
    if not found:
        return Floor(f"everywhere, beside {peer}", bound, None)
    below = sum(ratio < bound for ratio, _ in found)
    ratio, where = min(found)
    note = f", one of {below} below" if below > 1 else ""
    return Floor(f"everywhere, beside {peer}, least at {where}{note}", bound, ratio)


def _memory(results: Results) -> Floor:
    what = "megapixels, bicubic, forward+backward: memory over image + output + gradients"
    rows = [row for row in results.rows if row.key[:3] == ("megapixels", "bicubic", BOTH)]
    used = next((row.memory.ours for row in rows if row.memory and row.memory.ours is not None), None)
    if used is None:
        return Floor(what, MEMORY, None, at_most=True)
    image = rows[0].least_bytes / 4  # and as much each: output, and the gradients of both
    given = 2 * image  # the image and the output's gradient are there before the call
    return Floor(what, MEMORY, (given + used) / (4 * image), at_most=True)
