"""A price in the loss for transformers that leave their image, or fold it."""

import functools
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from warpkit.errors import require
from warpkit.modules.spatial_transformer import SpatialTransformer
from warpkit.watching.measures import beyond, corners, determinants, middles, oriented
from warpkit.watching.transformers import transformers_of


class Penalty:
    """A term for the loss that keeps a model's spatial transformers on their images, and from folding them.

    Calling it gives a number for what they looked at since the last call, in training mode: the mean over them of

        outside · mean(max(0, |x| − 1)²) + folds · mean(max(0, −det ∂T/∂p)²)

    over the axes of points and over cells of a lattice from edge to edge of the output, in normalised coordinates (see
    `watch`; an image that is mirrored as a whole is not folded). It and its gradient are 0 at the identity and for
    every upright crop of the image. In evaluation, and where nobody has looked, it is 0.

    It keeps θ of the latest `forward`, with its graph, until it is called; `close()` ends that. Compiled transformers
    are not seen.

    Args:
        model: any module.
        outside: the weight of what lies outside, at least 0.
        folds: the weight of folds, at least 0.

    Raises:
        InputError: for a model without spatial transformers, and for a weight that is none.

    >>> net = nn.Sequential(SpatialTransformer("conv_localization"), nn.Flatten(), nn.Linear(784, 10))
    >>> penalty = Penalty(net)
    >>> scores = net(torch.rand(8, 1, 28, 28))
    >>> loss = scores.logsumexp(1).mean() + 0.1 * penalty()
    """

    def __init__(self, model: nn.Module, *, outside: float = 1.0, folds: float = 1.0) -> None:
        for what, given in (("outside", outside), ("folds", folds)):
            valid = isinstance(given, int | float) and 0 <= given < float("inf")
            require(valid, what, expected="a finite number of at least 0", given=given)
        self.outside, self.folds = outside, folds
        self._seen: dict[str, tuple[SpatialTransformer, Tensor]] = {}
        found = transformers_of(model).items()
        self._handles = [t.register_theta_hook(functools.partial(self._see, path)) for path, t in found]

    def __call__(self) -> Float[Tensor, ""]:
        """The penalty, differentiable in θ."""
        each = [self._of(transformer, theta) for transformer, theta in self._seen.values()]
        self._seen.clear()
        return torch.stack(each).mean() if each else torch.zeros(())

    def close(self) -> None:
        """Stop looking at the model: remove the hooks from its transformers."""
        for handle in self._handles:
            handle.remove()
        self._seen.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_handles": [], "_seen": {}}  # a copy looks at nothing

    def _see(self, path: str, transformer: Any, image: Tensor, theta: Tensor) -> None:
        if transformer.training and len(theta) > 0:
            self._seen[path] = transformer, theta

    def _of(self, transformer: SpatialTransformer, theta: Tensor) -> Tensor:
        looked = corners(transformer, theta)
        finite = looked.isfinite().all(dim=-1, keepdim=True)
        looked = torch.where(finite, looked, 0.0)  # a NaN that is selected away later would be 0 · NaN in the gradient
        is_whole = middles(finite.to(looked.dtype))[..., 0] == 1
        cells = torch.where(is_whole, determinants(looked), 0.0)
        outside, folded = beyond(transformer, looked).square().mean(), oriented(cells).clamp(max=0).square().mean()
        return self.outside * outside + self.folds * folded
