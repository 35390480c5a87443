"""The data of a spec from a file, and the values that override it."""

import copy
import json
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warpkit.distribution import to_install
from warpkit.errors import InputError, at, quoted, require
from warpkit.kernels.base import kernels
from warpkit.modules.base import modules
from warpkit.quoting import listed, shown
from warpkit.transforms.base import transforms

SUFFIXES = (".toml", ".yaml", ".yml", ".json")
# A file of more says nothing that a network needs, and takes its reader longer than anybody waits.
_LETTERS, _VALUES, _DEEP, _PARTS, _DIGITS = 2**19, 30_000, 200, 20, 100
_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+\Z")
_NUMBERS = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp"))
_TEXT = "tag:yaml.org,2002:str"
# A dotted key of TOML with many parts: the time of its parser grows with the square of their number.
_PART = r"""(?:"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|[\w-]++)[ \t]*+\.[ \t]*+"""
_DOTTED = re.compile(rf"""(?<![\w"'\\-])(?:{_PART}){{{_PARTS}}}""")


def read(spec: dict[str, Any] | str | Path, what: str = "spec") -> dict[str, Any]:
    """The data of a spec: a dict itself, or the contents of a TOML, YAML or JSON file (by its suffix).

    `what` an error calls it. Raises `InputError` for a file that is not there, of another kind, or that cannot be
    parsed, and for data that is larger or deeper than any network.
    """
    with at(what):
        data = spec if isinstance(spec, dict) else _of_file(spec)
        check_extent(data)
        return data


def _of_file(spec: Any) -> dict[str, Any]:
    require(isinstance(spec, str | Path), expected="a dict or a path", given=spec)
    path = Path(spec)
    right = path.suffix.lower() in SUFFIXES
    require(right, expected="a file that ends in .toml, .yaml or .json", given=quoted(str(spec), 300))
    require(is_file(path), f"no such file: {quoted(str(path), 300)}")
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(_LETTERS + 1)
        require(len(text) <= _LETTERS, f"{shown(path)} has more than {_LETTERS:,} letters")
        data = _parse(text, path)
    except InputError:
        raise
    except Exception as error:  # each parser has its own
        deep = isinstance(error, RecursionError)
        told = "nested too deeply" if deep else shown(" ".join(str(error).split()), 300)
        raise InputError(f"{shown(path)} cannot be parsed: {told}") from error
    require(isinstance(data, dict), expected="a table", given=data, path=shown(path))
    return data  # type: ignore[no-any-return]


def check_extent(data: Any) -> None:
    """Raise `InputError` for more or deeper values than a spec needs; one that stands in it twice counts twice."""
    count, left = 1, [(data, 0)]
    while left:
        value, depth = left.pop()
        if isinstance(value, dict | list | tuple):
            count += len(value)
            require(count <= _VALUES, f"more than {_VALUES:,} values in it")
            require(depth < _DEEP, f"nested more than {_DEEP} deep")
            left += [(part, depth + 1) for part in (value.values() if isinstance(value, dict) else value)]


def _parse(text: str, path: Path) -> Any:
    if path.suffix.lower() == ".toml":
        require(_DOTTED.search(text) is None, f"a key of more than {_PARTS} parts", path=shown(path))
        return tomllib.loads(text)
    if path.suffix.lower() == ".json":
        return json.loads(text, object_pairs_hook=_table)
    return _parse_yaml(text)


