"""Where the time of a training step goes."""

import copy
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from warpkit.modules.spatial_transformer import SpatialTransformer
from warpkit.training.tasks import Task

_REPEATS = 15


def step_shares(task: Task, batch: int, model: nn.Module, device: torch.device) -> dict[str, Any]:
    """`images_per_second` of whole training steps, and the `shares` of a step that go to distorting a batch, to the
    localization networks and to grid and sampling, forward and backward.

    Parts are timed one after the other in each of several rounds, and the medians are compared. A transformer that
    looks at something else than its input (`theta_from`) is timed as if it looked at its input.
    """
    model = copy.deepcopy(model).to(device)  # running means and the like stay as they are
    drawn = task.draw(batch, torch.Generator().manual_seed(0))
    raw = task.take("train", torch.arange(batch), drawn).to(device)
    prepared = task.prepare(raw)
    transformers = [m for m in model.modules() if isinstance(m, SpatialTransformer)]
    inputs = _inputs(model, transformers, prepared.inputs)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)

    def step() -> None:
        optimizer.zero_grad()
        task.step(model, prepared)[0].backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    parts: dict[str, Callable[[], object]] = {"step": step, "distorting": lambda: task.prepare(raw)}
    if transformers:
        parts["localization"] = functools.partial(_each, _localize, inputs)
        parts["sampling"] = functools.partial(_each, _sample, inputs)
    model.train()
    seconds = _medians(parts)
    whole = seconds["step"] + seconds["distorting"]
    shares = {name: round(took / whole, 4) for name, took in seconds.items() if name != "step"}
    return {"images_per_second": round(batch / whole, 1), "shares": shares}


def _inputs(
    model: nn.Module, transformers: list[SpatialTransformer], images: tuple[Tensor, ...]
) -> list[tuple[SpatialTransformer, Tensor]]:
    """What each transformer gets; one behind other layers passes a gradient on to them."""
    found: list[tuple[SpatialTransformer, Tensor]] = []

    def keep(transformer: SpatialTransformer, given: tuple[Tensor, ...], output: Tensor) -> None:
        found.append((transformer, given[0].detach().requires_grad_(given[0].requires_grad)))

    hooks = [transformer.register_forward_hook(keep) for transformer in transformers]
    model(*images)
    for hook in hooks:
        hook.remove()
    return found


def _each(part: Callable[[SpatialTransformer, Tensor], None], inputs: list[tuple[SpatialTransformer, Tensor]]) -> None:
    for transformer, image in inputs:
        part(transformer, image)


def _localize(transformer: SpatialTransformer, image: Tensor) -> None:
    theta = transformer.theta(image)
    theta.backward(torch.ones_like(theta))  # type: ignore[no-untyped-call]


def _sample(transformer: SpatialTransformer, image: Tensor) -> None:
    theta = (transformer.init.float().expand(len(image), -1) + 0.01).requires_grad_()
    output = transformer.warp(image, theta)
    output.backward(torch.ones_like(output))  # type: ignore[no-untyped-call]


def _medians(parts: dict[str, Callable[[], object]]) -> dict[str, float]:
    rounds = []
    for _ in range(_REPEATS + 2):
        times = {}
        for name, part in parts.items():
            start = time.perf_counter()
            part()
            if torch.accelerator.is_available():
                torch.accelerator.synchronize()
            times[name] = time.perf_counter() - start
        rounds.append(times)
    return {name: statistics.median(times[name] for times in rounds[2:]) for name in parts}
