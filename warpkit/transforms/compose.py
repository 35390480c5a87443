"""The composition of several transforms."""

from collections.abc import Sequence
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor, nn

from warpkit.errors import require
from warpkit.precision import wide
from warpkit.transforms.base import Transform, of_finite, transforms
from warpkit.transforms.inversion import preimages
from warpkit.transforms.matrix import apply, checked_matrix, invert
from warpkit.transforms.newton import each


class Compose(Transform):
    """Points pass the first transform, then the next: as if the image had been warped by the last one first.

    θ is the parts' θ, one after the other. Neighbouring matrices multiply, and a horizon is judged on their product;
    where all parts are matrices the whole is one, with `matrix(theta)`.

    `of`: names, tables or transforms. `ndim` is for those that are given by name.
    """

    def __init__(self, of: Sequence[str | dict[str, object] | Transform], ndim: int | None = None) -> None:
        super().__init__()
        require(isinstance(of, list | tuple) and len(of) > 0, "of", expected="one transform at least", given=of)
        parts = [transforms.own(part, **({} if ndim is None else {"ndim": ndim})) for part in of]
        dimensions = sorted({part.ndim for part in parts} | ({ndim} if ndim else set()))
        require(len(dimensions) == 1, f"of: transforms of different dimensions, {dimensions}")
        self.transforms = nn.ModuleList(parts)
        self.ndim = dimensions[0]
        self.num_params = sum(part.num_params for part in parts)
        self.is_matrix = all(part.is_matrix for part in parts)
        self.is_affine = all(part.is_affine for part in parts)

    def spec_options(self) -> dict[str, object]:
        """The options that would make this composition again, with its parts themselves."""
        return {**super().spec_options(), "of": self._parts()}

    @property
    def param_names(self) -> tuple[str, ...]:
        """The parts' parameter names, each after the number of its part."""
        return tuple(f"{i}.{name}" for i, part in enumerate(self._parts()) for name in part.param_names)

    def identity(self) -> Float[Tensor, " P"]:
        """The identities of the parts, one after the other."""
        return torch.cat([part.identity() for part in self._parts()])

    def matrix(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N E E"]:
        """The product of the parts' matrices; `InputError` unless all parts are matrices."""
        return _product(self._with_theta(theta))

    def forward(self, theta: Float[Tensor, "N P"], points: Float[Tensor, "B M D"]) -> Float[Tensor, "NB M D"]:
        """Map the points by one part after the other, each run of matrices as their product."""
        dtype, exact = points.dtype, wide(points.device)
        for is_matrix, run in groupby(self._with_theta(theta), key=lambda pair: pair[0].is_matrix):
            pairs = list(run)
            if is_matrix:
                product = _product([(part, t.to(exact)) for part, t in pairs])
                is_affine = all(part.is_affine for part, _ in pairs)
                points = of_finite(points.to(exact), lambda p: apply(product, p, is_affine)).to(dtype)  # noqa: B023
            else:
                for part, t in pairs:
                    points = part(t, points)
        return points

    def preimages(self, theta: Float[Tensor, "N P"], points: Float[Tensor, "B M D"]) -> Float[Tensor, "NB M D"]:
        """Of matrices those of the product; else they are searched from where the parts' own inverses lead.

        That the parts can be inverted one by one is no certificate: what the whole folds together is judged on it.
        """
        if self.is_matrix:
            return apply(invert(_product(self._with_theta(theta))), points, self.is_affine)
        guess, mirrored = points.detach(), torch.ones((), dtype=points.dtype, device=points.device)
        with torch.no_grad():
            pairs = [(part, each(t, Tensor.detach)) for part, t in self._with_theta(theta)]
            for is_matrix, run in reversed(
                [(k, list(g)) for k, g in groupby(pairs, key=lambda pair: pair[0].is_matrix)]
            ):
                if is_matrix:
                    product, is_affine = _product(run), all(part.is_affine for part, _ in run)
                    inverse = invert(product)
                    guess = of_finite(guess, lambda y: apply(inverse, y, is_affine))  # noqa: B023
                    mirrored = mirrored * torch.linalg.det(product).sign()
                else:
                    for part, t in reversed(run):
                        guess = of_finite(guess, lambda y: part.preimages(t, y))  # noqa: B023
        return preimages(self, theta, points, guess, mirrored)

    def _with_theta(self, theta: Tensor) -> list[tuple[Transform, Tensor]]:
        parts = self._parts()
        return list(zip(parts, torch.split(theta, [part.num_params for part in parts], dim=1), strict=True))

    def _parts(self) -> list[Transform]:
        return list(self.transforms)  # type: ignore[arg-type]  # a ModuleList forgets what its modules are


def _product(pairs: list[tuple[Transform, Tensor]]) -> Tensor:
    part, theta = pairs[0]
    product = checked_matrix(part, theta)
    for part, theta in pairs[1:]:
        product = checked_matrix(part, theta) @ product
    return product
