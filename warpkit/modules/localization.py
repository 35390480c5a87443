"""Localization networks, from an image to features. The transformer adds the regression to θ."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from warpkit.component import Component
from warpkit.errors import InputError, require
from warpkit.modules.base import LazyConv1d, LazyConv2d, LazyConv3d, LazyLinear


class _AdaptiveAvgPool3d(nn.AdaptiveAvgPool3d):
    """torch's own to one number of cells an axis; in an exported graph a product with a matrix for each axis, since
    ONNX has no such operator.
    """

    def forward(self, input: Float[Tensor, "N C *S"]) -> Float[Tensor, "N C *T"]:
        """The mean of each cell."""
        sizes = input.shape[2:]
        if not torch.compiler.is_exporting() or not all(type(n) is int for n in sizes):
            return super().forward(input)
        count: int = self.output_size  # type: ignore[assignment]  # as `ConvLocalization` makes it
        for axis, n in enumerate(sizes, start=2):
            spans = [(k * n // count, -(-(k + 1) * n // count)) for k in range(count)]
            means = [[(begin <= i < end) / (end - begin) for begin, end in spans] for i in range(n)]
            input = (input.movedim(axis, -1) @ input.new_tensor(means)).movedim(-1, axis)
        return input


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
        pool = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, _AdaptiveAvgPool3d)[ndim - 1]
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


class UNetLocalization(Component):
    """A U-Net: from image to a feature map `[N, widths[0], *S]` of the image's size, for a transformer with a field.

    Going down, two 3×3 convolutions with leaky ReLU and a 2× maximum a level; going up, the nearest pixel twice as
    large, joined with what was there on the way down, and two convolutions again. Any size, odd ones too. The input's
    channels are found on first use.

    `widths`: channels of each level, the finest first; the last is that of the bottom. `depth`: how many levels; more
    than widths repeat the last of them.

    O. Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015; as in
    G. Balakrishnan et al., "VoxelMorph: a learning framework for deformable medical image registration", IEEE TMI
    38(8), 2019.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 32), depth: int | None = None, ndim: int = 2) -> None:
        super().__init__()
        require(ndim in (1, 2, 3), "ndim", expected="1, 2 or 3", given=ndim)
        _check_widths("widths", widths)
        least = len(widths)
        right = depth is None or (type(depth) is int and depth >= least)
        require(right, "depth", expected=f"{least} levels, one for each width, or more", given=depth)
        each = [*widths, *[widths[-1]] * ((depth or least) - least)]
        conv = (LazyConv1d, LazyConv2d, LazyConv3d)[ndim - 1]
        self.ndim = ndim
        self.pool = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[ndim - 1](2, ceil_mode=True)
        self.down = nn.ModuleList(_twice(conv, width) for width in each)
        self.up = nn.ModuleList(_twice(conv, width) for width in each[-2::-1])

    def forward(self, image: Float[Tensor, "N C *S"]) -> Float[Tensor, "N F *S"]:
        """The feature map [N, F, *S] of an image, as large as the image."""
        if image.ndim != self.ndim + 2:  # torch would take one axis less for an image without a batch
            raise InputError("image", expected=f"[N, C, *S] with {self.ndim} axes in S", given=list(image.shape))
        levels: list[Tensor] = []
        for level in self.down:
            levels.append(level(self.pool(levels[-1]) if levels else image))
        x = levels.pop()
        for level in self.up:
            finer = levels.pop()
            x = level(torch.cat([functional.interpolate(x, size=finer.shape[2:], mode="nearest"), finer], dim=1))
        return x


def _twice(conv: type[nn.Module], width: int) -> nn.Sequential:
    first, second = (conv(width, 3, padding=1) for _ in range(2))
    return nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2))


def _check_widths(what: str, widths: Sequence[int]) -> None:
    valid = isinstance(widths, list | tuple) and len(widths) > 0 and all(isinstance(w, int) and w > 0 for w in widths)
    require(valid, what, expected="positive integers", given=widths)
