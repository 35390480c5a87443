"""`warpkit report`: put runs on one page, to be read beside the paper."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from warpkit.cli.terminal import Terminal
from warpkit.errors import quoted, require
from warpkit.files import check_writable, written_whole

if TYPE_CHECKING:
    from warpkit.training.report.page import Table as Rows


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUNS…", help="Folders of runs; all that are below them, in this order.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="The page; report.html in the first of RUNS if left out.")
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="The same in Markdown; report.md in the first of RUNS if left out."),
    ] = None,
    title: Annotated[str, typer.Option(help="Of the page.")] = "Spatial transformers, measured",
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Curves and grids, or tables only.")
    ] = True,
) -> None:
    """Bring runs of `warpkit train` together: errors beside the paper's, costs, curves, grids, warnings, commands.

    Writes one HTML file that needs nothing else, and the same as Markdown. A run that has not ended is listed, and in
    no average.
    """
    out, markdown = out or runs[0] / "report.html", markdown or runs[0] / "report.md"
    for option, file, suffix in (("--out", out, ".html"), ("--markdown", markdown, ".md")):
        given = quoted(str(file), 300)
        require(file.suffix.lower() == suffix, option, expected=f"a name that ends in {suffix}", given=given)
    for file in (out, markdown):
        check_writable(file)
    from warpkit.training import report as reports

    results = reports.read(runs)
    console = Terminal()
    console.print(_table(reports.errors(results)))
    for line in reports.differences(results):
        console.print(f"Not the same in all runs: {line}", soft_wrap=True)
    page = reports.compose(results, title, pictures=pictures)
    with written_whole(out) as draft:
        draft.write_text(reports.html(page), encoding="utf-8")
    reports.write_markdown(page, markdown)
    for file in (out, markdown):
        console.print(f"Written: {file}", soft_wrap=True)


def _table(rows: "Rows") -> Table:
    table = Table(title="Test error in %, and the paper's", title_justify="left", show_lines=True)
    for i, head in enumerate(rows.heads):
        table.add_column(Text(head), justify="left" if i < rows.words else "right")
    for row in rows.rows:
        table.add_row(*map(Text, row))
    return table
