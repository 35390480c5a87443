"""Where the search begins: turned, scaled and shifted in all ways that are worth a try."""

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.alignment.level import moved
from warpkit.lattice import lattice
from warpkit.precision import wide
from warpkit.transforms.base import Transform

_ANGLES = 18  # over a full turn, in each plane
_SCALES = (0.7, 1.0, 1.4)
_SHIFTS = {1: 9, 2: 5, 3: 3}  # along each axis, from −½ to ½ (a quarter of the image)
_NODES = 5  # along each axis, of the lattice on which one transform imitates another


def affine_starts(moving: Sequence[int], fixed: Sequence[int]) -> Float[Tensor, "K D E"]:
    """[A | t], normalised, for images of these sizes; the first is the identity.

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
    return torch.stack(starts)


def _turns(d: int) -> list[Float[Tensor, "D D"]]:
    turns = [torch.eye(d, dtype=torch.float64)]
    for i, j in itertools.combinations(range(d), 2):
        for angle in range(1, _ANGLES):
            c, s = math.cos(2 * math.pi * angle / _ANGLES), math.sin(2 * math.pi * angle / _ANGLES)
            turn = torch.eye(d, dtype=torch.float64)
            turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
            turns.append(turn)
    return turns


def imitate(
    transform: Transform, start: Float[Tensor, " P"], goal: Float[Tensor, "B M D"], steps: int = 4
) -> Float[Tensor, "B P"]:
    """The θ that takes a lattice of `_NODES` along each axis as near to `goal` as the transform can: least squares.

    One step is enough for a transform that is linear in θ.
    """
    theta = start.repeat(len(goal), 1)
    best, least = theta, torch.full((len(goal),), torch.inf, dtype=goal.dtype, device=goal.device)
    for _ in range(steps + 1):
        at, motion = moved(transform, theta, (_NODES,) * goal.shape[-1], align_corners=True)
        missing = (goal - at.flatten(1, -2)).nan_to_num(0, 0, 0).to(wide(goal.device))
        error = torch.where(at.isfinite().flatten(1).all(1), missing.square().sum((1, 2)), torch.inf)
        best = torch.where((error < least)[:, None], theta, best)
        least = torch.minimum(error, least)
        slopes = motion.flatten(1, 2).to(missing.dtype)
        system = slopes.mT @ slopes
        system = system + 1e-9 * system.diagonal(dim1=1, dim2=2).mean() * torch.eye(len(start)).to(system)
        theta = theta + torch.linalg.solve_ex(system, slopes.mT @ missing.flatten(1)[..., None])[0][..., 0].to(theta)
    return best


def nodes(ndim: int, like: Tensor) -> Float[Tensor, "M D"]:
    """The lattice that `imitate` looks at."""
    return lattice((_NODES,) * ndim, align_corners=True, dtype=like.dtype, device=like.device).flatten(0, -2)
