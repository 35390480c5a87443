"""A box, a turn and four corners in pixels, and the pictures that `wk.pixels` makes of them."""

import matplotlib.pyplot as plt
import torch
from canvas import GREY, ORANGE, YELLOW, whole_photo
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from torch import Tensor

import warpkit as wk

SIZE = (600, 512)
POINT = (222, 186)  # an eye: x, y
BOX = (160, 30, 370, 310)  # a face: x0, y0, x1, y1
CORNERS = [[96, 84], [404, 40], [470, 520], [44, 470]]  # of the print: x, y, around from the top left
EDGES = [[0, 0], [511, 0], [511, 599], [0, 599]]
TABLE = (112, 84, 62)


def show_pixels(ax: Axes, image: Tensor, title: str, high: int = 0) -> None:
    """Draw the image in pixels, the centre of the first at 0, 0; `high`: the height of the panel in pixels."""
    height, width = image.shape[-2:]
    ax.imshow(image[0].permute(1, 2, 0))
    ax.set_title(title, fontsize=10)
    margin = max(0, (high - height) / 2)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5 + margin, -0.5 - margin))
    ax.set_axis_off()


def mark(ax: Axes, x: float, y: float) -> None:
    ax.plot(x, y, "o", color=YELLOW, markeredgecolor="black", markersize=8)


def pixels() -> Figure:
    """Draw the photograph with a box and a point, the box cut out, and the photograph turned about the point."""
    image = torch.cat([whole_photo(), torch.full((1, 1, *SIZE), 255, dtype=torch.uint8)], 1)  # outside is transparent
    cut = wk.pixels.to_theta(wk.pixels.crop(BOX, (560, 420)), in_size=SIZE, out_size=(560, 420))
    theta = wk.pixels.to_theta(wk.pixels.rotation(POINT, 30), in_size=SIZE)
    size, wider = wk.pixels.bounds("affine", theta, SIZE)
    face = wk.warp(image, "affine", cut, size=(560, 420), kernel="bicubic")
    turned = wk.warp(image, "affine", theta)
    whole = wk.warp(image, "affine", wider, size=size)
    point = torch.tensor([[POINT]], dtype=torch.float64)
    moved = wk.warp_points(point, "affine", wider, units="pixels", in_size=SIZE, out_size=size)[0, 0].tolist()

    pictures = [image, face, turned, whole]
    titles = ["the photograph", "crop(box)", "rotation(point, 30)", "the same, with bounds"]
    widths = [picture.shape[-1] for picture in pictures]
    figure, axes = plt.subplots(1, 4, figsize=(10.5, 3.9), layout="constrained", width_ratios=widths)
    for ax, picture, title in zip(axes, pictures, titles, strict=True):
        show_pixels(ax, picture, title, high=size[0])
    for ax, picture in zip(axes[2:], pictures[2:], strict=True):
        height, width = picture.shape[-2:]
        ax.add_patch(Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor=GREY, linewidth=1, clip_on=False))
    x0, y0, x1, y1 = BOX
    axes[0].add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=ORANGE, linewidth=2.5))
    for ax, (x, y) in zip(axes[[0, 2, 3]], [POINT, POINT, moved], strict=True):
        mark(ax, x, y)
    return figure


def corners() -> Figure:
    """Draw a print that lies aslant with its four corners, and the print straightened."""
    laid = wk.pixels.to_theta(wk.pixels.fit(EDGES, CORNERS, "projective"), "projective", in_size=SIZE)
    table = wk.warp(whole_photo(), "projective", laid, fill=TABLE)
    sheet = [[0, 0], [383, 0], [383, 449], [0, 449]]
    matrix = wk.pixels.fit(CORNERS, sheet, "projective")
    theta = wk.pixels.to_theta(matrix, "projective", in_size=SIZE, out_size=(450, 384))
    flat = wk.warp(table, "projective", theta, size=(450, 384))

    figure, axes = plt.subplots(1, 2, figsize=(7, 4.5), layout="constrained", width_ratios=[512, 384])
    show_pixels(axes[0], table, "four corners, clicked")
    show_pixels(axes[1], flat, "fit(corners, sheet)", high=600)
    axes[0].add_patch(Polygon(CORNERS, fill=False, edgecolor=ORANGE, linewidth=1.5))
    for number, (x, y) in enumerate(CORNERS, 1):
        axes[0].plot(x, y, "o", color=YELLOW, markeredgecolor="black", markersize=8)
        axes[0].annotate(str(number), (x, y), (8, 6), textcoords="offset points", color=YELLOW, fontweight="bold")
    return figure
