"""Draws the networks of docs/specs, one picture each: docs/tools/specs.py [--png FOLDER]

SVG in docs/img/specs; with --png, PNG in a folder of yours, for looking.
"""

import argparse
from pathlib import Path

import matplotlib

import warpkit as wk
from warpkit.component import inputs_of
from warpkit.spec.diagram import diagram

ROOT = Path(__file__).resolve().parents[2]


def draw(spec: Path, path: Path) -> None:
    """Draw the picture of a spec; its bytes are the same each time."""
    module = wk.build(spec)
    figure = diagram(module, inputs_of(module))
    metadata = {"Date": None} if path.suffix == ".svg" else None
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata=metadata)
    print(f"{path}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    matplotlib.rcParams["svg.hashsalt"] = "warpkit"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--png", type=Path, metavar="FOLDER")
    folder = parser.parse_args().png
    for spec in sorted((ROOT / "docs/specs").glob("*.toml")):
        draw(spec, folder / f"{spec.stem}.png" if folder else ROOT / f"docs/img/specs/{spec.stem}.svg")
