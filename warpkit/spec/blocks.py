"""Parts of a network's picture that lay themselves out: boxes, spatial transformers, branches side by side."""

from collections.abc import Sequence

from warpkit.spec.outline import Node, Shape, written
from warpkit.spec.pen import (
    FRAME,
    FRAME_EDGE,
    LINE,
    LINES,
    PAD,
    PILL,
    SIZE,
    SMALL,
    THETA,
    Lane,
    Lanes,
    Pen,
    Span,
    Spans,
    by,
    font,
    long,
    shape_width,
    text_width,
)

Mark = tuple[int, str]  # a number and a colour: what has the same is the same

_WIDEST = 30  # letters in a line of options
_BY = ("size", "grid", "kernel_size", "output_size", "stride", "dilation")  # options that are written 3 × 4
_GAP, _LANES = 0.3, 0.14  # between branches; between lanes beside one
_DOWN = 0.42  # from a branch to where it is joined with the others


class Block:
    """A part of the picture; the image enters at the top and leaves at the bottom, `port` from the left edge."""

    width: float
    height: float
    port: float
    shape: Shape | None = None  # of what leaves
    head = True  # whether the arrow that comes in ends at the edge

    @property
    def right(self) -> float:
        """How far it reaches to the right of its port, the shape on its arrow too."""
        return max(self.width - self.port, shape_width(self.shape))

    def draw(self, pen: Pen, x: float, y: float, lanes: Lanes) -> None:
        """Put it with its upper left corner there; θ is read from the lanes."""
        raise NotImplementedError


class Pill(Block):
    """Where an image comes from, or goes to."""

    def __init__(self, name: str, shape: Shape | None = None) -> None:
        self.line: Spans = (Span(name, bold=True),)
        self.shape = shape
        self.width, self.height = long(self.line) + 2 * PAD, LINE + PAD
        self.port = self.width / 2

    def draw(self, pen: Pen, x: float, y: float, lanes: Lanes) -> None:
        """As above."""
        pen.box((x, y), self.width, self.height, PILL, LINES, 2, self.height / 2)
        pen.spans((x + PAD, y + self.height / 2), self.line)


class Box(Block):
    """Lines of text, and boxes among them. `route`: the images that it reads beside the one that passes."""

    def __init__(
        self,
        content: Sequence["Spans | Box"],
        shape: Shape | None = None,
        mark: Mark | None = None,
        route: Sequence[str] = (),
    ) -> None:
        self.content, self.shape, self.mark, self.route = content, shape, mark, route
        wide = [part.width if isinstance(part, Box) else long(part) for part in content]
        self.width = max(wide) + 2 * PAD + (0.06 if mark else 0)
        self.height = sum(self._tall(part) for part in content) + PAD
        self.port = self.width / 2

    @staticmethod
    def _tall(part: "Spans | Box") -> float:
        return part.height + 0.06 if isinstance(part, Box) else LINE

    def draw(self, pen: Pen, x: float, y: float, lanes: Lanes, level: int = 2) -> None:
        """As above; `level` counts the boxes around it."""
        pen.box((x, y), self.width, self.height, self.mark[1] if self.mark else "white", LINES, level, 0.04)
        at = y + PAD / 2
        for part in self.content:
            if isinstance(part, Box):
                part.draw(pen, x + PAD, at + 0.03, {}, level + 1)
            else:
                pen.spans((x + PAD, at + LINE / 2), part)
            at += self._tall(part)
        if self.mark:
            pen.badge((x + self.width, y), self.mark[0])
        sources = [lanes[name] for name in self.route if name in lanes]
        for i, lane in enumerate(sources):
            lane.tap(pen, y + self.height * (i + 1) / (len(sources) + 1), x + self.width)


class Transformer(Block):
    """The image goes down on the left, into the sampler; on the right it becomes θ, and θ a grid.

    `localization` is None where it is drawn outside, and θ comes in at the top. `looks`: whether the localization
    network sees the image that passes.
    """

    head = False

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
        self.count = next(part.options["out_features"] for part in node.children if part.place == "regression")
        loop = 0.36 + text_width(self.times, font(SIZE, bold=True)) if self.times else 0.0
        self.half = max(sampler.width / 2, 0.25)
        self.port = loop + 0.15 + self.half
        column = max(generator.width, localization.width if localization else 0.0)
        self.middle = self.port + sampler.width / 2 + 0.55 + column / 2  # of the right column
        self.width = max(self.middle + column / 2, self.port + 0.12 + max(map(long, self.caption))) + 0.15
        self.row = max(generator.height, sampler.height)
        self.top = 0.15 + localization.height if localization else 0.0
        self.height = self.top + 0.36 + self.row + 0.1 + LINE * len(self.caption) + 0.06

    def draw(self, pen: Pen, x: float, y: float, lanes: Lanes) -> None:
        """As above."""
        pen.box((x, y), self.width, self.height, self.mark[1] if self.mark else FRAME, FRAME_EDGE, 1, 0.08)
        if self.mark:
            pen.badge((x + self.width, y), self.mark[0])
        port, middle, low = x + self.port, x + self.middle, y + self.top + 0.36 + self.row / 2
        sampler, generator, start = self.sampler, self.generator, y
        if self.localization:
            start = y + self.top
            self._draw_localization(pen, self.localization, port, middle, y + 0.15, low, lanes)
        pen.path([(middle, start), (middle, low - generator.height / 2)], THETA)
        theta = rf"$\theta\in\mathbb{{R}}^{{{self.count}}}$"
        pen.text((middle + 0.06, start + 0.18), theta, font(SIZE), THETA, parse_math=True)
        generator.draw(pen, middle - generator.width / 2, low - generator.height / 2, {})
        pen.path([(middle - generator.width / 2, low), (port + sampler.width / 2, low)], THETA)
        pen.text((port + sampler.width / 2 + 0.3, low - 0.09), "grid", font(SMALL), THETA, ha="center")
        pen.path([(port, y), (port, low - sampler.height / 2)])
        sampler.draw(pen, port - sampler.width / 2, low - sampler.height / 2, {})
        pen.path([(port, low + sampler.height / 2), (port, y + self.height)], head=False)
        for i, line in enumerate(self.caption):
            pen.spans((port + 0.12, y + self.height - 0.06 - LINE * (len(self.caption) - i - 0.5)), line)

    def _draw_localization(
        self, pen: Pen, network: Box, port: float, middle: float, y: float, low: float, lanes: Lanes
    ) -> None:
        network.draw(pen, middle - network.width / 2, y, lanes)
        at = y + network.height / 2
        if self.looks:
            pen.path([(port, at), (middle - network.width / 2, at)])
            pen.dot((port, at))
        if self.times:
            back = port - self.half - 0.22
            pen.path([(port - self.sampler.width / 2, low), (back, low), (back, at), (port - 0.03, at)], THETA)
            pen.text((back - 0.06, (low + at) / 2), self.times, font(SIZE, bold=True), THETA, ha="right")


