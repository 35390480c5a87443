"""ResNet, a backbone for photographs, into which weights that others trained can be loaded."""

import pickle
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from warpkit.component import Component
from warpkit.errors import InputError, require

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_DEEP = 50  # from here on a block has three convolutions, and four times as many channels at its end


class ResNet(Component):
    """A backbone: images to features, `[N, C, H, W]` → `[N, 512]`, or `[N, 2048]` from 50 layers on.

    Its parameters are named as in torchvision, so that weights from there load, see `load_weights`. The last layer, of
    classes, is left out.

    `depth`: 18, 34, 50, 101 or 152 layers. `channels`: of the image.

    Source: K. He et al., "Deep residual learning for image recognition", CVPR 2016; where a block of three halves the
    image, its 3×3 convolution does.
    """

    def __init__(self, depth: int = 50, channels: int = 3) -> None:
        super().__init__()
        known = type(depth) is int and depth in _BLOCKS
        require(known, "depth", expected=f"one of {', '.join(map(str, _BLOCKS))}", given=depth)
        require(type(channels) is int and channels > 0, "channels", expected="1 or more", given=channels)
        self.depth = depth
        self.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        first, second, third, fourth = _BLOCKS[depth]
        more = 4 if depth >= _DEEP else 1
        self.layer1 = _blocks(first, 64, 64, 64 * more, stride=1)
        self.layer2 = _blocks(second, 64 * more, 128, 128 * more, stride=2)
        self.layer3 = _blocks(third, 128 * more, 256, 256 * more, stride=2)
        self.layer4 = _blocks(fourth, 256 * more, 512, 512 * more, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, image: Float[Tensor, "N C H W"]) -> Float[Tensor, "N F"]:
        """The features of the image, averaged over all places."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))  # type: ignore[no-any-return]

    def load_weights(self, file: str | Path) -> None:
        """Take the parameters over from a state dict: torch's (.pth, .pt, read without running code) or safetensors.

        Those of a last layer, `fc`, are passed over. Raises `InputError` for a file that cannot be read, and one that
        lacks a parameter, has others, or other shapes.
        """
        given, mine = _read(Path(file)), self.state_dict()
        given = {name: value for name, value in given.items() if not name.startswith("fc.")}
        counters = {name for name in mine if name.endswith("num_batches_tracked")}  # old files are without
        for what, names in (
            ("lacks", mine.keys() - given.keys() - counters),
            ("has, which this network has not,", given.keys() - mine.keys()),
        ):
            depth = f"is it of another depth than {self.depth}?"
            require(not names, f"weights: {file} {what} {', '.join(sorted(names)[:3])}", hint=depth)
        for name, value in given.items():
            where, wanted = f"weights: {file}: {name}", f"{list(mine[name].shape)}"
            require(value.shape == mine[name].shape, where, expected=wanted, given=list(value.shape))
        self.load_state_dict({**mine, **given})


class _Block(nn.Module):
    """A residual block: two 3×3 convolutions, or one between two of 1×1, are added to the input."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int) -> None:
        super().__init__()
        shapes = [(inputs, inner, 3, stride), (inner, outputs, 3, 1)]
        if outputs != inner:
            shapes = [(inputs, inner, 1, 1), (inner, inner, 3, stride), (inner, outputs, 1, 1)]
        self.depth = len(shapes)
        for i, (before, after, size, step) in enumerate(shapes, 1):
            setattr(self, f"conv{i}", nn.Conv2d(before, after, size, step, padding=size // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(after))
        self.relu = nn.ReLU()
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K h w"]:
        """The input, and what the convolutions add to it."""
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = self.relu(y) if i < self.depth else y
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))  # type: ignore[no-any-return]


def _blocks(count: int, inputs: int, inner: int, outputs: int, stride: int) -> nn.Sequential:
    """The blocks of one stage; the first one halves the image where `stride` is 2."""
    first = _Block(inputs, inner, outputs, stride)
    return nn.Sequential(first, *(_Block(outputs, inner, outputs, stride=1) for _ in range(count - 1)))


def _read(file: Path) -> dict[str, Tensor]:
    require(file.is_file(), f"weights: no such file: {file}")
    try:
        kept = _safetensors(file) if file.suffix == ".safetensors" else _pickled(file)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"weights: {file} is no state dict", hint="torch.save(model.state_dict(), FILE) writes one"
        ) from error
    except Exception as error:  # what a damaged file makes torch and safetensors stumble over
        told = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"weights: {file} cannot be read: {told}") from error
    for inside in ("state_dict", "model"):
        kept = kept.get(inside, kept) if isinstance(kept, dict) else {}
    pairs = kept.items() if isinstance(kept, dict) else ()
    found = {str(name).removeprefix("module."): value for name, value in pairs if isinstance(value, Tensor)}
    require(bool(found), f"weights: {file} holds no parameters by name")
    return found


def _safetensors(file: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(file)


def _pickled(file: Path) -> Any:
    return torch.load(file, map_location="cpu", weights_only=True)