def _parse_yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise InputError("reading YAML needs PyYAML", hint=to_install("spec")) from error

    class Loader(yaml.SafeLoader):
        """A loader with three rules of YAML 1.2: 1e-5 is a number, lookalikes are text, a key stands once."""

        def __init__(self, text: str) -> None:
            super().__init__(text)
            self.values, self.extent = 0, dict[int, int]()  # so far, and of each node with all that is in it

        def compose_node(self, parent: Any, index: Any) -> Any:
            """Count the values that an alias stands for before they are made: merged keys are copied each time."""
            before, is_alias = self.values, self.check_event(yaml.AliasEvent)
            self.values += 1
            node = super().compose_node(parent, index)
            if is_alias:
                require(id(node) in self.extent, "an alias stands inside of what it stands for")
                self.values += self.extent[id(node)]
            else:
                self.extent[id(node)] = self.values - before
            require(self.values <= _VALUES, f"more than {_VALUES:,} values in it")
            return node

        def compose_scalar_node(self, anchor: Any) -> Any:
            node = super().compose_scalar_node(anchor)
            if node.tag in _NUMBERS and not (len(node.value) <= _DIGITS and self.is_right(node)):
                node.tag = _TEXT
            return node

        def is_right(self, node: Any) -> bool:
            try:
                self.yaml_constructors[node.tag](self, node)
            except ValueError:  # 0x_ for an int, the 45th of June for a date
                return False
            return True

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            _check_once([self.construct_object(key, deep=True) for key, _ in node.value])
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
    return yaml.load(text, Loader)  # it is a safe loader


def _check_once(keys: list[Any]) -> None:
    counts = Counter(key for key in keys if isinstance(key, str) and key != "<<")
    twice = sorted(key for key, count in counts.items() if count > 1)
    require(not twice, f"{listed(map(quoted, twice), 10)} is given twice in one table")


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _check_once([key for key, _ in pairs])
    return dict(pairs)


def is_file(path: Path) -> bool:
    """Whether the path leads to a file; one that no system can have does not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def overridden(spec: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with the values at some paths replaced: `{"layers.0.transform.type": "projective"}`.

    Numbers count from 0 into lists; a component that is a name becomes a table where an option of it is set. Another
    `type` drops the options that it does not know. Raises `InputError` for a path that leads nowhere.
    """
    right = isinstance(overrides, Mapping) and all(isinstance(path, str) and path for path in overrides)
    require(right, "overrides", expected="paths and values, {'layers.0.p': 0.5}", given=overrides)
    data = copy.deepcopy(spec) if overrides else spec
    for path, value in overrides.items():
        keys = re.sub(r"\[(\d+)\]", r".\1", path).split(".") if len(path) < 10_000 else []
        require(0 < len(keys) <= _DEEP, f"override {shown(path, 80)}: longer than any path")
        holder: Any = data
        for i, key in enumerate(keys[:-1]):
            holder = _inside(holder, key, shown(".".join(keys[: i + 1]), 80))
        _set(holder, keys[-1], value, shown(path, 80))
        with at(f"override {shown(path, 80)}"):
            check_extent(data)
    return data


def _inside(holder: Any, key: str, path: str) -> Any:
    """The value at `key`, which becomes a table where it is a name or missing."""
    if isinstance(holder, list):
        index = _index(holder, key, path)
        if isinstance(holder[index], str):
            holder[index] = {"type": holder[index]}
        return holder[index]
    require(isinstance(holder, dict), f"override {path}: {quoted(key)} of {quoted(holder, 60)} cannot be set")
    if isinstance(holder.get(key, {}), str):
        holder[key] = {"type": holder[key]}
    return holder.setdefault(key, {})


def _set(holder: Any, key: str, value: Any, path: str) -> None:
    if isinstance(holder, list):
        holder[_index(holder, key, path)] = value
        return
    require(isinstance(holder, dict), f"override {path}: {quoted(key)} of {quoted(holder, 60)} cannot be set")
    if key == "type" and value != holder.get("type"):
        kept = {"id", "version", "input", "inputs"} | {
            option
            for registry in (transforms, kernels, modules)
            if isinstance(value, str) and value in registry.names()
            for option in registry.options(value)
        }
        for option in holder.keys() - kept:
            del holder[option]
    holder[key] = value


def _index(holder: list[Any], key: str, path: str) -> int:
    right = re.fullmatch("[0-9]{1,6}", key) is not None and int(key) < len(holder)
    require(right, f"override {path}", expected=f"a number from 0 to {len(holder) - 1}", given=key)
    return int(key)
