"""`warpkit show`: show what a spec describes, as a tree and as a diagram."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from warpkit.cli.terminal import Terminal, say, say_json
from warpkit.cli.values import parse_options
from warpkit.errors import require
from warpkit.files import check_writable, written_whole

if TYPE_CHECKING:
    from warpkit.spec.outline import Node

_SUFFIXES = (".svg", ".png", ".pdf")
_PIXELS = 2 * 10**7  # of a picture, four bytes each


def show(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A TOML, YAML or JSON file.")],
    diagram: Annotated[
        Path | None, typer.Option("--diagram", "-d", metavar="FILE", help="Draw the graph: .svg, .png or .pdf.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Like layers.0.transform.type=projective; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one object, its parts inside it.")] = False,
) -> None:
    """Show what a spec describes: every component, its options, the shape of its output, its parameters.

    No weights are made for it.
    """
    changes = parse_options("--set", overrides or [])
    if diagram is not None:
        known = diagram.suffix.lower() in _SUFFIXES
        require(known, "--diagram", expected=".svg, .png or .pdf", given=diagram.name)
        check_writable(diagram)
    from warpkit.spec.build import inputs_of, planned
    from warpkit.spec.outline import outline

    module = planned(spec, changes).module
    inputs = inputs_of(module)
    root = outline(module, inputs)
    if as_json:
        say_json(asdict(root))
    else:
        console = Terminal()
        console.print(_table(root, inputs, console))
    if diagram is not None:
        from warpkit.spec.diagram import diagram as draw

        figure = draw(module, inputs)
        pixels = figure.get_figwidth() * figure.get_figheight() * figure.dpi**2
        fits = diagram.suffix.lower() != ".png" or bool(pixels < _PIXELS)
        told = f"--diagram: so large a network is {pixels:.0e} pixels"
        require(fits, told, hint="draw it as .svg or .pdf")
        with written_whole(diagram) as draft:
            figure.savefig(draft)
        say(f"Written: {diagram}", err=True)


def _table(root: "Node", inputs: dict[str, tuple[int, ...]] | None, console: Terminal) -> Table:
    rows = list(_rows(root, "", ""))
    shapes = [_by(shape) for shape in (*(inputs or {}).values(), *(node.shape for *_, node in rows))]
    room = console.width - max(map(len, ["output", *shapes])) - len("parameters") - 4
    table = Table("", "output", box=None, pad_edge=False, show_footer=True)
    table.add_column("parameters", justify="right", footer=_number(root.parameters) or "0")
    table.columns[0].footer = "total"
    for column in table.columns:
        column.no_wrap = True  # what is long is wrapped here, beside the lines of the tree
    for name, shape in (inputs or {}).items():
        table.add_row(Text(name, "bold"), _by(shape), "")
    for guide, below, node in rows:
        pieces = _words(node).wrap(console, max(room - len(guide), 24))
        lines = [Text.assemble((below if i else guide, "dim"), piece) for i, piece in enumerate(pieces)]
        table.add_row(Text("\n").join(lines), _by(node.shape), _number(node.parameters))
    return table


def _rows(node: "Node", guide: str, below: str) -> Iterator[tuple[str, str, "Node"]]:
    """Each node with the tree's lines on its left: beside its first line, and beside the others."""
    yield guide, below + ("│  " if node.children else "   "), node
    for i, part in enumerate(node.children):
        last = i == len(node.children) - 1
        yield from _rows(part, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))


def _words(node: "Node") -> Text:
    place = f"{node.place} " if node.name else ""
    options = node.summary.removeprefix(node.label)
    shared = "" if node.shared is None else f"  the same as {node.shared or 'the whole'}"
    return Text.assemble(place, (node.label, "bold"), options, (shared, "dim"))


def _by(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else " × ".join(map(str, shape))


def _number(count: int | None) -> str:
    """The count as text: empty for no parameters, a question mark where an input decides."""
    return "?" if count is None else f"{count:,}" if count else ""
