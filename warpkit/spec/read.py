"""A spec's data out of a file."""

import json
import tomllib
from pathlib import Path
from typing import Any

from warpkit.errors import InputError, require


def read(spec: dict[str, Any] | str | Path) -> dict[str, Any]:
    """The data of a spec: itself, or what a TOML, YAML or JSON file holds (by its suffix).

    Raises `InputError` for a file that is not there, of another kind, or that cannot be parsed.
    """
    if isinstance(spec, dict):
        return spec
    require(isinstance(spec, str | Path), f"spec: expected a dict or a path, got {type(spec).__name__}")
    path = Path(spec)
    require(path.is_file(), f"spec: no such file: {path}")
    try:
        data = _parse(path.read_text(encoding="utf-8-sig"), path)
    except InputError:
        raise
    except Exception as error:  # each parser has its own
        raise InputError(f"spec: {path} cannot be parsed: {error}") from error
    require(isinstance(data, dict), f"spec: {path} holds {type(data).__name__}, expected a table")
    return data  # type: ignore[no-any-return]


def _parse(text: str, path: Path) -> Any:
    match path.suffix.lower():
        case ".toml":
            return tomllib.loads(text)
        case ".json":
            return json.loads(text)
        case ".yaml" | ".yml":
            try:
                import yaml
            except ImportError as error:
                raise InputError("spec: reading YAML needs PyYAML: pip install pyyaml") from error
            return yaml.safe_load(text)
    raise InputError(f"spec: expected a file that ends in .toml, .yaml or .json, got {path}")
