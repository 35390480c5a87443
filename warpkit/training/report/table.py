"""The runs as tables: errors beside the paper's, data and durations, costs; and the runs that are not alike."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, stdev
from typing import Any

from warpkit.errors import quoted
from warpkit.training.report.page import Table
from warpkit.training.report.results import Record, Results, mean, plain
from warpkit.training.runs import number

# What should be the same for all models of an experiment, and for all seeds of a model.
_OF_EXPERIMENT = (
    "data",
    "training",
    "train_images",
    "tested_on",
    "test_images",
    "machine",
    "torch",
    "warpkit",
    "precision",
)
_OF_MODEL = ("spec", "parameters", "weights")
_SHARES = ("distorting", "localization", "sampling")


def errors(results: Results) -> Table:
    """Errors: a row for each model, a column for each experiment, with its change, and the paper's with its own."""
    rows = [
        (label, *(_error(results, experiment, model) for experiment in results.experiments))
        for model, label in results.models.items()
    ]
    return Table(("model", *results.experiments.values()), rows)


def _error(results: Results, experiment: str, model: str) -> str:
    runs = results.cell(experiment, model)
    if not runs:
        return "–"
    beside = results.cell(experiment, next(filter(None, (r.text("beside") for r in runs)), ""))
    ours, theirs = _errors(runs), _errors(beside)
    lines = ["unfinished"]
    if ours:
        spread = f" ± {100 * stdev(ours):.2f}" if len(ours) > 1 else ""
        seeds = "1 seed" if len(ours) == 1 else f"{len(ours)} seeds"
        lines = [f"{100 * fmean(ours):.2f}{spread}", _with_change(seeds, fmean(ours), mean(theirs))]
    paper = mean(r.number("paper") for r in runs)
    if paper is not None:
        lines.append(_with_change(f"paper {paper:g}", paper, mean(r.number("paper") for r in beside)))
    return "\n".join(lines)


def _errors(runs: Iterable[Record]) -> list[float]:
    return [error for r in runs if r.ended and (error := r.number("error")) is not None]


def _with_change(text: str, error: float, beside: float | None) -> str:
    """The text, and how much less (or more) the error is than that of the model beside, where there is one."""
    if not beside:
        return text
    percent = round(100 * (error / beside - 1))
    return f"{text}, {f'{percent:+d}'.replace('-', '−') if percent else '±0'} %"


def measured(results: Results) -> Table:
    """The data: a row for each experiment, with what was trained and tested on, and for how long."""
    rows = []
    for experiment, column in results.experiments.items():
        runs = [r for r in results.records if r.experiment == experiment]
        words = [_each(r.text(fact) for r in runs) for fact in ("title", "tested_on")]
        numbers = [_each(_amount(r.number(fact)) for r in runs if r.ended) for fact in ("train_images", "epochs")]
        rows.append((column, *words, *numbers))
    return Table(("experiment", "what it is", "tested on", "training images", "epochs"), rows, words=3)


def also_measured(results: Results) -> Table:
    """What tasks measure besides the error: a row for each model that has any of it, its mean over seeds."""
    names = list(dict.fromkeys(plain(name) for r in results.ordered if r.ended for name in r.table("measured")))
    rows = []
    for experiment, column in results.experiments.items():
        for model, label in results.models.items():
            runs = [r.table("measured") for r in results.cell(experiment, model) if r.ended]
            means = [mean(number(each.get(name)) for each in runs) for name in names]
            if any(value is not None for value in means):
                rows.append((column, label, *(_percent(value) for value in means)))
    return Table(("experiment", "model", *names), rows, words=2)


def costs(results: Results) -> Table:
    """Costs: a row for each model in each experiment, with parameters, seconds, images a second, shares of a step."""
    rows = []
    for experiment, column in results.experiments.items():
        for model, label in results.models.items():
            if runs := [r for r in results.cell(experiment, model) if r.ended]:
                facts = ("parameters", "seconds", "images_per_second")
                amounts = [_amount(mean(r.number(fact) for r in runs)) for fact in facts]
                shares = [_percent(mean(r.share(part) for r in runs)) for part in _SHARES]
                rows.append((column, label, *amounts, *shares))
    return Table(("experiment", "model", "parameters", "seconds", "images/s", *_SHARES), rows, words=2)


def _each(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, values))) or "–"


def _amount(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def machines(results: Results) -> Table:
    """The machines: a row for each machine and set of versions."""
    rows: dict[tuple[str, ...], int] = {}
    for r in results.records:
        facts = tuple(r.text(fact) or "–" for fact in ("machine", "warpkit", "torch"))
        rows[facts] = rows.get(facts, 0) + 1
    return Table(("machine", "warpkit", "torch", "runs"), [(*facts, str(n)) for facts, n in rows.items()], words=3)


def unfinished(results: Results) -> list[str]:
    """The runs that have not ended, a line for each."""
    lines = ((r, f"{_where(results, r)}, seed {r.seed}") for r in results.ordered if not r.ended)
    return [f"{line}: {len(r.metrics)} epochs so far" for r, line in lines]


def warnings(results: Results) -> list[str]:
    """The warnings of the watch, a line for each, with the seeds that it came up in."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for r in results.ordered:
        for warning in r.warnings:
            seeds.setdefault((_where(results, r), warning), []).append(r.seed)
    return [f"{where}, {_seeds(those)}: {warning}" for (where, warning), those in seeds.items()]


def differences(results: Results) -> list[str]:
    """The settings that differ between runs that are averaged or compared, and seeds that are there twice."""
    lines = []
    for experiment, column in results.experiments.items():
        runs = [r for r in results.records if r.experiment == experiment]
        lines += [f"{column}: {line}" for line in _differing(results, runs, _OF_EXPERIMENT)]
        for model, label in results.models.items():
            cell = results.cell(experiment, model)
            lines += [f"{column}, {label}: {line}" for line in _differing(results, cell, _OF_MODEL)]
            every = [r.seed for r in cell]
            twice = [seed for seed in dict.fromkeys(every) if every.count(seed) > 1]
            lines += [f"{column}, {label}: {_seeds(twice)} more than once"] if twice else []
    return lines


def _differing(results: Results, runs: Sequence[Record], facts: Sequence[str]) -> Iterator[str]:
    """The settings that differ between runs; one that a run does not know (it is older) does not differ."""
    for fact in facts:
        known = [(r, dict(_flat(fact, r.facts[fact]))) for r in runs if fact in r.facts]
        for setting in dict.fromkeys(path for _, values in known for path in values):
            who: dict[str, list[Record]] = {}
            for r, values in known:
                who.setdefault(values.get(setting, "nothing"), []).append(r)
            if len(who) > 1:
                yield f"{setting}: " + "; ".join(f"{value} ({_who(results, of, runs)})" for value, of in who.items())


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Each value in a nested one, with its path."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(f"{path}.{plain(str(key))}", part)
    else:
        yield path, quoted(value, most=500)


def _who(results: Results, some: Sequence[Record], among: Sequence[Record]) -> str:
    """The models of these records, with seeds where these are not all of the model's."""
    names = []
    for model, label in results.models.items():
        seeds = [r.seed for r in some if r.model == model]
        if seeds:
            is_all = len(seeds) == sum(r.model == model for r in among)
            names.append(label if is_all else f"{label} {_seeds(seeds)}")
    return ", ".join(names)


def _where(results: Results, record: Record) -> str:
    return f"{results.experiments[record.experiment]}, {results.models[record.model]}"


def _seeds(seeds: Sequence[str]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
