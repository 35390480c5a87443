"""Levenberg and Marquardt's descent: the gradient divided by the curvature, with as much damping as it needs."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.alignment.level import Fit

_STILL = 0.01  # pixels: a step that moves the points less is the last
_LEAST, _MOST = 1e-4, 1e6  # damping


def descend(
    fit: Callable[[Tensor], Fit],
    theta: Float[Tensor, "N K P"],
    steps: int,
    report: Callable[[int, Fit], None],
) -> tuple[Float[Tensor, "N K P"], Fit]:
    """Take up to `steps` steps, none of which raises the loss; return θ and its `Fit`.

    Damping is measured by how far a step moves the points, whatever the units of θ: a direction that the images say
    nothing about (a control point in the sky) stays where it is.

    K. Levenberg 1944; D. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", 1963.
    """
    found = fit(theta)
    damping = torch.full_like(found.value, 1e-2)
    moves = torch.ones_like(found.value, dtype=torch.bool)
    for done in range(1, steps + 1):
        (moving,) = moves.any(0).nonzero(as_tuple=True)  # what is at rest everywhere is not looked at again
        at = Fit(*(a[:, moving] for a in found))
        step = _step(at, damping[:, moving])
        length = torch.einsum("nkp,nkpq,nkq->nk", step, at.metric, step).clamp_min(0).sqrt()
        there = theta[:, moving] + step.to(theta.dtype)
        trial = fit(there)
        better = (trial.value < at.value) & moves[:, moving]
        theta = theta.index_copy(1, moving, torch.where(better[..., None], there, theta[:, moving]))
        nearer = (
            torch.where(better.reshape(better.shape + (1,) * (a.ndim - 2)), a, b)
            for a, b in zip(trial, at, strict=True)
        )
        found = Fit(*(a.index_copy(1, moving, b) for a, b in zip(found, nearer, strict=True)))
        damping[:, moving] = (damping[:, moving] * torch.where(better, 1 / 5, 5)).clamp(_LEAST, _MOST)
        moves[:, moving] &= (length > _STILL) & (damping[:, moving] < _MOST)
        report(done, found)
        if not moves.any():
            break
    return theta, found


def _step(found: Fit, damping: Float[Tensor, "N K"]) -> Float[Tensor, "N K P"]:
    of_loss, of_points = (a.diagonal(dim1=-2, dim2=-1).sum(-1) for a in (found.curvature, found.metric))
    scale = damping * of_loss / of_points.clamp_min(1e-30)
    # A direction of θ that moves no point has neither curvature nor metric: without this the system is singular.
    held = 1e-9 * of_points[..., None, None] * torch.eye(found.gradient.shape[-1]).to(found.metric)
    solved: Tensor = torch.linalg.solve_ex(
        found.curvature + scale[..., None, None] * (found.metric + held), -found.gradient[..., None]
    ).result
    return solved[..., 0].nan_to_num(0, 0, 0)  # where nothing has a slope the system is singular
