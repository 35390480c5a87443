"""Folders of runs as `warpkit train` leaves them, with numbers of our own."""

from pathlib import Path
from typing import Any

import torch

import warpkit as wk
from warpkit.training.runs import WEIGHTS, Run

SHARES = {"distorting": 0.03, "localization": 0.21, "sampling": 0.02}


def write_run(
    out: Path,
    experiment: str = "rts",
    model: str = "cnn",
    seed: int = 0,
    *,
    error: float | None = 0.02,
    epochs: int = 3,
    watched: tuple[str, ...] = (),
    result: dict[str, Any] | None = None,
    **asked: Any,
) -> Run:
    """A run of some epochs. `error` None: it has not ended. `watched`: places of its transformers."""
    run = Run(out / experiment / model / str(seed))
    facts = {
        "warpkit": "0.1.0",
        "torch": "2.13.0",
        "experiment": experiment,
        "title": f"Digits, {experiment}",
        "column": experiment.upper(),
        "model": model,
        "label": model.upper().replace("_", "-"),
        "beside": None,
        "paper": None,
        "seed": seed,
        "data": {"distortion": experiment},
        "training": {"epochs": epochs, "rate": 0.005},
        "spec": {"version": 1, "layers": ["Flatten"]},
        "parameters": 105610,
        "train_images": 5000,
        "machine": "Some CPU, 2 cores",
    }
    run.write("run.json", facts | asked)
    run.write_metrics(_epoch(epoch, watched) for epoch in range(1, epochs + 1))
    if error is not None:
        came_of_it = {
            "error": error,
            "loss": 0.04,
            "tested_on": "1,000 digits",
            "test_images": 1000,
            "epochs": epochs,
            "seconds": 93.1,
            "images_per_second": 2150.0,
            "shares": SHARES if watched else {"distorting": 0.03},
            "warnings": [],
        }
        run.write("result.json", came_of_it | (result or {}))
    return run


def _epoch(epoch: int, watched: tuple[str, ...]) -> dict[str, float]:
    row = {
        "epoch": epoch,
        "step": 10 * epoch,
        "seconds": 2.0 * epoch,
        "train/loss": 2 / epoch,
        "train/error": 1 / epoch,
    }
    for place in watched:
        row |= {f"{place}/outside": 0.1, f"{place}/area": 0.9, f"{place}/distance": 0.2, f"{place}/gradient": 0.1}
    return row


def write_weights(run: Run, transform: str = "affine", layers: tuple[Any, ...] = ()) -> None:
    """A model that has not learnt anything: a transformer behind `layers`, and a linear layer."""
    torch.manual_seed(0)
    transformer = {"type": "spatial_transformer", "transform": transform, "localization": "dense_localization"}
    body = [*layers, transformer, "Flatten", {"type": "Linear", "out_features": 10}]
    wk.save(wk.build({"version": 1, "input": [1, 8, 8], "layers": body}), run.folder / WEIGHTS)
