"""An experiment as a file: its data, its way to train, and the models that are compared."""

import functools
import hashlib
import importlib.resources
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from warpkit.errors import InputError, at, quoted, require, unknown
from warpkit.modules.resnet import ResNet
from warpkit.quoting import reason
from warpkit.spec.build import build, planned
from warpkit.spec.read import SUFFIXES, overridden, read
from warpkit.training.runs import Run
from warpkit.training.tables import Table, checked
from warpkit.training.tasks import TASKS, Task
from warpkit.training.tasks.base import Raw

# Of models and experiments: parts of a path below the folder of all runs.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]*$", max_length=100)]
Share = Annotated[float, Field(ge=0)]
_SAME_DATA = ("data.folder", "data.test_folder", "data.ways")
_WEIGHTS = (("data", "encoder"), ("training", "backbone"))  # files


class Training(Table):
    """The table `[training]`: how a model is trained.

    `optimizer`: "adam" (AdamW) or "sgd" (with Nesterov's momentum of 0.9). `rate`: the highest learning rate;
    `localization`: the part of it that localization networks and regression layers get. `schedule`: "one_cycle" (up,
    then down to nothing: Smith and Topin, arXiv 1708.07120), "cosine" (down to nothing), "steps" (a tenth, `drops`
    times, after equal parts of the training, as in the paper), "constant". `clip`: the largest norm of a gradient.
    `outside` and `folds`: weights of the penalties for leaving the image and for folding. `backbone`: a file of weights
    that every `resnet` of a model begins with, see `ResNet.load_weights`.
    """

    epochs: Annotated[int, Field(ge=1)] = 40
    batch: Annotated[int, Field(ge=1)] = 64
    optimizer: Literal["adam", "sgd"] = "adam"
    rate: Annotated[float, Field(gt=0)] = 5e-3
    localization: Share = 1.0
    schedule: Literal["one_cycle", "cosine", "steps", "constant"] = "one_cycle"
    drops: Annotated[int, Field(ge=1)] = 2
    weight_decay: Share = 0.0
    clip: Annotated[float, Field(gt=0)] | None = None
    outside: Share = 0.0
    folds: Share = 0.0
    backbone: str | None = None


class Entry(Table):
    """The table `[models.NAME]`: a model to train.

    `spec`: its layers, as a table, as a file beside the experiment's, or as the name of one that comes with warpkit;
    `input` is the data's unless it says one. `set`: what is changed in the spec, by path. `label`: for tables.
    `beside`: the model that it is compared with. `paper`: the error, in %, that the paper reports. `training`: what
    differs from the experiment's.
    """

    spec: str | dict[str, Any]
    set: dict[str, Any] = Field({})
    label: str = ""
    beside: str | None = None
    paper: float | None = None
    training: dict[str, Any] = Field({})


class Experiment(Table):
    """A whole file. `column` is a short name for tables.

    `minutes`: how long one model takes with one seed, the quickest and the slowest, as measured on one core.
    """

    version: Literal[1] = 1
    title: str
    column: str = ""
    minutes: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    data: dict[str, Any]
    training: dict[str, Any] = Field({})
    models: Annotated[dict[Name, Entry], Field(min_length=1)]


class _Stem(Table):
    file: Name


