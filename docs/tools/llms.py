"""Writes docs/llms.txt, a list of all pages for programs that read them (llmstxt.org): docs/tools/llms.py

The pages and their order are those of the navigation, the words each page's own title and first sentences.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/llms.txt"
TOP = """# warpkit

> {description}

The distribution is torch-warpkit, the import name warpkit (`import warpkit as wk`). It is installed from a clone of its repository. θ maps each output pixel to the place in the input that it is sampled from, in coordinates that run from −1 to 1 along each axis, x before y; `wk.pixels` makes θ of matrices, degrees and boxes in pixels.
"""  # noqa: E501


def navigation() -> list[dict[str, Any]]:
    config = tomllib.loads((ROOT / ".zensical.toml").read_text(encoding="utf-8"))
    sections: list[dict[str, Any]] = config["project"]["nav"]
    return sections


def pages(entry: Any) -> Iterator[str]:
    """The pages of an entry of the navigation, in order: a path, a titled one, or a titled list of such."""
    if isinstance(entry, str):
        yield entry
    for part in [*entry.values()] if isinstance(entry, dict) else entry if isinstance(entry, list) else []:
        yield from pages(part)


def plain(text: str) -> str:
    """Markdown in a line, without links, emphasis and attributes."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)(?:\{[^}]*\})?", r"\1", text)
    return " ".join(re.sub(r"\*\*|<[^>]+>", "", text).split())


def told(page: str) -> tuple[str, str]:
    """Title and first paragraph of a page; a colon at its end, before what is no paragraph, becomes a full stop."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    assert title, page
    paragraphs = (p for p in text[title.end() :].split("\n\n") if re.match(r"\n*(?:<p[^>]*>\s*)?[\w`\[*≤θ]", p))
    return plain(title[1]), re.sub(r":$", ".", plain(next(paragraphs, "")))


def line(page: str) -> str:
    title, words = told(page)
    return f"- [{title}]({page.removesuffix('.md')}.html){': ' * bool(words)}{words}"


def text() -> str:
    config = tomllib.loads((ROOT / ".zensical.toml").read_text(encoding="utf-8"))
    parts = [TOP.format(description=config["project"]["site_description"])]
    for section in navigation():
        (name,) = section
        parts.append("\n".join([f"## {name}", "", *map(line, pages(section)), ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {PAGE.stat().st_size} bytes")
