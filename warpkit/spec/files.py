"""A module as one file: its spec, its weights and the plugins it needs. Loading one runs no code of the file's."""

import importlib.metadata
import json
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from warpkit.distribution import NAME, is_ours, our_version, to_install, to_upgrade
from warpkit.errors import InputError, at, quoted, require
from warpkit.files import written_whole
from warpkit.quoting import listed, reason, shown
from warpkit.spec.build import build, planned
from warpkit.spec.describe import check_types, check_weights, spec_and_plan, weights_of
from warpkit.spec.hints import KINDS
from warpkit.spec.mistakes import not_too_deep
from warpkit.spec.read import is_file

_KEY = "warpkit"  # of the file's metadata
_FORMAT = 1
_HEAD, _SPEC = 2**24, 2**20  # the longest table of a file's tensors, and the longest text of a spec, in bytes
_PLUGINS = 1000  # that a file may name
_REGISTRIES = [registry for _, registry in KINDS]
_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
# What pip takes for a name and a version, and a shell for one word.
_NAME, _VERSION = re.compile(r"[A-Za-z0-9]([\w.-]{0,98}[A-Za-z0-9])?", re.ASCII), re.compile(r"[\w.+!]{1,60}", re.ASCII)


@not_too_deep("save")
def save(module: nn.Module, path: str | Path) -> None:
    """Write a module to one file: its spec, its weights (safetensors), and the plugins that it needs, with versions.

    The file appears whole or not at all. Raises `InputError` for what no spec can say (see `to_spec`), for lazy layers
    that have not seen an input, and for weights that are no tensors or that `load` would refuse.
    """
    safetensors = _safetensors()
    require(isinstance(module, nn.Module), "save", expected="a module", given=module)
    path = _path("save", path)
    lazy = [name for name, p in module.named_parameters() if is_lazy(p)]
    require(not lazy, f"save: {listed(lazy, 5)} has not seen an input yet", hint="call the module once")
    weights = weights_of(module)
    nowhere = [name for name, tensor in weights.items() if tensor.is_meta]
    require(not nowhere, f"save: {listed(nowhere, 5)} is on meta, and has no numbers")
    spec, plan = spec_and_plan(module)
    with at("save"):
        check_types(weights_of(plan.module), weights)
    head = {"format": _FORMAT, "warpkit": our_version(), "spec": spec, "plugins": _needed(spec)}
    data = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    with written_whole(path) as draft:
        draft.write_bytes(safetensors.save(data, metadata={_KEY: json.dumps(head)}))


@not_too_deep("load")
def load(path: str | Path) -> nn.Module:
    """Load the module of a file that `save` wrote, on the CPU.

    Nothing in the file is executed: it names components, which only installed packages provide. No weights are read or
    made before the spec is found right and theirs. Raises `InputError` for a file of another kind, for weights that
    could not run, and for a plugin that is missing: it names the distribution that the file names.
    """
    _safetensors()
    from safetensors import SafetensorError, safe_open

    path = _path("load", path)
    require(is_file(path), f"load: no such file: {shown(path)}")
    try:
        with path.open("rb") as raw:
            length = int.from_bytes(raw.read(8), "little")
        require(length <= _HEAD, "it is no file of warpkit.save: its head is too long")
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})[_KEY]
            require(len(text) <= _SPEC, f"its spec has more than {_SPEC:,} letters")
            return _loaded(file, json.loads(text), path)
    except InputError as error:
        raise error.at(f"load: {shown(path)}") from error
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise InputError(f"load: {shown(path)} is no file of warpkit.save: {reason(error)}") from error


def _loaded(file: Any, head: Any, path: Path) -> nn.Module:
    """The module in an open file."""
    right = isinstance(head, dict) and isinstance(head.get("spec"), dict) and isinstance(head.get("plugins"), list)
    require(right, "it is no file of warpkit.save: its spec is missing")
    told = f"it was written by warpkit {quoted(head.get('warpkit'), 40)}"
    require(head.get("format") == _FORMAT, told, hint=to_upgrade())
    _check_plugins(head["plugins"], path)
    expected = weights_of(planned(head["spec"]).whole)
    given = _described(file)
    check_weights(expected, given)
    check_types(expected, given)
    module = build(head["spec"])
    for name, held in weights_of(module).items():
        # In the file's type; the copy is aligned, as fast (and equal) sums need it.
        held.data = file.get_tensor(name).clone()
    return module


def _described(file: Any) -> dict[str, Tensor]:
    """The file's tensors on `meta`, with the shapes and types in its head."""
    found = {}
    for name in file.keys():  # noqa: SIM118
        part = file.get_slice(name)
        kind = part.get_dtype()
        require(kind in _TYPES, f"{shown(name)} is {shown(kind)}, which cannot run")
        found[name] = torch.empty(part.get_shape(), dtype=_TYPES[kind], device="meta")
    return found


def _path(what: str, given: Any) -> Path:
    right = isinstance(given, str | Path) and "\0" not in str(given) and len(str(given)) < 4096
    require(right, what, expected="a path", given=given)
    return Path(given)


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise InputError("saving and loading needs safetensors", hint=to_install("spec")) from error
    return safetensors.torch


def _needed(spec: dict[str, Any]) -> list[dict[str, str]]:
    """The spec's components that are not warpkit's own, each with its name and distribution."""
    found = {}
    for name in sorted(_names(spec)):
        for registry in _REGISTRIES:
            for entry in registry.entries(name) if name in registry.names() else ():
                if entry.distribution != NAME:
                    version = importlib.metadata.version(entry.distribution) if entry.distribution else ""
                    item = {"kind": registry.kind, "name": name, "distribution": entry.distribution or "",
                            "version": version, "origin": entry.origin}  # fmt: skip
                    found[registry.kind, name] = item
    return list(found.values())


def _names(value: Any) -> set[str]:
    """All texts in a spec, among which are the names of its components."""
    if isinstance(value, str):
        return {value}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(_names, parts))


def _check_plugins(plugins: list[Any], path: Path) -> None:
    """Raise `InputError` for missing plugins, warn of other versions; the file's own words are quoted."""
    missing, other = [], []
    for item in plugins[:_PLUGINS]:
        require(isinstance(item, dict), f"it is no file of warpkit.save: {quoted(item)}")
        registry = next((r for r in _REGISTRIES if r.kind == item.get("kind")), None)
        name, distribution, version = (shown(item.get(key) or "", 100) for key in ("name", "distribution", "version"))
        if registry is None or name in registry.names():
            installed = _installed(distribution)
            if installed not in ("", version):
                other.append(f"{distribution} {version}, installed is {installed}")
            continue
        cure = f"the file says that it was {quoted(item.get('origin'))}: import that, if you trust it"
        if is_ours(distribution):  # on the index that may be anybody's
            cure = f"the file says that it is in {distribution} {version}: {to_upgrade()}"
        elif _NAME.fullmatch(distribution) and _VERSION.fullmatch(version):
            source = f"the file says that it is in {distribution} {version}"
            cure = f"{source}; if you trust that and the file: pip install '{distribution}=={version}'"
        missing.append(f"{registry.kind} {quoted(name)} is missing: {cure}")
    require(not missing, "; ".join(missing[:5]))
    for told in other[:5]:
        warnings.warn(f"{shown(path)} was saved with {told}", stacklevel=5)


def _installed(distribution: str) -> str:
    """The version of a distribution, "" if it is not installed."""
    try:
        return importlib.metadata.version(distribution) if _NAME.fullmatch(distribution) else ""
    except importlib.metadata.PackageNotFoundError:
        return ""
