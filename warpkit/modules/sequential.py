"""A module that is a sequence of layers."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from warpkit.component import Component, Drawn
from warpkit.errors import require
from warpkit.modules.base import modules


class Sequential(Drawn, Component, nn.Sequential):
    """A sequence of layers: each takes the output of the one before.

    `layers`: modules, names or tables.
    """

    def __init__(self, layers: Sequence[nn.Module | str | dict[str, Any]]) -> None:
        require(isinstance(layers, list | tuple), "layers", expected="a list", given=layers)
        super().__init__(*(modules.own(layer) for layer in layers))

    def spec_options(self) -> dict[str, Any]:
        """The option `layers`: the modules themselves."""
        return {"layers": list(self)}

    def __getitem__(self, index: int | slice) -> nn.Module:
        """The layer at this index, or a `Sequential` of the layers of a slice."""
        return Sequential(list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)
