"""A module as one file: its spec, its weights, and which plugins it needs. Loading one runs no code of the file's."""

import importlib.metadata
import json
import re
import warnings
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from warpkit.errors import InputError, quoted, require
from warpkit.files import written_whole
from warpkit.spec.build import build, planned
from warpkit.spec.describe import check_weights, to_spec, weights_of
from warpkit.spec.hints import KINDS
from warpkit.spec.read import is_file

_KEY = "warpkit"  # of the file's metadata
_FORMAT = 1
_REGISTRIES = [registry for _, registry in KINDS]


def save(module: nn.Module, path: str | Path) -> None:
    """Write a module to one file: its spec, its weights (safetensors), and the plugins that it needs, with versions.

    The file appears whole or not at all. Raises `InputError` for what no spec can say (see `to_spec`), for lazy layers
    that have not seen an input, and for weights that are no tensors.
    """
    safetensors = _safetensors()
    require(isinstance(module, nn.Module), f"save: expected a module, got {quoted(module)}")
    path = _path("save", path)
    lazy = [name for name, p in module.named_parameters() if is_lazy(p)]
    require(not lazy, f"save: {', '.join(lazy[:5])} has not seen an input yet: call the module once")
    weights = weights_of(module)
    nowhere = [name for name, tensor in weights.items() if tensor.is_meta]
    require(not nowhere, f"save: {', '.join(nowhere[:5])} is on meta, and has no numbers")
    spec = to_spec(module)
    head = {"format": _FORMAT, "warpkit": importlib.metadata.version("warpkit"), "spec": spec, "plugins": _needed(spec)}
    data = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    with written_whole(path) as draft:
        draft.write_bytes(safetensors.save(data, metadata={_KEY: json.dumps(head)}))


def load(path: str | Path) -> nn.Module:
    """The module of a file that `save` wrote, on the CPU.

    Nothing in the file is executed: it names components, which only installed packages provide. Raises `InputError`
    for a file of another kind, and for a plugin that is missing: it names the distribution to install.
    """
    _safetensors()
    from safetensors import SafetensorError, safe_open

    path = _path("load", path)
    require(is_file(path), f"load: no such file: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            head = json.loads((file.metadata() or {})[_KEY])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise InputError(f"load: {path} is no file of warpkit.save: {error or type(error).__name__}") from error
    right = isinstance(head, dict) and isinstance(head.get("spec"), dict) and isinstance(head.get("plugins"), list)
    require(right, f"load: {path} is no file of warpkit.save: its spec is missing")
    require(
        head.get("format") == _FORMAT, f"load: {path} was written by warpkit {head.get('warpkit')}: upgrade warpkit"
    )
    _check_plugins(head["plugins"], path)
    try:
        check_weights(weights_of(planned(head["spec"]).module), weights)
        module = build(head["spec"])
    except InputError as error:
        raise InputError(f"load: {path}: {error}") from error
    for name, held in weights_of(module).items():
        held.data = weights[name].clone()  # in the file's type; the copy is aligned, as fast (and equal) sums need it
    return module


def _path(what: str, given: Any) -> Path:
    right = isinstance(given, str | Path) and "\0" not in str(given) and len(str(given)) < 4096
    require(right, f"{what}: expected a path, got {quoted(given)}")
    return Path(given)


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise InputError("saving and loading needs safetensors: pip install 'warpkit[spec]'") from error
    return safetensors.torch


def _needed(spec: dict[str, Any]) -> list[dict[str, str]]:
    """The components that are not warpkit's own: what each is called, and which distribution has it."""
    found = {}
    for name in sorted(_names(spec)):
        for registry in _REGISTRIES:
            for entry in registry.entries(name) if name in registry.names() else ():
                if entry.distribution != "warpkit":
                    version = importlib.metadata.version(entry.distribution) if entry.distribution else ""
                    item = {"kind": registry.kind, "name": name, "distribution": entry.distribution or "",
                            "version": version, "origin": entry.origin}  # fmt: skip
                    found[registry.kind, name] = item
    return list(found.values())


def _names(value: Any) -> set[str]:
    """Every text in a spec: among them the names of its components."""
    if isinstance(value, str):
        return {value}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(_names, parts))


def _check_plugins(plugins: list[Any], path: Path) -> None:
    missing = []
    for item in plugins:
        require(isinstance(item, dict), f"load: {path} is no file of warpkit.save: {quoted(item)}")
        registry = next((r for r in _REGISTRIES if r.kind == item.get("kind")), None)
        name, distribution, version = (str(item.get(key) or "") for key in ("name", "distribution", "version"))
        if registry is None or name in registry.names():
            if distribution and _installed(distribution) not in ("", version):
                warnings.warn(
                    f"{path} was saved with {distribution} {version}, installed is {_installed(distribution)}",
                    stacklevel=3,
                )
            continue
        # a stranger's words: only what is a name and a version becomes a command that somebody may paste
        is_plain = re.fullmatch(r"[\w.-]+", distribution) and re.fullmatch(r"[\w.+!-]+", version)
        install = f"pip install '{distribution}=={version}'"
        cure = install if is_plain else f"it was {quoted(item.get('origin'))}: import that"
        missing.append(f"{item['kind']} {quoted(name)} is missing: {cure}")
    require(not missing, f"load: {path}: {'; '.join(missing)}")


def _installed(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
