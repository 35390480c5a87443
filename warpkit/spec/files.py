"""A module as one file: its spec, its weights, and which plugins it needs. Loading one runs no code of the file's."""

import importlib.metadata
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from warpkit.errors import InputError, require
from warpkit.files import written_whole
from warpkit.kernels.base import kernels
from warpkit.modules.base import modules
from warpkit.registry import Registry
from warpkit.spec.build import build
from warpkit.spec.describe import to_spec
from warpkit.transforms.base import transforms

_KEY = "warpkit"  # of the file's metadata
_FORMAT = 1
_REGISTRIES: tuple[Registry[Any], ...] = (transforms, kernels, modules)


def save(module: nn.Module, path: str | Path) -> None:
    """Write a module to one file: its spec, its weights (safetensors), and the plugins that it needs, with versions.

    The file appears whole or not at all. Raises `InputError` for what no spec can say (see `to_spec`), for lazy layers
    that have not seen an input, and for weights that are no tensors.
    """
    safetensors = _safetensors()
    lazy = [name for name, p in module.named_parameters() if is_lazy(p)]
    require(not lazy, f"save: {', '.join(lazy[:5])} has not seen an input yet: call the module once")
    spec = to_spec(module)
    weights = _weights(module)
    head = {"format": _FORMAT, "warpkit": importlib.metadata.version("warpkit"), "spec": spec, "plugins": _needed(spec)}
    data = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    with written_whole(Path(path)) as draft:
        draft.write_bytes(safetensors.save(data, metadata={_KEY: json.dumps(head)}))


def load(path: str | Path) -> nn.Module:
    """The module of a file that `save` wrote, on the CPU.

    Nothing in the file is executed: it names components, which only installed packages provide. Raises `InputError`
    for a file of another kind, and for a plugin that is missing: it names the distribution to install.
    """
    _safetensors()
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    require(path.is_file(), f"load: no such file: {path}")
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
        module = build(head["spec"])
    except InputError as error:
        raise InputError(f"load: {path}: {error}") from error
    _fill(module, weights, path)
    return module


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise InputError("saving and loading needs safetensors: pip install 'warpkit[spec]'") from error
    return safetensors.torch


def _weights(module: nn.Module) -> dict[str, Tensor]:
    """What a state_dict holds, each tensor of a shared module once."""
    state = module.state_dict()
    for name, value in state.items():
        require(isinstance(value, Tensor), f"save: {name} is no tensor, got {type(value).__name__}")
    held = dict(module.named_parameters()) | dict(module.named_buffers())
    return {name: tensor for name, tensor in held.items() if name in state}


def _fill(module: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """The file's weights into a module, in their own type."""
    expected = _weights(module)
    for what, names in (("lacks", expected.keys() - weights.keys()), ("has besides", weights.keys() - expected.keys())):
        require(not names, f"load: {path} {what} {', '.join(sorted(names)[:5])}")
    for name, tensor in weights.items():
        shape = list(expected[name].shape)
        require(list(tensor.shape) == shape, f"load: {path}: {name} is {list(tensor.shape)}, expected {shape}")
    with torch.no_grad():
        for name, tensor in weights.items():
            expected[name].data = tensor


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
        require(isinstance(item, dict), f"load: {path} is no file of warpkit.save: {item!r:.60}")
        registry = next((r for r in _REGISTRIES if r.kind == item.get("kind")), None)
        name, distribution, version = (str(item.get(key, "")) for key in ("name", "distribution", "version"))
        if registry is None or name in registry.names():
            if distribution and _installed(distribution) not in ("", version):
                warnings.warn(
                    f"{path} was saved with {distribution} {version}, installed is {_installed(distribution)}",
                    stacklevel=3,
                )
            continue
        cure = (
            f"pip install '{distribution}=={version}'" if distribution else f"it was {item.get('origin')}: import that"
        )
        missing.append(f"{item['kind']} {name!r} is missing: {cure}")
    require(not missing, f"load: {path}: {'; '.join(missing)}")


def _installed(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
