"""Trains the paper's experiments on MNIST whole: docs/tools/whole_mnist.py MNIST RUNS [--only WORD] [--list] …

MNIST is the folder with the four files; RUNS is where the runs go, weights and all. The runs are made one by one, those
that tell most first. Each that ends is kept at once in docs/results/whole, without its weights, and one that is kept is
passed over. So the command can be stopped at any time, given again on any machine that has what was kept so far, and
given twice where there are two processors. docs/tools/experiments.py then brings the page up to date.

Networks multiply in bfloat16 and add in float32, which is nearly twice as fast where a processor has instructions for
it (AVX-512 BF16, AMX, Arm's BF16) and learns as well; where it has none, give --precision 32-true.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from warpkit.errors import InputError
from warpkit.training.experiment import plans
from warpkit.training.fit import PRECISIONS, Fitting
from warpkit.training.runs import METRICS, RESULT, RUN, WEIGHTS, Run

KEPT = Path(__file__).resolve().parents[1] / "results" / "whole"
EPOCHS, EPOCHS_FCN, EPOCHS_TC = 30, 60, 15  # TC's canvas is five times as large as R's
# Chosen on 5,000 digits that were held out of the 60,000, as all settings are that differ from those for 5,000 digits.
DECAY = 0.01
# Nearer to the paper's own way to train: from a rate of 0.01, a tenth of it twice; but with momentum, 64 at a time.
BY_SGD = {"training.optimizer": "sgd", "training.rate": 0.01, "training.schedule": "steps", "training.weight_decay": 0}


def _conv(channels: int, padding: int = 0) -> dict[str, object]:
    return {"type": "Conv2d", "out_channels": channels, "kernel_size": 5, **({"padding": padding} if padding else {})}


def _linear(features: int) -> dict[str, object]:
    return {"type": "Linear", "out_features": features}


# R in other ways, tested on the official digits as the table's cells are.
OTHERWISE: dict[str, dict[str, object]] = {
    "undistorted": {"data.distortion": "none"},
    "longer": {"training.epochs": 4 * EPOCHS, "training.weight_decay": 0.1},
    "longer_with_little_decay": {"training.epochs": 4 * EPOCHS},
    "by_sgd": BY_SGD,
}

# What was tried on R, with 5,000 of the 60,000 digits held out, each of them turned in four ways.
HELD_OUT = {"data.held_out": 5000, "data.ways": 4, "training.epochs": 10}
_SPEC = "models.st_cnn_affine.set"
_HALVED = {"type": "AvgPool2d", "kernel_size": 2}
_POOL = {"type": "MaxPool2d", "kernel_size": 2}
_OF_THE_PAPER = [_HALVED, _conv(20, 2), "ReLU", _POOL, _conv(20), "ReLU", "Flatten", _linear(20), "ReLU"]
_LARGER = [_conv(16, 2), "ReLU", _POOL, _conv(32, 2), "ReLU", _POOL, "Flatten", _linear(64), "ReLU"]
TRIED: dict[str, dict[str, object]] = {
    "as_above": {},
    "rate_0.002": {"training.rate": 0.002},
    "rate_0.01_by_sgd": {"training.optimizer": "sgd", "training.rate": 0.01, "training.weight_decay": 0},
    "batches_of_256_at_rate_0.01": {"training.batch": 256, "training.rate": 0.01},
    "localization_of_the_paper": {_SPEC: {"layers.0.localization": {"type": "sequential", "layers": _OF_THE_PAPER}}},
    "localization_larger": {_SPEC: {"layers.0.localization": {"type": "sequential", "layers": _LARGER}}},
    "classifier_not_made_smaller": {_SPEC: {"layers.1.out_channels": 32, "layers.4.out_channels": 64}},
    "two_steps": {_SPEC: {"layers.0.steps": 2}},
    "turns_and_moves_only": {_SPEC: {"layers.0.transform": "euclidean"}},
    "30_epochs,_decay_0.1": {"training.epochs": 30, "training.weight_decay": 0.1},
    "120_epochs,_decay_0.1": {"training.epochs": 120, "training.weight_decay": 0.1},
}


class Job(NamedTuple):
    """A run, and the folder below RUNS and below the kept ones that it goes to."""

    experiment: str
    model: str
    seed: int = 0
    folder: str = "."
    settings: dict[str, object] = {}  # noqa: RUF012 (never changed)

    def __str__(self) -> str:
        return str(Path(self.folder, self.experiment, self.model, str(self.seed)))


ENCODER = Job("encoder", "cnn")  # of the runs on co-localisation


def jobs() -> Iterator[Job]:
    """All runs, those that tell most first."""
    for experiment in ("r", "rts", "tc", "p", "e"):
        yield from (Job(experiment, model) for model in ("cnn", "st_cnn_affine"))
    for experiment in ("r", "rts", "tc"):
        yield from (Job(experiment, model) for model in ("fcn", "st_fcn_affine"))
    for name, settings in TRIED.items():
        models = ("st_cnn_affine",) if _SPEC in settings else ("cnn", "st_cnn_affine")
        yield from (Job("r", model, 0, f"held_out/{name}", {**HELD_OUT, **settings}) for model in models)
    for name, settings in OTHERWISE.items():
        models = ("cnn",) if name == "undistorted" else ("st_cnn_affine", "cnn")
        yield from (Job("r", model, 0, name, settings) for model in models)
    yield ENCODER
    for label in range(10):
        for experiment in ("colocalise_translated", "colocalise_cluttered"):
            yield Job(experiment, "attention", 0, f"label_{label}", {"data.label": label})
    yield from (Job("r", model, seed) for seed in (1, 2) for model in ("cnn", "st_cnn_affine"))
    for experiment in ("r", "e", "rts", "p"):
        yield from (Job(experiment, model) for model in ("st_cnn_tps", "st_cnn_projective"))
    addition = ("fcn", "cnn", "st_fcn_affine", "st_fcn_projective", "st_fcn_tps")
    doubled = ("two_st_fcn_affine", "two_st_fcn_projective", "two_st_fcn_tps")
    yield from (Job("addition", model) for model in (*addition, *doubled))
    # The error against the number of digits, in as many steps for each number.
    for experiment, epochs in (("r", EPOCHS), ("tc", EPOCHS_TC)):
        for count in (1000, 5000, 20000):
            settings = {"data.first": count, "training.epochs": epochs * 60_000 // count}
            yield from (Job(experiment, model, 0, f"first_{count}", settings) for model in ("cnn", "st_cnn_affine"))
    for seed in (1, 2):
        for experiment in ("tc", "rts"):
            yield from (Job(experiment, model, seed) for model in ("cnn", "st_cnn_affine"))
    for experiment in ("p", "e"):
        yield from (Job(experiment, model) for model in ("fcn", "st_fcn_affine"))
    for experiment in ("r", "rts", "p", "e"):
        yield from (Job(experiment, model) for model in ("st_fcn_projective", "st_fcn_tps"))


def run(job: Job, mnist: Path, runs: Path, fit: Fitting) -> None:
    """Train, and keep what the run says about itself, all of it or nothing."""
    if job.experiment.startswith("colocalise"):
        train(ENCODER, mnist, runs, fit)  # which reads its weights, if it was trained before
    trained = train(job, mnist, runs, fit)
    files = {name: (trained.folder / name).read_text(encoding="utf-8") for name in (RUN, METRICS, RESULT)}
    if job.experiment in ("r", "rts", "tc") and "affine" in job.model:
        from windows import attention  # a neighbour, found where this file is the one that is run

        files["windows.json"] = json.dumps(attention(trained), indent=1) + "\n"
    (KEPT / str(job)).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT.parent, prefix=".") as folder:
        draft = Path(folder) / "draft"
        draft.mkdir()
        for name, text in files.items():
            (draft / name).write_text(text, encoding="utf-8")
        draft.rename(KEPT / str(job))


def train(job: Job, mnist: Path, runs: Path, fit: Fitting) -> Run:
    """Make the run, or go on with it."""
    if job.experiment.startswith("colocalise"):
        settings: dict[str, object] = {"data.encoder": str((runs / str(ENCODER) / WEIGHTS).relative_to(mnist.parent))}
    else:
        epochs = EPOCHS_FCN if "fcn" in job.model else EPOCHS_TC if job.experiment == "tc" else EPOCHS
        settings = {"training.epochs": epochs, "training.weight_decay": DECAY}
    (plan,) = plans(job.experiment, [job.model], {"data.folder": mnist.name, **settings, **job.settings})
    fit(plan, job.seed, runs / job.folder)
    return Run(runs / str(job))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--only", default="", help="Runs whose path holds this: rts, st_cnn, tc/cnn/0 …")
    parser.add_argument("--list", action="store_true", help="Say which runs there are, and which are kept.")
    parser.add_argument("--precision", choices=PRECISIONS, default="bf16-mixed")
    asked = parser.parse_args()
    mnist, runs = asked.mnist.absolute(), asked.runs.absolute()
    if not runs.is_relative_to(mnist.parent):
        parser.error("RUNS must lie beside MNIST: no run records where on a machine that is")
    os.chdir(mnist.parent)
    torch.set_num_threads(1)
    fit = Fitting(accelerator="cpu", precision=asked.precision, progress=False)
    for job in jobs():
        kept = (KEPT / str(job) / RESULT).is_file()
        if asked.only not in str(job) or (kept and not asked.list):
            continue
        print(job, "(kept)" if kept else "", flush=True)
        if asked.list:
            continue
        try:
            run(job, mnist, runs, fit)
        except InputError as error:
            if "by another process" not in str(error):
                raise
            print(error, flush=True)
