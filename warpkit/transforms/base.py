"""The interface of a transform: one mapping of points, from an output pixel's place to where it is sampled."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_map

from warpkit import tracing
from warpkit.component import Formula, as_number
from warpkit.errors import InputError, require
from warpkit.geometry import FLOATS, Part, check_coordinates, check_floats, common_batch, is_dense, lattice
from warpkit.precision import wide, working
from warpkit.registry import Registry
from warpkit.transforms.handles import check_handles, fit, places
from warpkit.transforms.inversion import preimages
from warpkit.transforms.newton import each
from warpkit.transforms.vectors import filled


class Transform(Formula):
    """A mapping T_θ of points in `ndim` dimensions with `num_params` parameters for each image.

    A subclass gives `ndim`, `num_params`, `forward(theta, points)` and, where there is one, `identity()`. Coordinates
    are normalised, in the order x, y, z. Each point's result depends on that point alone.

    Optional: `inverse(theta)`, the θ of the inverse in the same family; `matrix(theta)` (see `MatrixTransform`);
    `anchors()`, or `handles(theta)` with `from_handles(handles)`: what people drag in `warpkit play`; `theta_shape`.
    """

    ndim: int
    num_params: int
    is_matrix: bool = False  # whether it has `matrix(theta)`
    is_affine: bool = False  # a promise that its last row is 0 … 0 1, so that no point has a horizon
    is_field: bool = False  # whether θ is [N, P, *F], P numbers at each place of any lattice, or a tuple with such

    if TYPE_CHECKING:
        param_names: tuple[str, ...]
        """The name of each parameter, for messages and tables: θ1, θ2 … unless a class says others."""
    else:  # were it a property for type checkers, each subclass would have to make one too

        @property
        def param_names(self):
            """The name of each parameter, for messages and tables: θ1, θ2 … unless a class says others."""
            return tuple(f"θ{i + 1}" for i in range(self.num_params))

    theta_shape: tuple[int, ...] | None = None
    """Another shape in which people have the θ of one image, as (2, 3) for an affine matrix; None where it is [P].

    `theta` may then be `[N, *theta_shape]` wherever it is given, and `flattened` makes `[N, P]` of it.
    """

    def flattened(self, theta: Float[Tensor, "N *S"]) -> Float[Tensor, "N P"]:
        """θ of what was given as `[N, *theta_shape]`: its numbers, row by row."""
        return theta.flatten(1)

    def as_theta(self, theta: Any) -> Any:
        """θ as the formula takes it, of any shape in which it may be given; `InputError` for what the family refuses.

        Every function that is given a θ asks here, and nowhere else. Only a shape decides, never a value.
        """
        if isinstance(theta, Tensor) and theta.ndim > 2 and theta.dtype in FLOATS and is_dense(theta):
            theta = self.flattened(theta) if theta.shape[1:] == self.theta_shape else theta
        self.check_theta(theta)
        return theta

    def check_theta(self, theta: Any) -> None:
        """Raise `InputError` unless theta is a floating-point tensor [N, num_params]."""
        check_flat(self, theta)

    def identity(self) -> Float[Tensor, " P"]:
        """The θ that leaves every point where it is. Raises `InputError` where the family has none."""
        raise InputError(f"{type(self).__name__} has no identity")

    def inverse(self, theta: Any) -> Any:
        """The θ whose transform undoes this one's. Raises `InputError` where the family has none."""
        raise InputError(f"{type(self).__name__} has no inverse in its own family")

    def matrix(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N E E"]:
        """The homogeneous matrix. Raises `InputError` for a transform that is not a matrix."""
        raise InputError(f"{type(self).__name__} is no matrix transform")

    def from_matrix(self, matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N P"]:
        """The θ of a matrix. Raises `InputError` outside the family, and in a family that cannot tell."""
        raise InputError(f"{type(self).__name__} has no from_matrix")

    def forward(self, theta: Float[Tensor, "N P"], points: Float[Tensor, "B M D"]) -> Float[Tensor, "NB M D"]:
        """The formula. The batches of θ and of the points are equal, or one of them is 1; every point is finite."""
        raise NotImplementedError(f"{type(self).__name__} has no formula: define forward(self, theta, points)")

    def __call__(self, theta: Any, points: Tensor) -> Tensor:
        """Map points [N or 1, *T, D] by theta [N, P] to where each is sampled from, [N, *T, D].

        Points that are not finite stay so, as NaN. Computed in float32 at least. Raises `InputError` for wrong shapes.
        """
        theta = self.as_theta(theta)
        check_coordinates("points", points, self.ndim)
        batch = shared_batch(theta, "points", points)
        dtype = working(*(t.dtype for t in leaves(theta)), points.dtype)
        flat = points.to(dtype).reshape(points.shape[0], math.prod(points.shape[1:-1]), self.ndim)
        with tracing.no_autocast(points.device):
            moved = of_finite(flat, lambda p: self._mapped(tree_map(lambda t: t.to(dtype), theta), p, batch))
        return moved.expand(batch, -1, -1).reshape(batch, *points.shape[1:])

    def _mapped(self, theta: Any, points: Tensor, batch: int) -> Tensor:
        """The result of `forward`; `InputError` unless it has a point for each."""
        moved: Tensor = super().__call__(theta, points)
        if moved.ndim != 3 or moved.shape[0] not in (1, batch) or moved.shape[1:] != points.shape[1:]:
            expected, given = [batch, *points.shape[1:]], list(moved.shape)
            raise InputError(f"{type(self).__name__}.forward", expected=f"points {expected}", given=given)
        return moved

    def shifts(self, theta: Any, size: tuple[int, ...], align_corners: bool, part: Part | None = None) -> Tensor:
        """The normalised shift from each output pixel's own place to where it is sampled, [N, *size, D].

        `part`: of an output of that size, the same numbers as of the whole; [N, *part.size, D].
        """
        theta = self.as_theta(theta)
        points = (part or Part.all_of(size)).lattice(align_corners, working(theta.dtype), theta.device)[None]
        return self._alike(theta, points) - points

    def further(self, theta: Any, shifts: Tensor, align_corners: bool, part: Part | None = None) -> Tensor:
        """Shifts [N, *size, D] of an output's pixels, taken on by this transform: as `shifts`, from where they are."""
        part = part or Part.all_of(shifts.shape[1:-1])
        points = part.lattice(align_corners, shifts.dtype, shifts.device) + shifts
        return shifts + (self._alike(theta, points) - points)  # exactly the shifts where it is the identity

    def _alike(self, theta: Any, points: Tensor) -> Tensor:
        """The transform of points `[N or 1, *T, D]`, each with the same bits wherever it stands among the others."""
        moved = self(theta, filled(points.flatten(1, -2)))[:, : math.prod(points.shape[1:-1])]
        return moved.reshape(len(moved), *points.shape[1:])

    def on_lattice(self, theta: Any, size: tuple[int, ...], align_corners: bool) -> Tensor:
        """The coordinates that the pixels of an output of this size are sampled from, [N, *size, D]."""
        shifts = self.shifts(theta, size, align_corners)
        return lattice(size, align_corners=align_corners, dtype=shifts.dtype, device=shifts.device) + shifts

    def jacobian(self, theta: Any, points: Tensor) -> Tensor:
        """The Jacobian [N, *T, D, D], with ∂T_i/∂p_j at [i, j]; differentiable in θ and in the points."""
        theta = self.as_theta(theta)
        check_coordinates("points", points, self.ndim)
        batch = shared_batch(theta, "points", points)
        dtype = working(*(t.dtype for t in leaves(theta)), points.dtype)
        points = points.to(dtype).expand(batch, *points.shape[1:]).contiguous()
        along = torch.eye(self.ndim, dtype=points.dtype, device=points.device)
        columns = [
            torch.func.jvp(lambda p: self(theta, p), (points,), (axis.expand_as(points).contiguous(),))[1]
            for axis in along
        ]
        return torch.stack(columns, dim=-1)

    def inverse_points(self, theta: Any, points: Tensor, *, tol: float = 1e-6) -> Tensor:
        """T⁻¹ of points of the input, [N or 1, *T, D] → where in the output each of them is seen, [N, *T, D].

        Every answer is certified: T takes it back to within `tol` (normalised coordinates, computed in float64 where
        the device has it). Anything else is NaN. Matrices are inverted as such, mirror images too; a point whose
        preimage lies on or behind the horizon has none. All other transforms are searched, and have to keep the
        orientation where the answer lies, det J > 0.

        A fold is refused: where a second preimage of the point was found in −1 … 1, or no farther out than the answer,
        there is none. The search starts from a lattice (24 cells along each axis of −1 … 1 in 2-D, 128 in 1-D, 10 in
        3-D, and some beyond) and from places around the answer where T is far from linear, a sixteenth of a cell away
        at least: folds that are smaller than a cell and elsewhere, or smaller than that, may go unseen. A second
        preimage farther out, as every barrel lens has one behind its edge, does not count.

        Differentiable in θ and points (the implicit function theorem), to second order. The memory is in proportion to
        the points.

        Raises `InputError` for wrong shapes, a `tol` that is not a positive number, and a singular matrix, whose batch
        entries it names.
        """
        check_coordinates("points", points, self.ndim)
        tol = as_number(tol)
        require(isinstance(tol, int | float) and tol > 0, "tol", expected="a positive number", given=tol)
        theta, exact = self.as_theta(theta), wide(points.device)
        flat = points.reshape(points.shape[0], math.prod(points.shape[1:-1]), self.ndim)
        none = self(theta, flat[:, :0])  # checks the batches
        shape = (none.shape[0], *points.shape[1:])
        if math.prod(shape) == 0:
            return none.reshape(shape)
        with tracing.no_autocast(points.device):
            held, targets = each(theta, lambda t: t.to(exact)), flat.to(exact)
            found = of_finite(targets, lambda y: self.preimages(held, y)).expand(none.shape[0], -1, -1)
            with torch.no_grad():
                back = self(each(held, Tensor.detach), found.detach())
                right = ((back - targets.detach()).abs() <= tol).all(dim=-1, keepdim=True)
            return torch.where(right, found, torch.nan).to(none.dtype).reshape(shape)

    def preimages(self, theta: Any, points: Float[Tensor, "B M D"]) -> Float[Tensor, "NB M D"]:
        """T⁻¹ of finite points in float64, NaN where there is none: for `inverse_points`, which certifies it.

        Differentiable in θ and points. A subclass that knows its inverse gives it here.
        """
        return preimages(self, theta, points)

    def anchors(self) -> Float[Tensor, "K D"]:
        """The points of the output whose images in the input are the handles: corners for matrices, else a lattice."""
        return places(self)

    def handles(self, theta: Float[Tensor, "N *P"]) -> Float[Tensor, "N K D"]:
        """The points of the input that people drag, normalised: where T takes the anchors. NaN where it has no value.

        Raises `InputError` for a transform whose θ is a field.
        """
        if self.is_field:
            hint = "free_form has control points"
            raise InputError(f"{type(self).__name__} has no handles, since its θ is a field", hint=hint)
        theta = self.as_theta(theta)
        return self(theta, self.anchors().to(theta.device, working(theta.dtype))[None])

    def from_handles(self, handles: Float[Tensor, "N K D"]) -> Float[Tensor, "N P"]:
        """The θ whose handles are these; where the family has none, the nearest by least squares.

        The search starts from the identity, or from zeros where there is none. Handles that are not finite do not
        count. Differentiable in the handles, exactly where they are met. Raises `InputError` for wrong shapes.
        """
        try:
            start = self.identity()
        except InputError:
            start = torch.zeros(self.num_params)
        check_handles(self, handles, self.handles(start[None]).shape[1])
        start = start.to(handles.device, working(handles.dtype))
        return fit(self, handles, start.expand(len(handles), -1))


def of_finite(points: Tensor, mapping: Callable[[Tensor], Tensor]) -> Tensor:
    """The result of `mapping(points)`, which sees finite points only; NaN for a point that is not finite."""
    # A NaN that went through a formula would make 0 · NaN in the gradient of θ.
    finite = torch.isfinite(points).all(dim=-1, keepdim=True)
    return torch.where(finite, mapping(torch.where(finite, points, 0.0)), torch.nan)


def leaves(theta: Any) -> list[Tensor]:
    """The tensors of θ: itself, or those of a composition's tuple."""
    return [leaf for part in theta for leaf in leaves(part)] if isinstance(theta, tuple | list) else [theta]


def shared_batch(theta: Any, other: str, b: Tensor) -> int:
    """The batch of θ and another tensor of which one may be shared (1); `InputError` for other sizes or two devices."""
    for leaf in leaves(theta):
        b = leaf if common_batch("theta", leaf, other, b) != b.shape[0] else b
    return b.shape[0]


def check_flat(transform: Transform, theta: Any) -> None:
    """Raise `InputError` unless theta is a floating-point tensor [N, num_params]."""
    check_floats("theta", theta)
    for name in ("ndim", "num_params"):
        if not isinstance(getattr(transform, name, None), int):
            raise InputError(
                f"{type(transform).__name__}.{name}", expected="an integer", given=getattr(transform, name, None)
            )
    if theta.ndim != 2 or theta.shape[1] != transform.num_params:
        names = " ".join(transform.param_names[:12]) + (" …" if transform.num_params > 12 else "")
        own = "".join(f", or [N, {', '.join(map(str, shape))}]" for shape in [transform.theta_shape] if shape)
        expected = f"[N, {transform.num_params}] for {type(transform).__name__} ({names}){own}"
        raise InputError("theta", expected=expected, given=list(theta.shape), hint=_hint(transform, list(theta.shape)))


def _hint(transform: Transform, shape: list[int]) -> str:
    """What to do with a θ of this shape, if that is clear."""
    d = transform.ndim
    if shape == [transform.num_params] or tuple(shape) == transform.theta_shape:
        return f"theta has no batch axis: theta[None] is {[1, *shape]}"
    if len(shape) != 3 or not transform.is_matrix or shape[1] not in (d, d + 1) or shape[2] != d + 1:
        return ""
    if transform.theta_shape == (d, d + 1):
        return f"Where its last row is 0 … 0 1, theta[:, :{d}] is meant; projective takes the whole matrix"
    if transform.theta_shape is not None:
        return f"A last row, 0 … 0 1 for an affine matrix, makes it {[shape[0], d + 1, d + 1]}"
    if type(transform).from_matrix is Transform.from_matrix:
        return ""
    return f"from_matrix makes θ of matrices [N, {d + 1}, {d + 1}], and refuses those that are not of this family"


transforms: Registry[Transform] = Registry("transform", Transform)
