"""What a spatial transformer does, as a picture: its input, where it looks, and what it makes of that."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from warpkit.errors import require
from warpkit.lattice import lattice
from warpkit.modules.spatial_transformer import SpatialTransformer

_CELLS = 6  # of the grid that is drawn, along each axis
_FINE = 8  # segments for each side of a cell: a line may be a curve
_SHOWN = 1.45  # half the side of what is shown around an image, normalised: a grid may reach outside it
_GRID_COLOUR = "#ff9a1f"
_AROUND = "#26262b"


@torch.no_grad()
def before_and_after(
    transformer: SpatialTransformer, images: Float[Tensor, "N 1 H W"], captions: Sequence[str]
) -> Figure:
    """A figure with a column for each image: the image, the sampling grid drawn over it, the transformer's output.

    The grid's heavy line is the output's upper edge.
    """
    require(len(captions) == len(images), f"captions: expected {len(images)}, one an image, got {len(captions)}")
    training = transformer.training
    transformer.eval()
    output = transformer(images)
    nodes = lattice((_CELLS * _FINE + 1,) * 2, align_corners=True)  # from edge to edge, whatever the alignment
    grids = transformer.transform(transformer.theta(images), nodes[None])
    transformer.train(training)

    figure = Figure(figsize=(1.25 * len(images) + 1.1, 4.5), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)  # no window, whatever the user's settings
    rows = figure.subplots(3, len(images), squeeze=False)
    for column, caption in enumerate(captions):
        for axes in rows[:, column]:
            _prepare(axes)
        rows[0, column].set_title(caption, fontsize=9)
        _show(rows[0, column], images[column, 0])
        _show(rows[1, column], images[column, 0])
        _draw_grid(rows[1, column], grids[column])
        _show(rows[2, column], output[column, 0])
    for axes, name in zip(rows[:, 0], ("input", "sampling grid", "output"), strict=True):
        axes.set_ylabel(name, fontsize=10)
    figure.supxlabel("the grid is where the output's pixels come from; its heavy edge becomes the top", fontsize=9)
    return figure


def _prepare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[], xlim=(-1, 1), ylim=(1, -1), aspect="equal", facecolor=_AROUND)
    for side in axes.spines.values():
        side.set_visible(False)


def _show(axes: Axes, image: Float[Tensor, "H W"]) -> None:
    axes.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1, extent=(-1, 1, 1, -1), interpolation="nearest")


def _draw_grid(axes: Axes, grid: Float[Tensor, "H W 2"]) -> None:
    axes.set(xlim=(-_SHOWN, _SHOWN), ylim=(_SHOWN, -_SHOWN))
    for lines in (grid[::_FINE], grid[:, ::_FINE].transpose(0, 1)):
        for line in lines:
            axes.plot(*line.T.numpy(), color=_GRID_COLOUR, linewidth=0.7)
    axes.plot(*grid[0].T.numpy(), color=_GRID_COLOUR, linewidth=2.4, solid_capstyle="round")
