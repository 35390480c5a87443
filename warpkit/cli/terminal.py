"""The output of all commands: texts that others wrote cannot steer a terminal."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from warpkit.quoting import escaped


class Terminal(Console):
    """A console that leaves square brackets as they are and escapes control characters, in tables and bars too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"markup": False, "highlight": False, "emoji": False} | options))

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape the text before a table measures it."""
        return super().render_str(harmless(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape all text that is drawn; Rich's own controls, which move the cursor, pass."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


def say(text: str, *, err: bool = False, red: bool = False) -> None:
    """Print a line on stdout or stderr."""
    typer.secho(harmless(text), err=err, fg="red" if red else None)


def say_rows(rows: Sequence[Sequence[str]]) -> None:
    """Print a line for each row, for grep and awk: nothing is cut, and two spaces or more part the columns."""
    shown = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        typer.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def say_json(data: Any) -> None:
    """Print data as JSON; characters that a terminal would act on are written as JSON's own escapes."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    typer.echo("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def harmless(text: str) -> str:
    """The text with its lines kept, and every character that cannot be printed escaped."""
    return "\n".join(map(escaped, text.split("\n")))
