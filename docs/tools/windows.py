"""Says whether a transformer attends: docs/tools/windows.py RUN [RUN …], in the folder that the runs name MNIST from

For each run on distorted digits whose network begins with a transformer, on the first thousand test images: the share
of a digit's ink that lies inside the window that the transformer takes from the canvas (clutter does not count), the
share of digits of which nearly all does, and the window's mean side, as a part of the canvas's; and the same for the
window that every image would get before anything was learnt. For R and RTS also how much of a turn, a move and a
scaling the transformer undoes on average: 0 where it does not heed it, 1 where every digit ends as it was written.
"""

import json
import sys
from pathlib import Path

import torch

import warpkit as wk
from warpkit.modules.spatial_transformer import SpatialTransformer
from warpkit.training.experiment import read_task
from warpkit.training.runs import WEIGHTS, Run

IMAGES = 1000
NEARLY_ALL = 0.98  # of the ink


@torch.no_grad()
def attention(run: Run) -> dict[str, dict[str, float]]:
    """What the window holds that was learnt, and that of the beginning; and what is undone of a distortion."""
    task, model = read_task(run.asked["data"]), wk.load(run.folder / WEIGHTS).eval()
    transformer = next(module for module in model.modules() if isinstance(module, SpatialTransformer))
    raw = task.take("test", torch.arange(IMAGES), task.test_draws()[:IMAGES])
    (images,), _ = task.prepare(raw)
    alone = task.distortion.apply(raw.images, raw.drawn, torch.zeros(1, 1, 28, 28))
    learnt = transformer.theta(images)
    found = {
        "learnt": _window(transformer, learnt, alone),
        "at the beginning": _window(transformer, transformer.init.expand_as(learnt), alone),
    }
    if run.asked["experiment"] in ("r", "rts"):
        found["undone"] = _undone(transformer, learnt, raw.drawn, alone)
    return {what: {name: round(number, 3) for name, number in numbers.items()} for what, numbers in found.items()}


def _undone(
    transformer: SpatialTransformer, theta: torch.Tensor, drawn: torch.Tensor, canvas: torch.Tensor
) -> dict[str, float]:
    """The slope of what the window does over what was done to the digit, by least squares."""
    middle = torch.zeros(1, 1, 2)
    matrix = transformer.transform.jacobian(theta, middle)[:, 0]
    turn = torch.atan2(matrix[:, 1, 0] - matrix[:, 0, 1], matrix[:, 0, 0] + matrix[:, 1, 1])
    found = {"turn": _slope(drawn[:, :1], turn[:, None])}
    if drawn.shape[1] > 1:
        room = 1 - drawn[:, 1:2] * 28 / canvas.shape[-1]
        found["move"] = _slope(drawn[:, 2:] * room, transformer.transform(theta, middle)[:, 0])
        found["scaling"] = _slope(drawn[:, 1:2].log(), matrix.det().abs().log()[:, None] / 2)
    return found


def _slope(x: torch.Tensor, y: torch.Tensor) -> float:
    varied = x - x.mean(0)
    return float((varied * y).sum() / varied.square().sum())


def _window(transformer: SpatialTransformer, theta: torch.Tensor, alone: torch.Tensor) -> dict[str, float]:
    side = transformer.transform.jacobian(theta, torch.zeros(1, 1, 2)).det().abs().sqrt().mean()
    pixels = wk.lattice(alone.shape[2:]).reshape(1, -1, 2)
    seen = (transformer.transform.inverse_points(theta, pixels).abs() <= 1).all(-1)  # NaN is outside
    ink = alone.flatten(1)
    share = (ink * seen).sum(1) / ink.sum(1)
    return {"ink": float(share.mean()), "digits": float((share > NEARLY_ALL).float().mean()), "side": float(side)}


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        print(folder, json.dumps(attention(Run(Path(folder)))), flush=True)
