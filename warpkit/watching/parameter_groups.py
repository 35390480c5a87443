"""Groups of parameters for an optimizer, so that localization networks learn more slowly than the rest."""

from typing import Any

from torch import nn

from warpkit.errors import require
from warpkit.modules.spatial_transformer import SpatialTransformer


def parameter_groups(model: nn.Module, lr: float, localization: float = 0.1) -> list[dict[str, Any]]:
    """Groups for an optimizer of torch: "localization" at `lr · localization`, and "rest" at `lr`.

    Localization are the localization networks and regression layers of all spatial transformers in `model`, with
    whatever they contain; what is used outside of them too is not slowed, and neither are parameters of transforms and
    kernels. Frozen parameters are in the groups, as in `model.parameters()`, and so are those of lazy layers. A group
    that would be empty is left out.

    Raises `InputError` for a model that is no module, and a rate or factor that is no finite number of at least 0.

    >>> net = nn.Sequential(SpatialTransformer("conv_localization"), nn.Flatten(), nn.Linear(784, 10))
    >>> [(group["name"], group["lr"]) for group in parameter_groups(net, lr=0.01)]
    [('localization', 0.001), ('rest', 0.01)]
    """
    require(isinstance(model, nn.Module), "model", expected="a module", given=model)
    for what, given in (("lr", lr), ("localization", localization)):
        valid = isinstance(given, int | float) and 0 <= given < float("inf")
        require(valid, what, expected="a finite number of at least 0", given=given)
    outside = {id(p) for module in _outside(model, {}) for p in module.parameters(recurse=False)}
    slow = [p for p in model.parameters() if id(p) not in outside]
    rest = [p for p in model.parameters() if id(p) in outside]
    groups = [
        {"name": "localization", "params": slow, "lr": lr * localization},
        {"name": "rest", "params": rest, "lr": lr},
    ]
    return [group for group in groups if group["params"]]


def _outside(module: nn.Module, found: dict[nn.Module, None]) -> dict[nn.Module, None]:
    """The modules that can be reached without passing through a localization network or a regression layer."""
    if module not in found:
        found[module] = None
        for name, child in module._modules.items():
            inside = isinstance(module, SpatialTransformer) and name in ("localization", "regression")
            if child is not None and not inside:
                _outside(child, found)
    return found
