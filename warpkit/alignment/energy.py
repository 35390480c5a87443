"""The energy of a field at one level, and the step of Gauss and Newton down from there.

The energy of θ is the mean of w (a · m + b − f)² over the fixed image's pixels and channels, with m the moving image at
T(p), f the fixed one and w whether T(p) lies inside, plus weight · penalty(θ). Its gradient in θ is exact but for the
slopes of m, which are the bicubic image's. A step δ solves (Jᵀ G J + weight · P) δ = −gradient, with G the products of
m's slopes and J the derivative of the displacement in θ, by conjugate gradients: no matrix is ever stored. Where the
displacement is not linear in θ, as that of a flow is not, J is that of a displacement field and only the step is
approximate: it is shortened until the energy falls.
"""

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit import losses
from warpkit.alignment.conjugate_gradients import solved
from warpkit.alignment.level import LEAST_OVERLAP, Level
from warpkit.geometry import half_extent, lattice
from warpkit.transforms.base import transforms
from warpkit.transforms.field import FieldTransform

Regularization = Literal["bending", "diffusion"]
PENALTIES: dict[Regularization, Callable[..., Tensor]] = {"bending": losses.bending, "diffusion": losses.diffusion}


@dataclass(frozen=True)
class Energy:
    """The energy over θ of a field transform at one level. `spacing`: of its pixels, in the finest level's."""

    transform: FieldTransform
    penalty: Regularization
    weight: float
    is_relative: bool  # whether brightness and contrast of the moving image are free
    level: Level
    spacing: float

    @functools.cached_property
    def linear(self) -> FieldTransform:
        """The transform itself where it is linear in θ, else a field of displacements of the same make."""
        given = self.transform
        if given.is_linear:
            return given
        kernel: Any = list(given.kernels) if len(given.kernels) > 1 else given.kernels[0]
        how: dict[str, Any] = {"padding_mode": given.padding_mode, "align_corners": given.align_corners}
        units = getattr(given, "units", "normalized")
        made = transforms.create("displacement", ndim=given.ndim, kernel=kernel, units=units, **how)
        assert isinstance(made, FieldTransform)
        return made

    def _is_its_displacement(self, theta: Tensor) -> bool:
        """Whether the displacement of each place of the field's lattice is what θ says there, but for its units."""
        field = type(self.linear) is transforms.load("displacement")
        return field and self.linear._is_exact(tuple(theta.shape[2:]))

    def value(self, theta: Tensor) -> Float[Tensor, " N"]:
        """The energy; ∞ where it is no number, and where too little of the moving image is seen."""
        with torch.no_grad():
            coords = self._coords(self.transform.shifts(theta, self.level.size, self.level.align_corners))
            sampled = self.level.sampled(coords)
            residual, weight, _ = self._compared(sampled, coords)
            energy = (weight * residual.square()).sum((1, 2)) + self._penalized(theta)
            enough = self.level.inside(coords).mean(-1) > LEAST_OVERLAP
            return torch.where(enough, energy.nan_to_num(torch.inf, torch.inf, torch.inf), torch.inf)

    def newton(self, theta: Tensor) -> Tensor:
        """The step of Gauss and Newton from here."""
        size, corners = self.level.size, self.level.align_corners
        with torch.enable_grad():
            given = theta.detach().requires_grad_()
            shifts = self.transform.shifts(given, size, corners)
        coords = self._coords(shifts.detach())
        sampled, across = self.level.seen(coords)
        residual, weight, contrast = self._compared(sampled, coords)
        across = torch.where(weight[..., None] > 0, across * contrast[..., None, None], 0.0)
        push = 2 * (weight[..., None] * residual[..., None] * across).sum(1)  # [N, M, D]
        (gradient,) = torch.autograd.grad(shifts, given, push.reshape(shifts.shape), retain_graph=False)
        gradient = gradient + self._pulled(theta)
        turned = across
        if not self.transform.is_linear:
            turned = (across[..., None, :] @ self._jacobian(shifts.detach()))[..., 0, :]
        same = tuple(theta.shape[2:]) == size and corners == self.linear.align_corners
        units = scale(self.linear, size, theta) if same and self._is_its_displacement(theta) else None
        products = 2 * torch.einsum("ncm,ncmi,ncmj->nmij", weight.expand(residual.shape), turned, turned)

        def product(d: Tensor) -> Tensor:
            if units is not None:  # the displacement of a pixel is what θ says there
                pushed = products @ (d / units).flatten(2).mT[..., None]
                return pushed[..., 0].mT.reshape(d.shape) / units + self._pulled(d)
            with torch.enable_grad():
                at = torch.zeros_like(d).requires_grad_()
                moved = self.linear.shifts(at, size, corners)
            pushed = products @ self.linear.shifts(d, size, corners).reshape(*products.shape[:-1], 1)
            (back,) = torch.autograd.grad(moved, at, pushed.reshape(moved.shape))
            return back + self._pulled(d)

        return solved(product, -gradient, self._preconditioner(products, gradient))

    def _coords(self, shifts: Tensor) -> Float[Tensor, "N M D"]:
        size, corners = self.level.size, self.level.align_corners
        start = lattice(size, align_corners=corners, dtype=shifts.dtype, device=shifts.device)
        return (start + shifts).flatten(1, -2)

    def _compared(self, sampled: Float[Tensor, "N C M"], coords: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The residual, the weight of each point (their sum over points and channels is 1), the contrast `a`."""
        target = self.level.target
        weight = self.level.inside(coords)[:, None]
        weight = weight / weight.sum((1, 2), keepdim=True).clamp_min(1e-9)
        if not self.is_relative:
            return sampled - target, weight / target.shape[1], torch.ones_like(sampled[..., 0])
        means = [(weight * image).sum(-1, keepdim=True) for image in (sampled, target)]
        m, f = (image - mean for image, mean in zip((sampled, target), means, strict=True))
        contrast = (weight * m * f).sum(-1) / (weight * m * m).sum(-1).clamp_min(1e-9)
        return contrast[..., None] * m - f, weight / target.shape[1], contrast

    def _jacobian(self, shifts: Float[Tensor, "N *T D"]) -> Float[Tensor, "N 1 M D D"]:
        """∂T/∂p at each pixel, by central differences."""
        size, corners = self.level.size, self.level.align_corners
        at = lattice(size, align_corners=corners, dtype=shifts.dtype, device=shifts.device) + shifts
        columns = []
        for axis, n in zip(range(at.ndim - 2, 0, -1), reversed(size), strict=True):
            step = 1 / half_extent(n, corners) if n > 1 else 1.0
            slope = torch.gradient(at, spacing=step, dim=axis)[0] if n > 1 else torch.zeros_like(at)
            columns.append(slope)
        return torch.stack(columns, -1).flatten(1, -3)[:, None]

    @property
    def _weight(self) -> float:
        # The penalties count in pixels of their level; bending is per pixel squared.
        return self.weight / self.spacing ** (2 if self.penalty == "bending" else 0)

    def _penalized(self, theta: Tensor) -> Float[Tensor, " N"]:
        size = tuple(theta.shape[2:]) or self.level.size
        if min(size) < (3 if self.penalty == "bending" else 2):
            return theta.new_zeros(len(theta))
        found = PENALTIES[self.penalty](self.linear, theta, size, align_corners=self.linear.align_corners)
        return self._weight * found

    def _pulled(self, theta: Tensor) -> Tensor:
        """The gradient of the penalty, which is linear in θ."""
        if self._is_its_displacement(theta) and min(theta.shape[2:]) > 2:
            return self._pulled_at_places(theta)
        with torch.enable_grad():
            given = theta.detach().requires_grad_()
            penalty = self._penalized(given)
            return torch.autograd.grad(penalty.sum(), given)[0] if penalty.requires_grad else torch.zeros_like(theta)

    def _pulled_at_places(self, theta: Tensor) -> Tensor:
        """The same for displacements on a lattice, by the differences' own adjoints: four times as fast as autograd."""
        size = tuple(theta.shape[2:])
        halves = [half_extent(n, self.linear.align_corners) for n in reversed(size)]
        pixels = theta.new_tensor(halves).reshape(-1, *[1] * len(size)) / scale(self.linear, size, theta)
        u, found = theta * pixels, torch.zeros_like(theta)
        axes = range(2, u.ndim)
        bends = self.penalty == "bending"
        terms = [(1.0, (a, a) if bends else (a,)) for a in axes]
        terms += [(2.0, pair) for pair in itertools.combinations(axes, 2)] if bends else []
        for factor, along in terms:
            r = functools.reduce(lambda x, a: x.diff(dim=a), along, u)
            r = r * (2 * factor / (r[0, 0].numel()))
            found += functools.reduce(_undiff, along, r)
        return self._weight * found * pixels

    def _preconditioner(self, products: Tensor, like: Tensor) -> Callable[[Tensor], Tensor]:
        """The inverse of the matrix's blocks, one for each place, where the field's lattice is the image's."""
        size = self.level.size
        if tuple(like.shape[2:]) != size:
            return lambda d: d
        d = len(size)
        center = 2 * (6 * d + 4 * d * (d - 1)) if self.penalty == "bending" else 4 * d  # of the stencil
        halves = products.new_tensor([half_extent(n, self.linear.align_corners) for n in reversed(size)])
        units = scale(self.linear, size, like).reshape(-1)
        stiff = self._weight * center / math.prod(size) * (halves / units).square()
        blocks = products / (units[:, None] * units) + torch.diag(stiff)
        # A part of the largest entry: without a penalty one channel alone makes a singular block.
        most = blocks.abs().amax((2, 3), keepdim=True).amax(1, keepdim=True).clamp_min(1e-30)
        inverse = torch.linalg.inv(blocks + 1e-4 * most * torch.eye(d, dtype=blocks.dtype, device=blocks.device))
        return lambda v: (inverse @ v.flatten(2).mT[..., None])[..., 0].mT.reshape(v.shape)


def _undiff(x: Tensor, axis: int) -> Tensor:
    """The adjoint of taking differences along an axis."""
    pad = [0, 0] * (x.ndim - 1 - axis) + [1, 1]
    return -torch.nn.functional.pad(x, pad).diff(dim=axis)


def scale(transform: FieldTransform, size: tuple[int, ...], like: Tensor) -> Tensor:
    """What θ of a field of this size counts for a normalised 1: 1, or its pixels."""
    d = len(size)
    if getattr(transform, "units", "normalized") != "pixels":
        return like.new_ones(d, *[1] * d)
    halves = [half_extent(n, transform.align_corners) for n in reversed(size)]
    return like.new_tensor(halves).reshape(d, *[1] * d)
