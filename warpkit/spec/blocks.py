"""The parts of a network's picture, which lay themselves out: boxes, spatial transformers, parallel branches."""

import re
from collections.abc import Sequence

from warpkit.spec.outline import Node, Shape, written
from warpkit.spec.pen import (
    FAINT,
    FRAME,
    FRAME_EDGE,
    LINE,
    PAD,
    PILL,
    SIZE,
    SMALL,
    THETA,
    Lane,
    Lanes,
    Mark,
    Pen,
    Span,
    Spans,
    by,
    font,
    line_width,
    shape_width,
)

_WIDEST = 33  # letters in a line of options
_BY = ("size", "grid", "kernel_size", "output_size", "stride", "dilation")  # options that are written 3 × 4
_GAP, _LANES, _HOP = 0.3, 0.14, 0.06  # between branches; between lanes beside one; beside a line that is crossed
_MINUS = re.compile(r"\B-(?=\d|inf)|(?<=\de)-")  # of a number, not of a name
_DOWN, _BAR = 0.42, LINE + PAD  # from a branch to where it is joined with the others; how tall that is
_JOINED = Span("joined along channels")


class Block:
    """A part of the picture; the image enters at the top and leaves at the bottom, `port` from the left edge.

    What is around it draws the image's line: as far as `inlet` below its top and on from `outlet` above its bottom.
    """

    width: float
    height: float
    port: float
    shape: Shape | None = None  # of what leaves
    inlet = outlet = 0.0
    head = True  # whether the line that comes in ends there, as an arrow

    @property
    def right(self) -> float:
        """The extent to the right of the port, with the shape that stands beside the arrow."""
        return max(self.width - self.port, shape_width(self.shape))

    def draw(self, pen: Pen, x: float, y: float, lanes: Lanes) -> None:
        """Draw the part with its upper left corner at x, y; θ is read from the lanes."""
        raise NotImplementedError


class Pill(Block):
    """The start or the end of an image's way."""

    def __init__(self, name: str, shape: Shape | None = None) -> None:
        self.line: Spans = (Span(name, bold=True),)
        self.shape = shape
        self.width, self.height = line_width(self.line) + 2 * PAD, LINE + PAD
        self.port = self.width / 2

    def draw(self, pen: Pen, x: float, y: float, lanes: Lanes) -> None:
        """Draw the name in a box with round ends."""
        pen.box((x, y), self.width, self.height, fill=PILL, radius=self.height / 2)
        pen.spans((x + PAD, y + self.height / 2), self.line)


class Box(Block):
    """Lines of text, and boxes among them. `route` names the images that it reads beside the one that passes."""

    def __init__(
        self,
        content: Sequence["Spans | Box"],
        shape: Shape | None = None,
        mark: Mark | None = None,
        route: Sequence[str] = (),
    ) -> None:
        self.content, self.shape, self.mark, self.route = content, shape, mark, route
        wide = [part.width if isinstance(part, Box) else line_width(part) for part in content]
        self.width = max(wide) + 2 * PAD + (0.06 if mark else 0)
        self.height = sum(self._tall(part) for part in content) + PAD
        self.port = self.width / 2

    @staticmethod
    def _tall(part: "Spans | Box") -> float:
        return part.height + 0.06 if isinstance(part, Box) else LINE

    def draw(self, pen: Pen, x: float, y: float, lanes: Lanes, level: int = 2) -> None:
        """Draw the lines and the inner boxes; `level` counts the boxes around this one."""
        pen.box((x, y), self.width, self.height, self.mark, level=level)
        at = y + PAD / 2
        for part in self.content:
            if isinstance(part, Box):
                part.draw(pen, x + PAD, at + 0.03, {}, level + 1)
            else:
                pen.spans((x + PAD, at + LINE / 2), part)
            at += self._tall(part)
        sources = [lanes[name] for name in self.route if name in lanes]
        for i, lane in enumerate(sources):
            lane.tap(pen, y + self.height * (i + 1) / (len(sources) + 1), x + self.width)


