"""Room for a picture, asked for before it is made: a system out of memory kills whatever process it likes."""

import os
import resource
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from warpkit.errors import require

if TYPE_CHECKING:
    from warpkit.cli.photo import Photo
    from warpkit.transforms.base import Transform

_GROUPS = (  # of processes, which containers are: limit, use, and the part of use that gives way
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def check_memory(frames: Sequence["Photo"], sizes: Sequence[tuple[int, ...]], transform: "Transform") -> None:
    """Raise `InputError` where these frames, warped to these sizes one after the other, need more than there is."""
    kept = sum(_pixels(size) * len(it.pixels) * it.pixels.itemsize for it, size in zip(frames, sizes, strict=True))
    while_made, size = max((_needed(it, size, transform), size) for it, size in zip(frames, sizes, strict=True))
    require_room(kept + while_made, f"{size[1]} × {size[0]} pixels", "try a smaller --size")


def require_room(needed: int, what: str, hint: str = "") -> None:
    """Raise `InputError` where that many bytes are more than there are."""
    free, gib = available(), 2**30
    require(
        needed <= free, f"{what} need some {needed / gib:,.1f} GiB of memory, and {free / gib:,.1f} are free", hint=hint
    )


def _needed(photo: "Photo", size: tuple[int, ...], transform: "Transform") -> int:
    """An upper bound, by measurement, of the bytes.

    The reference backend sums whole numbers in float64, with taps and weights of all pixels; the native one reads them
    as they are.
    """
    from warpkit.sampling.backend import choose
    from warpkit.sampling.sampler import simple_problem

    channels = len(photo.pixels)
    whole = not (photo.pixels.is_floating_point() or photo.has_alpha)
    sampled = 110 + 30 * channels if whole and choose(simple_problem())[0] == "reference" else 8 + 16 * channels
    points = 0 if transform.is_matrix else 32 + 16 * len(transform.param_names)  # a spline's basis, or less
    return max(sampled, points) * _pixels(size) + 12 * photo.pixels.numel()


def _pixels(size: tuple[int, ...]) -> int:
    return size[0] * size[1]


def available() -> int:
    """The bytes that this process can still have: of the machine, its group of processes, and its own limit."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with suppress(OSError, KeyError):
        limits.append(1024 * _table("/proc/meminfo")["MemAvailable:"])
    for most, used, parts, cache in _GROUPS:
        with suppress(OSError, KeyError, ValueError):  # there is none, or its limit is "max"
            limits.append(_number(most) - _number(used) + _table(f"/sys/fs/cgroup/{parts}")[cache])
    most_addresses = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most_addresses != resource.RLIM_INFINITY:
        with suppress(OSError, KeyError):
            limits.append(most_addresses - 1024 * _table("/proc/self/status")["VmSize:"])
    return max(0, min(limits))


def _number(name: str) -> int:
    return int(Path("/sys/fs/cgroup", name).read_text("ascii"))


def _table(file: str) -> dict[str, int]:
    """The lines of a file that consist of a word and a whole number, as a dict."""
    rows = [line.split() for line in Path(file).read_text("utf-8").splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}
