"""Several transformers side by side on one input."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from warpkit.component import Component, Drawn
from warpkit.errors import require
from warpkit.modules.base import modules
from warpkit.modules.spatial_transformer import ThetaFrom


class Parallel(Drawn, Component):
    """Several transformers on the same input; their results are joined along channels.

    They may share a localization network: Jaderberg et al. 2015, section 3.4 and 4.3.

    `transformers`: modules (or names, tables) that take an image and, optionally, `theta_from`.
    """

    def __init__(self, transformers: Sequence[nn.Module | str | dict[str, Any]]) -> None:
        super().__init__()
        valid = isinstance(transformers, list | tuple | nn.ModuleList) and len(transformers) > 0
        require(valid, "transformers", expected="one at least", given=transformers)
        self.transformers = nn.ModuleList(modules.own(t) for t in transformers)

    def spec_options(self) -> dict[str, Any]:
        """The option `transformers`: the modules themselves."""
        return {"transformers": list(self.transformers)}

    def forward(self, image: Float[Tensor, "N C *S"], theta_from: ThetaFrom | None = None) -> Float[Tensor, "N K *T"]:
        """The transformers' outputs for images [N, C, *S], joined along channels."""
        more = {} if theta_from is None else {"theta_from": theta_from}
        return torch.cat([t(image, **more) for t in self.transformers], dim=1)
