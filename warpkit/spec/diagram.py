"""The graph of a network as a picture: the image's way from top to bottom, θ beside it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import nn

from warpkit.modules.network import WARPED, Network
from warpkit.quoting import shown
from warpkit.spec.blocks import Block, Box, Parallel, Pill, Transformer, lines_of
from warpkit.spec.outline import Node, Shape, outline
from warpkit.spec.pen import (
    FAINT,
    HEADING,
    IMAGE,
    OTHERS,
    SMALL,
    TINTS,
    Lane,
    Lanes,
    Mark,
    Pen,
    Span,
    Spans,
    font,
    text_width,
)

_EDGE, _ARROW, _FORK = 0.25, 0.38, 0.15  # around the picture; between two blocks; where a lane leaves the first input
_NOTE = "The same number: the same network, with the same weights."


def diagram(module: nn.Module, inputs: dict[str, Shape] | None = None, title: str = "") -> Figure:
    """Draw the graph of a network; save the picture with `figure.savefig`.

    Layers that follow one another are lines of one box; a spatial transformer is its localization network, its grid
    generator and its sampler. What is used in several places has the same number and colour in each.

    `inputs`: the shapes [C, *S] of one image by name, which give the arrows theirs. Raises `InputError` where such
    images do not fit.
    """
    root = outline(module, inputs)
    shapes: dict[str, Shape | None] = dict(inputs) if inputs else {}
    names = module.inputs if isinstance(module, Network) else tuple(shapes) or ("input",)
    marks = _marks(root)
    blocks = list(_Maker(marks).flow(root))
    read = {name for node in _walk(root) for name in node.options.get("theta_from", ())}
    return _Picture(blocks, {name: shapes.get(name) for name in names}, read, _NOTE if marks else "", title).figure


class _Picture:
    """The picture: blocks below each other, and beside them the images from which θ is read."""

    def __init__(
        self, blocks: list[Block], inputs: dict[str, Shape | None], read: set[str], note: str, title: str
    ) -> None:
        pills = [Pill(shown(name, 40), shape) for name, shape in inputs.items()]
        self.column = [pills[0], *blocks, Pill("output")]
        self.top = _EDGE + (0.35 if title else 0.0)
        self.main = _EDGE + max(block.port for block in self.column)
        at = self.main + max(block.right for block in self.column)
        self.lanes: Lanes = {}
        self.fork = next(iter(inputs)) if next(iter(inputs)) in read else None
        if self.fork:
            at += 0.22
            self.lanes[self.fork] = Lane(at, self.top + pills[0].height + 0.1, IMAGE)
        self.others = list(zip(list(inputs)[1:], pills[1:], strict=True))
        for i, (name, pill) in enumerate(self.others):
            at += 0.12 + pill.port
            self.lanes[name] = Lane(at, self.top + pill.height, OTHERS[i % len(OTHERS)])
            at += pill.right
        words = max(text_width(title, font(HEADING, bold=True)), text_width(note, font(SMALL)))
        width = max(at, _EDGE + words) + _EDGE
        height = self.top + sum(block.height + _ARROW for block in self.column) - _ARROW + _EDGE
        height += (0.3 if note else 0.0) + (_FORK if self.fork else 0.0)
        self.figure = Figure(figsize=(width, height), dpi=200, facecolor="white")
        FigureCanvasAgg(self.figure)  # no window, whatever the user's settings
        axes = self.figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        pen = Pen(axes)
        pen.text((_EDGE, _EDGE + 0.06), title, font(HEADING, bold=True))
        pen.text((_EDGE, height - _EDGE), note, font(SMALL), FAINT)
        self._draw(pen)

    def _draw(self, pen: Pen) -> None:
        for name, pill in self.others:
            lane = self.lanes[name]
            pill.draw(pen, lane.x - pill.port, self.top, {})
            pen.shape(lane.x, self.top + pill.height + _ARROW / 2, pill.shape)
        first = self.column[0]
        first.draw(pen, self.main - first.port, self.top, {})
        start, y = self.top + first.height, self.top + first.height + _ARROW
        if self.fork:
            lane = self.lanes[self.fork]
            pen.path([(self.main, lane.top), (lane.x, lane.top)], head=False)
            pen.dot((self.main, lane.top))
            y += _FORK
        for above, block in pairwise(self.column):
            pen.path([(self.main, start), (self.main, y + block.inlet)], head=block.head)
            pen.shape(self.main, y - _ARROW / 2, above.shape)
            block.draw(pen, self.main - block.port, y, self.lanes)
            y += block.height
            start, y = y - block.outlet, y + _ARROW
        for lane in self.lanes.values():
            lane.finish(pen)


class _Maker:
    """A maker of blocks from nodes. `marks` gives a number and a colour to each part that is used in several places."""

    def __init__(self, marks: dict[str, Mark]) -> None:
        self.marks = marks

    def flow(self, node: Node) -> Iterator[Block]:
        """The blocks that the image passes one after the other; a run of plain layers is one block."""
        run: list[Node] = []
        for layer in self._layers(node):
            plain = not (_is_special(layer) or layer.name in self.marks or "theta_from" in layer.options)
            if run and (not plain or _begins(layer, run)):
                yield self._run(run)
                run = []
            if plain:
                run.append(layer)
            else:
                yield self._block(layer, layer.options.get("theta_from"))
        if run:
            yield self._run(run)

    def _layers(self, node: Node) -> Iterator[Node]:
        """The layers in a row that a node consists of; the node itself where it has a mark of its own."""
        if not _is_row(node) or node.name in self.marks or (node.name and "theta_from" in node.options):
            yield node
            return
        for layer in node.children:
            yield from self._layers(layer)

    def _run(self, run: Sequence[Node]) -> Box:
        return Box([line for node in run for line in lines_of(node)], run[-1].shape)

    def _block(self, node: Node, route: Sequence[str] | None) -> Block:
        if node.shared is None and _is_transformer(node):
            return self._transformer(node, route)
        if node.shared is None and node.label == "parallel":
            return self._parallel(node, route)
        return Box(self._content(node), node.shape, self.marks.get(node.name), route or ())

    def _transformer(self, node: Node, route: Sequence[str] | None, outside: bool = False) -> Transformer:
        parts = {part.place: part for part in node.children}
        network, transform = parts["localization"], parts["transform"]
        title = [(Span("localization network", faint=True),)]
        box = Box([*title, *self._content(network)], None, self.marks.get(network.name), route or ())
        several = [part.place.startswith("of[") for part in transform.children]  # in order; else a field's own kernels
        words = (f"{i + 1}. " if numbered else "by " for i, numbered in enumerate(several))
        composed = [line for part, word in zip(transform.children, words, strict=True) for line in lines_of(part, word)]
        generator = Box([(Span("grid generator", faint=True),), *lines_of(transform), *composed])
        kernels = [part for part in node.children if part.place.startswith("kernel")]
        axes = [""] if len(kernels) == 1 else ["x: ", "y: ", "z: "]
        lines = [line for axis, kernel in zip(axes, kernels, strict=False) for line in lines_of(kernel, axis)]
        sampler = Box([(Span("sampler", faint=True),), *lines])
        return Transformer(node, None if outside else box, generator, sampler, _looks(route), self.marks.get(node.name))

    def _parallel(self, node: Node, route: Sequence[str] | None) -> Parallel:
        network, shared = _one_network(node), None
        if network is not None:
            content = [(Span("localization network of each", faint=True),), *self._content(network)]
            shared = Box(content, None, self.marks.get(network.name), route or ())
            branches: list[Block] = [self._transformer(part, route, outside=True) for part in node.children]
        else:
            branches = [self._block(part, route) for part in node.children]
        others = [name for name in route or () if name != WARPED]
        return Parallel(node, branches, shared, others, _looks(route), self.marks.get(node.name))

    def _content(self, node: Node) -> list["Spans | Box"]:
        """The lines of a network in a box, and boxes for those of its layers that are used elsewhere too."""
        if node.shared is not None:
            name = node.id if node.id and node.label == "sequential" else node.label
            return [(Span(shown(name, 40), bold=True),), (Span("the same weights", faint=True),)]
        if not _is_row(node):
            parts = [part.label for part in node.children if part.place == "transform"]
            return [*lines_of(node), *((Span(f"   {part}"),) for part in parts)]
        named = node.id is not None and node.name in self.marks
        content: list[Spans | Box] = [(Span(shown(node.id or "", 40), faint=True),)] if named else []
        for layer in node.children:
            inner = self._content(layer)
            content += [Box(inner, mark=self.marks[layer.name])] if layer.name in self.marks else inner
        return content


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for part in node.children:
        yield from _walk(part)


def _is_row(node: Node) -> bool:
    return bool(node.children) and all(part.place.startswith("layers[") for part in node.children)


def _is_transformer(node: Node) -> bool:
    return {"localization", "regression", "transform"} <= {part.place for part in node.children}


def _looks(route: Sequence[str] | None) -> bool:
    """Whether θ is read from the image that passes."""
    return route is None or WARPED in route


def _is_special(node: Node) -> bool:
    return _is_transformer(node) or node.label == "parallel"


def _begins(layer: Node, run: Sequence[Node]) -> bool:
    """Whether the layer begins a box of its own, so that its shape stands beside an arrow."""
    return layer.label == "Flatten" or (
        bool(layer.parameters) and "Norm" not in layer.label and any(node.label != "Flatten" for node in run)
    )


def _one_network(node: Node) -> Node | None:
    """The localization network that all branches share, or None."""
    alike = (part.shared is None and _is_transformer(part) and "steps" not in part.options for part in node.children)
    if not all(alike):
        return None
    first, *others = (next(p for p in branch.children if p.place == "localization") for branch in node.children)
    return first if others and {other.shared for other in others} == {first.shared or first.name} else None


def _marks(root: Node) -> dict[str, Mark]:
    """A number and a colour for each place of a part that is used in several, unless arrows show it."""
    by_arrows = {
        part.name
        for node in _walk(root)
        if node.label == "parallel" and _one_network(node)
        for branch in node.children[1:]
        for part in branch.children
        if part.place == "localization"
    }
    groups: dict[str, list[str]] = {}
    for node in _walk(root):
        if node.shared is not None and node.name not in by_arrows:
            groups.setdefault(node.shared, [node.shared]).append(node.name)
    each = enumerate(groups.values())
    return {name: (i + 1, TINTS[i % len(TINTS)]) for i, names in each for name in names}
