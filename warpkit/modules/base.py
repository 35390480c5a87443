"""The registry of modules, and layers that find their input's width on first use."""

from typing import Any

import torch
from torch import nn

from warpkit.registry import Registry

modules: Registry[nn.Module] = Registry("module", nn.Module)


class _MadeTrainable:
    """A lazy layer whose weights can be trained although their first input came under `torch.inference_mode`."""

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        with torch.inference_mode(False):
            super().initialize_parameters(*args, **kwargs)  # type: ignore[misc]


class LazyLinear(_MadeTrainable, nn.LazyLinear):
    """A `nn.LazyLinear` that stays trainable after `torch.inference_mode`."""


class LazyConv1d(_MadeTrainable, nn.LazyConv1d):  # type: ignore[misc]
    """A `nn.LazyConv1d` that stays trainable after `torch.inference_mode`."""


class LazyConv2d(_MadeTrainable, nn.LazyConv2d):  # type: ignore[misc]
    """A `nn.LazyConv2d` that stays trainable after `torch.inference_mode`."""


class LazyConv3d(_MadeTrainable, nn.LazyConv3d):  # type: ignore[misc]
    """A `nn.LazyConv3d` that stays trainable after `torch.inference_mode`."""
