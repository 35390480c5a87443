"""The starts of the search: turned, scaled and shifted in all ways that are worth a try."""

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.alignment.level import moved
from warpkit.geometry import lattice
from warpkit.precision import wide
from warpkit.transforms.base import Transform

_ANGLES = 18  # over a full turn, in each plane
_SCALES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4)
_SHIFTS = {1: 9, 2: 5, 3: 3}  # along each axis, from −½ to ½ (a quarter of the image)
_STILL = 1e-5  # a step that moves the nodes less, in normalised coordinates, is not worth taking
FEW, MANY = 3, 9  # nodes along each axis where a transform imitates another: an affine one, any one


def affine_starts(moving: Sequence[int], fixed: Sequence[int]) -> Float[Tensor, "K P"]:
    """The θ of affine transforms to start from, for images of these sizes; the first is the identity.

    Angles are those of the pixels. Images of different size may show the same, or at the same scale a part of it.
    """
    d = len(fixed)
    m, f = (torch.tensor(size[::-1], dtype=torch.float64) for size in (moving, fixed))
    frames = [f] if tuple(moving) == tuple(fixed) else [f, m]
    shifts = list(itertools.product(torch.linspace(-0.5, 0.5, _SHIFTS[d]).tolist(), repeat=d))
    starts = [torch.eye(d, d + 1, dtype=torch.float64)]
    for frame, turn, scale in itertools.product(frames, _turns(d), _SCALES):
        linear = torch.diag(1 / frame) @ (scale * turn) @ torch.diag(f)
        starts += [torch.cat([linear, torch.tensor(t, dtype=torch.float64)[:, None]], 1) for t in shifts]
    return torch.stack(starts).flatten(1)


def _turns(d: int) -> list[Float[Tensor, "D D"]]:
    turns = [torch.eye(d, dtype=torch.float64)]
    for i, j in itertools.combinations(range(d), 2):
        for angle in range(1, _ANGLES):
            c, s = math.cos(2 * math.pi * angle / _ANGLES), math.sin(2 * math.pi * angle / _ANGLES)
            turn = torch.eye(d, dtype=torch.float64)
            turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
            turns.append(turn)
    return turns


def imitate(transform: Transform, start: Float[Tensor, " P"], goal: Float[Tensor, "B M D"]) -> Float[Tensor, "B P"]:
    """The θ that takes the nodes of a lattice as near to `goal` as the transform can, by Gauss-Newton steps.

    One step is enough for a transform that is linear in θ.
    """
    d = goal.shape[-1]
    size = (round(goal.shape[1] ** (1 / d)),) * d
    theta, best, least = start[None], start.repeat(len(goal), 1), goal.new_full((len(goal),), torch.inf)
    for _ in range(5):
        at, motion = moved(transform, theta, size, align_corners=True)
        missing = goal - at.flatten(1, -2)
        error = missing.square().sum((1, 2)).nan_to_num(torch.inf)
        nearer = error < 0.999 * least
        best, least = torch.where(nearer[:, None], theta, best), torch.where(nearer, error, least)
        if not nearer.any():
            break
        slopes, missing = (
            t.nan_to_num(0, 0, 0).flatten(1, 2).to(wide(goal.device)) for t in (motion, missing[..., None])
        )
        system = slopes.mT @ slopes
        held = 1e-9 * system.diagonal(dim1=1, dim2=2).mean() * torch.eye(len(start)).to(system)  # two may do the same
        step = torch.linalg.solve_ex(system + held, slopes.mT @ missing).result
        if (slopes @ step).abs().amax() < _STILL:
            break
        theta = theta + step[..., 0].to(theta)
    return best


def nodes(ndim: int, count: int, like: Tensor) -> Float[Tensor, "M D"]:
    """The nodes of the lattice that `imitate` looks at."""
    return lattice((count,) * ndim, align_corners=True, dtype=like.dtype, device=like.device).flatten(0, -2)
