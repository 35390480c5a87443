"""What a shell completes after <TAB>: names are read from metadata and files, and nothing heavy is imported."""

import importlib.metadata
import importlib.resources
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

Complete = Callable[[str], list[str]]


def among(*words: str) -> Complete:
    """Completes one of these words."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(incomplete, words)

    return complete


def names(*kinds: str) -> Complete:
    """Completes names of these kinds of components, "kernel" say: the built-in ones and those of plugins."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(incomplete, _named(kinds))

    return complete


def several(complete: Complete) -> Complete:
    """Completes the last of the words that commas separate, as in `bilinear,bicubic`."""

    def last(incomplete: str) -> list[str]:
        front, comma, word = incomplete.rpartition(",")
        return [f"{front}{comma}{name}" for name in complete(word)]

    return last


def ending(*suffixes: str) -> Complete:
    """Completes a file to be written: those that are there and end in one of these, and a new name by each of them."""

    def complete(incomplete: str) -> list[str]:
        folder, slash, name = incomplete.rpartition("/")
        stem = name.rpartition(".")[0] or name.strip(".")
        new = [f"{folder}{slash}{stem}{suffix}" for suffix in suffixes if stem]
        return [*dict.fromkeys([*_files(incomplete, suffixes), *_beginning(incomplete, new)])]

    return complete


def targets(incomplete: str) -> list[str]:
    """Completes what `warpkit check` takes: a name, or a file of Python's below the current folder."""
    return [*names("transform", "kernel", "backend")(incomplete), *_files(incomplete, (".py",))]


def experiments(incomplete: str) -> list[str]:
    """Completes an experiment: one that comes with warpkit, or a file."""
    return [*_beginning(incomplete, sorted(shipped())), *_files(incomplete, (".toml", ".yaml", ".yml", ".json"))]


def models(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes a model of the experiment that stands before it on the line."""
    # The line ends in a flag without its value, so the words before it may not be assigned yet.
    given = str(ctx.params.get("spec") or next(iter(ctx.args), ""))
    try:
        file = shipped().get(given) or Path(given)
        return _beginning(incomplete, tomllib.loads(file.read_text(encoding="utf-8"))["models"])
    except (OSError, ValueError, LookupError, TypeError):  # there is no such file, or it is of another kind
        return []


def checks(incomplete: str) -> list[str]:
    """Completes a check of the conformance kit, of any kind of component."""
    return _beginning(incomplete, _written("testing", r"^@checks\.add\((?:.|\n)*?^def (\w+)"))


def workloads(incomplete: str) -> list[str]:
    """Completes a workload of `warpkit bench`."""
    return _beginning(incomplete, _written("benchmark", r'^ +Workload\("([^"]+)"'))


def peers(incomplete: str) -> list[str]:
    """Completes a peer of `warpkit bench`, installed or not."""
    found = _written("benchmark", r'^    name(?:, \w+)* = "([^"]+)"')
    return _beginning(incomplete, [name for name in found if name != "warpkit"])


def _written(folder: str, pattern: str) -> list[str]:
    """Names as the files of a folder of warpkit write them, since importing these would take seconds."""
    files = sorted((Path(__file__).parent.parent / folder).rglob("*.py"))
    return sorted({name for file in files for name in re.findall(pattern, file.read_text("utf-8"), re.MULTILINE)})


def shipped() -> dict[str, Any]:
    """The files of the experiments that come with warpkit, by name."""
    folder = importlib.resources.files("warpkit") / "training" / "experiments"
    return {file.name.removesuffix(".toml"): file for file in folder.iterdir()}


def _named(kinds: Iterable[str]) -> list[str]:
    try:
        return sorted({p.name for kind in kinds for p in importlib.metadata.entry_points(group=f"warpkit.{kind}s")})
    except Exception:  # a malformed file of anybody's; a shell shows no message
        return []


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    folder = incomplete.rpartition("/")[0]
    start = f"{folder}/" if "/" in incomplete else ""
    try:
        found = sorted(Path(start or ".").iterdir())
    except OSError:
        return []
    told = [f"{start}{file.name}/" if file.is_dir() else f"{start}{file.name}" for file in found]
    return _beginning(incomplete, [name for name in told if name.endswith(("/", *suffixes)) and "/." not in f"/{name}"])


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
