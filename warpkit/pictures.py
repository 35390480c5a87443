"""Pictures of a component: a kernel's shape, slope and spectrum; the grid that a transform bends."""

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_map

from warpkit.errors import InputError, require
from warpkit.geometry import lattice
from warpkit.kernels.base import Kernel
from warpkit.precision import wide
from warpkit.tracing import tensors
from warpkit.transforms.base import Transform, leaves
from warpkit.transforms.compose import Compose

Numbers = NDArray[np.float64]

_LINE, _MARK, _THIRD, _FAINT, _EDGE = "#2f6db3", "#d9772b", "#3a8f5c", "#c4c4c8", "#55555c"
_FLOOR = -80.0  # dB
_HAIR = 1e-9  # inside a piece: a formula's value and slope at a joint are nobody's claim
_CELLS, _FINE = 12, 4  # of the grid along each axis; segments for each side of a cell, as a line may be a curve
_FRAME = ([-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1])
_REACH = 3.0  # a grid that goes further out is cut off


@torch.no_grad()
def kernel_figure(kernel: Kernel) -> Figure:
    """Three panels: the shape k(d) with the weights at whole pixels, its derivative, its frequency response."""
    figure = _figure(12.5, 3.5, f"{type(kernel).__name__}: radius {kernel.radius:g}, taps: {kernel.taps}")
    shape, slope, spectrum = figure.subplots(1, 3)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that it has no table
        _draw_pieces(shape, "k(d); dots: whole pixels", kernel, [(d, _formula(kernel, d)) for d in _pieces(kernel)])
        _draw_pieces(slope, "its derivative", kernel, list(_slopes(kernel)))
    pixels = np.arange(np.floor(1 - kernel.radius), np.ceil(kernel.radius), dtype=np.float64)  # inside the radius
    shape.plot(pixels, _formula(kernel, pixels + _HAIR), "o", color=_MARK, markersize=5)
    _draw_spectrum(spectrum, kernel)
    return figure


def _pieces(kernel: Kernel, samples: int = 65) -> Iterator[Numbers]:
    """Distances between each two joints, from a hair inside to a hair inside."""
    joints = np.arange(kernel.taps * kernel.pieces + 1) / kernel.pieces - kernel.radius
    for left, right in itertools.pairwise(joints):
        yield np.linspace(left + _HAIR, right - _HAIR, samples)


def _formula(kernel: Kernel, d: Numbers) -> Numbers:
    device = next((t.device for t in tensors(kernel)), torch.device("cpu"))
    return np.asarray(kernel(torch.as_tensor(d).to(device, wide(device))).cpu().double())


