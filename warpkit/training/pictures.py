"""Pictures of a spatial transformer: its input, the grid that it samples, and its output."""

import textwrap
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from warpkit.errors import require
from warpkit.geometry import lattice
from warpkit.modules.spatial_transformer import SpatialTransformer
from warpkit.quoting import Told

_CELLS = 6  # of the grid that is drawn, along each axis
_FINE = 8  # segments for each side of a cell: a line may be a curve
_SHOWN = 1.45  # half the side of what is shown around an image, normalised: a grid may reach outside it
_GRID_COLOUR = "#ff9a1f"
_AROUND = "#26262b"


def before_and_after(
    transformer: SpatialTransformer, images: Float[Tensor, "N C H W"], captions: Sequence[str]
) -> Figure:
    """A figure with a column for each image: the image, the sampling grid drawn over it, the transformer's output.

    The grid's heavy line is the output's upper edge.
    """
    return side_by_side({"": transformer}, images, captions)


@torch.no_grad()
def side_by_side(
    transformers: Mapping[str, SpatialTransformer], images: Float[Tensor, "N C H W"], captions: Sequence[str]
) -> Figure:
    """A figure of the images and, for each transformer, under its name, a row of grids and a row of outputs.

    Three channels are shown in colour, of any other number the mean. Raises `InputError` for volumes.
    """
    require(len(captions) == len(images), "captions", expected=f"{len(images)}, one an image", given=len(captions))
    for name, transformer in transformers.items():
        axes_of = transformer.transform.ndim
        require(axes_of == 2, name, expected="a transformer of images", given=Told(f"one of {axes_of} axes"))
    count = 1 + 2 * len(transformers)
    size = (1.25 * len(images) + 1.1, 1.4 * count + 0.3)
    figure = Figure(figsize=size, dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)  # no window, whatever the user's settings
    rows = figure.subplots(count, len(images), squeeze=False).tolist()
    _row(rows[0], "input", images, images)
    for axes, caption in zip(rows[0], captions, strict=True):
        axes.set_title(escaped(caption), fontsize=9)
    for (name, transformer), on_input, after in zip(transformers.items(), rows[1::2], rows[2::2], strict=True):
        grids, output = _looked(transformer, images)
        title = f"{textwrap.fill(name, 20)}\n" if name else ""
        _row(on_input, f"{title}sampling grid", images, images)
        for axes, grid in zip(on_input, grids, strict=True):
            _draw_grid(axes, grid)
        _row(after, f"{title}output", output, images)
    figure.supxlabel("the grid is where the output's pixels come from; its heavy edge becomes the top", fontsize=9)
    return figure


def _looked(
    transformer: SpatialTransformer, images: Float[Tensor, "N C H W"]
) -> tuple[Float[Tensor, "N h w 2"], Float[Tensor, "N C *T"]]:
    """The transformer's grid and output, in evaluation mode."""
    training = transformer.training
    transformer.eval()
    nodes = lattice((_CELLS * _FINE + 1,) * 2, align_corners=True)  # from edge to edge, whatever the alignment
    looked = transformer.transform(transformer.theta(images), nodes[None]), transformer(images)
    transformer.train(training)
    return looked


def _row(row: Sequence[Axes], name: str, images: Float[Tensor, "N C H W"], inputs: Float[Tensor, "N C *S"]) -> None:
    """Draw a row of images; black and white are the darkest and the brightest of the input, in all rows."""
    row[0].set_ylabel(escaped(name), fontsize=10)
    for axes, image, of in zip(row, images, inputs, strict=True):
        _prepare(axes)
        _show(axes, image, float(of.min()), float(of.max()))


def escaped(text: str) -> str:
    """The label as it is: Matplotlib would take text between dollars for mathematics."""
    return text.replace("$", r"\$")


def _prepare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[], xlim=(-1, 1), ylim=(1, -1), aspect="equal", facecolor=_AROUND)
    for side in axes.spines.values():
        side.set_visible(False)


def _show(axes: Axes, image: Float[Tensor, "C H W"], low: float, high: float) -> None:
    is_colour = len(image) == 3  # for which imshow knows no limits
    pixels = ((image - low) / max(high - low, 1e-9)).clamp(0, 1).movedim(0, -1) if is_colour else image.mean(0)
    axes.imshow(pixels.numpy(), cmap="gray", vmin=low, vmax=high, extent=(-1, 1, 1, -1), interpolation="nearest")


def _draw_grid(axes: Axes, grid: Float[Tensor, "H W 2"]) -> None:
    axes.set(xlim=(-_SHOWN, _SHOWN), ylim=(_SHOWN, -_SHOWN))
    for lines in (grid[::_FINE], grid[:, ::_FINE].transpose(0, 1)):
        for line in lines:
            axes.plot(*line.T.numpy(), color=_GRID_COLOUR, linewidth=0.7)
    axes.plot(*grid[0].T.numpy(), color=_GRID_COLOUR, linewidth=2.4, solid_capstyle="round")
