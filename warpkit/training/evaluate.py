"""The test of a trained model, on its own test images or on other data."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

from warpkit.errors import require
from warpkit.spec.files import load
from warpkit.spec.read import overridden
from warpkit.training.experiment import read_task
from warpkit.training.runs import RUN, WEIGHTS, Run

_BATCH = 500


@torch.no_grad()
def evaluate(
    run: Run, overrides: Mapping[str, Any] | None = None, device: torch.device | str = "cpu"
) -> dict[str, Any]:
    """The error (0 … 1), the loss and what else the task measures of a run's weights, with a description of its images.

    `overrides`: other data, by path: `{"data.test_folder": "mnist"}`. Raises `InputError` for a run without weights,
    and for data that do not suit the model.
    """
    weights = run.folder / WEIGHTS
    require(weights.is_file(), f"{run.folder} holds no {WEIGHTS}: the run has not ended, or somebody took it away")
    asked = run.asked
    missing = [name for name in ("data", "spec") if not isinstance(asked.get(name), dict)]
    require(not missing, f"{run.folder}: {RUN} does not say {', '.join(missing)}: it is damaged, or of something else")
    before = asked["data"]
    for path in overrides or {}:
        require(path.startswith("data."), f"override {path}: a trained model is tested on other data, data.…, only")
    data = overridden({"data": before}, overrides or {})["data"]
    gone = [name for name in ("folder", "test_folder") if before.get(name) and not data.get(name)]
    seen = f"{run.folder}: the model was trained with data.{'/'.join(gone)}, so on digits of the default test half, too"
    require(not gone, seen)
    task = read_task(data)
    trained = {name: asked["spec"].get(name) for name in task.shapes}
    told = f"{run.folder}: the model was trained on {trained}, the data have {task.shapes}"
    require(task.shapes == trained, told)
    model = load(weights).eval().to(device)
    drawn, count = task.test_draws(), task.test_images
    sums: Counter[str] = Counter()
    for start in range(0, count, _BATCH):
        indices = torch.arange(start, min(start + _BATCH, count))
        batch = task.prepare(task.take("test", indices, drawn[indices]).to(device))
        loss, errors = task.step(model, batch)
        measured = {"error": errors, "loss": loss.expand(len(indices)), **task.measures(model, batch)}
        sums.update({name: values.sum().item() for name, values in measured.items()})
    means = {name: total / count for name, total in sums.items()}
    return {
        "error": means.pop("error"),
        "loss": means.pop("loss"),
        **({"measured": means} if means else {}),
        "tested_on": task.tested_on,
        "test_images": count,
    }
