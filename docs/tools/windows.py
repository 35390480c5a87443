"""Says whether a transformer attends: docs/tools/windows.py RUN [RUN …], in the folder that the runs name MNIST from

For each run on distorted digits whose network begins with a transformer, on the first thousand test images: the share
of a digit's ink that lies inside the window that the transformer takes from the canvas (clutter does not count), the
share of digits of which nearly all does, and the window's mean side, as a part of the canvas's. Below it the same for
the window that every image would get before anything was learnt. For R and RTS also how much
of a turn, a move and a scaling the transformer undoes on average: 0 % where it does not heed it, 100 % where every
digit ends as it was written.
"""

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
def attention(run: Run) -> str:
    """A line for the window that was learnt, and one for the window of the beginning."""
    task, model = read_task(run.asked["data"]), wk.load(run.folder / WEIGHTS).eval()
    transformer = next(module for module in model.modules() if isinstance(module, SpatialTransformer))
    raw = task.take("test", torch.arange(IMAGES), task.test_draws()[:IMAGES])
    (images,), _ = task.prepare(raw)
    alone = task.distortion.apply(raw.images, raw.drawn, torch.zeros(1, 1, 28, 28))
    learnt = transformer.theta(images)
    thetas = {"learnt": learnt, "at the beginning": transformer.init.expand_as(learnt)}
    lines = [f"{run.folder}, {name}: {_told(transformer, theta, alone)}" for name, theta in thetas.items()]
    if run.asked["experiment"] in ("r", "rts"):
        undone = [f"{share:.0%} of a {what}" for what, share in _undone(transformer, learnt, raw.drawn, alone).items()]
        lines.append(f"{run.folder}, undone: {', '.join(undone)}")
    return "\n".join(lines)


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


def _told(transformer: SpatialTransformer, theta: torch.Tensor, alone: torch.Tensor) -> str:
    middle = torch.zeros(1, 1, 2)
    side = transformer.transform.jacobian(theta, middle).det().abs().sqrt().mean()
    pixels = wk.lattice(alone.shape[2:]).reshape(1, -1, 2)
    seen = (transformer.transform.inverse_points(theta, pixels).abs() <= 1).all(-1)  # NaN is outside
    ink = alone.flatten(1)
    share = (ink * seen).sum(1) / ink.sum(1)
    whole = (share > NEARLY_ALL).float().mean()
    return f"{share.mean():.1%} of the ink inside, {whole:.1%} of the digits; a window of {side:.1%} of the side"


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        print(attention(Run(Path(folder))), flush=True)
