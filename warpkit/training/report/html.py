"""A report as one HTML file: nothing is fetched, nothing runs, pictures are inside it."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from warpkit.training.report.page import Box, Code, Page, Part, Picture, Table

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1d1d22; --faint: #5f6068; --line: #d9dae0; --tint: #f4f5f8;
  --mark: #b45309; --boxed: #fff7e6; }
@media (prefers-color-scheme: dark) { :root { --back: #17181c; --text: #e6e6ea; --faint: #a3a5b0; --line: #3a3c45;
  --tint: #202228; --mark: #f0a93b; --boxed: #2b2417; } }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 70rem; background: var(--back); color: var(--text);
  font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.8rem; line-height: 1.2; }
h2 { margin-top: 2.8rem; font-size: 1.3rem; }
p, ul { max-width: 46rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 1.2rem 0; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .8rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-bottom-width: 2px; white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
tbody th { font-weight: 600; }
tbody tr:hover { background: var(--tint); }
small { display: block; color: var(--faint); font-size: .8rem; }
figure { margin: 1.5rem 0; }
img { display: block; box-sizing: border-box; max-width: 100%; height: auto; padding: .4rem; border-radius: .4rem;
  border: 1px solid var(--line); background: #fff; }
figcaption { margin-top: .4rem; color: var(--faint); font-size: .9rem; }
aside { margin: 1.2rem 0; padding: .7rem 1rem; border-left: .3rem solid var(--mark); background: var(--boxed); }
aside ul { margin: .3rem 0 0; padding-left: 1.2rem; }
pre { overflow-x: auto; padding: .8rem 1rem; background: var(--tint); font-size: .85rem; }
@media print { :root { color-scheme: light; --back: #fff; --text: #000; --faint: #444; --line: #bbb; --tint: #fff;
  --boxed: #fff; } body { max-width: none; padding: 0; font-size: 10pt; } h2 { break-after: avoid; }
  figure, aside, tr { break-inside: avoid; } .wide, pre { overflow: visible; } pre { white-space: pre-wrap; } }
"""
_NOTHING_FETCHED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def html(page: Page) -> str:
    """The whole text of the HTML file."""
    title = escape(page.title)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_NOTHING_FETCHED}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            f"<h1>{title}</h1>",
            *(line for section in page.sections for line in _section(section.title, section.parts)),
            "</html>\n",
        ]
    )


def _section(title: str, parts: Sequence[Part]) -> Iterator[str]:
    yield f"<h2>{escape(title)}</h2>"
    for part in parts:
        yield from _lines(part)


def _lines(part: Part) -> Iterator[str]:
    match part:
        case str():
            yield f"<p>{escape(part)}</p>"
        case Table():
            yield from _table(part)
        case Picture():
            source = f"data:image/png;base64,{b64encode(part.png).decode()}"
            text = escape(part.text)
            yield f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'
        case Box():
            items = "".join(f"<li>{escape(line)}</li>" for line in part.lines)
            yield f"<aside><strong>{escape(part.title)}</strong><ul>{items}</ul></aside>"
        case Code():
            lines = escape("\n".join(part.lines))
            yield f"<pre><code>{lines}</code></pre>"


def _table(table: Table) -> Iterator[str]:
    kinds = ["" if i < table.words else ' class="number"' for i in range(len(table.heads))]
    heads = (f'<th scope="col"{kind}>{escape(head)}</th>' for kind, head in zip(kinds, table.heads, strict=True))
    yield f'<div class="wide"><table><thead><tr>{"".join(heads)}</tr></thead><tbody>'
    for row in table.rows:
        first, *others = (_cell(cell) for cell in row)
        cells = (f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds[1:], others, strict=True))
        yield f'<tr><th scope="row">{first}</th>{"".join(cells)}</tr>'
    yield "</tbody></table></div>"


def _cell(text: str) -> str:
    """A cell of a table: its first line is large, the lines below it are small."""
    first, *below = map(escape, text.split("\n"))
    return first + "".join(f"<small>{line}</small>" for line in below)