def _slopes(kernel: Kernel) -> Iterator[tuple[Numbers, Numbers]]:
    """dk/dd on each piece: by the table, whose first tap is the rightmost; without one, by differences."""
    table = kernel.table(torch.float64)
    for n, d in enumerate(_pieces(kernel)):
        if table is None:
            yield d, np.gradient(_formula(kernel, d), d, edge_order=2)
        else:
            row = table[n % kernel.pieces, kernel.taps - 1 - n // kernel.pieces].cpu().numpy()
            yield d, kernel.pieces * np.polynomial.Polynomial(row).deriv()(np.linspace(0, 1, len(d)))


def _draw_pieces(axes: Axes, title: str, kernel: Kernel, pieces: list[tuple[Numbers, Numbers]]) -> None:
    """Each piece by itself, zero outside; a jump is a dotted line, a joint a faint one."""
    r = kernel.radius
    pieces = [(np.array([-r - 0.5, -r]), np.zeros(2)), *pieces, (np.array([r, r + 0.5]), np.zeros(2))]
    scale = max(np.abs(y[np.isfinite(y)]).max(initial=0.0) for _, y in pieces)
    for (d, left), (_, right) in itertools.pairwise(pieces):
        axes.axvline(d[-1], color=_FAINT, linewidth=0.6, zorder=0)
        if abs(left[-1] - right[0]) > 1e-6 * scale:
            axes.plot([d[-1]] * 2, [left[-1], right[0]], ":", color=_LINE, linewidth=1.0)
    for d, y in pieces:
        axes.plot(d, y, color=_LINE, linewidth=1.8, solid_capstyle="butt")
    axes.axhline(0, color=_FAINT, linewidth=0.8, zorder=0)
    axes.set_title(title, fontsize=10)
    axes.set(xlim=(-r - 0.5, r + 0.5), xlabel="distance d, pixels")
    axes.tick_params(labelsize=8)
    if scale < 1e-9:  # nothing but rounding
        axes.set_ylim(-1, 1)


def _response(kernel: Kernel, frequency: Numbers) -> Numbers:
    """|K(f)| = |∫ k(d) exp(−2πi f d) dd|, by Gauss-Legendre on each piece."""
    nodes, weights = np.polynomial.legendre.leggauss(48)
    total = np.zeros(len(frequency), dtype=np.complex128)
    for left, right in _pieces(kernel, samples=2):
        half = (right - left) / 2
        d = left + half * (nodes + 1)
        total += np.exp(-2j * np.pi * np.outer(frequency, d)) @ (half * weights * _formula(kernel, d))
    return np.abs(total)


def _draw_spectrum(axes: Axes, kernel: Kernel) -> None:
    f = np.linspace(0, 2, 1001)
    size = _response(kernel, f)
    whole = size[0] if size[0] > 1e-9 * size.max() else size.max()  # one that sums to zero has no K(0) to divide by
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels = np.maximum(20 * np.log10(size / whole), _FLOOR)
    axes.plot([0, 0.5, 0.5, 2], [0, 0, _FLOOR, _FLOOR], color=_FAINT, linewidth=2.0, label="ideal low-pass")
    axes.axvline(0.5, color=_MARK, linestyle="--", linewidth=1.0, label="Nyquist")
    axes.plot(f, decibels, color=_LINE, linewidth=1.4)
    axes.set_title("frequency response |K(f)| / |K(0)|, dB", fontsize=10)
    axes.set(xlabel="frequency f, cycles a pixel", xlim=(0, 2), ylim=(_FLOOR, 10))
    axes.tick_params(labelsize=8)
    axes.legend(loc="upper right", fontsize=7, frameon=False)


@torch.no_grad()
def transform_figure(transform: Transform, theta: Any = None) -> Figure:
    """Where an output's pixels are sampled from: in 1-D a curve, in 2-D a bent grid beside the flat one, in 3-D planes.

    Without θ it is a mild random one near the identity, always the same. Raises `InputError` in other dimensions.
    """
    name = type(transform).__name__
    require(transform.ndim in (1, 2, 3), name, expected="1 to 3 dimensions", given=transform.ndim)
    theta = _mild(transform) if theta is None else tree_map(Tensor.detach, theta)
    row = torch.cat([leaf.flatten() for leaf in leaves(theta)])
    words = [f"{value:.3g}" for value in row[:8].tolist()] + [f"… {len(row)} numbers"] * (len(row) > 8)
    figure = _figure(10.4 if transform.ndim == 2 else 6.4, 5.0, f"{name}\nθ = ({', '.join(words)})")
    flat = lattice((_CELLS * _FINE + 1,) * transform.ndim, align_corners=True, device=row.device)  # from edge to edge
    bent = transform(tree_map(lambda t: t[None], theta), flat[None])[0]
    draw = (_draw_curve, _draw_grids, _draw_planes)[transform.ndim - 1]
    draw(figure, *(points.cpu().double().numpy() for points in (flat, bent)))
    return figure


def _mild(transform: Any) -> Any:
    if isinstance(transform, Compose) and transform.is_field:
        return tuple(map(_mild, transform.transforms))
    try:
        middle = transform.identity()
    except InputError:
        middle = torch.full((transform.num_params,), 0.5)
    shape = (transform.ndim, *[4] * transform.ndim) if transform.is_field else middle.shape
    return middle + 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(middle)


def _reach(bent: Numbers) -> float:
    """Half the side of the drawing: it shows the frame, and the grid unless that goes very far."""
    return float(np.clip(np.abs(bent[np.isfinite(bent)]).max(initial=1.0), 1.0, _REACH) + 0.1)


def _draw_curve(figure: Figure, flat: Numbers, bent: Numbers) -> None:
    axes, reach = figure.subplots(), _reach(bent)
    axes.plot(*_FRAME, "--", color=_EDGE, linewidth=1.0)
    axes.plot([-1, 1], [-1, 1], color=_FAINT, linewidth=1.4, label="the identity")
    axes.plot(flat[:, 0], bent[:, 0], color=_LINE, linewidth=1.8)
    axes.set(xlabel="x of the output", ylabel="T(x), where it is sampled from", xlim=(-1.1, 1.1), ylim=(-reach, reach))
    axes.legend(loc="upper left", fontsize=7, frameon=False)


def _draw_grids(figure: Figure, flat: Numbers, bent: Numbers) -> None:
    before, after = figure.subplots(1, 2)
    before.set_title("the output, on a grid; heavy: its upper edge", fontsize=10)
    after.set_title("where it is sampled from", fontsize=10)
    for axes, grid, reach in ((before, flat, 1.1), (after, bent, _reach(bent))):
        axes.plot(*_FRAME, "--", color=_EDGE, linewidth=1.0)
        _draw_lines(axes, grid, _LINE)
        axes.plot(*grid[0].T, color=_MARK, linewidth=2.2)
        axes.set(aspect="equal", xlabel="x", ylabel="y", xlim=(-reach, reach), ylim=(reach, -reach))
    down, up = bent[1:, 1:] - bent[:-1, :-1], bent[1:, :-1] - bent[:-1, 1:]  # each cell's diagonals
    # A cell's signed area over that of a flat one is the mean of the Jacobian's determinant there.
    areas = (down[..., 0] * up[..., 1] - down[..., 1] * up[..., 0]) * (_CELLS * _FINE) ** 2 / 8
    norm = TwoSlopeNorm(1, 0, np.clip(areas[np.isfinite(areas)].max(initial=0.0), 2.0, 4.0))
    colours = colormaps["PuOr"].with_extremes(under="#d6246e", bad="#8d8d93")
    mesh = before.pcolormesh(*flat.transpose(2, 0, 1), areas, cmap=colours, norm=norm)
    bar = figure.colorbar(mesh, ax=before, extend="both", location="left")
    bar.set_label("Jacobian's determinant; pink: mirrored or folded, grey: nowhere")


def _draw_planes(figure: Figure, flat: Numbers, bent: Numbers) -> None:
    axes, reach = figure.add_subplot(projection="3d"), _reach(bent)
    for (y, z), n in itertools.product(itertools.product((-1, 1), repeat=2), range(3)):
        axes.plot(*np.roll([[-1, 1], [y, y], [z, z]], n, axis=0), "--", color=_EDGE, linewidth=0.8)
    bent = np.where(np.abs(bent).max(-1, keepdims=True) > reach, np.nan, bent)  # nothing else cuts it off
    for plane, colour in zip(bent[:: len(bent) // 2], (_LINE, _THIRD, _MARK), strict=True):
        _draw_lines(axes, plane, colour)
    for axis in "xyz":
        axes.set(**{f"{axis}lim": (-reach, reach), f"{axis}label": axis, f"{axis}ticks": (-1, 0, 1)})
    axes.set_title("planes of the output, where they are sampled from", fontsize=10)
    axes.set_box_aspect((1, 1, 1), zoom=0.9)  # or its labels are cut off
    axes.grid(False)


def _draw_lines(axes: Axes, grid: Numbers, colour: str) -> None:
    for line in (*grid[::_FINE], *grid[:, ::_FINE].swapaxes(0, 1)):
        axes.plot(*line.T, color=colour, linewidth=0.8)


def _figure(width: float, height: float, title: str) -> Figure:
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)  # no window, whatever the user's settings
    figure.suptitle(title, fontsize=10)
    return figure
