"""Fields: an energy with a penalty that keeps the field smooth goes down from coarse to fine, in `energy`'s steps.

A field that folds is found again with more weight on the penalty.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from warpkit import losses
from warpkit.alignment.conjugate_gradients import each
from warpkit.alignment.energy import Energy, Regularization, scale
from warpkit.alignment.level import Level
from warpkit.errors import InputError
from warpkit.geometry import lattice
from warpkit.sampling.sampler import sample
from warpkit.transforms.field import FieldTransform

_STEPS, _HALVINGS = 12, 5  # at each level, at most
_LEAST_GAIN = 1e-3  # of the energy: a step that gains less is the last one
_FIRMER, _MORE = 8, 4  # times that a field that folds is found again, with so many times the weight
_EVERY_POINT = 2**62


@dataclass(frozen=True)
class Dense:
    """The search for θ of a field transform, from coarse to fine, for many images at once."""

    transform: FieldTransform
    penalty: Regularization
    weight: float
    is_relative: bool  # whether brightness and contrast of the moving image are free
    align_corners: bool
    report: Callable[[float, float], None]

    def theta(self, levels: Sequence[Level], start: Float[Tensor, "N D *F"] | Float[Tensor, "N P"]) -> Tensor:
        """The best θ that is found, of the size of `start`, from which it goes on; `levels` begin with the coarsest."""
        levels = [dense(level) for level in levels]
        found = self._searched(levels, start)
        weight, share = self.weight, self._folds(levels[-1], found)
        for _ in range(_FIRMER if weight > 0 else 0):
            folded = (share > 0).nonzero()[:, 0]
            if len(folded) == 0:
                break
            weight *= _MORE
            again = dataclasses.replace(self, weight=weight)._searched(
                [_part(v, folded) for v in levels], start[folded]
            )
            left = self._folds(_part(levels[-1], folded), again)
            smoother = left < share[folded]
            found = found.index_copy(0, folded[smoother], again[smoother])
            # Where more weight does not help, as with an affine motion that folds, it is no use to go on.
            share = share.index_copy(0, folded, torch.where(smoother, left, 0.0))
        self.report(1.0, float(self._energy(levels[-1], 1.0).value(found).mean()) if len(found) else 0.0)
        return found

    def _energy(self, level: Level, spacing: float) -> Energy:
        return Energy(self.transform, self.penalty, self.weight, self.is_relative, level, spacing)

    def _folds(self, level: Level, theta: Tensor) -> Float[Tensor, " N"]:
        """The share of folded cells; an image that has an axis of one pixel has no cells."""
        if min(level.size) < 2:
            return theta.new_zeros(len(theta))
        return losses.folding(self.transform, theta, level.size, align_corners=self.align_corners)

    def _searched(self, levels: Sequence[Level], start: Tensor) -> Tensor:
        """The θ that is found with the weight that there is."""
        finest = tuple(levels[-1].fixed.shape[2:])
        own = tuple(start.shape[2:])  # none: θ is flat
        theta = start
        for number, level in enumerate(levels):
            size = tuple(level.fixed.shape[2:])
            if own:
                theta = self._resized(theta, tuple(map(min, size, own)) if number < len(levels) - 1 else own)
            spacing = math.prod(n / m for n, m in zip(finest, size, strict=True)) ** (1 / len(size))
            theta = self._descended(self._energy(level, spacing), theta, number, len(levels))
        return theta

    def _resized(self, theta: Tensor, size: tuple[int, ...]) -> Tensor:
        """The same displacements on another lattice of the field."""
        if tuple(theta.shape[2:]) == size:
            return theta
        corners = self.transform.align_corners
        points = lattice(size, align_corners=corners, dtype=theta.dtype, device=theta.device)
        resized = sample(theta, points[None], kernel="bicubic", padding_mode="border", align_corners=corners)
        return resized * scale(self.transform, size, theta) / scale(self.transform, tuple(theta.shape[2:]), theta)

    def _descended(self, energy: Energy, theta: Tensor, number: int, count: int) -> Tensor:
        value = energy.value(theta)
        moves = torch.ones_like(value, dtype=torch.bool)  # an image that has ended waits for the others
        for k in range(_STEPS):
            delta, step = energy.newton(theta), torch.ones_like(value)
            for _ in range(_HALVINGS):
                moved = theta + each(step, theta) * delta
                found = energy.value(moved)
                better = found < value
                step = torch.where(better, step, step / 2)
                if (better | ~moves).all():
                    break
            better = better & moves
            theta = torch.where(each(better, theta), moved, theta)
            moves = better & (value - found > _LEAST_GAIN * value)
            value = torch.where(better, found, value)
            self.report((number + (k + 1) / _STEPS) / count, float(value.mean()))
            if not moves.any():
                break
        return theta


def dense(level: Level) -> Level:
    """The level with every pixel of the fixed image looked at."""
    return dataclasses.replace(level, most_points=_EVERY_POINT)


def _part(level: Level, chosen: Shaped[Tensor, " n"]) -> Level:
    """The level with some of its pairs."""
    moving, fixed = (image if len(image) == 1 else image[chosen] for image in (level.moving, level.fixed))
    return dataclasses.replace(level, moving=moving, fixed=fixed)


def starts(transform: FieldTransform, matrix: Float[Tensor, "N E E"], size: tuple[int, ...]) -> Tensor:
    """θ of an affine motion where the transform has one, else of none."""
    try:
        return transform.from_matrix(matrix, size)
    except InputError:
        return transform.identity(size).to(matrix)[None].expand(len(matrix), *[-1] * (len(size) + 1))
