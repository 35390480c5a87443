"""Brings docs/experiments.md up to date with docs/results: docs/tools/experiments.py [RUNS]

The tables come from the numbers that are kept in docs/results: those below docs/results/whole, which
docs/tools/whole_mnist.py makes, are of MNIST whole, the others of 5,000 digits. RUNS is a folder with the runs of these
themselves, weights and all, for the pictures; without it they stay as they are.
"""

import importlib.resources
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from warpkit.training.experiment import examples
from warpkit.training.report import table
from warpkit.training.report.curves import watch
from warpkit.training.report.looks import looks
from warpkit.training.report.markdown import block
from warpkit.training.report.page import Table
from warpkit.training.report.results import Record, Results, mean, read
from warpkit.training.runs import Run, number

ROOT = Path(__file__).resolve().parents[1]
PAGE, RESULTS, PICTURES = ROOT / "experiments.md", ROOT / "results", ROOT / "img/experiments"
WHOLE = RESULTS / "whole"
ORDER = ("r", "rts", "p", "e", "tc")
BEYOND = {
    "addition": ("addition",),
    "colocalisation": ("colocalise_translated", "colocalise_cluttered"),
    "volumes": ("volumes",),
    "registration": ("registration",),
    "hands": ("hands",),
    "hands of MNIST": ("hands_mnist",),
    "house numbers": ("numbers",),
    "photographs": ("photos",),
}
NOT_YET = "not run yet"


def folders(runs: Path, names: tuple[str, ...] = ORDER) -> list[Path]:
    """The folders of the paper's experiments that exist, in the paper's order."""
    return [runs / name for name in names if (runs / name).is_dir()]


def whole(experiments: tuple[str, ...]) -> Results:
    """The runs on MNIST whole; a cell of the paper's table without one holds a run that has not begun."""
    found = folders(WHOLE, experiments)
    kept = read(found) if found else Results([], [])
    assert not kept.troubles, kept.troubles
    records = kept.records
    known = {(record.experiment, record.model) for record in records}
    records += [record for record in unbegun(experiments) if (record.experiment, record.model) not in known]
    return Results(sorted(records, key=lambda record: experiments.index(record.experiment)), [])


def unbegun(experiments: tuple[str, ...]) -> Iterator[Record]:
    """A run without a result for each figure that the paper has."""
    for name in experiments:
        file = importlib.resources.files("warpkit.training") / "experiments" / f"{name}.toml"
        held = tomllib.loads(file.read_text(encoding="utf-8"))
        for model, entry in held["models"].items():
            if "paper" in entry:
                facts = {"experiment": name, "column": held["column"], "model": model, **entry}
                yield Record(Run(WHOLE / name / model / "0"), facts, False, [])


def errors(results: Results) -> Table:
    """The table of errors, which says where a run is still to be made."""
    made = table.errors(results)
    return replace(made, rows=[[cell.replace("unfinished", NOT_YET) for cell in row] for row in made.rows])


def without_paper(made: Table) -> Table:
    """The table without the paper's figures, which another has already."""
    return replace(made, rows=[[cell.split("\npaper")[0] for cell in row] for row in made.rows])


def error_of(folder: str, experiment: str, model: str) -> float | None:
    """The error of the first seed on MNIST whole, in %."""
    result = Run(WHOLE / folder / experiment / model / "0").result
    return None if result is None else 100 * number(result["error"])


def cell(value: float | None, missing: str = NOT_YET) -> str:
    return missing if value is None else f"{value:.2f}"


def against_digits() -> Table:
    """The error against the number of digits that were learnt from: a row for each number."""
    columns = [(experiment, model) for experiment in ("r", "tc") for model in ("cnn", "st_cnn_affine")]
    numbers = [("1,000", "first_1000"), ("5,000", "first_5000"), ("20,000", "first_20000"), ("60,000", ".")]
    rows = [(count, *(cell(error_of(folder, *column)) for column in columns)) for count, folder in numbers]
    return Table(("digits", "R, CNN", "R, ST-CNN affine", "TC, CNN", "TC, ST-CNN affine"), rows)


