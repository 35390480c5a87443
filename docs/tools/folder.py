"""The folder of drawn data that the command line names: it appears when it is whole."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path


def into_folder(write: Callable[[Path], None], usage: str | None) -> None:
    """Let `write` fill the folder, which appears when it is whole."""
    if len(sys.argv) != 2:
        sys.exit(usage)
    folder = Path(sys.argv[1])
    if folder.exists():
        sys.exit(f"{folder} exists: take it away to draw anew")
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    write(draft)
    draft.rename(folder)
