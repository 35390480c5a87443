"""The spatial transformers in a model."""

from typing import Any

from torch import nn

from warpkit.errors import require
from warpkit.modules.spatial_transformer import SpatialTransformer


def transformers_in(model: nn.Module) -> dict[str, SpatialTransformer]:
    """Each spatial transformer once, by its path; "transformer" where the model is one itself.

    Of a model in `DataParallel`, `DistributedDataParallel` or `torch.compile` the paths are those of the module inside.
    """
    inner: Any = model
    while True:
        if isinstance(inner, nn.parallel.DataParallel | nn.parallel.DistributedDataParallel):
            inner = inner.module
        elif hasattr(inner, "_orig_mod"):  # torch.compile's, whose class is slow to import
            inner = inner._orig_mod
        else:
            break
    return {path or "transformer": m for path, m in inner.named_modules() if isinstance(m, SpatialTransformer)}


def transformers_of(model: nn.Module) -> dict[str, SpatialTransformer]:
    """The transformers of a model, as `transformers_in`; `InputError` for a model without any."""
    require(isinstance(model, nn.Module), "model", expected="a module", given=model)
    found = transformers_in(model)
    require(len(found) > 0, f"model: {type(model).__name__} has no SpatialTransformer in it")
    return found
