"""A spec's data out of a file, and what is overridden in it."""

import copy
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warpkit.errors import InputError, quoted, require
from warpkit.kernels.base import kernels
from warpkit.modules.base import modules
from warpkit.transforms.base import transforms

SUFFIXES = (".toml", ".yaml", ".yml", ".json")
_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def read(spec: dict[str, Any] | str | Path) -> dict[str, Any]:
    """The data of a spec: itself, or what a TOML, YAML or JSON file holds (by its suffix).

    Raises `InputError` for a file that is not there, of another kind, or that cannot be parsed.
    """
    if isinstance(spec, dict):
        return spec
    require(isinstance(spec, str | Path), f"spec: expected a dict or a path, got {type(spec).__name__}")
    path = Path(spec)
    right = path.suffix.lower() in SUFFIXES
    require(right, f"spec: expected a file that ends in .toml, .yaml or .json, got {quoted(str(spec))}")
    require(is_file(path), f"spec: no such file: {quoted(str(path))}")
    try:
        data = _parse(path.read_text(encoding="utf-8-sig"), path)
    except InputError:
        raise
    except (Exception, RecursionError) as error:  # each parser has its own
        raise InputError(f"spec: {path} cannot be parsed: {error}") from error
    require(isinstance(data, dict), f"spec: {path} holds {type(data).__name__}, expected a table")
    return data  # type: ignore[no-any-return]


def _parse(text: str, path: Path) -> Any:
    if path.suffix.lower() == ".toml":
        return tomllib.loads(text)
    if path.suffix.lower() == ".json":
        return json.loads(text, object_pairs_hook=_table)
    return _parse_yaml(text)


def _parse_yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise InputError("spec: reading YAML needs PyYAML: pip install 'warpkit[spec]'") from error

    class Loader(yaml.SafeLoader):
        """YAML 1.2 in two points: 1e-5 is a number, and a key stands once."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            _check_once([self.construct_object(key, deep=True) for key, _ in node.value])
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
    return yaml.load(text, Loader)  # it is a safe loader


def _check_once(keys: list[Any]) -> None:
    twice = sorted({key for key in keys if isinstance(key, str) and keys.count(key) > 1 and key != "<<"})
    require(not twice, f"spec: {', '.join(map(quoted, twice))} is given twice in one table")


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _check_once([key for key, _ in pairs])
    return dict(pairs)


def is_file(path: Path) -> bool:
    """Whether there is one; a path that no system can have is none."""
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
    require(right, f"overrides: expected paths and values, {{'layers.0.p': 0.5}}, got {quoted(overrides)}")
    data = copy.deepcopy(spec) if overrides else spec
    for path, value in overrides.items():
        keys = re.sub(r"\[(\d+)\]", r".\1", path).split(".")
        holder: Any = data
        for i, key in enumerate(keys[:-1]):
            holder = _inside(holder, key, ".".join(keys[: i + 1]))
        _set(holder, keys[-1], value, path)
    return data


def _inside(holder: Any, key: str, path: str) -> Any:
    """What lies at `key`, made a table where it is a name or missing."""
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
    require(right, f"override {path:.80}: expected a number from 0 to {len(holder) - 1}, got {quoted(key)}")
    return int(key)
