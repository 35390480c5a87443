"""The shares of a training step's time that its parts take."""

import copy
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from warpkit.modules.spatial_transformer import SpatialTransformer, ThetaFrom
from warpkit.training.tasks import Task
from warpkit.watching.transformers import transformers_in

_REPEATS = 15


def step_shares(task: Task, batch: int, model: nn.Module, device: torch.device) -> dict[str, Any]:
    """Time whole training steps and their parts: `images_per_second`, and the `shares` of a step.

    The parts are distorting a batch, the localization networks, and grid and sampling, forward and backward.
    Parts are timed one after the other in each of several rounds, and the medians are compared.
    """
    model = copy.deepcopy(model).to(device)  # running means and the like stay as they are
    drawn = task.draw(batch, torch.Generator().manual_seed(0))
    raw = task.take("train", torch.arange(batch), drawn).to(device)
    prepared = task.prepare(raw)
    transformers = list(transformers_in(model).values())
    calls = _calls(model, transformers, prepared.inputs)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)

    def step() -> None:
        optimizer.zero_grad()
        task.step(model, prepared)[0].backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    parts: dict[str, Callable[[], object]] = {"step": step, "distorting": lambda: task.prepare(raw)}
    if transformers:
        parts["localization"] = functools.partial(_each, _localize, calls)
        parts["sampling"] = functools.partial(_each, _sample, calls)
    model.train()
    seconds = _medians(parts)
    whole = seconds["step"] + seconds["distorting"]
    shares = {name: round(took / whole, 4) for name, took in seconds.items() if name != "step"}
    return {"images_per_second": round(batch / whole, 1), "shares": shares}


class _Call(NamedTuple):
    """A transformer's input in a call; one behind other layers passes a gradient on to them."""

    transformer: SpatialTransformer
    image: Tensor
    theta_from: ThetaFrom | None


def _calls(model: nn.Module, transformers: list[SpatialTransformer], images: tuple[Tensor, ...]) -> list[_Call]:
    found: list[_Call] = []

    def keep(transformer: SpatialTransformer, given: tuple[Any, ...], more: dict[str, Any], output: Tensor) -> None:
        image, *theta_from = (*given, *more.values())
        image = image.detach().requires_grad_(image.requires_grad)
        found.append(_Call(transformer, image, theta_from[0] if theta_from else None))

    hooks = [transformer.register_forward_hook(keep, with_kwargs=True) for transformer in transformers]
    model(*images)
    for hook in hooks:
        hook.remove()
    return found


def _each(part: Callable[[_Call], None], calls: list[_Call]) -> None:
    for call in calls:
        part(call)


def _localize(call: _Call) -> None:
    theta = call.transformer.theta(call.image, call.theta_from)
    theta.backward(torch.ones_like(theta))  # type: ignore[no-untyped-call]


def _sample(call: _Call) -> None:
    transformer, image, _ = call
    places = image.shape[2:] if transformer.transform.is_field else ()
    start = transformer.init.float().reshape(-1, *[1] * len(places))
    theta = (start.expand(len(image), -1, *places) + 0.01).requires_grad_()
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
