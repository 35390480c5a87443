"""Draws the pictures of README and docs, and of the example plugins that are installed: docs/tools/figures.py

demo.png alone is another's: `warpkit demo` wrote it, and ground.py took its white ground away. antialiased.webp needs
OpenCV (the extra `bench`). The photograph (Grace Hopper, U.S. Navy, public domain) comes with matplotlib.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from antialiased_side_by_side import antialiased
from canvas import BLUE, GREEN, GREY, INK, ORANGE, ROOT, YELLOW, photo, show
from from_pixels import corners, pixels
from ground import write
from kernels_side_by_side import interpolating_kernels, smoothing_kernels
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

import warpkit as wk
from warpkit import pictures

PAGES = ROOT / "docs/img"


def grid_lines(transform: wk.Transform, theta: Tensor, n: int = 9) -> Tensor:
    """The lines of a coarse n × n grid over the output, where they lie in the input: [2n, 100, 2]."""
    along, across = torch.linspace(-1, 1, 100), torch.linspace(-1, 1, n)
    rows = torch.stack(torch.meshgrid(along, across, indexing="xy"), -1)
    return torch.cat([transform(theta, p.reshape(1, -1, 2)).reshape(n, 100, 2) for p in (rows, rows.flip(-1))])


def over_and_under(
    transforms: list[tuple[str, wk.Transform, Tensor]], image: Tensor, kernel: str = "bicubic"
) -> Figure:
    """Draw a column for each: the grid over the image, and the output under it."""
    figure, axes = plt.subplots(2, len(transforms), figsize=(2.1 * len(transforms), 4.5), layout="constrained")
    for (title, transform, theta), (above, below) in zip(transforms, axes.T, strict=True):
        show(above, image, title)
        for line in grid_lines(transform, theta):
            above.plot(line[:, 0], line[:, 1], color=YELLOW, linewidth=0.8)
        above.set(xlim=(-1.25, 1.25), ylim=(1.25, -1.25))
        show(below, wk.warp(image, transform, theta, kernel=kernel))
        below.set(xlim=(-1.25, 1.25), ylim=(1.25, -1.25))
        below.add_patch(Rectangle((-1, -1), 2, 2, fill=False, edgecolor=GREY, linewidth=0.6))
    return figure


def warps() -> Figure:
    spline = wk.get_transform("thin_plate_spline", grid=(4, 4))
    moved = spline.identity() + 0.13 * torch.randn(32, generator=torch.Generator().manual_seed(3))
    rows = [
        ("affine", wk.get_transform("affine"), torch.tensor([[0.87, -0.42, 0.1, 0.38, 0.9, 0.0]])),
        ("attention", wk.get_transform("attention"), torch.tensor([[0.5, 0.1, -0.2]])),
        ("projective", wk.get_transform("projective"), torch.tensor([[1.05, 0.1, 0.0, 0.0, 1.0, 0.05, 0.25, 0.15]])),
        ("thin_plate_spline", spline, moved[None]),
    ]
    return over_and_under(rows, photo(256))


def coordinates() -> Figure:
    """Draw an image of 3 rows and 5 columns under both alignments."""
    rows, columns = 3, 5
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.7), layout="constrained")
    for ax, aligned in zip(axes, (False, True), strict=True):
        for i in range(rows):
            for j in range(columns):
                ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor="#3b7fcb22", edgecolor="#7f97b0"))
                ax.plot(j, i, "o", color=BLUE, markersize=4)
        x, y = (0, 0) if aligned else (-0.5, -0.5)
        right, bottom = columns - 1 - x, rows - 1 - y
        ax.add_patch(Rectangle((x, y), right - x, bottom - y, fill=False, edgecolor=ORANGE, linewidth=2))
        for px, py, text in [
            (x, y, "(−1, −1)"),
            (right, y, "(1, −1)"),
            (x, bottom, "(−1, 1)"),
            (right, bottom, "(1, 1)"),
        ]:
            ax.plot(px, py, "s", color=ORANGE, markersize=6)
            away = (0, -16) if py > 1 else (0, 6)
            ax.annotate(text, (px, py), away, textcoords="offset points", ha="center", fontsize=10, color=ORANGE)
        ax.annotate("(0, 0)", (2, 1), xytext=(5, 5), textcoords="offset points", fontsize=10, color=ORANGE)
        ax.annotate("", (2.6, -0.95), (1.4, -0.95), arrowprops={"arrowstyle": "->", "color": INK})
        ax.text(2.7, -0.95, "x", va="center", fontsize=11)
        ax.annotate("", (-1.3, 1.6), (-1.3, 0.4), arrowprops={"arrowstyle": "->", "color": INK})
        ax.text(-1.3, 1.85, "y", ha="center", fontsize=11)
        ax.set(xlim=(-1.6, 5.6), ylim=(2.95, -1.2), aspect="equal", title=f"align_corners={aligned}, size=(3, 5)")
        ax.set_axis_off()
    return figure


def padding() -> Figure:
    """Draw a window more than twice as wide and high as the image, under each rule and under two at once."""
    image, scale = photo(128), 2.1
    theta = torch.tensor([[scale, 0.0, 0.0]])
    modes: list[str | tuple[str, str]] = [
        "zeros",
        "border",
        "reflection",
        "wrap",
        ("wrap", "zeros"),
        ("reflection", "border"),
    ]
    figure, axes = plt.subplots(2, 3, figsize=(7.5, 5.4), layout="constrained")
    for ax, mode in zip(axes.flat, modes, strict=True):
        out = wk.warp(image, "attention", theta, size=(200, 200), kernel="bicubic", padding_mode=mode)
        show(ax, out, f'"{mode}"' if isinstance(mode, str) else f'("{mode[0]}", "{mode[1]}")', size=10)
        ax.add_patch(
            Rectangle((-1 / scale, -1 / scale), 2 / scale, 2 / scale, fill=False, edgecolor=YELLOW, linewidth=1.5)
        )
    return figure


def taps() -> Figure:
    """Draw the four pixels that bicubic touches, and the weight that the formula gives each of them."""
    kernel, x = wk.get_kernel("bicubic"), 5.3
    first = int(np.floor(x - kernel.radius)) + 1
    figure, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
    d = torch.linspace(-2, 2, 401)
    ax.plot(x + d, kernel(d), color=BLUE, label="k(x − m), around x")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.plot(range(2, 10), [0] * 8, "o", color=GREY)
    for t in range(4):
        m = first + t
        weight = kernel(torch.tensor(x - m)).item()
        ax.vlines(m, 0, weight, color=ORANGE, linewidth=2)
        ax.plot(m, weight, "o", color=ORANGE)
        text = f"{weight:.3f}".replace("-", "−")
        ax.annotate(
            text, (m, weight), (8, 3 if weight > 0 else -10), textcoords="offset points", fontsize=9, color=ORANGE
        )
        ax.text(m, -0.3, f"tap {t}", ha="center", fontsize=9, color=ORANGE)
    ax.plot(x, 0, "|", color=GREEN, markersize=22, markeredgewidth=2)
    ax.text(x, -0.2, f"x = {x}", ha="center", color=GREEN, fontsize=10)
    ax.annotate("", (x - 2, 1.08), (x, 1.08), arrowprops={"arrowstyle": "<->", "color": GREY})
    ax.text(x - 1, 1.11, "radius 2", ha="center", fontsize=9, color=GREY)
    ax.annotate("", (3, 0.5), (3.3, 0.5), arrowprops={"arrowstyle": "<->", "color": GREY, "shrinkA": 0, "shrinkB": 0})
    ax.vlines([3, 3.3], 0, 0.56, color=GREY, linewidth=0.7, linestyle=":")
    ax.text(3.15, 0.59, "f = 0.3", ha="center", fontsize=9, color=GREY)
    ax.set(xlim=(1.7, 9.3), ylim=(-0.36, 1.25), xlabel="pixel index m", yticks=[0, 0.5, 1])
    ax.legend(loc="upper right", frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def without_jumps(values: Tensor) -> np.ndarray:
    """The curve with a gap where it jumps."""
    y = values.detach().numpy()
    return np.where(np.r_[np.abs(np.diff(y)) > 0.04, False], np.nan, y)


def joints() -> Figure:
    """Draw a row of pixels under three kernels, and the derivative in the coordinate."""
    row = torch.tensor([0.2, 0.9, 0.55, 0.7, 0.1, 0.4, 0.35, 0.8])
    n = len(row)
    x = torch.linspace(0, n - 1, 1401, dtype=torch.float64)[:-1]
    figure, axes = plt.subplots(2, 3, figsize=(11, 4.6), layout="constrained", sharex=True, height_ratios=[3, 2])
    for (above, below), name in zip(axes.T, ("nearest", "bilinear", "bicubic"), strict=True):
        coords = ((2 * x + 1) / n - 1)[None, :, None].requires_grad_()
        out = wk.sample(row.double()[None, None], coords, kernel=name, padding_mode="border")[0, 0]
        slope = torch.autograd.grad(out.sum(), coords)[0].flatten() * 2 / n  # for each pixel, not for each unit
        above.plot(x, without_jumps(out), color=BLUE)
        above.plot(range(n), row, "o", color=ORANGE, markersize=5)
        above.set_title(name, fontsize=11)
        below.plot(x, without_jumps(slope), color=GREEN)
        if name == "bilinear":
            at = np.arange(0, 1400, 200)
            below.plot(x[at], slope[at], "o", color=GREEN, markersize=5)
        below.axhline(0, color=GREY, linewidth=0.8)
        below.set(ylim=(-1.3, 1.3), xlabel="pixel coordinate x")
        for ax in (above, below):
            ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("value")
    axes[1, 0].set_ylabel("derivative")
    return figure


def kernels() -> Figure:
    """Draw the built-in kernels on an eye of 20 × 20 pixels."""
    eye = wk.warp(photo(100), "attention", torch.tensor([[0.2, -0.2, 0.1]]), size=(20, 20))
    return kernel_figure([(name, wk.get_kernel(name)) for name in ("nearest", "bilinear", "bicubic")], eye)


def kernel_figure(chosen: list[tuple[str, wk.Kernel]], image: Tensor) -> Figure:
    """Draw a column for each kernel: the formula, and the image enlarged with it."""
    figure, axes = plt.subplots(
        2, len(chosen), figsize=(2.9 * len(chosen), 4.6), layout="constrained", height_ratios=[2, 3]
    )
    theta = wk.get_transform("affine").identity()[None]
    for (name, kernel), (above, below) in zip(chosen, axes.T, strict=True):
        r = kernel.radius
        d = torch.linspace(-r, r, 601, dtype=torch.float64)[1:-1]
        above.plot([-3.4, -r, *d, r, 3.4], [0, 0, *kernel(d), 0, 0], color=BLUE)
        above.set(xlim=(-3.4, 3.4), ylim=(-0.3, 1.1), xticks=range(-3, 4), yticks=[0, 1])
        above.set_title(name, fontsize=11)
        above.spines[["top", "right"]].set_visible(False)
        show(below, wk.warp(image, "affine", theta, size=(192, 192), kernel=kernel, padding_mode="border"))
    return figure


def kaiser() -> Figure:
    """Draw Kaiser's window on 16 × 16 pixels of a cap and a forehead: an edge, and flat enough for ripples to show."""
    brim = wk.warp(photo(200), "attention", torch.tensor([[0.16, -0.07, -0.28]]), size=(16, 16))
    named = [(f"kaiser, β = {beta:g}", wk.get_kernel("kaiser", beta=beta)) for beta in (2.0, 4.4, 10.0)]
    return kernel_figure([("lanczos", wk.get_kernel("lanczos")), *named], brim)


