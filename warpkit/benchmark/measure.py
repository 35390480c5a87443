"""Calls that are timed in turn, so that whatever else the machine does meets all of them."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_LEAST_PAIRS = 5
_SAMPLE = 5e-4  # seconds: a shorter call is repeated within one sample
_WARM_CALLS, _WARM_SECONDS = 4, 0.5  # compilers of peers look at the first calls before they compile
Call = Callable[[], object]


@dataclass(frozen=True)
class Spread:
    """The median and both quartiles of some measurements."""

    median: float
    low: float
    high: float

    @property
    def relative(self) -> float:
        """Half the distance of the quartiles, relative to the median."""
        return (self.high - self.low) / (2 * self.median) if self.median else 0.0


def milliseconds(seconds: float) -> str:
    """A time as text, in milliseconds, to three digits.

    >>> milliseconds(0.01234), milliseconds(1.2345)
    ('12.3', '1,234')
    """
    value = seconds * 1e3
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def spread(values: Sequence[float]) -> Spread:
    """The median and both quartiles of these values."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high)


def in_turn(calls: Sequence[Call], *, seconds: float, repeats: int | None = None) -> list[tuple[float, ...]]:
    """The seconds of each call, round by round; every other round goes backwards.

    Ends after `repeats` rounds, or when `seconds` have passed, though not before five rounds.
    """
    loops = [max(1, math.ceil(_SAMPLE / max(_warm(call), 1e-9))) for call in calls]
    rounds: list[tuple[float, ...]] = []
    # A collection of garbage would fall into one of the two calls and count as its time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        while len(rounds) < (repeats or _LEAST_PAIRS) or (repeats is None and time.perf_counter() - start < seconds):
            order = range(len(calls)) if len(rounds) % 2 == 0 else reversed(range(len(calls)))
            taken = {i: _sample(calls[i], loops[i]) for i in order}
            rounds.append(tuple(taken[i] for i in range(len(calls))))
    finally:
        if collecting:
            gc.enable()
    return rounds


def _warm(call: Call) -> float:
    """The seconds of the last of a few calls that warm up."""
    start, taken = time.perf_counter(), 0.0
    for _ in range(_WARM_CALLS):
        taken = _sample(call, 1)
        if time.perf_counter() - start > _WARM_SECONDS:
            break
    return taken


def _sample(call: Call, loops: int) -> float:
    start = time.perf_counter()
    for _ in range(loops):
        call()
    return (time.perf_counter() - start) / loops
