"""Pen and paper for a network's picture: measured text, arrows, boxes. The unit is an inch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.textpath import text_to_path

# Inches, except for the sizes of text.
LINE, PAD, BESIDE = 0.165, 0.09, 0.07
_WIDE = 1.08  # points: 3 pixels of a PNG, so that no edge is blurred
SIZE, SMALL, HEADING = 8.0, 7.0, 11.0

# Okabe and Ito's colours, which the colour-blind tell apart, and tints of them.
IMAGE, THETA, OTHERS = "#33333a", "#c05a00", ("#0072b2", "#00805c", "#a8558a")
INK, FAINT, LINES, FRAME, FRAME_EDGE, PILL = "#1e1e24", "#66666e", "#85858f", "#f3f6fa", "#a9bdd2", "#e9e9ee"
TINTS = ("#fbe9c0", "#cfe9df", "#f3d9e8", "#d3e8f8", "#ece7a5", "#f6d5c2")

Point = tuple[float, float]
Mark = tuple[int, str]  # a number and a colour: what has the same is the same


@dataclass(frozen=True)
class Span:
    """A piece of a line of text."""

    text: str
    bold: bool = False
    faint: bool = False

    @property
    def font(self) -> FontProperties:
        """The font of the piece, small where it is faint."""
        return font(SMALL if self.faint else SIZE, self.bold)

    @property
    def width(self) -> float:
        """The width of the piece, in inches."""
        return text_width(self.text, self.font)


Spans = tuple[Span, ...]


def font(size: float, bold: bool = False) -> FontProperties:
    """The typeface, which comes with matplotlib, so that a user's settings do not matter."""
    return FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=size)


def text_width(text: str, of: FontProperties) -> float:
    """The width of a text in this font, in inches."""
    return float(text_to_path.get_text_width_height_descent(text, of, False)[0]) / 72


def line_width(spans: Spans) -> float:
    """The width of a line of text, in inches."""
    return sum(span.width for span in spans)


def by(numbers: Iterable[Any]) -> str:
    """The numbers with a sign between them, such as `3 × 4`."""
    return " × ".join(map(str, numbers))


class Pen:
    """A pen that draws on axes whose unit is an inch, from the upper left corner."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes

    def text(self, at: Point, text: str, font: FontProperties, colour: str = INK, **more: Any) -> None:
        """Draw text from its left end; no character in it has a special meaning."""
        options: dict[str, Any] = {"ha": "left", "va": "center_baseline", "parse_math": False, "zorder": 5}
        self.axes.text(*at, text, fontproperties=font, color=colour, usetex=False, **(options | more))

    def spans(self, at: Point, spans: Spans) -> None:
        """Draw a line of text from its left end."""
        x, y = at
        for span in spans:
            self.text((x, y), span.text, span.font, FAINT if span.faint else INK)
            x += span.width

    def box(
        self,
        at: Point,
        width: float,
        height: float,
        mark: Mark | None = None,
        fill: str = "white",
        edge: str = LINES,
        level: int = 2,
        radius: float = 0.04,
    ) -> None:
        """Draw a box with round corners, in the mark's colour if it has one; a higher `level` lies above lower ones."""
        style: Any = f"round,pad=0,rounding_size={radius}"
        box = FancyBboxPatch(at, width, height, boxstyle=style, edgecolor=edge, linewidth=0.9, zorder=level)
        box.set_facecolor(mark[1] if mark else fill)
        self.axes.add_patch(box)
        if mark:  # its number, in a circle
            corner = (at[0] + width, at[1])
            self.axes.add_patch(Circle(corner, 0.085, facecolor=INK, edgecolor="white", linewidth=0.8, zorder=6))
            self.text(corner, str(mark[0]), font(SMALL, bold=True), "white", ha="center", zorder=7)

    def path(self, points: Sequence[Point], colour: str = IMAGE, head: bool = True) -> None:
        """Draw a line through these points, with an arrow's head if asked for."""
        xs, ys = zip(*points, strict=True)
        if head:  # the line ends inside the arrow's head
            (x0, y0), (x1, y1) = points[-2:]
            far = max(abs(x1 - x0), abs(y1 - y0), 1e-9)
            back = min(0.045, far) / far
            xs, ys = (*xs[:-1], x1 - (x1 - x0) * back), (*ys[:-1], y1 - (y1 - y0) * back)
            style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 10, "shrinkA": 0, "shrinkB": 0}
            arrow = FancyArrowPatch(*points[-2:], color=colour, linewidth=0, zorder=4, **style)
            self.axes.add_patch(arrow)
        self.axes.plot(xs, ys, color=colour, linewidth=_WIDE, zorder=3, solid_capstyle="round", solid_joinstyle="round")

    def dot(self, at: Point, colour: str = IMAGE) -> None:
        """Draw the dot of a place where a line branches."""
        self.axes.add_patch(Circle(at, 0.025, facecolor=colour, edgecolor="none", zorder=4))

    def shape(self, x: float, y: float, shape: tuple[int, ...] | None) -> None:
        """Write an image's shape beside an arrow."""
        if shape is not None:
            self.text((x + BESIDE, y), by(shape), font(SMALL), FAINT)


def shape_width(shape: tuple[int, ...] | None) -> float:
    """The room that a shape needs on an arrow's right, in inches."""
    return BESIDE + text_width(by(shape or ()), font(SMALL))


@dataclass
class Lane:
    """A line that an image takes down beside the network, and from which localization networks read."""

    x: float
    top: float
    colour: str
    taps: list[float] = field(default_factory=list)

    def tap(self, pen: Pen, y: float, x: float, head: bool = True) -> None:
        """Draw an arrow from the lane to `x`."""
        pen.path([(self.x, y), (x, y)], self.colour, head)
        self.taps.append(y)

    def finish(self, pen: Pen) -> None:
        """Draw the lane itself, down to its last tap."""
        if self.taps:
            pen.path([(self.x, self.top), (self.x, max(self.taps))], self.colour, head=False)
            for y in set(self.taps) - {max(self.taps)}:
                pen.dot((self.x, y), self.colour)


Lanes = dict[str, Lane]