def lens() -> Figure:
    transform = wk.get_transform("lens")
    rows = [
        ("k1 = 0.25", transform, torch.tensor([[0.25, 0.0, 0.0, 0.0, 0.0]])),
        ("k1 = −0.25", transform, torch.tensor([[-0.25, 0.0, 0.0, 0.0, 0.0]])),
        ("p1 = 0.12", transform, torch.tensor([[0.0, 0.0, 0.12, 0.0, 0.0]])),
        ("p2 = 0.12", transform, torch.tensor([[0.0, 0.0, 0.0, 0.12, 0.0]])),
    ]
    return over_and_under(rows, photo(256))


def points() -> Figure:
    """Landmarks and a box follow the photograph into its warped copy."""
    image, spline = photo(256), wk.get_transform("thin_plate_spline", grid=(4, 4))
    theta = (spline.identity() + 0.12 * torch.randn(32, generator=torch.Generator().manual_seed(5)))[None]
    marks = torch.tensor([[[-0.17, -0.05], [0.25, -0.03], [0.06, 0.23], [-0.1, 0.45], [0.22, 0.46]]])
    box = torch.tensor([[[-0.52, -0.95, 0.58, 0.74]]])
    side = torch.linspace(0, 1, 100)[:, None]
    low, high = box[0].split(2, dim=1)
    ends = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    outline = torch.cat([low + (a + side * (b - a)) * (high - low) for a, b in itertools.pairwise(ends)])[None]
    figure, axes = plt.subplots(1, 2, figsize=(8, 4.2), layout="constrained")
    seen = [wk.warp_points(x, spline, theta) for x in (marks, outline)]
    tight = wk.warp_boxes(box, spline, theta)
    pictures = [image, wk.warp(image, spline, theta, kernel="bicubic")]
    for ax, shown, (dots, line), frame in zip(axes, pictures, [(marks, outline), seen], [box, tight], strict=True):
        show(ax, shown)
        x0, y0, x1, y1 = frame[0, 0].tolist()
        ax.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=ORANGE, linewidth=2))
        ax.plot(line[0, :, 0], line[0, :, 1], color=YELLOW, linewidth=1, linestyle="--")
        ax.plot(dots[0, :, 0], dots[0, :, 1], "o", color=YELLOW, markeredgecolor="black", markersize=6)
        ax.set(xlim=(-1.05, 1.05), ylim=(1.05, -1.05))
    axes[0].set_title("points and a box")
    axes[1].set_title("warp_points, and the tight box of warp_boxes")
    return figure


