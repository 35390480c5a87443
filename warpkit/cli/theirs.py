"""Errors in the code of plugins: told with the last line of their file, for our traceback shows nothing to mend."""

import importlib.metadata
import traceback
from collections.abc import Collection
from pathlib import Path

from warpkit.groups import GROUPS
from warpkit.quoting import reason, shown

_OURS = ("warpkit", "torch")  # which declare the built-in components


def plugin_packages() -> set[str]:
    """The packages that installed plugins are in, by their entry points."""
    try:
        points = [point for group in GROUPS for point in importlib.metadata.entry_points(group=group)]
    except Exception:  # a malformed file of anybody's
        return set()
    return {point.module.partition(".")[0] for point in points}.difference(_OURS)


def told(error: Exception, packages: Collection[str]) -> str:
    """The error and the last line of these packages that it passed; empty where it passed none.

    An example: ZeroDivisionError: division by zero (my_kernel.py, line 12, in __init__: self.a = 1 / a)
    """
    frames = [
        traceback.FrameSummary(frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] in packages
    ]
    if not frames:
        return ""
    last = frames[-1]
    file, here = Path(last.filename), Path.cwd()
    place = shown(file.relative_to(here) if file.is_relative_to(here) else file)
    line = f": {shown(last.line)}" if last.line else ""
    return f"{shown(type(error).__name__)}: {reason(error)} ({place}, line {last.lineno}, in {shown(last.name)}{line})"
