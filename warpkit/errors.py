"""The one error for whatever was given wrongly, and the two ways to raise it."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What was given, what was expected and, for a name, the nearest right one."""


def quoted(value: object, most: int = 80) -> str:
    """What was given, as Python writes it, cut where it is long."""
    try:
        text = repr(value)
    except Exception:  # a stranger's object, or a number of more digits than Python writes
        text = f"<{type(value).__name__}>"
    return text if len(text) <= most else text[: most - 1] + "…"


def require(ok: bool, message: str) -> None:
    """Raise `InputError(message)` unless `ok`."""
    if not ok:
        raise InputError(message)


def unknown(what: str, given: object, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist: quotes it, suggests the nearest names and lists all."""
    known = sorted(known)
    lowered = {name.lower(): name for name in known}
    wanted = given.lower() if isinstance(given, str) else ""
    near = [lowered[name] for name in difflib.get_close_matches(wanted[:200], lowered, n=3)]
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return InputError(f"unknown {what} {quoted(given)}.{hint} Known: {', '.join(known) or 'none'}.")
