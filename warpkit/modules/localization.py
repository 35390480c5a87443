"""Localization networks, from an image to features. The transformer adds the regression to θ."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from warpkit.component import Component
from warpkit.errors import InputError, require
from warpkit.modules.base import LazyConv1d, LazyConv2d, LazyConv3d, LazyLinear


class ConvLocalization(Component):
    """Convolutions that halve the image, a fixed 4-pixel pooling, one fully connected layer: any size → `[N,
    features]`.

    `channels`: of each 3×3 convolution, each followed by ReLU and a 2× maximum. `features`: of the fully connected
    layer. The input's channels are found on first use.
    """

    def __init__(self, channels: Sequence[int] = (16, 32), features: int = 64, ndim: int = 2) -> None:
        super().__init__()
        require(ndim in (1, 2, 3), "ndim", expected="1, 2 or 3", given=ndim)
        _check_widths("channels", channels)
        _check_widths("features", [features])
        conv = (LazyConv1d, LazyConv2d, LazyConv3d)[ndim - 1]
        halve = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[ndim - 1]
        pool = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[ndim - 1]
        layers: list[nn.Module] = []
        for width in channels:
            layers += [conv(width, 3, padding=1), nn.ReLU(), halve(2, ceil_mode=True)]
        self.ndim = ndim
        self.layers = nn.Sequential(*layers, pool(4), nn.Flatten(), LazyLinear(features), nn.ReLU())

    def forward(self, image: Float[Tensor, "N C *S"]) -> Float[Tensor, "N F"]:
        """The features [N, F] of images [N, C, *S]; `InputError` for another number of axes."""
        if image.ndim != self.ndim + 2:  # torch would take one axis less for an image without a batch
            raise InputError("image", expected=f"[N, C, *S] with {self.ndim} axes in S", given=list(image.shape))
        return self.layers(image)  # type: ignore[no-any-return]


class DenseLocalization(Component):
    """Fully connected layers with ReLU, on images of one size: `[N, C, *S]` → `[N, hidden[-1]]`.

    `hidden`: the width of each; the paper's is 32, 32. The input's size is found on first use.
    """

    def __init__(self, hidden: Sequence[int] = (32, 32)) -> None:
        super().__init__()
        _check_widths("hidden", hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for width in hidden:
            layers += [LazyLinear(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Float[Tensor, "N C *S"]) -> Float[Tensor, "N F"]:
        """The features [N, F] of images [N, C, *S], all of one size."""
        return self.layers(image)  # type: ignore[no-any-return]


def _check_widths(what: str, widths: Sequence[int]) -> None:
    valid = isinstance(widths, list | tuple) and len(widths) > 0 and all(isinstance(w, int) and w > 0 for w in widths)
    require(valid, what, expected="positive integers", given=widths)
