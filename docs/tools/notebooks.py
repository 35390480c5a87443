"""Writes docs/notebooks from tutorials: docs/tools/notebooks.py

Python becomes cells of code, what a page shows below it their output, and the rest cells of text. tests/test_docs.py
runs the same code and compares what it prints, so the notebooks need no run of their own.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "docs/notebooks"
TUTORIALS = ("pixels", "kernel", "network")
PYTHON = re.compile(
    r"(?:<!-- needs: \S+ -->\n)?```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
NOTE = "*This notebook is the page `docs/tutorials/{name}.md` of warpkit. It needs an environment in which warpkit is installed from its clone, with the extra `demo`.*"  # noqa: E501
Cell = dict[str, Any]


def lines(text: str) -> list[str]:
    return text.strip("\n").splitlines(keepends=True)


def prose(text: str) -> list[Cell]:
    """A cell of text, its links seen from the notebook's folder; none for blank lines."""
    seen = re.sub(r"\]\((?!https?:|#|\.\./)", "](../tutorials/", text)
    return [{"cell_type": "markdown", "metadata": {}, "source": lines(seen)}] if text.strip() else []


def code(source: str, printed: str | None) -> Cell:
    outputs = [{"name": "stdout", "output_type": "stream", "text": lines(printed)}] if printed else []
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": outputs, "source": lines(source)}


def notebook(name: str) -> str:
    page = (ROOT / f"docs/tutorials/{name}.md").read_text(encoding="utf-8")
    cells: list[Cell] = prose(NOTE.format(name=name))
    end = 0
    for block in PYTHON.finditer(page):
        cells += [*prose(page[end : block.start()]), code(block[1], block[2])]
        end = block.end()
    cells += prose(page[end:])
    for number, cell in enumerate(cells):
        cell["id"] = f"{name}-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    NOTEBOOKS.mkdir(exist_ok=True)
    for name in TUTORIALS:
        path = NOTEBOOKS / f"{name}.ipynb"
        path.write_text(notebook(name), encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")
