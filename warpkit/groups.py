"""Entry points that a plugin declares where nothing looks for them: their group is misspelt."""

import contextlib
import difflib
import importlib.metadata
from dataclasses import dataclass
from typing import Any

from warpkit.quoting import quoted, shown

GROUPS = ("warpkit.transforms", "warpkit.kernels", "warpkit.modules", "warpkit.backends")
_ALIKE = 0.85  # of the letters: other packages have groups of their own


@dataclass(frozen=True)
class Stray:
    """An entry point of a group that nothing reads; `meant` is the nearest group that is read, or empty."""

    name: str
    group: str
    origin: str
    meant: str

    def __str__(self) -> str:
        """The sentence for a message."""
        meant = f"Did you mean {quoted(self.meant)}?" if self.meant else f"These are: {', '.join(GROUPS)}."
        return (
            f"{shown(self.origin)} declares {quoted(self.name)} in the entry-point group {quoted(self.group)}, which "
            f"nothing reads. {meant}"
        )


def strays() -> list[Stray]:
    """All such entry points of the installed packages; a broken distribution is left out."""
    found: dict[str, list[Stray]] = {}
    for dist in importlib.metadata.distributions():
        with contextlib.suppress(Exception):  # a malformed or undecodable file of anybody's
            found.setdefault(
                dist.name, [s for p in dist.entry_points if (s := _stray(p, dist))]
            )  # the first on the path
    return [stray for each in found.values() for stray in each]


def _stray(point: Any, dist: Any) -> Stray | None:  # of importlib.metadata, or its backport, which takes its place
    if point.group in GROUPS:
        return None
    wanted = point.group[:100].lower().replace("_", ".").replace("-", ".")
    near = difflib.get_close_matches(wanted, GROUPS, n=1, cutoff=_ALIKE)
    if not near and not wanted.startswith("warpkit."):
        return None
    return Stray(point.name, point.group, f"{dist.name} {dist.version}", near[0] if near else "")
