"""The measurement itself: the rows of a run, one after the other."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from warpkit.benchmark import memory
from warpkit.benchmark.calls import prepare
from warpkit.benchmark.compare import allowed, differences
from warpkit.benchmark.measure import in_turn, spread
from warpkit.benchmark.peer import BOTH, Peer
from warpkit.benchmark.peers import OURS
from warpkit.benchmark.results import ALONE, OTHER_FORMULA, OTHER_RESULT, SAME, Key, Memory, Row
from warpkit.benchmark.workloads import Work, Workload, make


@dataclass(frozen=True)
class Plan:
    """The rows to measure, and for how long: `repeats` pairs if given, else `seconds` for each row."""

    workloads: Sequence[Workload]
    kernels: Sequence[str] | None  # those of each workload unless given
    directions: Sequence[str]
    peers: Sequence[Peer]
    threads: int
    seconds: float
    repeats: int | None = None
    quick: bool = False
    memory: bool = True

    def rows(self) -> list[tuple[Workload, str, str, Peer | None]]:
        """Every row to come; its peer is None where no peer can do the work."""
        return [
            (workload, kernel, direction, peer)
            for workload in self.workloads
            for kernel in workload.kernels_of(self.kernels)
            for direction in workload.directions_of(self.directions)
            for peer in self._able(workload, kernel, direction) or [None]
        ]

    def _able(self, workload: Workload, kernel: str, direction: str) -> list[Peer | None]:
        return [p for p in self.peers if p.lacks(workload, kernel, direction) is None]


def measure(plan: Plan, known: AbstractSet[Key] = frozenset()) -> Iterator[Row]:
    """Measure row by row, without those that are `known`."""
    every = [row for row in plan.rows() if (row[0].name, row[1], row[2], row[3] and row[3].name) not in known]
    for workload in plan.workloads:
        mine = [row[1:] for row in every if row[0] is workload]
        if not mine:
            continue
        used = _memory(plan, workload, mine)
        work = make(workload, plan.quick)
        for kernel, direction, peer in mine:
            yield _row(plan, workload, work, kernel, direction, peer, used)


def _memory(
    plan: Plan, workload: Workload, rows: Sequence[tuple[str, str, Peer | None]]
) -> dict[memory.Wanted, int | None]:
    if not plan.memory:
        return {}
    wanted = [(kernel, direction, p.name) for kernel, direction, peer in rows for p in (OURS, peer) if p is not None]
    return memory.peaks(workload, plan.quick, plan.threads, list(dict.fromkeys(wanted)))


def _row(
    plan: Plan,
    workload: Workload,
    work: Work,
    kernel: str,
    direction: str,
    peer: Peer | None,
    used: dict[memory.Wanted, int | None],
) -> Row:
    """A row whose two parties were compared first, and timed only where they do the same work."""
    found: dict[str, float] = {}
    limits: dict[str, float] = {}
    status = ALONE if peer is None else OTHER_FORMULA
    if peer is not None and peer.same_formula:
        limits = allowed(work, peer, kernel)
        try:
            found = differences(work, peer, kernel, direction)
            status = SAME if all(found[what] <= limits[what] for what in found) else OTHER_RESULT
        except Exception as error:  # a peer's own failure is its row's, not the run's
            status = f"failed: {type(error).__name__}: {error}"
    parties = [OURS, peer] if peer is not None and status in (SAME, OTHER_FORMULA) else [OURS]
    calls = [prepare(p, work, kernel, direction) for p in parties]
    rounds = in_turn(calls, seconds=plan.seconds, repeats=plan.repeats)
    held = Memory(*(used.get((kernel, direction, p.name)) if p else None for p in (OURS, peer)))
    both = len(parties) == 2
    return Row(
        workload=workload.name,
        shape=tuple(work.image.shape),
        channels_last=workload.channels_last,
        kernel=kernel,
        direction=direction,
        peer=peer.name if peer else None,
        status=status,
        least_bytes=work.least_bytes * (2 if direction == BOTH else 1),
        pairs=len(rounds),
        ratio=spread([theirs / ours for ours, theirs in rounds]) if both else None,
        ours=spread([times[0] for times in rounds]),
        theirs=spread([times[1] for times in rounds]) if both else None,
        difference=found,
        allowed={what: limits[what] for what in found},
        memory=held if plan.memory else None,
    )