class Transformer(Block):
    """A spatial transformer: on the left the image goes down into the sampler, on the right it becomes θ and a grid.

    `localization` is None where it is drawn outside, and θ comes in at the top. `looks`: whether the localization
    network sees the image that passes; with steps, as it is warped so far.
    """

    def __init__(
        self, node: Node, localization: Box | None, generator: Box, sampler: Box, looks: bool, mark: Mark | None
    ) -> None:
        self.shape, self.mark, self.looks = node.shape, mark, looks
        self.localization, self.generator, self.sampler = localization, generator, sampler
        steps = node.options.get("steps", 1)
        self.times = f"× {steps}" if steps > 1 and looks else ""
        self.caption = lines_of(node)
        if steps > 1 and not looks:
            self.caption.append((Span(f"   {steps} steps"),))
        regression = next(part for part in node.children if part.place == "regression")
        given = [regression.options.get("out_features", regression.options.get("out_channels"))]
        # Of a field: its components, and its size where that is known.
        axes = list((regression.shape or (0, r"\ast"))[1:]) if "out_channels" in regression.options else []
        self.count = r"\times ".join(map(str, given + axes))
        self.port = 0.15 + sampler.width / 2
        column = max(generator.width, localization.width if localization else 0.0)
        self.middle = self.port + sampler.width / 2 + (0.75 if self.times else 0.55) + column / 2  # of the right column
        self.width = max(self.middle + column / 2, self.port + 0.12 + max(map(line_width, self.caption))) + 0.15
        self.top = 0.15 + localization.height if localization else 0.0
        self.low = self.top + 0.36 + max(generator.height, sampler.height) / 2  # the middle of the lower row
        self.inlet, self.theta = self.low - sampler.height / 2, self.low - generator.height / 2  # where arrows end
        self.height = 2 * self.low - self.top - 0.36 + 0.1 + LINE * len(self.caption) + 0.06
        self.outlet = self.height - self.low - sampler.height / 2

    def draw(self, pen: Pen, x: float, y: float, lanes: Lanes) -> None:
        """Draw the frame, and in it localization network, θ, grid generator and sampler."""
        pen.box((x, y), self.width, self.height, self.mark, FRAME, FRAME_EDGE, 1, 0.08)
        port, middle, low = x + self.port, x + self.middle, y + self.low
        sampler, generator = self.sampler, self.generator
        if self.localization:
            self._draw_localization(pen, self.localization, port, middle, y, lanes)
        theta = rf"$\theta\in\mathbb{{R}}^{{{self.count}}}$"
        pen.text((middle + 0.06, y + self.top + 0.18), theta, font(SIZE), THETA, parse_math=True)
        generator.draw(pen, middle - generator.width / 2, y + self.theta, {})
        pen.path([(middle - generator.width / 2, low), (port + sampler.width / 2, low)], THETA)
        pen.text((port + sampler.width / 2 + 0.3, low - 0.09), "grid", font(SMALL), THETA, ha="center")
        sampler.draw(pen, port - sampler.width / 2, y + self.inlet, {})
        for i, line in enumerate(self.caption):
            pen.spans((port + 0.12, y + self.height - 0.06 - LINE * (len(self.caption) - i - 0.5)), line)

    def _draw_localization(self, pen: Pen, network: Box, port: float, middle: float, y: float, lanes: Lanes) -> None:
        at, left = y + 0.15 + network.height / 2, middle - network.width / 2
        network.draw(pen, left, y + 0.15, lanes)
        pen.path([(middle, y + self.top), (middle, y + self.theta)], THETA)
        if self.times:
            back, end = port + 0.18, y + self.inlet
            pen.path([(back, end), (back, at), (left, at)])
            pen.text((back + 0.06, at - 0.09), "warped so far", font(SMALL), FAINT)
            pen.text((back + 0.1, (at + end) / 2), self.times, font(SIZE, bold=True))
        elif self.looks:
            pen.path([(port, at), (left, at)])
            pen.dot((port, at))


