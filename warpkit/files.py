"""Files that appear whole or not at all; no other file is touched."""

import contextlib
import hashlib
import os
import platform
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from warpkit.errors import InputError, quoted, require
from warpkit.quoting import shown

_MOST = 20  # bytes of a suffix that a draft keeps: what a format is known by is shorter


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A draft to write to, with the suffix of `path`; it becomes `path` at the end, or vanishes after an error.

    It is a draft in the same folder, which is made where it is missing. A file that is replaced hands on its mode, and
    a link goes on pointing to what is replaced. A device or a pipe is given the bytes once they are complete. Drafts
    that killed processes have left in the folder are removed. Raises `InputError` for a folder, for a file that may not
    be written, and where the system refuses.
    """
    with _complaints(path):
        there = _state(path)
        if there is not None and _is_stream(there):
            with tempfile.TemporaryDirectory() as folder:
                draft = Path(folder, f"draft{_suffix(path)}")
                yield draft
                with draft.open("rb") as source, _opened(path, there) as sink:
                    shutil.copyfileobj(source, sink)
            return
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear(target.parent)
        draft = _draft_for(target, there)
        try:
            yield draft
            _put(draft, target, there)
        finally:
            with contextlib.suppress(OSError):  # renamed, or removed by what wrote it
                draft.unlink()


def check_writable(path: Path) -> None:
    """Raise `InputError` where `path` cannot be written: before the work whose result would be lost.

    Nothing changes: a new file is tried under a name that nobody has, in the folder or the nearest one above it.
    """
    with _complaints(path):
        there = _state(path)
        if there is not None and _is_stream(there):
            return
        _draft_for(Path(os.path.realpath(path)), there).unlink()


@contextlib.contextmanager
def _complaints(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be written: {error.strerror or error}") from error


def _state(path: Path) -> os.stat_result | None:
    """The state of the file at `path`, through links; None where there is none, `InputError` if it is not writable."""
    require("\0" not in str(path), f"{quoted(str(path), 300)} is no path")
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return None
    require(not stat.S_ISDIR(there.st_mode), f"{shown(path)} cannot be written: it is a folder")
    known = stat.S_ISREG(there.st_mode) or stat.S_ISCHR(there.st_mode) or stat.S_ISFIFO(there.st_mode)
    require(known, f"{shown(path)} cannot be written: it is no file, pipe or character device")
    protected = not there.st_mode & 0o222  # by whoever took the right away from everybody, root included
    require(not protected and os.access(path, os.W_OK), f"{shown(path)} cannot be written: it is read-only")
    return there


def _suffix(path: Path) -> str:
    return path.suffix if len(os.fsencode(path.suffix)) <= _MOST else ""


def _prefix() -> str:
    """The beginning of the names of drafts of this machine or container; elsewhere its process ids mean nothing."""
    where = platform.node()
    with contextlib.suppress(OSError):  # Linux has it
        where += os.readlink("/proc/self/ns/pid")
    return f".warpkit-{hashlib.sha256(where.encode()).hexdigest()[:8]}-"


def _draft_for(target: Path, there: os.stat_result | None) -> Path:
    """A draft in the folder of `target` or the nearest above it; elsewhere, if that folder takes no new files."""
    folder = next(folder for folder in target.parents if os.path.lexists(folder))
    try:
        return _new_draft(folder, _suffix(target), there)
    except OSError:
        if there is None:
            raise
        return _new_draft(Path(tempfile.gettempdir()), _suffix(target), None)


def _put(draft: Path, target: Path, there: os.stat_result | None) -> None:
    """Make the draft the target.

    Where a new file would be somebody else's, or the system lets none be renamed (a file that is mounted, a folder that
    is protected), the bytes, which are complete, go into the file that is there.
    """
    made = os.stat(draft)
    if there is None or (made.st_uid, made.st_gid) == (there.st_uid, there.st_gid):
        try:
            os.replace(draft, target)
        except OSError:
            if there is None:
                raise
        else:
            return
    with draft.open("rb") as source, target.open("r+b") as sink:
        shutil.copyfileobj(source, sink)
        sink.truncate()


def _new_draft(folder: Path, suffix: str, like: os.stat_result | None) -> Path:
    """A new, empty file; it has the mode and owner of `like` before anything is in it to be seen."""
    draft = folder / f"{_prefix()}{os.getpid()}-{secrets.token_hex(4)}{suffix}"
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666 if like is None else 0o600)
    try:
        if like is not None:
            for owner in (-1, like.st_uid):  # a group may be given to those in it, a file away by root alone
                with contextlib.suppress(OSError):
                    os.chown(handle, owner, like.st_gid)
            os.chmod(handle, stat.S_IMODE(like.st_mode))
    finally:
        os.close(handle)
    return draft


def _clear(folder: Path) -> None:
    """Remove the drafts of processes that have ended."""
    for draft in folder.glob(f"{_prefix()}*"):
        process = draft.name.removeprefix(_prefix()).partition("-")[0]
        if process.isdecimal() and not _is_alive(int(process)):
            with contextlib.suppress(OSError):  # another process may be clearing, too
                draft.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _is_stream(there: os.stat_result) -> bool:
    """Whether the file is written to and not replaced: a device, a pipe, or our own output."""
    return not stat.S_ISREG(there.st_mode) or _own_output(there) is not None


def _own_output(there: os.stat_result) -> int | None:
    """The descriptor of stdout or stderr if that is the file, as with /dev/stdout; else None."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # closed
            if os.path.samestat(os.fstat(descriptor), there):
                return descriptor
    return None


def _opened(path: Path, there: os.stat_result) -> BinaryIO:
    descriptor = _own_output(there)
    if descriptor is None:
        return path.open("wb")
    sys.stdout.flush()
    return open(os.dup(descriptor), "wb")  # opened anew, a file would be written from its beginning
