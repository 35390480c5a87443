"""Classes by name: those that installed packages declare as entry points, and those that decorators add.

Discovery reads metadata only. A plugin is imported when its name is first used; one that is broken is reported by name
and never stops the rest.
"""

import contextlib
import importlib.metadata
import inspect
import threading
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from warpkit import tracing
from warpkit.component import Component, is_plain, modules_in, note_options, written
from warpkit.distribution import NAME
from warpkit.errors import InputError, quoted, require, unknown
from warpkit.groups import strays
from warpkit.quoting import reason, shown

T = TypeVar("T")
C = TypeVar("C", bound=type)
_MOST_TABLES = 64  # that are kept for each kind


_registries: list["Registry[Any]"] = []


@dataclass(frozen=True)
class Entry:
    """One claim to a name: `value` is `module:Class`, `origin` a distribution and its version, or a module."""

    name: str
    value: str
    origin: str
    distribution: str | None = None


class Registry(Generic[T]):
    """All components of one kind ("kernel", "transform", …), by name.

    `base` is the class each of them extends; `group` is the entry-point group, `warpkit.<kind>s`.
    """

    def __init__(self, kind: str, base: type[T]) -> None:
        self.kind, self.base, self.group = kind, base, f"warpkit.{kind}s"
        self._declared: dict[str, list[Entry]] | None = None
        self._registered: dict[str, type[T]] = {}
        self._loaded: dict[str, type[T]] = {}
        self._lock = threading.RLock()  # an import may register
        self.revision = 0  # how many classes were registered
        # A namespace and no dict: torch.compile reads an attribute afresh, but a dict as it was at its first use.
        self._shared = types.SimpleNamespace()
        self._named: dict[tuple[Any, ...], T] = {}  # those of them that are made from a name alone
        self._tables: list[str] = []  # the keys of those that were made from tables, the oldest first
        _registries.append(self)

    def names(self) -> list[str]:
        """The known names, sorted; nothing is imported."""
        return sorted({*self._entry_points(), *self._registered})

    def entries(self, name: str) -> list[Entry]:
        """Every claim to `name`: one, unless two packages take the same name."""
        if name in self._registered:
            cls = self._registered[name]
            return [Entry(name, _path(cls), f"registered in {cls.__module__}")]
        if name not in self._entry_points():
            self._entry_points(again=True)  # installed since?
        if name not in self._entry_points():
            error = unknown(self.kind, name, self.names())
            lost = next((stray for stray in strays() if stray.name == name), None)
            raise error if lost is None else error.hinting(str(lost))
        return self._entry_points()[name]

    def load(self, name: str) -> type[T]:
        """The class of this name, which is imported if it is not yet.

        Raises `InputError` for an unknown name, and for one that two packages claim, that cannot be imported or that is
        no subclass of `base`, naming the package.
        """
        require(isinstance(name, str), f"{self.kind}", expected="a name", given=name)
        if name in self._registered:
            return self._registered[name]
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._import(self._choose(self.entries(name)))
            return self._loaded[name]

    def register(self, name: str) -> Callable[[C], C]:
        """Decorator that makes a class known by `name` in this process, as a notebook or a test needs.

        The same class again (a cell that is run twice) replaces it; another class under a taken name is an
        `InputError`.
        """
        require(isinstance(name, str) and name != "", f"{self.kind}", expected="a name", given=name)

        def add(cls: C) -> C:
            require(
                isinstance(cls, type) and issubclass(cls, self.base),
                f"{self.kind} {quoted(name)}: {quoted(cls)} is no subclass of {self.base.__name__}",
            )
            with self._lock:
                taken = self.entries(name) if name in self.names() else []
                for other in taken:
                    if other.value != _path(cls):
                        raise InputError(f"{self.kind} {quoted(name)} is taken by {other.value} ({other.origin})")
                self._registered[name] = cls
                self.revision += 1
                for registry in _registries:  # a composition elsewhere may hold one of the old class
                    vars(registry._shared).clear()
                    registry._named.clear()
            return cls

        return add

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The options of this name, which are the parameters of its class's constructor."""
        return _options(self.load(name))

    def create(self, name: str, **options: Any) -> T:
        """A new object of this name; `InputError` for an unknown option, and for one that is missing."""
        cls = self.load(name)
        known = _options(cls)
        require(all(isinstance(option, str) for option in options), f"{self.kind} {quoted(name)}: options are names")
        if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
            for option in options:
                if option not in known:
                    raise unknown(f"option of {self.kind} {quoted(name)}", option, known)
        missing = [
            k for k, p in known.items() if p.default is p.empty and p.kind < p.VAR_POSITIONAL and k not in options
        ]
        require(not missing, f"{self.kind} {quoted(name)} needs its option {', '.join(map(quoted, missing))}")
        made = cls(**options)
        if isinstance(made, nn.Module) and not isinstance(made, Component):
            note_options(made, options)
        return made

    def own(self, given: Any, **defaults: Any) -> T:
        """A new object for a name or a table `{"type": name, **options}`; an object is returned as it is.

        `defaults` are options that the class may take and that `given` need not name.
        """
        if isinstance(given, self.base):
            return given
        name, options = self._parse(given)
        known = _options(self.load(name))
        return self.create(name, **{k: v for k, v in defaults.items() if k in known} | options)

    def shared(self, given: Any, device: torch.device, **defaults: Any) -> T:
        """The object of a name or a table, on `device`, with nothing in it that learns; an object is returned as it is.

        A name is always the same object, and so is a table of plain data, while it is among the last that were used. A
        table that holds an object is built afresh around it.
        """
        if isinstance(given, self.base):
            return given
        if torch.compiler.is_compiling():
            key = self._key(given, device, defaults)
            if key is None:
                return self._fixed(given, device, defaults)
            self._keep_for_trace(key, given, device, defaults)  # always: a trace begun again must take the same path
            return getattr(self._shared, key)  # type: ignore[no-any-return]
        if tracing.has_fake_tensors():
            return self._fixed(given, device, defaults)
        name = (given, device, *defaults.items()) if isinstance(given, str) else None
        made = None if name is None else self._named.get(name)  # quicker than to write the key
        if made is None:
            key = self._key(given, device, defaults)
            made = self._fixed(given, device, defaults) if key is None else self._keep(key, given, device, defaults)
        return made

    def _key(self, given: Any, device: torch.device, defaults: dict[str, Any]) -> str | None:
        """The key under which the object is kept; None for a table that holds an object."""
        name, options = self._parse(given)
        if not is_plain(options):
            return None
        # torch.compile reads no dots
        return f"{name}({written(options) or ''}) {device} {defaults}".replace(".", "·")

    @tracing.constant
    def _keep_for_trace(self, key: str, given: Any, device: torch.device, defaults: dict[str, Any]) -> bool:
        self._keep(key, given, device, defaults)
        return True

    def _keep(self, key: str, given: Any, device: torch.device, defaults: dict[str, Any]) -> T:
        kept = vars(self._shared)
        with self._lock:
            made: T | None = kept.get(key)
            if made is None:
                made = kept[key] = self._fixed(given, device, defaults)
                if not isinstance(given, str):
                    self._tables.append(key)
                    if len(self._tables) > _MOST_TABLES:
                        kept.pop(self._tables.pop(0), None)
            if isinstance(given, str):
                self._named[given, device, *defaults.items()] = made
            return made

    def _fixed(self, given: Any, device: torch.device, defaults: dict[str, Any]) -> T:
        """A new object on `device` in which nothing learns, around objects of the caller's, which stay as they are."""
        with contextlib.nullcontext() if tracing.has_fake_tensors() else tracing.constants():
            made = self.own(given, **defaults)
            if isinstance(made, nn.Module):
                theirs = {part for held in modules_in(given) for part in held.modules()}
                for part in made.modules():
                    if part not in theirs:
                        part._apply(lambda t: t.to(device), recurse=False)  # type: ignore[no-untyped-call]
                        for phi in part.parameters(recurse=False):
                            phi.requires_grad_(False)
        return made

    def _parse(self, given: Any) -> tuple[str, dict[str, Any]]:
        if isinstance(given, str):
            return given, {}
        if isinstance(given, dict) and isinstance(given.get("type"), str) and all(isinstance(k, str) for k in given):
            return given["type"], {k: v for k, v in given.items() if k != "type"}
        hint = "give an object of this class" if isinstance(given, type) else ""
        expected = f"a name, a table {{'type': name, …}} or a {self.base.__name__}"
        raise InputError(self.kind, expected=expected, given=given, hint=hint)

    def _entry_points(self, again: bool = False) -> dict[str, list[Entry]]:
        if self._declared is None or again:
            declared: dict[str, list[Entry]] = {}
            for point in _declared_in(self.group):
                dist = point.dist
                origin = f"{dist.name} {dist.version}" if dist else "unknown package"
                claims = declared.setdefault(point.name, [])
                claims.append(Entry(point.name, point.value, origin, dist.name if dist else None))
            self._declared = declared
        return self._declared

    def _choose(self, claims: list[Entry]) -> Entry:
        if len({c.value for c in claims}) == 1:
            return claims[0]
        both = " and by ".join(f"{c.origin} ({c.value})" for c in claims)
        home = [c for c in claims if c.distribution == NAME]  # nobody else can take our names
        require(
            len(home) > 0, f"{self.kind} {quoted(claims[0].name)} is claimed by {both}", hint="uninstall one of them"
        )
        warnings.warn(f"{self.kind} {quoted(claims[0].name)} is claimed by {both}: warpkit's own is used", stacklevel=4)
        return home[0]

    def _import(self, entry: Entry) -> type[T]:
        try:
            cls = importlib.metadata.EntryPoint(entry.name, entry.value, self.group).load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a stranger's module does
            raise InputError(
                f"{self.kind} {quoted(entry.name)} of {shown(entry.origin)} cannot be imported from "
                f"{shown(entry.value)}: {shown(type(error).__name__)}: {reason(error)}"
            ) from error
        require(
            isinstance(cls, type) and issubclass(cls, self.base),
            f"{self.kind} {quoted(entry.name)} of {entry.origin}: {entry.value} is no subclass of {self.base.__name__}",
            hint=_other_group(cls),
        )
        return cls  # type: ignore[no-any-return]


def _declared_in(group: str) -> list[Any]:  # of importlib.metadata, or its backport, which takes its place
    """The entry points of this group; a broken distribution is left out."""
    try:
        return list(importlib.metadata.entry_points(group=group))
    except Exception:  # a malformed or undecodable file of anybody's
        found: dict[str, list[Any]] = {}
        for dist in importlib.metadata.distributions():
            with contextlib.suppress(Exception):
                found.setdefault(dist.name, [p for p in dist.entry_points if p.group == group])  # the first on the path
        return [point for points in found.values() for point in points]


def _other_group(cls: Any) -> str:
    """The hint for a class that stands in the group of another kind."""
    fitting = [
        it for it in _registries if it.base is not nn.Module and isinstance(cls, type) and issubclass(cls, it.base)
    ]
    return (
        f"it is a {fitting[0].kind}: declare it in the entry-point group {quoted(fitting[0].group)}" if fitting else ""
    )


def _path(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _options(cls: type) -> dict[str, inspect.Parameter]:
    if cls.__init__ in (object.__init__, nn.Module.__init__):  # type: ignore[misc]
        return {}
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return {k: p for i, (k, p) in enumerate(parameters.items()) if i > 0 and p.kind is not p.VAR_POSITIONAL}
