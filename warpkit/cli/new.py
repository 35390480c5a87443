"""`warpkit new`: write a complete package for a plugin, whose tests pass at once."""

import contextlib
import datetime
import importlib.metadata
import importlib.resources
import keyword
import os
import re
import secrets
import shlex
import shutil
from pathlib import Path
from string import Template
from typing import Annotated, Any

import typer

from warpkit.cli.completing import among
from warpkit.cli.terminal import say
from warpkit.errors import InputError, quoted, require, unknown
from warpkit.quoting import shown

# What is written, and from which file in templates/: $-names are filled in, in both.
_FILES = {
    "pyproject.toml": "pyproject.toml.in",
    "README.md": "$kind/README.md.in",
    "LICENSE": "LICENSE.in",
    ".gitignore": "gitignore.in",
    "src/$module/__init__.py": "__init__.py.in",
    "src/$module/$name.py": "$kind/formula.py.in",
    "src/$module/py.typed": None,
    "tests/test_$name.py": "$kind/test.py.in",
}
_KINDS = ("kernel", "transform")
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_IMPORTED = ("Float", "Tensor")  # by the file that the class stands in


def new(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="kernel|transform", help="What it is to be.", show_default=False, autocompletion=among(*_KINDS)
        ),
    ],
    name: Annotated[str, typer.Argument(help="What it is called by: small letters, digits and _.", show_default=False)],
    folder: Annotated[Path, typer.Option("--in", help="Where the package's folder goes.")] = Path(),
) -> None:
    """Start a plugin: a package with a working kernel or transform to change, and tests that pass."""
    if kind not in _KINDS:
        raise unknown("kind of plugin", kind, _KINDS)
    words = _words(kind, _checked(name))
    target = folder / words["distribution"]
    _check_free(kind, words["name"], words["distribution"])
    require(folder.is_dir(), "--in", expected="a folder", given=quoted(str(folder), 300))
    require(not os.path.lexists(target), f"{target} is there already, and is left as it is")
    files = {_filled(path, words): _text(template, words) for path, template in _FILES.items()}
    _write(target, files)
    say(f"A {kind} that works, yours to change:")
    for path in files:
        say(f"  {target / path}")
    say(f"Next:\n  cd {shlex.quote(str(target))}\n  pip install -e '.[test]'\n  pytest")
    say(f"Then write your formula into src/{words['module']}/{words['name']}.py.")


def _checked(given: str) -> str:
    """The name; "my-kernel" becomes my_kernel. `InputError` for one that Python or pip could not use."""
    name = given.replace("-", "_")
    if not _NAME.fullmatch(name):
        near = "_".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", given)).lower()
        hint = f"Did you mean {quoted(near)}?" if given.isascii() and _NAME.fullmatch(near) else ""
        expected = "small letters, digits and single _, a letter first"
        raise InputError("name", expected=expected, given=given, hint=hint)
    require(not keyword.iskeyword(name), f"name: {quoted(name)} is a keyword of Python", hint="choose another")
    return name


def _words(kind: str, name: str) -> dict[str, str]:
    """The words that the templates' $-names stand for."""
    title = "".join(map(str.capitalize, name.split("_")))
    return {
        "kind": kind,
        "name": name,
        "cls": title + kind.capitalize() if title in _IMPORTED else title,
        "module": f"warpkit_{name}",
        "distribution": f"warpkit-{name.replace('_', '-')}",
        "year": str(datetime.date.today().year),
    }


def _check_free(kind: str, name: str, distribution: str) -> None:
    """Raise `InputError`, with the owner, where an installed component or package has the name already."""
    from warpkit.kernels.base import kernels
    from warpkit.transforms.base import transforms

    registry: Any = {"kernel": kernels, "transform": transforms}[kind]
    if name in registry.names():
        owner = registry.entries(name)[0]
        taken = f"is taken by {shown(owner.value)} ({shown(owner.origin)})"
        raise InputError(f"{kind} {quoted(name)} {taken}", hint="choose another name")
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        version = importlib.metadata.version(distribution)  # pip would put the new one in its place
        raise InputError(f"a package {distribution} ({version}) is installed already", hint="choose another name")


def _text(template: str | None, words: dict[str, str]) -> str:
    if template is None:
        return ""
    file = importlib.resources.files("warpkit.cli") / "templates" / _filled(template, words)
    return _filled(file.read_text(encoding="utf-8"), words)


def _filled(text: str, words: dict[str, str]) -> str:
    return Template(text).substitute(words)


def _write(target: Path, files: dict[str, str]) -> None:
    """Write all files or none: under another name first, then renamed. `InputError` where the system refuses."""
    draft = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        for path, text in files.items():
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_text(text, encoding="utf-8", newline="\n")
        draft.rename(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # there is none, once it is renamed