@dataclass(frozen=True)
class Plan:
    """One model of an experiment, ready to be trained."""

    experiment: str
    title: str
    column: str
    model: str
    entry: Entry
    data: Table
    training: Training
    spec: dict[str, Any]
    source: str
    overrides: Mapping[str, Any]

    def task(self) -> Task:
        """The task with its data, which are read here."""
        return _made(self.data)

    def build(self, seed: int) -> nn.Module:
        """The model with its first weights; the global random state is left alone.

        Raises `InputError` for a backbone's weights that do not fit.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = build(self.spec)
        if self.training.backbone is not None:
            backbones = [module for module in model.modules() if isinstance(module, ResNet)]
            require(len(backbones) > 0, "training.backbone: there is no resnet in this model")
            for backbone in backbones:
                backbone.load_weights(self.training.backbone)
        return model

    def asked(self, seed: int) -> dict[str, Any]:
        """The settings that decide the result, as plain data; for files of weights their hashes too."""
        tables = {"data": self.data.model_dump(), "training": self.training.model_dump()}
        files = {f"{table}.{name}": tables[table].get(name) for table, name in _WEIGHTS}
        return {
            "experiment": self.experiment,
            "title": self.title,
            "column": self.column,
            "model": self.model,
            "label": self.entry.label or self.model,
            "beside": self.entry.beside,
            "paper": self.entry.paper,
            "seed": seed,
            **tables,
            "weights": {name: _hash(Path(file)) for name, file in files.items() if file is not None},
            "spec": self.spec,
        }

    def command(self, seed: int) -> str:
        """The command line that trains this model."""
        words = ["warpkit", "train", self.source, "--model", self.model, "--seed", str(seed)]
        for path, value in self.overrides.items():
            words += ["--set", f"{path}={value if isinstance(value, str) else json.dumps(value)}"]
        return shlex.join(words)


def plans(
    source: str | Path, models: list[str] | None = None, overrides: Mapping[str, Any] | None = None
) -> list[Plan]:
    """The plans that an experiment asks for: one for each model, or for each of those that are named.

    `source`: a file, or the name of an experiment that comes with warpkit. `overrides`: other values, by path
    (`{"training.epochs": 10}`). Raises `InputError` with all mistakes of a table, each with its place.
    """
    path = _find("experiment", str(source), "experiments", Path())
    changes = dict(overrides or {})
    written = _read(path)
    experiment = checked(Experiment, overridden(written, changes), "")
    for name, entry in experiment.models.items():
        others = experiment.models.keys() - {name}
        if entry.beside is not None and entry.beside not in others:
            raise unknown("other model", entry.beside, others).at(f"experiment: models.{name}.beside")
        if name not in written.get("models", {}):
            raise unknown("model", name, written["models"]).at(f"override models.{name}")
    for name in models or []:
        if name not in experiment.models:
            raise unknown("model", name, experiment.models)
    data = _data(experiment.data)
    task = _made(data)
    forced = {path.removeprefix("training."): value for path, value in changes.items() if path.startswith("training.")}
    # The paper's figures are those of its own data, wherever the digits come from.
    is_paper_s = all(path in _SAME_DATA for path in changes if path.startswith("data"))
    found = [
        Plan(
            experiment=path.stem,
            title=experiment.title,
            column=experiment.column or path.stem,
            model=name,
            entry=entry if is_paper_s else entry.model_copy(update={"paper": None}),
            data=data,
            training=_training(experiment.training, name, {**entry.training, **forced}),
            spec=_spec(name, entry, path.parent, task.shapes),
            source=str(source),
            overrides=changes,
        )
        for name, entry in experiment.models.items()
        if not models or name in models
    ]
    for plan in found:
        _try_out(plan, task)
    return found


def _try_out(plan: Plan, task: Task) -> None:
    """Raise `InputError` for a model that cannot do the task, before another one is trained for hours."""
    most, size, path = task.train_images, plan.training.batch, f"experiment: models.{plan.model}"
    told = f"training.batch: {size} is more than the {most} images there are to train on"
    require(size <= most, told, path=path)
    least = f"training.batch: {size} is too few for this task, which compares images"
    require(size >= task.least_batch, least, path=path)
    few = task.test_draws()[:2]
    batch = task.prepare(task.take("test", torch.arange(len(few)), few))
    try:
        model = plan.build(0).eval()
        with torch.no_grad():
            task.step(model, batch)
    except InputError as error:
        raise error.at(path) from error
    except (RuntimeError, IndexError, TypeError) as error:
        raise InputError(reason(error), path=path) from error


def examples(run: Run, count: int = 10) -> tuple[Float[Tensor, "N C *S"], list[str]]:
    """Test images of a run, prepared as in its test, and a caption for each.

    There is one image of each class, and the caption is the class; where there are no classes, the first images are
    numbered.
    """
    task = read_task(run.asked["data"])
    raw = task.take("test", torch.arange(task.test_images)[: 50 * count], task.test_draws()[: 50 * count])
    if raw.targets.ndim > 1:
        chosen = list(range(min(count, len(raw.targets))))
        captions = [str(i + 1) for i in chosen]
    else:
        kinds = sorted(set(raw.targets.tolist()))[:count]
        chosen, captions = [int((raw.targets == kind).nonzero()[0]) for kind in kinds], [str(kind) for kind in kinds]
    (images, *_), _ = task.prepare(Raw(*(part[chosen] for part in raw)))
    return images, captions


def read_task(table: Mapping[str, Any]) -> Task:
    """The task of a `[data]` table. Raises `InputError` with every mistake in it, and for missing files."""
    return _made(_data(table))


def _data(table: Mapping[str, Any]) -> Table:
    kind = table.get("type", "digits")
    if not isinstance(kind, str) or kind not in TASKS:
        raise unknown("kind of data", kind, TASKS).at("experiment: data.type")
    return checked(TASKS[kind][0], table, "data")


@functools.lru_cache(maxsize=1)  # reading takes seconds, and the models of an experiment share it
def _made(data: Any) -> Task:
    task: Task = TASKS[data.type][1](data)
    return task


def _training(shared: dict[str, Any], name: str, own: dict[str, Any]) -> Training:
    checked(Training, own, f"models.{name}.training")  # a mistake is told where it stands
    return checked(Training, {**checked(Training, shared, "training").model_dump(), **own}, "training")


def _spec(name: str, entry: Entry, beside: Path, shapes: dict[str, Any]) -> dict[str, Any]:
    with at(f"experiment: models.{name}"):
        spec = entry.spec if isinstance(entry.spec, dict) else read(_find("spec", entry.spec, "specs", beside))
        spec = overridden({"version": 1, **({} if {"input", "inputs"} & spec.keys() else shapes), **spec}, entry.set)
        planned(spec)  # which tells every mistake at once
        return spec


def _read(path: Path) -> dict[str, Any]:
    checked(_Stem, {"file": path.stem}, "")
    return read(path, "experiment")


def _find(what: str, given: str, folder: str, beside: Path) -> Path:
    """The path of a user's file or, by its name, of a file that comes with warpkit."""
    if Path(given).suffix.lower() in SUFFIXES:
        return beside / given
    known = {file.name.removesuffix(".toml"): file for file in _package(folder).iterdir()}
    if given not in known:
        error = unknown(what, given, known)
        raise error.hinting(f"{error.hint} A file ends in {', '.join(SUFFIXES)}.".strip())
    return Path(str(known[given]))


def _package(folder: str) -> Any:
    return importlib.resources.files("warpkit.training") / folder


def _hash(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except (OSError, ValueError) as error:  # a path that no system can have is a ValueError
        raise InputError(f"{quoted(str(file), 300)} cannot be read: {error}") from error
