"""A run's folder: its settings, its course epoch by epoch, and its result."""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from warpkit.errors import InputError, quoted, require
from warpkit.files import written_whole

RUN, RESULT, METRICS, WEIGHTS = "run.json", "result.json", "metrics.csv", "model.safetensors"
CHECKPOINT = "last.ckpt"
_LOCK = ".lock"
_BYTES, _DEPTH = 2**26, 100  # of a file with facts or figures, and of tables in tables: more than any run has


@dataclass(frozen=True)
class Run:
    """One model trained with one seed, in a folder `<out>/<experiment>/<model>/<seed>`."""

    folder: Path

    @property
    def asked(self) -> dict[str, Any]:
        """The settings in `run.json`: experiment, model, seed, data, training, spec, parameters, versions …"""
        return _read_json(self.folder / RUN)

    @property
    def result(self) -> dict[str, Any] | None:
        """The result in `result.json`; None where the run has not ended."""
        file = self.folder / RESULT
        return _read_json(file) if file.is_file() else None

    @property
    def metrics(self) -> list[dict[str, float]]:
        """The rows of `metrics.csv`, one for each epoch; a row leaves out what was not measured in its epoch.

        Raises `InputError` for a file that is damaged or of something else.
        """
        file = self.folder / METRICS
        if not file.is_file():
            return []
        try:
            rows = csv.DictReader(io.StringIO(_text(file), newline=""))
            return [{name: float(value) for name, value in row.items() if value} for row in rows]
        except (ValueError, TypeError, csv.Error) as error:
            raise InputError(f"{file} cannot be read: {error}") from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out of the folder. Raises `InputError` where one is in it, or it cannot be written."""
        lock = FileLock(self.folder / _LOCK, timeout=0)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout as error:
            raise InputError(f"{self.folder} is being trained by another process") from error
        except OSError as error:
            raise InputError(f"{self.folder} cannot be written: {error.strerror or error}") from error
        try:
            yield
        finally:
            lock.release()

    def write(self, name: str, data: dict[str, Any]) -> None:
        """Write `run.json` or `result.json`, whole or not at all."""
        with written_whole(self.folder / name) as draft:
            draft.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def write_metrics(self, rows: Iterable[dict[str, float]]) -> None:
        """Write the rows of all epochs so far into `metrics.csv`."""
        rows = list(rows)
        names = list(dict.fromkeys(name for row in rows for name in row))
        with written_whole(self.folder / METRICS) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)


def find_runs(folders: Iterable[Path]) -> list[Run]:
    """Every run at or below these folders, in the order of their paths. Raises `InputError` where there is none."""
    found = {file.parent.resolve(): Run(file.parent) for folder in folders for file in _run_files(folder)}
    return [found[folder] for folder in sorted(found)]


def _run_files(folder: Path) -> Iterator[Path]:
    require(os.path.isdir(folder), f"{quoted(str(folder), 300)} is no folder")
    files = sorted(folder.rglob(RUN))
    require(len(files) > 0, f"{quoted(str(folder), 300)} holds no run: no {RUN} at or below it")
    yield from files


def number(value: Any) -> float | None:
    """The value if it is a finite number, else None."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e300 else None  # NaN is not below anything


def _read_json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    require(isinstance(data, dict), expected="a table", path=str(file))
    level, depth = [data], 0
    while level:
        level = [part for table in level for part in (table.values() if isinstance(table, dict) else table)]
        level, depth = [part for part in level if isinstance(part, dict | list)], depth + 1
        require(depth <= _DEPTH, f"{file}: more than {_DEPTH} tables lie in one another")
    return data  # type: ignore[no-any-return]


def _text(file: Path) -> str:
    try:
        require(file.stat().st_size <= _BYTES, f"{file} is longer than that of any run")
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
