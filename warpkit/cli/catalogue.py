"""`warpkit list`: all components that have a name."""

import inspect
import json
import warnings
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from warpkit.cli.completing import among
from warpkit.cli.terminal import Terminal, say, say_json, say_rows
from warpkit.errors import InputError, quoted, unknown
from warpkit.groups import GROUPS, strays
from warpkit.quoting import escaped, reason, shown

if TYPE_CHECKING:
    from warpkit.registry import Entry


_KINDS = tuple(group.removeprefix("warpkit.") for group in GROUPS)


@dataclass(frozen=True)
class Item:
    """One claim of one package to a name; `value` is where its class is, `module:Class`.

    `options` are the constructor's, each with its `default` unless it is required; `error` says why
    the name is of no use.
    """

    kind: str
    name: str
    value: str
    origin: str
    summary: str = ""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: str | None = None


def catalogue(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            help="transforms, kernels, modules or backends; all if left out.",
            autocompletion=among(*_KINDS),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: a list of objects.")] = False,
) -> None:
    """List every transform, kernel, module and backend: its options, what it is and which package it comes from.

    In a pipe each is one line: kind, name, package, and what it is with its options.
    """
    wanted = None if kind is None else kind.removesuffix("s")
    if wanted is not None and f"{wanted}s" not in _KINDS:
        raise unknown("kind of component", kind, _KINDS)
    items = [item for item in collect() if wanted in (None, item.kind)]
    for stray in strays():
        say(f"warpkit: {stray}", err=True, red=True)
    console = Terminal()
    if as_json:
        say_json([asdict(item) for item in items])
    elif console.is_terminal:
        _show(items, console)
    else:
        say_rows([(item.kind, item.name, item.origin, _told(item)) for item in items])


def _show(items: list[Item], console: Terminal) -> None:
    """Print a table of each kind, and the layers of torch.nn by their names alone."""
    for kind in dict.fromkeys(item.kind for item in items):
        told = [item for item in items if item.kind == kind and not _is_torch_s(item)]
        table = Table("name", "options", "what it is", "from", title=f"{kind}s", title_justify="left")
        for column in table.columns:
            column.overflow = "fold"
        table.columns[0].no_wrap = True
        table.columns[0].min_width = max((len(escaped(item.name)) for item in told), default=0)  # a cut name is no name
        for item in told:
            what = Text(_what(item), "red" if item.error else "")
            table.add_row(Text(item.name, "bold"), Text(_options(item, "\n")), what, Text(item.origin))
        console.print(table)
    if layers := [item.name for item in items if _is_torch_s(item)]:
        console.print("modules of torch.nn, with its options:", Text(", ".join(layers)))


def _told(item: Item) -> str:
    options = _options(item, ", ")
    return f"{_what(item)} ({options})" if options else _what(item)


def _what(item: Item) -> str:
    return f"broken: {item.error}" if item.error else item.summary


def _is_torch_s(item: Item) -> bool:
    """Whether it is a layer of torch.nn: such are known everywhere, and the name is enough."""
    return item.value.startswith("torch.nn:") and item.error is None


def collect() -> list[Item]:
    """Every claim to every name; a component that cannot be loaded has its error, and stops nothing."""
    from warpkit.kernels.base import kernels
    from warpkit.modules.base import modules
    from warpkit.sampling.backend import backends
    from warpkit.transforms.base import transforms

    registries: tuple[Any, ...] = (transforms, kernels, modules, backends)
    named = [(registry, name) for registry in registries for name in registry.names()]
    return [_look(registry, entry) for registry, name in named for entry in registry.entries(name)]


def _look(registry: Any, entry: "Entry") -> Item:
    try:
        with warnings.catch_warnings(action="ignore"):  # that a name is claimed twice: the list shows it
            cls = registry.load(entry.name)
        used = f"{cls.__module__}:{cls.__qualname__}"
        options = registry.options(entry.name)
        summary = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        described = {key: _option(option) for key, option in options.items()}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's module and class do
        told = shown(str(error), 400) if isinstance(error, InputError) else f"{type(error).__name__}: {reason(error)}"
        return Item(registry.kind, entry.name, entry.value, entry.origin, error=told)
    if len(registry.entries(entry.name)) > 1 and entry.value != used:
        return Item(registry.kind, entry.name, entry.value, entry.origin, error=f"the name is taken by {used}")
    return Item(registry.kind, entry.name, entry.value, entry.origin, summary, described)


def _option(option: inspect.Parameter) -> dict[str, Any]:
    """The option's default as JSON's own value where it has one, else as Python writes it."""
    if option.kind is option.VAR_KEYWORD:
        return {"required": False}
    if option.default is option.empty:
        return {"required": True}
    try:
        json.dumps(option.default, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return {"required": False, "default": quoted(option.default)}
    return {"required": False, "default": option.default}


def _options(item: Item, between: str) -> str:
    """The options with their defaults; a layer of torch.nn has those that are known from there."""
    if _is_torch_s(item):
        return ""
    told = (f"{key} = {quoted(o['default'])}" if "default" in o else key for key, o in item.options.items())
    return between.join(told)
