"""Newton's method for T(p) = y, many points at once, and the small matrices that it needs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from warpkit import tracing

if TYPE_CHECKING:
    from warpkit.transforms.base import Transform

_FARTHEST = 0.5  # a step, in normalised coordinates, or the distance from the centre where that is more
_LEAST = 2.0**-16  # a step that has been shortened to this share leads nowhere


def newton(
    transform: "Transform", theta: Any, starts: Float[Tensor, "N M D"], targets: Float[Tensor, "N M D"], steps: int
) -> tuple[Float[Tensor, "N M D"], Bool[Tensor, "N M"]]:
    """Where T takes a point to its target, from a start for each, and whether that was found in so many steps.

    A step that does not bring T nearer to the target is taken back, and the next one is four times shorter.
    """
    points, damping = starts, torch.ones_like(starts[..., :1])
    eps = torch.finfo(starts.dtype).eps
    scale = targets.abs().amax(-1, keepdim=True).clamp(min=1.0)
    apart, distance = _residual(transform, theta, points, targets)
    for _ in range(steps):
        adjoint, det = adjugate(jacobian_at(transform, theta, points))
        step = -(adjoint @ apart[..., None])[..., 0] / torch.where(det.abs() > 1e-12, det, 1e-12)[..., None]
        most = points.abs().amax(-1, keepdim=True).clamp(min=_FARTHEST)
        step = step * (most / step.abs().amax(-1, keepdim=True).clamp(min=1e-30)).clamp(max=1.0)
        trial = points + damping * step
        trial_apart, trial_distance = _residual(transform, theta, trial, targets)
        nearer = trial_distance < distance
        points, apart = torch.where(nearer, trial, points), torch.where(nearer, trial_apart, apart)
        distance = torch.where(nearer, trial_distance, distance)
        damping = torch.where(nearer, (2 * damping).clamp(max=1.0), damping / 4)
        if not tracing.is_traced(points):
            stopped = (distance <= 4 * eps * scale) | ~nearer & (distance <= near(starts.dtype) * scale)
            if bool((stopped | (damping < _LEAST) | distance.isinf()).all()):
                break
    return points, (distance <= near(starts.dtype) * scale)[..., 0]


def jacobian_at(transform: "Transform", theta: Any, points: Float[Tensor, "N M D"]) -> Float[Tensor, "N M D D"]:
    """`transform.jacobian` as numbers, which nobody asks a derivative of; θ of one image, or of as many as points."""
    named = type(transform).jacobian.__qualname__  # a composition without fields has none of its own either
    own = transform.is_field or named not in ("Transform.jacobian", "Compose.jacobian")
    if own or torch.is_inference_mode_enabled() or tracing.torch_func_active():
        return transform.jacobian(theta, points)
    # Each row by a backward pass: several times as quick as forward mode for few points, and possible within it.
    with torch.enable_grad():
        at = points.detach().clone().requires_grad_()
        sums = (transform(theta, at) + 0 * at).sum((0, 1))  # a point's image depends on that point alone
        rows = [torch.autograd.grad(x, at, retain_graph=True)[0] for x in sums]
    return torch.stack(rows, dim=-2).detach()


def near(dtype: torch.dtype) -> float:
    """How near to its target T takes what Newton's method has found, in normalised coordinates."""
    return float(torch.finfo(dtype).eps ** (2 / 3))


def adjugate(matrix: Float[Tensor, "*B D D"]) -> tuple[Float[Tensor, "*B D D"], Float[Tensor, "*B"]]:
    """The adjugate and the determinant of one to three rows: their quotient is the inverse."""
    if matrix.shape[-1] == 1:
        return torch.ones_like(matrix), matrix[..., 0, 0]
    if matrix.shape[-1] == 2:
        (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
        return torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2), a * d - b * c
    x, y, z = matrix.unbind(-1)
    across = torch.stack([torch.linalg.cross(y, z), torch.linalg.cross(z, x), torch.linalg.cross(x, y)], -2)
    return across, (x * across[..., 0, :]).sum(-1)


def each(theta: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """θ with each of its tensors changed: one tensor, or a composition's tuple of them."""
    return tuple(each(part, change) for part in theta) if isinstance(theta, tuple | list) else change(theta)


def _residual(
    transform: "Transform", theta: Any, points: Float[Tensor, "N M D"], targets: Float[Tensor, "N M D"]
) -> tuple[Float[Tensor, "N M D"], Float[Tensor, "N M 1"]]:
    """T(p) − y and its length, which is infinite where T has no value."""
    apart = transform(theta, points) - targets
    return apart, apart.norm(dim=-1, keepdim=True).nan_to_num(torch.inf, torch.inf)
