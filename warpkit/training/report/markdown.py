"""A report as Markdown, with its pictures as files in a folder beside it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from warpkit.files import written_whole
from warpkit.training.report.page import Box, Code, Page, Part, Picture, Table


def write_markdown(page: Page, path: Path) -> None:
    """Write the file, and its pictures into `<its name>_files`, each whole or not at all."""
    folder = path.parent / f"{path.stem}_files"
    for section in page.sections:
        for part in section.parts:
            if isinstance(part, Picture):
                with written_whole(folder / f"{part.name}.png") as draft:
                    draft.write_bytes(part.png)
    with written_whole(path) as draft:
        draft.write_text(markdown(page, folder.name), encoding="utf-8")


def markdown(page: Page, folder: str) -> str:
    """The Markdown text of a page, whose pictures lie in `folder` beside it."""
    blocks = [f"# {_escaped(page.title)}"]
    for section in page.sections:
        blocks += [f"## {_escaped(section.title)}", *(block(part, folder) for part in section.parts)]
    return "\n\n".join(blocks) + "\n"


def block(part: Part, folder: str) -> str:
    """The Markdown of a part of a page, whose pictures lie in `folder`."""
    match part:
        case str():
            return _escaped(part)
        case Table():
            return "\n".join(_rows(part))
        case Picture():
            return f"![{_escaped(part.text)}]({quote(folder)}/{part.name}.png)"
        case Box():
            return "\n".join([f"> **{_escaped(part.title)}**", ">", *(f"> - {_escaped(line)}" for line in part.lines)])
        case Code():
            fence = "`" * max(3, 1 + _longest_run_of_ticks(part.lines))
            return "\n".join([f"{fence}bash", *part.lines, fence])


def _rows(table: Table) -> Iterator[str]:
    numbers = len(table.heads) - table.words
    yield _row(map(_escaped, table.heads))
    yield _row(["---"] * table.words + ["--:"] * numbers)
    for row in table.rows:
        yield _row("<br>".join(map(_escaped, cell.split("\n"))) for cell in row)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """The text, in which no character is a mark of Markdown's, a tag or an entity."""
    return re.sub(r"([\\`*_\[\]<>|#~&$])", r"\\\1", text)


def _longest_run_of_ticks(lines: Sequence[str]) -> int:
    return max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
