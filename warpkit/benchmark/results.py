"""The results of a run as plain data that can be kept and compared."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from warpkit.benchmark.measure import Spread
from warpkit.errors import InputError

Key = tuple[str, str, str, str | None]
SAME, OTHER_RESULT, OTHER_FORMULA, ALONE = "same", "different result", "other formula", "no peer"


@dataclass(frozen=True)
class Memory:
    """Peak bytes beyond what was held before the call; None where they could not be measured."""

    ours: int | None
    theirs: int | None


@dataclass(frozen=True)
class Row:
    """One piece of work, for one peer or none. `ratio` is the peer's time over ours, taken pair by pair.

    `status`: "same" work, a "different result" or a failure (not timed), "other formula" (not comparable),
    "no peer". `difference` is what `compare.differences` found, `allowed` what it may be. `least_bytes` is what has to
    be read and written at least. Times are in seconds.
    """

    workload: str
    shape: tuple[int, ...]
    channels_last: bool
    kernel: str
    direction: str
    peer: str | None
    status: str
    least_bytes: int
    pairs: int = 0
    ratio: Spread | None = None
    ours: Spread | None = None
    theirs: Spread | None = None
    difference: dict[str, float] = field(default_factory=dict)
    allowed: dict[str, float] = field(default_factory=dict)
    memory: Memory | None = None

    @property
    def key(self) -> Key:
        """The values that tell a row from all others of a run."""
        return self.workload, self.kernel, self.direction, self.peer

    def share(self, bandwidth: float) -> float | None:
        """The share of a copy's bandwidth that our call makes use of."""
        return self.least_bytes / self.ours.median / bandwidth if self.ours and bandwidth else None


@dataclass(frozen=True)
class Machine:
    """The facts of a machine that the numbers depend on. `peers` maps names to versions."""

    processor: str
    cores: int
    threads: int
    memory: int
    system: str
    python: str
    torch: str
    warpkit: str
    backend: str
    peers: dict[str, str]


@dataclass(frozen=True)
class Accuracy:
    """The largest error of a coordinate, in pixels, for images of this width."""

    width: int
    errors: dict[str, float]


@dataclass(frozen=True)
class Results:
    """The results of one run. `quick` means small sizes; `bandwidth` is what a large copy reads and writes a second."""

    machine: Machine
    date: str
    quick: bool
    bandwidth: float
    rows: list[Row]
    accuracy: list[Accuracy]
    version: Literal[1] = 1

    def find(self, workload: str, kernel: str, direction: str, peer: str | None) -> Row | None:
        """The row of this key, or None."""
        return next((row for row in self.rows if row.key == (workload, kernel, direction, peer)), None)


def to_json(results: Results) -> str:
    """The run as JSON, which `from_json` reads."""
    return json.dumps(asdict(results), indent=1, ensure_ascii=False) + "\n"


def from_json(path: Path) -> Results:
    """The run in this file; `InputError` where there is none."""
    try:
        return TypeAdapter(Results).validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path} holds no results of warpkit bench: {where}: {first['msg']}") from None
