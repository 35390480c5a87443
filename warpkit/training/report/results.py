"""The runs of a report, each read once, by experiment and model."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from warpkit.errors import InputError, require
from warpkit.training.defaults import filled
from warpkit.training.runs import RESULT, Run, find_runs, number


@dataclass(frozen=True)
class Record:
    """One run: `facts` are those of `run.json` and `result.json`; `ended` tells whether it has its error."""

    run: Run
    facts: dict[str, Any]
    ended: bool
    metrics: list[dict[str, float]]

    def text(self, name: str) -> str:
        """A fact as one line of text, empty where it is missing."""
        value = self.facts.get(name)
        return "" if value is None else plain(str(value))

    def number(self, name: str) -> float | None:
        """A fact that is a finite number, else None."""
        return number(self.facts.get(name))

    def table(self, name: str) -> dict[str, Any]:
        """A fact that is a table, empty where it is missing."""
        value = self.facts.get(name)
        return value if isinstance(value, dict) else {}

    def share(self, name: str) -> float | None:
        """The share of a training step that this part takes, 0 … 1, or None."""
        return number(self.table("shares").get(name))

    @property
    def warnings(self) -> list[str]:
        """The warnings of the watch on the run's transformers."""
        value = self.facts.get("warnings")
        return [plain(str(line)) for line in value] if isinstance(value, list) else []

    # A run that does not say what it is: its folder is <experiment>/<model>/<seed>.

    @property
    def experiment(self) -> str:
        """The experiment's own name, which may be another in tables."""
        return self.text("experiment") or self._folder(-3)

    @property
    def model(self) -> str:
        """The model's own name, which may be another in tables."""
        return self.text("model") or self._folder(-2)

    @property
    def seed(self) -> str:
        """The seed of the run, as text."""
        return self.text("seed") or self._folder(-1)

    def _folder(self, part: int) -> str:
        return plain(("?", "?", "?", *self.run.folder.resolve().parts[1:])[part])


@dataclass(frozen=True)
class Results:
    """The records of all runs, and the troubles with their files."""

    records: list[Record]
    troubles: list[str]

    @cached_property
    def experiments(self) -> dict[str, str]:
        """The name of each experiment in tables, in the order in which they were given."""
        return _called((r.experiment, r.text("column")) for r in self.records)

    @cached_property
    def models(self) -> dict[str, str]:
        """Each model's name in tables, behind the model that it is compared with; the paper's worst comes first."""
        names = _called((r.model, r.text("label")) for r in self.records)
        beside = {r.model: r.text("beside") for r in self.records if r.text("beside")}
        paper = {name: max(r.number("paper") or 0 for r in self.records if r.model == name) for name in names}
        order: dict[str, str] = {}

        def add(model: str) -> None:
            if model not in order:  # else two are compared with each other
                order[model] = names[model]
                for name in by_label:
                    if beside.get(name) == model:
                        add(name)

        by_label = sorted(names, key=lambda name: (-paper[name], names[name].casefold()))
        for name in sorted(by_label, key=lambda name: beside.get(name) in names):
            add(name)
        return order

    @property
    def ordered(self) -> list[Record]:
        """The runs in the order of the tables."""
        return [r for experiment in self.experiments for model in self.models for r in self.cell(experiment, model)]

    def cell(self, experiment: str, model: str) -> list[Record]:
        """The runs of a model in an experiment."""
        return [r for r in self.records if (r.experiment, r.model) == (experiment, model)]


def read(folders: Iterable[Path]) -> Results:
    """Every run at or below these folders, in the order in which they were given.

    A run that cannot be read is left out and named in `troubles`. Raises `InputError` where nothing is left.
    """
    runs = {run.folder.resolve(): run for folder in folders for run in find_runs([folder])}
    records: list[Record] = []
    troubles: list[str] = []
    for run in runs.values():
        try:
            records.append(_record(run, troubles))
        except InputError as error:
            troubles.append(plain(f"left out: {run.folder}: {error}"))
    require(len(records) > 0, "; ".join(troubles))
    return Results(records, troubles)


def _record(run: Run, troubles: list[str]) -> Record:
    asked, result = run.asked, run.result
    try:
        metrics = run.metrics
    except InputError as error:  # cut off, or of some other program
        troubles.append(plain(f"left out of the curves: {error}"))
        metrics = []
    ended = result is not None and number(result.get("error")) is not None
    if result is not None and not ended:
        troubles.append(plain(f"counted as unfinished: {run.folder / RESULT} holds no error"))
    return Record(run, filled(asked) | (result or {}), ended, metrics)


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the known values; None where none is known."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def plain(text: str) -> str:
    """The text in one line; what cannot be printed is replaced."""
    return "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))


def _called(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The first name that each key has, or the key; the key is added where two would have the same name."""
    names: dict[str, str] = {}
    for key, name in pairs:
        names.setdefault(key, name or key)
    count = Counter(names.values())
    return {key: name if count[name] == 1 else f"{name} ({key})" for key, name in names.items()}
