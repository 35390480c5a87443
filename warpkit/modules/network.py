"""A network that takes several images."""

import functools
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from warpkit.errors import require
from warpkit.modules.sequential import Sequential
from warpkit.quoting import listed

WARPED = "warped"


class Network(Sequential):
    """A sequence of layers on the first of several images; a layer may read θ from others, as registration does.

    Args:
        layers: modules, names or tables.
        inputs: a name for each image, in the order in which the network is called with them.
        theta_from: for each layer None, or the names of what its localization network sees, joined along channels:
            inputs, or "warped", the first image as it arrives at the layer (with `steps`, as it is warped so far).

    >>> moving, fixed = torch.rand(2, 1, 28, 28), torch.rand(2, 1, 28, 28)
    >>> transformer = {"type": "spatial_transformer", "localization": "conv_localization"}
    >>> net = Network([transformer], inputs=["moving", "fixed"], theta_from=[["warped", "fixed"]])
    >>> torch.equal(net(moving, fixed), moving)
    True
    """

    def __init__(
        self,
        layers: Sequence[nn.Module | str | dict[str, Any]],
        inputs: Sequence[str],
        theta_from: Sequence[Sequence[str] | None] | None = None,
    ) -> None:
        super().__init__(layers)
        names = tuple(inputs)
        valid = len(names) > 0 and len({*names, WARPED}) == len(names) + 1 and all(isinstance(n, str) for n in names)
        require(valid, "inputs", expected=f"different names, none of them {WARPED!r}", given=inputs)
        routes = [None] * len(self) if theta_from is None else [None if r is None else tuple(r) for r in theta_from]
        entries = f"{len(self)} entries, one a layer"
        require(len(routes) == len(self), "theta_from", expected=entries, given=theta_from)
        for route in routes:
            known = route is None or (len(route) > 0 and set(route) <= {*names, WARPED})
            require(known, "theta_from", expected=f"some of {listed((WARPED, *names))}", given=route)
        self.inputs, self.theta_from = names, tuple(routes)

    def forward(self, *images: Float[Tensor, "N C *S"]) -> Tensor:
        """The last layer's output, for images in the order of `inputs`; `InputError` for another number of them."""
        require(len(images) == len(self.inputs), "images", expected=listed(self.inputs), given=len(images))
        given = dict(zip(self.inputs, images, strict=True))
        x = images[0]
        for layer, route in zip(self, self.theta_from, strict=True):
            x = layer(x) if route is None else layer(x, theta_from=functools.partial(_joined, given, route))
        return x


def _joined(images: dict[str, Tensor], route: Sequence[str], warped: Tensor) -> Tensor:
    return torch.cat([warped if name == WARPED else images[name] for name in route], dim=1)
