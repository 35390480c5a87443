"""Curves against the epoch: the models' losses and errors, and their transformers' figures."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from warpkit.training.pictures import escaped
from warpkit.training.report.results import Record, Results

# Okabe and Ito's, which colour-blind eyes tell apart, but their yellow; and three more.
_COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a5a2b", "#7b3fbf", "#000000", "#8a8a8a",
)  # fmt: skip
_WATCHED = ("outside", "area", "distance", "gradient")
_WIDE = 10  # the largest over the smallest: beyond, an axis is logarithmic


def learning(results: Results, experiment: str) -> Figure | None:
    """Training loss, and validation (else training) error, a colour for each model; None where nothing was kept."""
    cells = {model: [r for r in results.cell(experiment, model) if r.metrics] for model in results.models}
    rows = [row for runs in cells.values() for r in runs for row in r.metrics]
    if not rows:
        return None
    which = "valid" if any("valid/error" in row for row in rows) else "train"
    names = {"valid": "error on the validation images, %", "train": "error on the training images, %"}
    figure = _figure(9.6, 4.2)
    left, right = figure.subplots(1, 2)
    for axes, title, column, factor in (
        (left, "training loss", "train/loss", 1),
        (right, names[which], f"{which}/error", 100),
    ):
        for model, runs in cells.items():
            if runs:
                label = escaped(results.models[model])
                axes.plot([], [], color=_colour(results, model), linewidth=2, label=label)  # for the legend
                _draw(axes, runs, column, _colour(results, model), factor)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch", fontsize=9)
        _scale([axes])
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


def watch(results: Results, experiment: str) -> Figure | None:
    """A row for each transformer of each model, a panel for each figure; None where no transformer was watched."""
    rows = [
        (model, place, runs)
        for model in results.models
        for runs in [results.cell(experiment, model)]
        for place in _places(runs)
    ]
    if not rows:
        return None
    figure = _figure(9.6, 0.6 + 1.35 * len(rows))
    panels = figure.subplots(len(rows), len(_WATCHED), squeeze=False, sharex=True, sharey="col").tolist()
    for (model, place, runs), line in zip(rows, panels, strict=True):
        name = results.models[model] + (f", at {place}" if len(_places(runs)) > 1 else "")
        line[0].set_ylabel(escaped(textwrap.fill(name, 18)), fontsize=8)
        for axes, name in zip(line, _WATCHED, strict=True):
            _draw(axes, runs, f"{place}/{name}", _colour(results, model))
    for column, name in zip(zip(*panels, strict=True), _WATCHED, strict=True):
        column[0].set_title(name, fontsize=10)
        column[-1].set_xlabel("epoch", fontsize=9)
        _scale(column)
    return figure


def _places(runs: Sequence[Record]) -> list[str]:
    """The paths of the transformers, as the columns name them."""
    columns = (name.rpartition("/") for r in runs for row in r.metrics for name in row)
    return list(dict.fromkeys(place for place, _, name in columns if name in _WATCHED))


def _draw(axes: Axes, runs: Sequence[Record], column: str, colour: str, factor: float = 1) -> None:
    """Draw every run thin, and the mean of those that have ended thick, as far as all of them have come."""
    curves = [
        {row.get("epoch", i): factor * row[column] for i, row in enumerate(r.metrics, 1) if column in row} for r in runs
    ]
    for curve in curves:
        axes.plot(*_points(curve), color=colour, linewidth=0.7, alpha=0.5, marker="." if len(curve) == 1 else None)
    if whole := [curve for r, curve in zip(runs, curves, strict=True) if r.ended and curve]:
        common = set(whole[0]).intersection(*whole[1:])
        mean = {epoch: sum(curve[epoch] for curve in whole) / len(whole) for epoch in common}
        axes.plot(*_points(mean), color=colour, linewidth=2)


def _points(curve: dict[float, float]) -> tuple[list[float], list[float]]:
    epochs = sorted(curve)
    return epochs, [curve[epoch] for epoch in epochs]


def _scale(column: Sequence[Axes]) -> None:
    """Give the panels one scale: logarithmic where the values span much and hardly any is zero."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for axes in column for line in axes.lines])
    above = values[(values > 0) & np.isfinite(values)]
    is_wide = len(above) > 0.9 * len(values) and above.max() > _WIDE * above.min()
    for axes in column:
        if is_wide:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(linewidth=0.4, alpha=0.6)
        axes.tick_params(labelsize=8, length=0)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)


def _colour(results: Results, model: str) -> str:
    """The model's colour, which is the same in all pictures."""
    return _COLOURS[list(results.models).index(model) % len(_COLOURS)]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)  # no window, whatever the user's settings
    return figure
