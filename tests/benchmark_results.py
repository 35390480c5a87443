"""Results as a run would give them, with numbers of our own."""

from warpkit.benchmark.measure import Spread
from warpkit.benchmark.results import SAME, Accuracy, Machine, Memory, Results, Row

MACHINE = Machine("Some CPU", 2, 2, 8 * 2**30, "Linux", "3.11.7", "2.13.0", "0.1.0", "native", {"torch": "2.13.0"})


def row(workload="photos", kernel="bilinear", direction="forward", peer="torch", ratio=2.0) -> Row:
    """A row in which our call takes a millisecond."""
    ours = 1e-3
    return Row(
        workload=workload,
        shape=(2, 3, 64, 64),
        channels_last=False,
        kernel=kernel,
        direction=direction,
        peer=peer,
        status=SAME,
        least_bytes=400_000,
        pairs=5,
        ratio=Spread(ratio, ratio * 0.9, ratio * 1.1),
        ours=Spread(ours, ours * 0.9, ours * 1.1),
        theirs=Spread(ours * ratio, ours * ratio * 0.9, ours * ratio * 1.1),
        difference={"output": 1e-6},
        allowed={"output": 1e-4},
        memory=Memory(2**20, None),
    )


def results(rows: list[Row], quick: bool = False) -> Results:
    accuracy = [Accuracy(width, {"warp": 1e-7, "sample": 1e-5, "torch": 2e-5}) for width in (128, 256)]
    return Results(MACHINE, "2026-01-02", quick, 1e9, rows, accuracy)
