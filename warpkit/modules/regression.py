"""The layer that ends a localization network: features → what is added to where θ starts. Zero at the start."""

from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from warpkit.modules.base import LazyConv1d, LazyConv2d, LazyConv3d, LazyLinear
from warpkit.transforms.base import Transform

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Looked(NamedTuple):
    """What a localization network saw last, and the features that it gave, without their graph."""

    seen: Tensor
    features: Tensor
    has_graph: bool  # whether a gradient would come back through the features


class Regression(LazyLinear):
    """Features [N, F] → [N, P], zero whatever the features."""

    def reset_parameters(self) -> None:
        """Zero, once the first input is known."""
        if self.in_features > 0:
            _zeroed(self)


class _Zeroed:
    """A convolution, zero once the first input is known."""

    in_channels: int

    def reset_parameters(self) -> None:
        if self.in_channels > 0:
            _zeroed(self)


class FieldRegression1d(_Zeroed, LazyConv1d):  # type: ignore[misc]
    """A feature map [N, F, W] → [N, D, W], zero whatever the features."""


class FieldRegression2d(_Zeroed, LazyConv2d):  # type: ignore[misc]
    """A feature map [N, F, H, W] → [N, D, H, W], zero whatever the features."""


class FieldRegression3d(_Zeroed, LazyConv3d):  # type: ignore[misc]
    """A feature map [N, F, D, H, W] → [N, D, D, H, W], zero whatever the features."""


_OF_FIELDS = (FieldRegression1d, FieldRegression2d, FieldRegression3d)


def regression_for(transform: Transform, features: int | None) -> nn.Module:
    """A linear layer F → P or, for a field, a convolution F → D, 3 wide. F is found on first use unless given."""
    count, axis = transform.num_params, transform.ndim - 1
    if not transform.is_field:
        return Regression(count) if features is None else _zeroed(nn.Linear(features, count))
    if features is None:
        return _OF_FIELDS[axis](count, 3, padding=1)
    return _zeroed(_CONVOLUTIONS[axis](features, count, 3, padding=1))


def width_of(layer: Any) -> int:
    """F of such a layer; 0 before the first input."""
    return int(layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels)


def alike(numbers: Float[Tensor, " P"], theta: Float[Tensor, "N P *F"]) -> Float[Tensor, "P *ones"]:
    """P numbers as θ has them: the same at every place of a field."""
    return numbers.to(theta).reshape(-1, *[1] * (theta.ndim - 2))


def _zeroed(layer: Any) -> nn.Module:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer  # type: ignore[no-any-return]
