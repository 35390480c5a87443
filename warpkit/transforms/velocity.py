"""A stationary velocity field: its flow is smooth and has an inverse."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit import tracing
from warpkit.boundary import PaddingMode
from warpkit.component import as_number
from warpkit.errors import require
from warpkit.geometry import Units
from warpkit.kernels.base import KernelLike
from warpkit.transforms.displacement import Displacement
from warpkit.transforms.field import half_extents
from warpkit.transforms.matrix import check_matrix, logarithm

_STEP = 0.5  # pixels of the field's lattice: what moves by less, place by place, cannot fold
_MOST, _MOST_TRACED = 20, 8


class Velocity(Displacement):
    """T = exp(θ): each point is carried along a velocity field θ `[N, D, *F]`, x, y, z, for the time 1.

    Scaling and squaring: one step of the classical Runge–Kutta method for the time 2^−steps, whose displacement is
    then composed with itself, `steps` times. The inverse is exp(−θ). Gradients recompute the steps: the memory they
    take does not grow with them.

    `steps`: a whole number. None, the default: for each image as few as make the first step one of half a pixel of the
    field's lattice at most, along each axis; 20 at most, and 8, which is for velocities of up to 128 pixels, in
    compiled graphs and function transforms, which cannot look at numbers. `units` and the rest as in `Displacement`;
    the kernel has to interpolate.

    V. Arsigny et al., "A log-Euclidean framework for statistics on diffeomorphisms", MICCAI 2006.
    """

    is_linear = False

    def __init__(
        self,
        ndim: int | None = None,
        *,
        steps: int | None = None,
        units: Units = "normalized",
        kernel: KernelLike | Sequence[KernelLike] = "bilinear",
        padding_mode: PaddingMode | Sequence[PaddingMode] = "border",
        align_corners: bool = False,
    ) -> None:
        super().__init__(ndim, units=units, kernel=kernel, padding_mode=padding_mode, align_corners=align_corners)
        steps = as_number(steps)
        right = steps is None or (type(steps) is int and 0 <= steps <= _MOST)
        require(right, "steps", expected=f"a whole number, 0 to {_MOST}, or None", given=steps)
        smooths = [type(k).__name__ for k in self.kernels if not k.interpolating]
        require(not smooths, f"kernel: a flow is composed with itself, so its kernel interpolates; {smooths} do not")
        self.steps = steps

    def inverse(self, theta: Float[Tensor, "N D *F"]) -> Float[Tensor, "N D *F"]:
        """The θ of the inverse flow, which is −θ."""
        theta = self.as_theta(theta)
        return -theta

    def _generator(self, matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N E E"]:
        """1 + the matrix's logarithm: its displacements are the velocities that carry each place along to there."""
        check_matrix(matrix, self.ndim)
        return torch.eye(self.ndim + 1).to(matrix) + logarithm(matrix / matrix[:, -1:, -1:])

    def displacement(self, theta: Float[Tensor, "N D *F"]) -> Float[Tensor, "N D *F"]:
        """Where the flow has carried each place of the lattice at the time 1, less the place."""
        velocity = super().displacement(theta)
        plan = self._plan(velocity)
        plain = tracing.is_traced(velocity) or tracing.function_transforms_active() or tracing.is_recording()
        if plain or any(p.requires_grad for p in self.parameters()):
            return self._flow(velocity, plan)
        return _Flow.apply(velocity, self, plan)  # type: ignore[no-any-return, no-untyped-call]

    def _plan(self, velocity: Tensor) -> "_Plan":
        if self.steps is not None:
            return _Plan(None, self.steps, self.steps)
        speed = velocity.detach().abs().nan_to_num(0.0, 0.0, 0.0).flatten(2).amax(-1)
        speed = speed * half_extents(velocity.detach(), self.align_corners)
        most = _MOST_TRACED if tracing.is_traced(velocity) else _MOST
        steps = (speed.amax(1) / _STEP).log2().ceil().clamp(0, most)
        if tracing.is_traced(velocity):
            return _Plan(steps, 0, most)
        few, many = (int(n) for n in steps.aminmax()) if steps.numel() else (0, 0)
        return _Plan(steps, few, many)

    def _flow(self, velocity: Tensor, plan: "_Plan") -> Tensor:
        moved = self._first(velocity, plan)
        for k in range(plan.many):
            moved = self._squared(moved, k, plan)
        return moved

    def _first(self, velocity: Tensor, plan: "_Plan") -> Tensor:
        """How far the flow carries each place in the time 2^−steps; Runge and Kutta's step of the fourth order."""
        steps = velocity.new_tensor([plan.many]) if plan.steps is None else plan.steps
        time = torch.exp2(-steps).reshape(-1, *[1] * (velocity.ndim - 1))
        k1 = velocity
        k2 = self._after(velocity, time / 2 * k1)
        k3 = self._after(velocity, time / 2 * k2)
        k4 = self._after(velocity, time * k3)
        return time / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def _squared(self, moved: Tensor, k: int, plan: "_Plan") -> Tensor:
        """Twice as far, for the images whose steps are more than k."""
        twice = moved + self._after(moved, moved)
        if plan.steps is None or k < plan.few:
            return twice
        return torch.where((plan.steps > k).reshape(-1, *[1] * (moved.ndim - 1)), twice, moved)

    def _after(self, field: Tensor, moved: Tensor) -> Tensor:
        """The field where each place of its lattice has been moved to."""
        return self._sampled(field, moved.movedim(1, -1), "shifts", field.shape[2:])


class _Plan(NamedTuple):
    """How many steps: `steps` [N], one number for each image (None: for all alike), which are `few` to `many`."""

    steps: Tensor | None
    few: int
    many: int


class _Flow(torch.autograd.Function):
    """The flow, of which nothing is kept but the velocity, the first step and one in the middle, on the way back."""

    @staticmethod
    def forward(ctx: Any, velocity: Tensor, transform: Velocity, plan: _Plan) -> Tensor:
        ctx.save_for_backward(velocity)
        ctx.transform, ctx.plan = transform, plan
        return transform._flow(velocity, plan)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        (velocity,), transform, plan = ctx.saved_tensors, ctx.transform, ctx.plan
        if tracing.function_transforms_active():
            return torch.func.vjp(lambda v: transform._flow(v, plan), velocity)[1](grads[0])[0], None, None
        if torch.is_grad_enabled():  # it will be differentiated again
            return _pulled_back(lambda v: transform._flow(v, plan), velocity, grads[0], True), None, None
        grad, kept = grads[0], {0: transform._first(velocity, plan)}
        half = plan.many // 2
        for k in range(plan.many - 1, -1, -1):
            nearest = half if half in kept and half <= k else 0
            moved = kept[nearest]
            for j in range(nearest, k):
                if j == half:
                    kept[half] = moved
                moved = transform._squared(moved, j, plan)
            grad = _pulled_back(lambda u, k=k: transform._squared(u, k, plan), moved, grad, False)
        return _pulled_back(lambda v: transform._first(v, plan), velocity, grad, False), None, None


def _pulled_back(function: Any, at: Tensor, grad: Tensor, again: bool) -> Tensor:
    """The gradient of what a function makes of a field; differentiable itself if it has to be."""
    with torch.enable_grad():
        given = at.view_as(at) if again and at.requires_grad else at.detach().requires_grad_()
        return torch.autograd.grad(function(given), given, grad, create_graph=again)[0]
