"""The one error for whatever was given wrongly, and the two ways to raise it."""

import difflib
from collections.abc import Iterable

from warpkit.quoting import listed, quoted

__all__ = ["InputError", "quoted", "require", "unknown"]


class InputError(ValueError):
    """What was given, what was expected and, for a name, the nearest right one."""


def require(ok: bool, message: str) -> None:
    """Raise an `InputError` of this message unless `ok` holds."""
    if not ok:
        raise InputError(message)


def unknown(what: str, given: object, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist: quotes it, suggests the nearest names and lists what is known."""
    known = sorted(known)
    lowered = {name[:200].lower(): name for name in known[:500]}  # a stranger's may be many and long
    wanted = given[:200].lower() if isinstance(given, str) else ""
    near = [quoted(lowered[name]) for name in difflib.get_close_matches(wanted, lowered, n=3)]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return InputError(f"unknown {what} {quoted(given)}.{hint} Known: {listed(known) or 'none'}.")
