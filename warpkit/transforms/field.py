"""Transforms whose θ is an image of displacements, read at any point by the package's own sampler."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from warpkit import tracing
from warpkit.boundary import PaddingMode, check_padding, for_each_axis
from warpkit.errors import InputError, quoted, require
from warpkit.geometry import (
    Part,
    check_coordinates,
    check_floats,
    check_size,
    half_extent,
    index_to_normalised,
    lattice,
)
from warpkit.kernels.base import KernelLike, kernels
from warpkit.precision import default, wide, working
from warpkit.sampling.rule import Rule, filtered, rule_for
from warpkit.sampling.sampler import resample, slopes
from warpkit.transforms.base import Transform, shared_batch
from warpkit.transforms.inversion import preimages
from warpkit.transforms.matrix import affine_part, check_matrix, check_ndim

Sampled = Callable[[Tensor, Tensor, Rule], Tensor]


class FieldTransform(Transform):
    """T(p) = p + the field at p, where `displacement(theta)` is that field, `[N, D, *F]`, in normalised coordinates.

    θ `[N, D, *F]` has components x, y, z in that order, and F is a lattice of its own, of any size, over −1 … 1.
    `num_params` is D: so many numbers at each place. A field of one pixel moves everything alike.

    A subclass gives `displacement(theta)` and, where it is not 2, `ndim`.

    Args:
        ndim: D, 1 to 3.
        kernel: what interpolates the field: a name, a table or a `Kernel`, or one for each of x, y, z.
        padding_mode: what extends it beyond its edge, as in `warp`.
        align_corners: whether −1 and 1 are the centres of the field's border pixels, or their outer edges; that of the
            warp where `warp`, a loss or a transformer gets the transform by name.

    Where the output's lattice is the field's (the same size, the same `align_corners`, a kernel that interpolates)
    nothing is interpolated: each output pixel is sampled from its own exact index plus what the field says there.
    Where the field is not a number, neither is T, as far as a kernel's taps reach, and no gradient passes.
    """

    ndim = 2
    is_field = True
    is_linear = False
    """Whether `displacement` is linear in θ: what is fitted to images then knows its steps exactly."""

    def __init__(
        self,
        ndim: int | None = None,
        *,
        kernel: KernelLike | Sequence[KernelLike] = "bilinear",
        padding_mode: PaddingMode | Sequence[PaddingMode] = "border",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        fixed = type(self).ndim if "ndim" in _own_attributes(type(self)) else None
        told = f"ndim: {type(self).__name__} is {fixed}-D, got {quoted(ndim)}"
        require(ndim is None or fixed in (None, ndim), told)
        self.ndim = check_ndim(type(self).ndim if ndim is None else ndim)
        each = map(kernels.own, for_each_axis("kernel", kernel, self.ndim))
        self.kernels = nn.ModuleList(each if isinstance(kernel, list | tuple) else [kernels.own(kernel)])
        check_padding(padding_mode, self.ndim)
        require(isinstance(align_corners, bool), "align_corners", expected="True or False", given=align_corners)
        self.padding_mode, self.align_corners = padding_mode, align_corners

    def displacement(self, theta: Float[Tensor, "N *P"]) -> Float[Tensor, "B D *F"]:
        """The field that is added to the points, in normalised coordinates; in θ's type."""
        raise NotImplementedError(f"{type(self).__name__} has no formula: define displacement(self, theta)")

    def part_of_field(self, theta: Float[Tensor, "N D *P"], size: tuple[int, ...]) -> Float[Tensor, "N D *P"] | None:
        """The part of the field that a part of a θ of this size gives, where each place counts alone; else None."""
        return None

    @property
    def num_params(self) -> int:  # type: ignore[override]
        """D: the numbers at each place of θ."""
        return self.ndim

    @property
    def param_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The components: x, y, z."""
        return tuple("xyz"[: self.ndim])

    def identity(self, size: int | Sequence[int] | None = None) -> Float[Tensor, "D *F"]:
        """Zeros `[D, *size]`; of one pixel unless a size is given."""
        return torch.zeros(self.ndim, *check_size(1 if size is None else size, self.ndim), dtype=default())

    def from_matrix(self, matrix: Float[Tensor, "N E E"], size: Any = 2) -> Tensor:
        """The θ of an affine map, a field of this size; optional."""
        raise InputError(f"{type(self).__name__} has no from_matrix")

    def check_theta(self, theta: Any) -> None:
        """Raise `InputError` unless theta is a floating-point tensor [N, D, *F] with a place at least."""
        check_floats("theta", theta)
        d, shape = self.ndim, list(theta.shape)
        components = " ".join(self.param_names)
        expected = f"[N, {d}, {axes_of(d)}] for {type(self).__name__}, with components {components}"
        last = d > 1 and len(shape) == d + 2 and shape[-1] == d != shape[1]
        hint = "Are the components last? theta.movedim(-1, 1)" if last else ""
        hint = "Is the batch missing? theta[None]" if len(shape) == d + 1 and shape[0] == d else hint
        if len(shape) != d + 2 or shape[1] != d or 0 in shape[1:]:
            raise InputError("theta", expected=expected, given=shape, hint=hint)

    def extent(self, size: tuple[int, ...]) -> tuple[float, ...]:
        """How far a field of this size reaches along x, y, z: 1 is the image's edge."""
        return (1.0,) * len(size)

    def forward(self, theta: Float[Tensor, "N *P"], points: Float[Tensor, "B M D"]) -> Float[Tensor, "NB M D"]:
        """p + the field at p."""
        field = self.field(theta.to(points.dtype))
        return points + self._read(field, self._on_field(points, field)).movedim(1, -1)

    def shifts(self, theta: Tensor, size: tuple[int, ...], align_corners: bool, part: Part | None = None) -> Tensor:
        """The field at each pixel of an output of this size, [N, *size, D]; a view of it where it is of that size."""
        theta = self.as_theta(theta)
        field = self.field(theta.to(working(theta.dtype)))
        given = tuple(field.shape[2:])
        if self.is_read_as_is(given, size, align_corners):
            return (field if part is None else field[(slice(None), slice(None), *part.slices)]).movedim(1, -1)
        matrix = self.to_field(given, size, align_corners, field.device)
        return self._sampled(field, matrix, "affine", size if part is None else part.size, part).movedim(1, -1)

    def is_read_as_is(self, given: tuple[int, ...], size: tuple[int, ...], align_corners: bool) -> bool:
        """Whether a field of the size `given` says of each pixel of an output of `size` itself where it goes."""
        same = align_corners == self.align_corners and self._is_exact(given)
        return same and tracing.are_equal(given, tuple(size))

    def to_field(
        self, given: tuple[int, ...], size: tuple[int, ...], align_corners: bool, device: torch.device
    ) -> Float[Tensor, "1 E E"]:
        """From the output's lattice to the field's: a matrix, whose pixel coordinates are exact and never stored."""
        pairs = zip(size[::-1], self.extent(given), strict=True)
        scale = [_relative(n, align_corners, self.align_corners) / reach for n, reach in pairs]
        return torch.tensor([*scale, 1.0], dtype=wide(device), device=device).diag()[None]

    def further(self, theta: Tensor, shifts: Tensor, align_corners: bool, part: Part | None = None) -> Tensor:
        """The shifts, and the field at where they lead."""
        theta = self.as_theta(theta)
        dtype = working(theta.dtype, shifts.dtype)
        field = self.field(theta.to(dtype))
        size = tuple(shifts.shape[1:-1])
        if align_corners != self.align_corners or any(reach != 1 for reach in self.extent(tuple(field.shape[2:]))):
            points = (part or Part.all_of(size)).lattice(align_corners, dtype, shifts.device) + shifts
            return shifts + self._read(field, self._on_field(points, field)).movedim(1, -1)
        return shifts + self._sampled(field, shifts, "shifts", size, part).movedim(1, -1)

    def jacobian(self, theta: Tensor, points: Tensor) -> Tensor:
        """[N, *T, D, D], ∂T_i/∂p_j at [i, j]: 1 and the slopes of the field, which the sampler gives."""
        theta = self.as_theta(theta)
        check_coordinates("points", points, self.ndim)
        batch, dtype = shared_batch(theta, "points", points), working(theta.dtype, points.dtype)
        with tracing.no_autocast(points.device):
            field = self.field(theta.to(dtype))
            at = self._on_field(points.to(dtype), field)
            along = _masked(field, at, self.rule(field.device), slopes)  # [N, D, D, *T]
            reach = torch.tensor(self.extent(tuple(field.shape[2:])), dtype=dtype, device=points.device)
            found = along.movedim((1, 2), (-2, -1)) / reach + torch.eye(self.ndim, dtype=dtype, device=points.device)
        nowhere = ~points.isfinite().all(-1)[..., None, None]
        return torch.where(nowhere, torch.nan, found).expand(batch, *points.shape[1:], self.ndim)

    def preimages(self, theta: Tensor, points: Float[Tensor, "B M D"]) -> Float[Tensor, "NB M D"]:
        """Search for T⁻¹ with a field that is made once, however often the search evaluates it."""
        return preimages(_Made(self), self.field(theta), points)

    def field(self, theta: Tensor) -> Float[Tensor, "N D *F"]:
        """`displacement(theta)`, one for each θ. `InputError` where a plugin gives another shape."""
        field = self.displacement(theta)
        d, n = self.ndim, theta.shape[0]
        one_each = field.shape[0] == n or field.shape[0] == 1  # no `in`: dynamo finds no open size so
        if not (field.ndim == d + 2 and one_each and field.shape[1] == d):
            expected = f"[{n}, {d}, {axes_of(d)}]"
            raise InputError(f"{type(self).__name__}.displacement", expected=expected, given=list(field.shape))
        return field.to(theta.dtype)

    def _on_field(self, points: Tensor, field: Tensor) -> Tensor:
        """Points as the field's own lattice counts them."""
        reach = self.extent(tuple(field.shape[2:]))
        return points if all(each == 1 for each in reach) else points / points.new_tensor(reach)

    def _read(self, field: Tensor, points: Tensor) -> Tensor:
        return self._sampled(field, points, "points", points.shape[1:-1])

    def _sampled(
        self, field: Tensor, where: Tensor, kind: str, target: Sequence[int], part: Part | None = None
    ) -> Tensor:
        """The field there, [N, D, *target]; `part`: of the output, where the target is one."""
        rule = self.rule(field.device)
        if part is not None:
            if rule.filters:
                field, rule = filtered(field, rule)
            rule = rule.parted(tuple(field.shape[2:]), part)
        return self.sampled(field, where, kind, target, rule)

    def sampled(self, field: Tensor, where: Tensor, kind: str, target: Sequence[int], rule: Rule) -> Tensor:
        """The field, or a part of it, by a rule; NaN where the taps meet what is no number."""
        return _masked(field, where, rule, lambda f, w, rule: resample(f, w, kind, target, rule))

    def rule(self, device: torch.device) -> Rule:
        """How the field is read between its places."""
        each = list(self.kernels)
        kernel: Any = each if len(each) > 1 else each[0]
        return rule_for(None, kernel, self.padding_mode, 0.0, self.align_corners, dimensions=self.ndim, device=device)

    def _is_exact(self, size: tuple[int, ...]) -> bool:
        """Whether the field at its own places is what it says there."""
        return all(k.interpolating for k in self.kernels) and all(reach == 1 for reach in self.extent(size))

    def spec_options(self) -> dict[str, Any]:
        """The options, with the kernels as they are."""
        given = super().spec_options()
        several = isinstance(given.get("kernel"), list | tuple)
        kernel = list(self.kernels) if several else self.kernels[0]
        return {**given, "kernel": kernel, "padding_mode": self.padding_mode, "align_corners": self.align_corners}


