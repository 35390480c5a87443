"""The pictures of a run: bars of the ratios, and curves of the accuracy."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from warpkit.benchmark.peer import DIRECTIONS
from warpkit.benchmark.peers import PEERS
from warpkit.benchmark.results import Results, Row
from warpkit.benchmark.workloads import shown
from warpkit.errors import require

_COLOURS = {
    "torch": "#d9772b",
    "kornia": "#3a8f5c",
    "torch-interpol": "#8e5bb5",
    "opencv": "#2f6db3",
    "kornia-rs": "#b8a13a",
}
_OTHER = "#7a7a7a"
_BAR, _GAP = 0.13, 0.42  # inches: a bar, and a panel's title and axis


def ratio_bars(results: Results) -> Figure:
    """A panel for each kernel and direction, a group of bars for each workload, a bar for each peer."""
    rows = [row for row in results.rows if row.ratio is not None]
    require(bool(rows), "no ratio was measured: there is nothing to draw")
    kernels = list(dict.fromkeys(row.kernel for row in rows))
    directions = [d for d in DIRECTIONS if any(row.direction == d for row in rows)]
    works = {k: list(dict.fromkeys((r.workload, r.shape) for r in rows if r.kernel == k)) for k in kernels}
    heights = [_BAR * (_most(rows, kernel) + 1) * len(works[kernel]) + _GAP for kernel in kernels]
    figure = Figure(
        figsize=(1.6 + 4.0 * len(directions), 0.8 + sum(heights)),
        dpi=130,
        layout="constrained",
        facecolor="white",
    )
    FigureCanvasAgg(figure)  # no window, whatever the user's settings
    grid = figure.subplots(
        len(kernels), len(directions), squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights}
    )
    for kernel, line in zip(kernels, grid, strict=True):
        for direction, axes in zip(directions, line, strict=True):
            these = [row for row in rows if (row.kernel, row.direction) == (kernel, direction)]
            if not these and axes is not line[0]:
                axes.set_axis_off()
                continue
            _bars(axes, these, works[kernel], first=axes is line[0])
            axes.set_title(f"{kernel}, {direction}", fontsize=10)
    for axes in grid.flat:
        axes.tick_params(labelbottom=True)
    for axes in grid[-1][:1]:
        axes.set_xlabel("their time / ours (to the right of 1, ours is faster)", fontsize=9)
    bars = {bar.get_label(): bar for axes in grid.flat for bar in axes.containers}
    figure.legend(bars.values(), bars.keys(), loc="outside upper center", ncols=len(bars), fontsize=9, frameon=False)
    return figure


def _most(rows: Sequence[Row], kernel: str) -> int:
    """The number of peers that have bars for this kernel."""
    return len({row.peer for row in rows if row.kernel == kernel})


def _bars(axes: Axes, rows: Sequence[Row], works: Sequence[tuple[str, tuple[int, ...]]], first: bool) -> None:
    peers = [name for name in PEERS if any(row.peer == name for row in rows)]
    width = 0.8 / max(1, len(peers))
    for p, peer in enumerate(peers):
        of_peer = {row.workload: row.ratio for row in rows if row.peer == peer}
        found = [(at, spread) for at, (name, _) in enumerate(works) if (spread := of_peer.get(name)) is not None]
        places = [at + width * (p - (len(peers) - 1) / 2) for at, _ in found]
        lengths = [spread.median - 1 for _, spread in found]  # from 1, to either side
        axes.barh(places, lengths, width * 0.92, left=1, color=_COLOURS.get(peer, _OTHER), label=peer)
        for place, (_, spread) in zip(places, found, strict=True):
            side = 1 if spread.median >= 1 else -1
            axes.annotate(
                f"{spread.median:.2g}" if spread.median < 10 else f"{spread.median:.0f}",
                (spread.median, place),
                xytext=(3 * side, 0),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                va="center",
                fontsize=7,
            )
    axes.set_xscale("log")
    axes.margins(x=0.18)
    axes.axvline(1, color="black", linewidth=0.9)
    labels = [f"{name}\n{shown(shape)}" for name, shape in works] if first else [""] * len(works)
    axes.set_yticks(range(len(works)), labels, fontsize=8)
    axes.set_ylim(len(works) - 0.45, -0.55)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", which="both", linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(axis="both", length=0, labelsize=8)
    for edge in ("top", "right", "left"):
        axes.spines[edge].set_visible(False)


def accuracy_curve(results: Results) -> Figure:
    """The error over the width, a line for each way to warp."""
    require(bool(results.accuracy), "no accuracy was measured: there is nothing to draw")
    figure = Figure(figsize=(7.2, 4.0), dpi=130, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    widths = [it.width for it in results.accuracy]
    for way, colour in zip(results.accuracy[0].errors, ("#2f6db3", "#3a8f5c", "#d9772b"), strict=True):
        errors = [max(it.errors[way], 1e-9) for it in results.accuracy]
        axes.loglog(widths, errors, marker="o", markersize=4, color=colour, label=way)
    axes.legend(loc="upper left", fontsize=9, frameon=False, reverse=True)
    axes.set_xticks(widths, [f"{w:,}" for w in widths])
    axes.xaxis.set_minor_formatter(NullFormatter())
    top = max(error for it in results.accuracy for error in it.errors.values())
    axes.set_ylim(1e-8, 10 ** math.ceil(math.log10(top * 3)))
    axes.minorticks_off()
    axes.set_xlabel("width of the image, pixels", fontsize=9)
    axes.set_ylabel("largest error of x, pixels", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(linewidth=0.4, alpha=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
