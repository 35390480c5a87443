"""The results as a page of Markdown: the tables that go into `page.md`."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from string import Template

from warpkit.benchmark.floors import floors
from warpkit.benchmark.measure import Spread, milliseconds
from warpkit.benchmark.peers import PEERS
from warpkit.benchmark.results import ALONE, OTHER_FORMULA, SAME, Results, Row
from warpkit.benchmark.workloads import shown

_MIB = 2**20
_QUICK = """
!!! warning
    These numbers come from `--quick`: small images, timed for a moment. They show that everything runs, not how fast.
"""
_CAPTIONS = (
    "Bars: their time over ours, for each workload, kernel and direction, on a logarithmic axis",
    "The largest error of a coordinate over the width of the image, both logarithmic",
)


def page(results: Results, pictures: tuple[str, str]) -> str:
    """The whole page. `pictures` are two links: to the picture of the ratios and to that of the accuracy."""
    ratios, accuracy = (f"![{text}]({link})" for text, link in zip(_CAPTIONS, pictures, strict=True))
    text = Template(files("warpkit.benchmark").joinpath("page.md").read_text(encoding="utf-8"))
    return text.substitute(
        threads=f"{results.machine.threads}{' --quick' if results.quick else ''}",
        quick=_QUICK if results.quick else "",
        machine=_table(("what", "which"), _machine(results)),
        picture_of_ratios=ratios,
        ratios=_ratios(results),
        times=_times(results),
        picture_of_accuracy=accuracy,
        accuracy=_accuracy(results),
        floors=_floors(results),
    )


def _machine(results: Results) -> list[tuple[str, str]]:
    it = results.machine
    return [
        ("processor", f"{it.processor}, {it.cores} cores; threads used: {it.threads}"),
        ("memory", f"{it.memory / 2**30:.1f} GiB, a copy reads and writes {results.bandwidth / 1e9:.1f} GB/s"),
        ("system", f"{it.system}, Python {it.python}, torch {it.torch}"),
        ("warpkit", f"{it.warpkit}, backend {it.backend}"),
        ("peers", ", ".join(f"{name} {version}" for name, version in it.peers.items()) or "none"),
        ("date", results.date),
    ]


def _ratios(results: Results) -> str:
    peers = [name for name in PEERS if any(row.peer == name for row in results.rows)]
    groups: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in results.rows:
        cells = groups.setdefault((_work(row), row.kernel, row.direction), {})
        if row.peer is not None:
            cells[row.peer] = ratio(row)
    return _table(
        ("workload", "kernel", "direction", *peers),
        ((*group, *(cells.get(peer, "–") for peer in peers)) for group, cells in groups.items()),
        numbers=len(peers),
    )


def ratio(row: Row) -> str:
    """The text of a ratio, or the reason why there is none."""
    if row.ratio is None:
        return row.status
    return f"{row.ratio.median:.2f}"


def _times(results: Results) -> str:
    heads = ("workload", "kernel", "direction", "peer", "ours", "theirs", "our memory", "theirs", "bandwidth")
    return _table(heads, (_timed(row, results) for row in results.rows), numbers=5)


def _timed(row: Row, results: Results) -> tuple[str, ...]:
    share = row.share(results.bandwidth)
    ours, theirs = (row.memory.ours, row.memory.theirs) if row.memory else (None, None)
    peer = row.peer or ALONE
    if row.status not in (SAME, OTHER_FORMULA, ALONE):
        peer = f"{peer}: {row.status}"
    times = (_time(row.ours), _time(row.theirs), _mib(ours), _mib(theirs))
    return (_work(row), row.kernel, row.direction, peer, *times, f"{share:.0%}" if share else "–")


def _time(spread: Spread | None) -> str:
    return f"{milliseconds(spread.median)} ± {spread.relative:.0%}" if spread else "–"


def _mib(amount: int | None) -> str:
    return "–" if amount is None else f"{amount / _MIB:.1f}"


def _work(row: Row) -> str:
    return f"{row.workload} {shown(row.shape)}"


def _accuracy(results: Results) -> str:
    if not results.accuracy:
        return "Not measured.\n"
    ways = list(results.accuracy[0].errors)
    rows = ((f"{it.width:,}", *(f"{it.errors[way]:.1e}" for way in ways)) for it in results.accuracy)
    return _table(("width", *ways), rows, numbers=len(ways))


def _floors(results: Results) -> str:
    if results.quick:
        return "They are for the real sizes.\n"
    word = {True: "yes", False: "**no**", None: "not measured"}
    rows = (
        (
            floor.what,
            f"{'≤' if floor.at_most else '≥'} {floor.bound:.3g}",
            "–" if floor.value is None else f"{floor.value:.3g}",
            word[floor.met],
        )
        for floor in floors(results)
    )
    return _table(("what", "floor", "measured", "reached"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """A Markdown table; its last `numbers` columns are aligned to the right."""
    rule = ["---"] * (len(heads) - numbers) + ["--:"] * numbers
    lines = [heads, rule, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