def affine_shifts(matrix: Any, size: tuple[int, ...], align_corners: bool) -> Float[Tensor, "N *size D"]:
    """How far an affine matrix moves each place of a lattice; `InputError` for a matrix that is not affine."""
    check_matrix(matrix, len(size))
    rows = affine_part(matrix)
    places = lattice(size, align_corners=align_corners, dtype=matrix.dtype, device=matrix.device).flatten(0, -2)
    moved = places @ rows[:, :, :-1].mT + rows[:, None, :, -1]
    return (moved - places).reshape(-1, *size, len(size))


def axes_of(d: int) -> str:
    """The letters of so many axes of an image."""
    return ", ".join("DHW"[-d:])


def to_normalised(
    field: Float[Tensor, "N D *F"], align_corners: bool, size: Sequence[int] | None = None
) -> Float[Tensor, "N D *F"]:
    """Displacements in pixels of the field's own lattice → normalised."""
    halves = half_extents(field, align_corners, size)
    # An aligned axis of one pixel has one coordinate: nothing moves along it.
    return field * torch.where(halves > 0, 1 / halves, 0.0).reshape(-1, *[1] * len(halves))


def half_extents(
    field: Float[Tensor, "N D *F"], align_corners: bool, size: Sequence[int] | None = None
) -> Float[Tensor, " D"]:
    """Pixels of the field's lattice for a normalised 1 along x, y, z; `size`: of it, where this is a part."""
    one = field.new_ones(())  # times a size that may still be open
    return torch.stack([one * half_extent(n, align_corners) for n in reversed(size or field.shape[2:])])


