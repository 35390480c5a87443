"""Handles: points that people drag, and the θ that puts them there, in any family with numbers for θ."""

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from warpkit.errors import InputError
from warpkit.geometry import lattice
from warpkit.precision import wide

if TYPE_CHECKING:
    from warpkit.transforms.base import Transform

_ALONG = 4  # anchors along each axis: corners alone would not tell the radial terms of a lens apart
_HELD = 1e-4  # the weight of a handle that is not dragged, beside 1 of those that are
_STEPS = 60
_LEAST = 1e-15  # damping, as a part of the curvature: a direction that no handle feels is not taken
_FIRST = 1e-4  # the damping after the first step that does not help
_TINY = 1e-9  # a step that is the last


def places(transform: "Transform") -> Float[Tensor, "K D"]:
    """Where a family's handles lie in the output unless it says: the corners of a matrix's, else a small lattice."""
    d, count, least = transform.ndim, transform.num_params, _ALONG
    if transform.is_matrix:
        count, least = min(count, (d + 1) ** 2 - 1), 2  # a product of matrices has no more than its entries to say
    along = max(least, math.ceil((count / d) ** (1 / d)))
    spread = lattice((along,) * d, align_corners=True, dtype=torch.float64)
    return spread.reshape(-1, d)


def fit(
    transform: "Transform",
    handles: Float[Tensor, "N K D"],
    start: Float[Tensor, "N P"],
    weights: Float[Tensor, " K"] | None = None,
) -> Float[Tensor, "N P"]:
    """The θ whose handles lie nearest to these, by weighted least squares from a start; those not finite do not count.

    Levenberg and Marquardt's steps, with derivatives in θ by autograd: no family needs a formula of its own.
    Differentiable in `handles`, exactly where they are met.

    D. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", SIAM J. 11(2), 1963.
    """
    exact = wide(start.device)
    theta, target = start.to(exact).contiguous(), handles.to(exact)
    with torch.no_grad():
        seen = target.isfinite().all(-1) & transform.handles(theta).isfinite().all(-1)
        weight = seen.to(exact) if weights is None else seen * weights.to(target)
        # A handle behind a horizon has no place: it is left out, and must not bring its NaN into the sums.
        counts = weight[..., None].expand_as(target)
        goal = torch.where(seen[..., None], target.detach(), 0.0)
        damping = theta.new_full((len(theta), 1), _LEAST)
        cost = _cost(transform, theta, goal, counts)
        for _ in range(_STEPS):
            step = _step(transform, theta, goal, counts, damping)
            trial_cost = _cost(transform, theta + step, goal, counts)
            better = (trial_cost < cost)[:, None]
            theta, cost = torch.where(better, theta + step, theta), torch.minimum(trial_cost, cost)
            damping = torch.where(better, damping / 30, (damping * 30).clamp(min=_FIRST)).clamp(min=_LEAST)
            # Steps shrink quadratically near the end: the next one would be below rounding.
            if bool((step.abs() <= _TINY * (1 + theta.abs())).all()):
                break
    if target.requires_grad:
        left = torch.where(seen[..., None], target, 0.0)
        theta = theta + _step(transform, theta, left, counts, torch.zeros_like(damping))
    return theta.to(start.dtype)


def drag(
    transform: "Transform", theta: Float[Tensor, "N P"], handles: Float[Tensor, "N K D"], moved: list[int]
) -> Float[Tensor, "N P"]:
    """θ after some handles were dragged: those go where they are put if the family can, the others stay near.

    `handles` are all of them, the others as they lie under `theta`.
    """
    if type(transform).from_handles.__qualname__ != "Transform.from_handles":
        return transform.from_handles(handles)
    weights = torch.full((handles.shape[1],), _HELD, dtype=torch.float64)
    weights[moved] = 1.0
    return fit(transform, handles, theta, weights)


def check_handles(transform: "Transform", handles: object, expected: int) -> None:
    """Raise `InputError` unless handles are floating-point numbers [N, expected, D]."""
    right = isinstance(handles, Tensor) and handles.is_floating_point() and handles.ndim == 3
    if not isinstance(handles, Tensor) or not right or list(handles.shape[1:]) != [expected, transform.ndim]:
        given = list(handles.shape) if isinstance(handles, Tensor) else handles
        told = f"[N, {expected}, {transform.ndim}] for {type(transform).__name__}"
        raise InputError("handles", expected=told, given=given)


def _cost(transform: "Transform", theta: Tensor, goal: Tensor, counts: Tensor) -> Float[Tensor, " N"]:
    apart = torch.where(counts > 0, transform.handles(theta) - goal, 0.0)
    total = (counts * apart.square()).sum((1, 2))
    return torch.where(total.isfinite(), total, torch.inf)


def _step(
    transform: "Transform", theta: Tensor, goal: Tensor, counts: Tensor, damping: Float[Tensor, "N 1"]
) -> Float[Tensor, "N P"]:
    """The damped step (JᵀWJ + λ)⁻¹ JᵀW (goal − handles(θ))."""
    with torch.no_grad():
        sought = (counts > 0).flatten(1)
        at, slopes = _slopes(transform, theta, sought)
        weighed = (slopes * counts.flatten(1)[..., None]).mT
        curvature = weighed @ slopes
        most = curvature.diagonal(dim1=1, dim2=2).amax(1, keepdim=True).clamp(min=1e-30)
        stiffness = (damping.clamp(min=_LEAST) * most)[..., None] * torch.eye(theta.shape[1]).to(theta)
        inverse = torch.linalg.inv_ex(curvature + stiffness)[0] @ weighed
    apart = torch.where(sought, goal.flatten(1) - at, 0.0)
    step: Tensor = inverse @ apart[..., None]
    return step[..., 0]


def _slopes(
    transform: "Transform", theta: Float[Tensor, "N P"], sought: Bool[Tensor, "N M"]
) -> tuple[Float[Tensor, "N M"], Float[Tensor, "N M P"]]:
    """The handles' coordinates in a row, and the derivative of each in θ, 0 where one does not count."""
    n, m = sought.shape
    with torch.inference_mode(False), torch.enable_grad():
        # A batch of M copies, of which each answers for one coordinate: one backward pass, and no function transform.
        copies = theta.detach().clone().repeat_interleave(m, 0).requires_grad_()
        at = transform.handles(copies).reshape(n, m, m).diagonal(dim1=1, dim2=2)
        total = torch.where(sought.clone(), at, 0.0).sum() + 0 * copies.sum()  # θ may be of no consequence
        (slopes,) = torch.autograd.grad(total, copies)
    return at.detach(), slopes.reshape(n, m, theta.shape[1])
