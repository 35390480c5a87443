"""Brings docs/experiments.md up to date with docs/results: docs/tools/experiments.py [RUNS]

The tables come from the numbers that are kept in docs/results. RUNS is a folder with the runs themselves, weights and
all, for the pictures; without it they stay as they are.
"""

import re
import sys
from pathlib import Path

from warpkit.training.experiment import examples
from warpkit.training.report import table
from warpkit.training.report.curves import learning, watch
from warpkit.training.report.looks import looks
from warpkit.training.report.markdown import block
from warpkit.training.report.results import read

ROOT = Path(__file__).resolve().parents[1]
PAGE, RESULTS, PICTURES = ROOT / "experiments.md", ROOT / "results", ROOT / "img/experiments"
ORDER = ("r", "rts", "p", "e", "tc")
BEYOND = {
    "addition": ("addition",),
    "colocalisation": ("colocalise_translated", "colocalise_cluttered"),
    "volumes": ("volumes",),
    "registration": ("registration",),
    "hands": ("hands",),
    "hands of MNIST": ("hands_mnist",),
    "house numbers": ("numbers",),
    "photographs": ("photos",),
}


def folders(runs: Path, names: tuple[str, ...] = ORDER) -> list[Path]:
    """The folders of the paper's experiments that exist, in the paper's order."""
    return [runs / name for name in names if (runs / name).is_dir()]


def page(text: str) -> str:
    """The page with its tables made anew; each stands between two comments that name it."""
    results = read(folders(RESULTS))
    tables = {name: getattr(table, name)(results) for name in ("errors", "measured", "costs", "machines")}
    for name, those in BEYOND.items():
        if found := folders(RESULTS, those):
            tables[f"errors, {name}"] = table.errors(read(found))
            if (more := table.also_measured(read(found))).rows:
                tables[f"also measured, {name}"] = more
    for name, content in tables.items():
        between = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        made = block(content, "")
        text, found = re.subn(between, lambda m, made=made: f"{m[1]}\n{made}\n\n{m[2]}", text, flags=re.DOTALL)
        assert found == 1, f"{PAGE} has no place for the table of {name}"
    return text


def pictures(runs: Path) -> None:
    """The pictures of transformers at work for each experiment, and curves or the watch's figures for some."""
    from ground import clear  # a neighbour, found where this file is the one that is run

    results = read(folders(runs, (*ORDER, "collapse")))
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in results.experiments:
        figures = {"looks": looks(results, name, examples)[0]}
        if name in ("r", "rts"):
            figures["curves"] = learning(results, name)
        if name == "collapse":
            figures["watch"] = watch(results, name)
        for kind, figure in figures.items():
            if figure is not None:
                path = PICTURES / f"{kind}-{name}.png"
                figure.savefig(path, dpi=110)
                if kind == "looks":
                    clear(path)


if __name__ == "__main__":
    if sys.argv[1:]:
        pictures(Path(sys.argv[1]))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
