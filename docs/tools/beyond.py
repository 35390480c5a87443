"""Draws the pictures of the experiments beyond digits: docs/tools/beyond.py RUNS

RUNS is a folder of trained runs, weights and all; an experiment that is not in it keeps its picture.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from ground import clear
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from torch import Tensor, nn

import warpkit as wk
from warpkit.training.experiment import read_task
from warpkit.training.runs import WEIGHTS, Run
from warpkit.training.tasks.base import Batch
from warpkit.training.tasks.looking import looking

PICTURES = Path(__file__).resolve().parents[1] / "img/experiments"
COUNT = 10
TRUTH, WINDOW = "#4aa3ff", "#ff9a1f"
EDGE = torch.tensor([[[-1.0, -1], [1, -1], [1, 1], [-1, 1]]])  # x y of the corners, around


@torch.no_grad()
def called(run: Run) -> tuple[nn.Module, Batch, Tensor]:
    """A run's trained model, its first test images, and the model's output for them."""
    task, model = read_task(run.asked["data"]), wk.load(run.folder / WEIGHTS).eval()
    batch = task.prepare(task.take("test", torch.arange(COUNT), task.test_draws()[:COUNT]))
    return model, batch, model(*batch.inputs)


@torch.no_grad()
def windows(model: nn.Module, images: Sequence[Tensor]) -> list[Tensor]:
    """The edge of the window that each transformer takes, in the coordinates of its input."""
    with looking(model) as look:
        model(*images)
    return [transform(theta, EDGE.expand(len(theta), 4, 2)) for transform, theta in look.seen]


def rows(named: dict[str, Sequence[Tensor]], edges: dict[str, list[tuple[Tensor, str]]]) -> Figure:
    """A row of images for each name, [C, H, W] in 0 … 1; two channels become red and cyan. `edges`: outlines."""
    count = max(map(len, named.values()))
    figure = Figure(figsize=(1.2 * count + 0.6, 1.25 * len(named)), dpi=110, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    for row, (name, images) in zip(figure.subplots(len(named), count, squeeze=False), named.items(), strict=True):
        row[0].set_ylabel(name, fontsize=9)
        for i, (axes, image) in enumerate(zip(row, images, strict=True)):
            show(axes, image)
            for outline, colour in edges.get(name, []):
                axes.add_patch(Polygon(outline[i].numpy(), fill=False, edgecolor=colour, linewidth=1.6))
    return figure


def show(axes: Axes, image: Tensor) -> None:
    pixels = image[[0, 1, 1]] if len(image) == 2 else image.expand(3, -1, -1)
    axes.imshow(pixels.clamp(0, 1).movedim(0, -1).numpy(), extent=(-1, 1, 1, -1), interpolation="nearest")
    axes.set(xticks=[], yticks=[], xlim=(-1, 1), ylim=(1, -1), facecolor="black")
    for side in axes.spines.values():
        side.set_visible(False)


@torch.no_grad()
def addition(runs: Path) -> Figure:
    """Both channels in one picture, and the output of each of the two transformers."""
    model, batch, _ = called(Run(runs / "addition/two_st_fcn_affine/0"))
    first, second = (transformer(batch.inputs[0]) for transformer in model[0].transformers)
    named = {"two digits": batch.inputs[0], "first\ntransformer": first, "second\ntransformer": second}
    colours = zip(windows(model, batch.inputs), ("#ff6b6b", "#4dd0e1"), strict=True)
    return rows(named, {"two digits": list(colours)})


def colocalise(runs: Path) -> Figure:
    """The digits' boxes, and the windows that were found."""
    named: dict[str, Sequence[Tensor]] = {}
    edges = {}
    for kind, called_ in (("translated", "alone"), ("cluttered", "among\nclutter")):
        run = Run(runs / f"colocalise_{kind}/attention/0")
        task, (model, batch, output) = run.asked["data"], called(run)
        side = batch.inputs[0].shape[-1]
        low, high = (batch.targets[:, :4] / side * 2 - 1).split(2, 1)
        box = torch.stack(
            [low, torch.stack([high[:, 0], low[:, 1]], 1), high, torch.stack([low[:, 0], high[:, 1]], 1)], 1
        )
        named |= {called_: batch.inputs[0], f"window\n({kind})": output}
        window = windows(model, batch.inputs)[0]
        middle = window.mean(1, keepdim=True)
        edges[called_] = [(box, TRUTH), (middle + (window - middle) * task["inner"], WINDOW)]
    return rows(named, edges)


def volumes(runs: Path) -> Figure:
    """Each volume from the front and from above, and the projection of the transformer's output."""
    model, batch, _ = called(Run(runs / "volumes/st_cnn_affine/0"))
    with torch.no_grad():
        taken = model[0](batch.inputs[0])
    volume = batch.inputs[0]
    return rows(
        {
            "from the\nfront": volume.amax(2),
            "from\nabove": volume.amax(3),
            "what the\ntransformer\ntakes": taken.amax(2),
        },
        {},
    )


def overlaid(runs: Path, models: dict[str, str]) -> tuple[dict[str, Sequence[Tensor]], nn.Module, Batch]:
    """Fixed images in red, moving ones in cyan, before and after each model; and the last model with its images."""
    named: dict[str, Sequence[Tensor]] = {}
    for folder, called_ in models.items():
        network, batch, output = called(Run(runs / folder / "0"))
        moving, fixed = batch.inputs
        named["before"] = torch.cat([fixed, moving], 1)
        named[called_] = torch.cat([fixed, output], 1)
    return named, network, batch


def registration(runs: Path) -> Figure:
    """Pairs before, after one step, and after two."""
    models = {"registration/affine": "after\none step", "registration/two_steps": "after\ntwo steps"}
    return rows(overlaid(runs, models)[0], {})


def hands(runs: Path) -> Figure:
    """Pairs before and after; and where the flow takes its samples from."""
    named, network, batch = overlaid(runs, {"hands/affine": "affine", "hands/velocity": "velocity\nfield"})
    with torch.no_grad(), looking(network) as look:
        network(*batch.inputs)
    named["its grid"] = batch.inputs[0]
    figure = rows(named, {})
    lines = look.points(wk.lattice((28, 28))[None].flatten(1, 2)).reshape(-1, 28, 28, 2)
    for axes, grid in zip(figure.axes[-COUNT:], lines, strict=True):
        for across in (grid[::2], grid[:, ::2].movedim(1, 0)):
            axes.plot(*across.movedim(-1, 0).reshape(2, len(across), -1).mT.numpy(), color=WINDOW, linewidth=0.5)
    return figure


def numbers(runs: Path) -> Figure:
    """The crops as the transformers in front of the networks show them."""
    named: dict[str, Sequence[Tensor]] = {}
    edges = {}
    for model, called_ in (("st_cnn_single", "one\ntransformer"), ("st_cnn_multi", "the first\nof four")):
        network, batch, _ = called(Run(runs / f"numbers/{model}/0"))
        image = batch.inputs[0]
        with torch.no_grad():
            named["crops"], named[called_] = image + 0.5, network[0](image) + 0.5
        edges["crops"] = [*edges.get("crops", []), (windows(network, batch.inputs)[0], TRUTH if edges else WINDOW)]
    return rows(named, edges)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, draw in (
        ("addition", addition), ("colocalise", colocalise), ("volumes", volumes), ("registration", registration),
        ("hands", hands), ("numbers", numbers),
    ):  # fmt: skip
        needed = [found for found in folder.iterdir() if found.name.startswith(name)]
        if needed:
            draw(folder).savefig(PICTURES / f"{name}.png")
            clear(PICTURES / f"{name}.png")