def otherwise() -> Table:
    """The errors on R by other settings than those of the table of errors: a row for each."""
    rows = []
    for name, folder in [
        ("as above", "."),
        ("120 epochs instead of 30, decay 0.1 instead of 0.01", "longer"),
        ("120 epochs, decay 0.01", "longer_with_little_decay"),
        ("nearer to the paper's way: SGD from a rate of 0.01, no decay", "by_sgd"),
        ("digits that nobody turned", "undistorted"),
    ]:
        missing = "–" if folder == "undistorted" else NOT_YET
        alone, transformed = (error_of(folder, "r", model) for model in ("cnn", "st_cnn_affine"))
        rows.append((name, cell(alone), cell(transformed, missing)))
    return Table(("what differs", "R, CNN", "R, ST-CNN affine"), rows)


def tried() -> Table:
    """The errors on digits of R that were held out, and what is undone of a turn: a row for each setting."""
    rows = []
    names = [file.name for file in (WHOLE / "held_out").iterdir() if file.is_dir()]
    for name in sorted(names, key=lambda name: (name != "as_above", name)):
        folder = f"held_out/{name}"
        cells = [cell(error_of(folder, "r", model), "–") for model in ("cnn", "st_cnn_affine")]
        windows = WHOLE / folder / "r/st_cnn_affine/0/windows.json"
        undone = json.loads(windows.read_text(encoding="utf-8"))["undone"]["turn"] if windows.is_file() else None
        cells.append("–" if undone is None else f"{100 * undone:.0f} %")
        rows.append((name.replace("_", " "), *cells))
    return Table(("what differs", "R, CNN", "R, ST-CNN affine", "of a turn undone"), rows)


def by_label() -> Table:
    """The share of digits that co-localisation did not find: a row for each class of digits, and their mean."""
    columns = []
    for experiment in ("colocalise_translated", "colocalise_cluttered"):
        missed = [error_of(f"label_{label}", experiment, "attention") for label in range(10)]
        missed.append(None if None in missed else mean(missed))
        columns.append([cell(share) for share in missed])
    return Table(("digit", "alone", "among clutter"), [*zip((*map(str, range(10)), "mean"), *columns, strict=True)])


def page(text: str) -> str:
    """The page with its tables made anew; each stands between two comments that name it."""
    tables = {
        "errors": without_paper(table.errors(read(folders(RESULTS)))),
        "errors, whole": errors(whole(ORDER)),
        "errors, addition, whole": errors(whole(("addition",))),
        "against digits, whole": against_digits(),
        "otherwise, whole": otherwise(),
        "tried, whole": tried(),
        "co-localisation, whole": by_label(),
    }
    for name, those in BEYOND.items():
        if found := folders(RESULTS, those):
            tables[f"errors, {name}"] = without_paper(table.errors(read(found)))
            if (more := table.also_measured(read(found))).rows:
                tables[f"also measured, {name}"] = more
    for name, content in tables.items():
        between = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        made = block(content, "")
        text, found = re.subn(between, lambda m, made=made: f"{m[1]}\n{made}\n\n{m[2]}", text, flags=re.DOTALL)
        assert found == 1, f"{PAGE} has no place for the table of {name}"
    return text


def pictures(runs: Path) -> None:
    """The pictures of transformers at work for each experiment, and the watch's figures for one."""
    from ground import clear  # a neighbour, found where this file is the one that is run

    results = read(folders(runs, (*ORDER, "collapse")))
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in results.experiments:
        figures = {"looks": looks(results, name, examples)[0]}
        if name == "collapse":
            figures["watch"] = watch(results, name)
        for kind, figure in figures.items():
            if figure is not None:
                path = PICTURES / f"{kind}-{name}.png"
                figure.savefig(path, dpi=110)
                if kind == "looks":
                    clear(path)


if __name__ == "__main__":
    if sys.argv[1:]:
        pictures(Path(sys.argv[1]))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
