"""The mistakes of a spec, each with its place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from warpkit.errors import InputError, quoted
from warpkit.quoting import reason, shown
from warpkit.spec.trial import NeedsNumbersError

_MOST = 50  # mistakes that are told


class TooManyError(Exception):
    """There are so many mistakes that no more is looked at."""


class Mistakes:
    """A collection of all mistakes in a spec, which are told at once."""

    def __init__(self) -> None:
        self.mistakes: list[InputError] = []
        self.blocking = 0  # mistakes, and what could not be built for them
        self.doubted = 0  # mistakes behind which nothing is said about shapes

    def raise_mistakes(self) -> None:
        """Raise one `InputError` for all mistakes, if there are any."""
        if self.mistakes:
            more = [InputError("there are more mistakes")] if len(self.mistakes) >= _MOST else []
            once = {str(mistake): mistake for mistake in self.mistakes + more}
            raise InputError(path="spec", mistakes=list(once.values()))

    def complain(self, path: str, what: str | InputError = "", *, then: str = "stop", **facts: Any) -> None:
        """Note a mistake at `path`, with the facts of an `InputError`; `then` says how much is looked at behind it.

        "stop": it cannot be built. "doubt": it can be built, but its shape means nothing. "go on": even its shape is
        known.
        """
        error = what if isinstance(what, InputError) else InputError(what, **facts)
        self.mistakes.append(error.at(shown(path)))
        if len(self.mistakes) >= _MOST:
            raise TooManyError
        self.blocking += then == "stop"
        self.doubted += then != "go on"

    @contextmanager
    def at(self, path: str, options: dict[str, Any] | None = None) -> Iterator[None]:
        """Make any `InputError` inside a complaint at `path`, or at the option that it is about.

        With `options`, of a stranger's constructor, any other error does, too.
        """
        try:
            yield
        except InputError as error:
            self.complain(under(path, error.what) if error.what in (options or ()) else path, error)
        except (NeedsNumbersError, TooManyError, RecursionError):
            raise
        except Exception as error:  # whatever a stranger's constructor does
            if options is None:
                raise
            self.complain(path, f"{shown(type(error).__name__)}: {reason(error)}")


def under(path: str, key: Any) -> str:
    """The path of the value at this key, below another path."""
    name = shown(key, 80) if isinstance(key, str) else quoted(key)
    return f"{path}.{name}" if path else name


@contextmanager
def not_too_deep(what: str) -> Iterator[None]:
    """Decorator that turns the end of the stack into an `InputError`."""
    try:
        yield
    except RecursionError as error:
        raise InputError(f"{what}: nested too deeply") from error