def bump() -> Figure:
    """Draw the quadratic B-spline, as `warpkit check --plot` draws it."""

    class Bump(wk.Kernel):
        radius = 1.5

        def forward(self, distance: Tensor) -> Tensor:
            d = distance.abs()
            return torch.where(d < 0.5, 0.75 - d**2, (1.5 - d) ** 2 / 2)

    figure = pictures.kernel_figure(Bump())
    figure.set_facecolor("none")
    return figure


FIGURES: list[tuple[Callable[[], Figure], Path]] = [
    *[
        (draw, PAGES / f"{draw.__name__}.{'png' if draw is warps else 'webp'}")  # README shows warps
        for draw in (
            warps,
            coordinates,
            padding,
            points,
            taps,
            joints,
            kernels,
            interpolating_kernels,
            smoothing_kernels,
            pixels,
            corners,
            bump,
            antialiased,
        )
    ],
    *[(draw, ROOT / f"plugins/warpkit-{draw.__name__}/{draw.__name__}.png") for draw in (kaiser, lens)],
]


def save(figure: Figure, path: Path) -> None:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    write(np.array(canvas.buffer_rgba()), path)
    plt.close(figure)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


# Text and axes in a colour that reads on white and on black, and no ground.
STYLE = {
    "figure.dpi": 110,
    "font.size": 10,
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"), INK
    ),
}


if __name__ == "__main__":
    matplotlib.use("Agg")
    plt.rcParams.update(STYLE)
    PAGES.mkdir(parents=True, exist_ok=True)
    known = [*wk.list_kernels(), *wk.list_transforms()]
    for draw, path in FIGURES:
        if path.parent == PAGES or draw.__name__ in known:
            save(draw(), path)
        else:
            print(f"{path.relative_to(ROOT)}: left as it is, warpkit-{draw.__name__} is not installed")