class Parallel(Block):
    """Branches side by side, joined along channels. A localization network that all of them share is drawn once.

    `route`: the images that the branches read beside the one that passes.
    """

    head = False

    def __init__(
        self,
        node: Node,
        branches: Sequence[Block],
        shared: Box | None,
        route: Sequence[str],
        looks: bool,
        mark: Mark | None,
    ) -> None:
        self.shape, self.branches, self.shared = node.shape, branches, shared
        self.route, self.looks, self.mark = route, looks, mark
        gap = _GAP + _LANES * len(route)
        self.starts = [sum(b.port + b.right + gap for b in branches[:i]) for i in range(len(branches))]
        self.ports = [start + b.port for start, b in zip(self.starts, branches, strict=True)]
        n = len(branches)
        self.port = (self.ports[(n - 1) // 2] + self.ports[n // 2]) / 2  # straight on into the one in the middle
        self.tall = max(b.height for b in branches)
        self.bar = max(self.ports[-1] - self.ports[0] + 0.5, _JOINED.width + 2 * PAD)
        self.width = self.ports[-1] + branches[-1].right
        if shared:  # above the last branch's grid generator, where there is room
            pairs = zip(self.starts, branches, strict=True)
            self.into = [(start + b.middle, b.theta) for start, b in pairs if isinstance(b, Transformer)]
            self.left = max(self.port + 0.45, self.into[-1][0] - shared.width / 2)
            self.width = max(self.width, self.left + shared.width)
            self.top = 0.1 + shared.height + 0.62
            self.inlet = self.top - 0.37
        else:
            self.width += _LANES * len(route)
            self.top = 0.42 + 0.1 * len(route)
            self.inlet = self.top - 0.27
        self.height = self.top + self.tall + _DOWN + _BAR

    def draw(self, pen: Pen, x: float, y: float, lanes: Lanes) -> None:
        """Draw the branches, the lines that lead into them, and the box that joins them."""
        first, last, top = x + self.ports[0], x + self.ports[-1], y + self.top
        bus, below = y + self.inlet, top + self.tall + _DOWN
        if self.shared:
            self._draw_shared(pen, self.shared, x, y, lanes)
        pen.path([(first, bus), (last, bus)], head=False)
        for start, branch in zip(self.starts, self.branches, strict=True):
            port = x + start + branch.port
            own = {} if self.shared else self._forked(pen, x + start + branch.width, y, lanes, start)
            pen.path([(port, bus), (port, top + branch.inlet)], head=branch.head)
            branch.draw(pen, x + start, top, own)
            for lane in own.values():
                lane.finish(pen)
            pen.path([(port, top + branch.height - branch.outlet), (port, below)])
            pen.shape(port, below - _DOWN / 2, branch.shape)
        middle = (first + last) / 2
        pen.box((middle - self.bar / 2, below), self.bar, _BAR, self.mark)
        pen.text((middle, below + _BAR / 2), _JOINED.text, _JOINED.font, ha="center")

    def _forked(self, pen: Pen, edge: float, y: float, lanes: Lanes, start: float) -> Lanes:
        """The lanes of one branch, which leave the lanes of the whole above it."""
        own = {}
        for i, name in enumerate(name for name in self.route if name in lanes):
            fork = own[name] = Lane(edge + _LANES * (i + 1), y + 0.06 + 0.1 * i, lanes[name].colour)
            lanes[name].tap(pen, fork.top, fork.x, head=False)
            if start > 0:  # the line goes on to the branches on the left
                pen.dot((fork.x, fork.top), fork.colour)
        return own

    def _draw_shared(self, pen: Pen, network: Box, x: float, y: float, lanes: Lanes) -> None:
        """Draw the shared network above the branches, and from it θ into each."""
        at, left = y + 0.1 + network.height / 2, x + self.left
        if self.looks:
            pen.path([(x + self.port, at), (left, at)])
            pen.dot((x + self.port, at))
        network.draw(pen, left, y + 0.1, lanes)
        down, bus = left + network.width / 2, y + self.top - 0.2
        pen.path([(down, y + 0.1 + network.height), (down, bus)], THETA, head=False)
        crossed = [x + port for port in self.ports[1:]]  # there the line has a gap
        starts = [x + self.into[0][0], *(port + _HOP for port in crossed)]
        ends = [*(port - _HOP for port in crossed), max(down, x + self.into[-1][0])]
        for start, end in zip(starts, ends, strict=True):
            pen.path([(start, bus), (end, bus)], THETA, head=False)
        for middle, low in self.into:
            pen.path([(x + middle, bus), (x + middle, y + self.top + low)], THETA)


def lines_of(node: Node, before: str = "") -> list[Spans]:
    """The lines for a component: its label, then its options, in as many lines as they need."""
    rows: list[str] = []
    for word in _words(node):
        if rows and len(rows[-1]) + len(word) + 2 <= _WIDEST:
            rows[-1] += f", {word}"
        else:
            rows.append(word)
    first = [Span(before)] if before else []
    first.append(Span(node.label, bold=True))
    if rows and len(node.label) + len(rows[0]) <= _WIDEST + 8:
        first.append(Span(f"  {rows.pop(0)}"))
    return [tuple(first), *((Span(f"   {row}"),) for row in rows)]


def _words(node: Node) -> list[str]:
    """The options as people read them, `16 channels`, `kernel size = 5`, without those that are drawn."""
    words = []
    for key, value in node.options.items():
        name = key.replace("_", " ")
        if key in ("steps", "theta_from"):
            continue
        if isinstance(value, bool):
            text = name if value else f"no {name}"
        elif key.startswith("out_"):
            text = f"{written(value)} {name[4:]}" if value != 1 else f"1 {name[4:].removesuffix('s')}"
        else:
            given = by(value) if isinstance(value, list) and key in _BY else written(value)
            text = f"{name} = {_MINUS.sub('−', given)}"
        if len(text) > _WIDEST:
            text = f"{len(value)} {name}" if isinstance(value, list) else f"{text[: _WIDEST - 1]}…"
        words.append(text)
    return words
