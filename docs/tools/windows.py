"""Says whether a transformer attends: docs/tools/windows.py RUN [RUN …], in the folder that the runs name MNIST from

For each run on distorted digits whose network begins with a transformer, on the first thousand test images: the share
of a digit's ink that lies inside the window that the transformer takes from the canvas (clutter does not count), the
share of digits of which nearly all does, and the window's mean side, as a part of the canvas's. Below it the same for
the window that every image would get before anything was learnt. Where digits are turned (R, RTS), also how much of a
turn the transformer undoes on average: 0 % where it does not heed it, 100 % where every digit ends as it was written.
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
        lines.append(f"{run.folder}, learnt: {_undone(transformer, learnt, raw.drawn[:, 0]):.0%} of a turn is undone")
    return "\n".join(lines)


def _undone(transformer: SpatialTransformer, theta: torch.Tensor, angle: torch.Tensor) -> float:
    """The slope of the turn in θ's matrix (the nearest rotation's) over the digit's, by least squares."""
    matrix = transformer.transform.jacobian(theta, torch.zeros(1, 1, 2))[:, 0]
    turn = torch.atan2(matrix[:, 1, 0] - matrix[:, 0, 1], matrix[:, 0, 0] + matrix[:, 1, 1])
    varied = angle - angle.mean()
    return float((varied * turn).sum() / varied.square().sum())


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
