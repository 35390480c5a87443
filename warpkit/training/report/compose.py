"""The composition of a report: tables, notes and pictures in the order in which they are read."""

import re
import shlex
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from warpkit.training.report import table
from warpkit.training.report.page import Box, Code, Page, Part, Picture, Section
from warpkit.training.report.results import Record, Results, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from warpkit.training.report.looks import Examples

_ERRORS = (
    "In %, the mean over seeds ± their sample standard deviation. Below it, the number of seeds, and the change "
    "against the network that it is compared with. Last, what the paper reports: Jaderberg et al., “Spatial "
    "Transformer Networks”, 2015."
)
_COSTS = (
    "Seconds of training and images a second: means over seeds. On the right, shares of a training step: distorting "
    "the images, the localization networks, sampling."
)
_ALSO = "Measured on the test images as well: means over seeds."
_LEARNING = "Every run is a thin line; the mean of those that have ended is thick."
_LOOKS = "The first seed of each network with a transformer, and images that it was not trained with."
_WATCH = (
    "Outside: the share of the grid that lies outside of the image. Area: how much of the image the output covers, 1 "
    "for all of it. Distance: of θ from where it started. Gradient: the norm of the loss's with respect to θ."
)

_MADE = "Made of the runs' names, where a run has not kept its command: what was changed with --set is not in it."


def compose(results: Results, title: str, *, pictures: bool = True, examples: "Examples | None" = None) -> Page:
    """The page of all results.

    `examples`: where images to show a run's transformer come from; unless given, of those that it was tested on.
    """
    notes = {
        "Not the same in all runs": table.differences(results),
        "Unfinished, not in the averages": table.unfinished(results),
        "Files that cannot be read": results.troubles,
    }
    more = table.also_measured(results)
    also: list[Part] = [_ALSO, more] if more.rows else []
    sections = [
        Section("Test error", [_ERRORS, table.errors(results), table.measured(results), *also, *_boxes(notes)]),
        Section("What it costs", [_COSTS, table.costs(results)]),
    ]
    if pictures:
        sections += _learning_and_looks(results, examples)
    sections += [_watch(results, pictures), _repeat(results)]
    return Page(plain(title), sections)


def _learning_and_looks(results: Results, examples: "Examples | None") -> Iterator[Section]:
    from warpkit.training.report.curves import learning
    from warpkit.training.report.looks import looks

    if examples is None:
        from warpkit.training import experiment

        examples = experiment.examples
    text = "Training loss and error, against the epoch"
    curves = [(e, learning(results, e)) for e in results.experiments]
    yield Section("How they learn", [_LEARNING, *_drawn(results, "curves", text, curves)])
    found = {e: looks(results, e, examples) for e in results.experiments}
    text = "The input, and for each network its sampling grid on the input and its transformer's output"
    drawn = _drawn(results, "grids", text, [(e, figure) for e, (figure, _) in found.items()])
    left_out = _boxes({"Not shown": [line for _, lines in found.values() for line in lines]})
    if drawn or left_out:
        yield Section("What the transformers do", [_LOOKS, *drawn, *left_out])


def _watch(results: Results, pictures: bool) -> Section:
    boxes = _boxes({"Warnings": table.warnings(results)}) or ["Without warnings."]
    if not pictures:
        return Section("The transformers' watch", boxes)
    from warpkit.training.report.curves import watch

    text = "What each transformer does, against the epoch"
    drawn = _drawn(results, "watch", text, [(e, watch(results, e)) for e in results.experiments])
    return Section("The transformers' watch", [*boxes, *([_WATCH, *drawn] if drawn else [])])


def _boxes(lines: dict[str, list[str]]) -> list[Part]:
    return [Box(title, those) for title, those in lines.items() if those]


def _drawn(results: Results, kind: str, text: str, figures: Iterable[tuple[str, "Figure | None"]]) -> list[Part]:
    """The pictures, under names that files can have; they are the same for the same experiments."""
    pictures: dict[str, Picture] = {}
    for experiment, figure in figures:
        name = kind + "-" + (re.sub(r"[^a-z0-9_]+", "-", experiment.lower())[:60].strip("-") or "experiment")
        while name in pictures:
            name += "-"
        if figure is not None:
            png = BytesIO()
            figure.savefig(png, format="png")
            pictures[name] = Picture(name, f"{results.experiments[experiment]}: {text}", png.getvalue())
    return list(pictures.values())


def _repeat(results: Results) -> Section:
    own = {r.run: _own_command(r) for r in results.ordered}
    made = {r.run: ["warpkit", "train", r.experiment, "--model", r.model, "--seed", r.seed] for r in results.ordered}
    commands = Code(list(dict.fromkeys(shlex.join(own[run] or made[run]) for run in made)))
    note = [] if all(own.values()) else [_MADE]
    return Section("How to repeat it", [*note, commands, table.machines(results)])


def _own_command(record: Record) -> list[str]:
    """The run's command in words, so that nothing that a stranger wrote behind a semicolon is a command too."""
    try:
        words = shlex.split(record.text("command"))
    except ValueError:
        return []
    return words if words[:2] == ["warpkit", "train"] else []