def _masked(field: Tensor, where: Tensor, rule: Rule, sampled: Sampled) -> Tensor:
    """What is sampled of a field there; NaN where the taps meet a place that is not finite, with no gradient."""
    found = sampled(field, where, rule)
    if not tracing.is_traced(found) and bool(found.isfinite().all()):
        return found
    # 0 · NaN in the sampler's own gradients would make a NaN of all that points and kernels depend on.
    finite = field.isfinite().all(1, keepdim=True)
    with torch.no_grad():
        taps = rule._replace(filters=False)  # a prefilter would spread a NaN over the whole field
        reached = sampled(torch.where(finite, 0.0, torch.nan).to(field.dtype), where.detach(), taps).isnan()
    found = sampled(torch.where(finite, field, 0.0), where, rule)
    return torch.where(reached, torch.nan, found)


def _relative(n: int, align_corners: bool, to: bool) -> float:
    """A normalised coordinate of an axis of `n` pixels, in the other alignment."""
    here, there = index_to_normalised(n, align_corners)[0], index_to_normalised(n, to)[0]
    return 1.0 if align_corners == to or there == 0 else here / there


def _own_attributes(cls: type) -> set[str]:
    """The attributes that a class or one between it and `FieldTransform` sets."""
    return {name for c in cls.__mro__[: cls.__mro__.index(FieldTransform)] for name in vars(c)}


class _Made(FieldTransform):
    """The transform that a field transform is for one θ: its θ is the field that was made of that."""

    def __init__(self, maker: FieldTransform) -> None:
        each: list[Any] = list(maker.kernels)
        kernel = each if len(each) > 1 else each[0]
        super().__init__(maker.ndim, kernel=kernel, padding_mode=maker.padding_mode, align_corners=maker.align_corners)
        self.extent = maker.extent  # type: ignore[method-assign]

    def displacement(self, theta: Float[Tensor, "N D *F"]) -> Float[Tensor, "N D *F"]:
        """Give the field as it is."""
        return theta
