"""Files that a command writes appear whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from warpkit.errors import InputError


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, with the same suffix; renamed to `path` at the end, removed after an error.

    The folder is made where it is missing. Raises `InputError` where the system refuses.
    """
    path = path.resolve()  # through a link: what it points at is replaced, the link stays
    draft = path.with_name(f".{path.stem[:100]}-{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        os.replace(draft, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):  # it was never made, or its folder is none
            draft.unlink()


def check_writable(path: Path) -> None:
    """Raise `InputError` where `path` cannot be written: before the work whose result would be lost."""
    with written_whole(path.with_name(f"{path.name}.try")) as draft:
        draft.touch()
    path.with_name(f"{path.name}.try").resolve().unlink()