class Parallel(Block):
    """Branches side by side, joined along channels; a localization network that all of them share is drawn once.

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
        self.join = Box([(Span("joined along channels"),)])
        self.bar = max(self.ports[-1] - self.ports[0] + 0.5, self.join.width)
        if shared:
            self.width = max(self.ports[-1] + branches[-1].right, self.port + 0.45 + shared.width)
            self.top = 0.1 + shared.height + 0.62
        else:
            self.width = self.ports[-1] + branches[-1].right + _LANES * len(route)
            self.top = 0.42 + 0.1 * len(route)
        self.height = self.top + self.tall + _DOWN + self.join.height

    def draw(self, pen: Pen, x: float, y: float, lanes: Lanes) -> None:
        """As above."""
        first, last, top = x + self.ports[0], x + self.ports[-1], y + self.top
        bus, below = top - (0.37 if self.shared else 0.27), top + self.tall + _DOWN
        if self.shared:
            self._draw_shared(pen, self.shared, x, y, lanes)
        pen.path([(x + self.port, y), (x + self.port, bus)], head=False)
        pen.path([(first, bus), (last, bus)], head=False)
        for start, branch in zip(self.starts, self.branches, strict=True):
            port = x + start + branch.port
            own = {} if self.shared else self._forked(pen, x + start + branch.width, y, lanes, start)
            pen.path([(port, bus), (port, top)], head=branch.head)
            branch.draw(pen, x + start, top, own)
            for lane in own.values():
                lane.finish(pen)
            pen.path([(port, top + branch.height), (port, below)])
            pen.shape(port, below - _DOWN / 2, branch.shape)
        left = (first + last - self.bar) / 2
        pen.box((left, below), self.bar, self.join.height, "white", LINES, 2, 0.04)
        words = ((first + last) / 2, below + self.join.height / 2)
        pen.text(words, "joined along channels", font(SIZE), ha="center")
        if self.mark:
            pen.badge((left + self.bar, below), self.mark[0])

    def _forked(self, pen: Pen, edge: float, y: float, lanes: Lanes, start: float) -> Lanes:
        """Lanes of a branch, which leave those of the whole above it."""
        own = {}
        for i, name in enumerate(name for name in self.route if name in lanes):
            fork = own[name] = Lane(edge + _LANES * (i + 1), y + 0.06 + 0.1 * i, lanes[name].colour)
            lanes[name].tap(pen, fork.top, fork.x, head=False)
            if start > 0:  # the line goes on to the branches on the left
                pen.dot((fork.x, fork.top), fork.colour)
        return own

    def _draw_shared(self, pen: Pen, network: Box, x: float, y: float, lanes: Lanes) -> None:
        """The network above the branches, and from it θ into each."""
        at, left = y + 0.1 + network.height / 2, x + self.port + 0.45
        if self.looks:
            pen.path([(x + self.port, at), (left, at)])
            pen.dot((x + self.port, at))
        network.draw(pen, left, y + 0.1, lanes)
        down, bus = left + network.width / 2, y + self.top - 0.2
        pairs = zip(self.starts, self.branches, strict=True)
        into = [x + start + branch.middle for start, branch in pairs if isinstance(branch, Transformer)]
        pen.path([(down, y + 0.1 + network.height), (down, bus)], THETA, head=False)
        pen.path([(min(down, *into), bus), (max(down, *into), bus)], THETA, head=False)
        for middle in into:
            pen.path([(middle, bus), (middle, y + self.top)], THETA, head=False)


def lines_of(node: Node, before: str = "") -> list[Spans]:
    """The label, and the options behind it in as many lines as they need."""
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
    """Its options as one reads them: `16 channels`, `kernel size 5`; not those that are drawn."""
    words = []
    for key, value in node.options.items():
        name = key.replace("_", " ")
        if key in ("steps", "theta_from"):
            continue
        if isinstance(value, bool):
            text = name if value else f"no {name}"
        elif key.startswith("out_"):
            text = f"{written(value)} {name[4:]}" if value != 1 else f"1 {name[4:].removesuffix('s')}"
        elif isinstance(value, list) and key in _BY:
            text = f"{name} {by(value)}"
        else:
            text = f"{name} {written(value).strip('[]')}"
        if len(text) > _WIDEST:
            text = f"{len(value)} {name}" if isinstance(value, list) else f"{text[: _WIDEST - 1]}…"
        words.append(text)
    return words
