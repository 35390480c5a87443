"""The results as tables for a terminal of 80 columns."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from warpkit.benchmark.measure import milliseconds
from warpkit.benchmark.results import OTHER_FORMULA, SAME, Results, Row
from warpkit.benchmark.workloads import shown


def show(results: Results, console: Console) -> None:
    """Print the results, a table for each workload."""
    it = results.machine
    facts = [
        f"{it.processor}, {it.threads} of {it.cores} cores",
        f"torch {it.torch}",
        f"warpkit {it.warpkit}, {it.backend}",
    ]
    console.print("; ".join(facts), highlight=False)
    for name, shape in dict.fromkeys((row.workload, row.shape) for row in results.rows):
        table = Table(title=f"{name}, {shown(shape)}", title_justify="left", box=None, pad_edge=False)
        table.add_column("kernel")
        table.add_column("pass")
        table.add_column("peer", overflow="fold")
        for heading in ("ratio", "ms", "theirs", "±", "MiB", "theirs", "bw"):
            table.add_column(heading, justify="right")
        for row in results.rows:
            if row.workload == name:
                table.add_row(*map(Text, _cells(row, results.bandwidth)))
        console.print(table)
    console.print(
        "ratio: their time / ours; ±: its quartiles; MiB: peak memory of ours; bw: share of a copy's bandwidth"
    )


def _cells(row: Row, bandwidth: float) -> list[str]:
    peer = row.peer or row.status
    if row.peer and row.status not in (SAME, OTHER_FORMULA):
        worst = max(row.difference.values(), default=None)
        peer = f"{row.peer}: {row.status}" + (f" ({worst:.1e})" if worst is not None else "")
    held = (row.memory.ours, row.memory.theirs) if row.memory else (None, None)
    share = row.share(bandwidth)
    return [
        row.kernel,
        "fwd" if row.direction == "forward" else "fwd+bwd",
        peer,
        f"{row.ratio.median:.2f}" if row.ratio else "–",
        *(milliseconds(time.median) if time else "–" for time in (row.ours, row.theirs)),
        f"{row.ratio.relative:.0%}" if row.ratio else "–",
        *("–" if amount is None else f"{amount / 2**20:.1f}" for amount in held),
        f"{share:.0%}" if share else "–",
    ]
