"""The composition of several transforms."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from warpkit.component import written
from warpkit.errors import InputError, at, require
from warpkit.geometry import Part, common_batch
from warpkit.precision import wide, working
from warpkit.quoting import Told
from warpkit.transforms.base import Transform, check_flat, leaves, of_finite, transforms
from warpkit.transforms.given import TransformLike
from warpkit.transforms.inversion import preimages
from warpkit.transforms.matrix import apply, checked_matrix, invert
from warpkit.transforms.newton import each

Pair = tuple[Transform, Any]  # and its θ


class Compose(Transform):
    """Points pass the first transform, then the next: as if the image had been warped by the last one first.

    θ is the parts' θ, one after the other, or a tuple or list of them, which it has to be with a field among the parts.
    The image is read once. Neighbouring matrices multiply, and a horizon is judged on their product; where all parts
    are matrices the whole is one, with `matrix(theta)`.

    `of`: names, tables or transforms. `ndim` is for those that are given by name, which otherwise follow the transforms
    among them, and so is `align_corners`, of fields.
    """

    def __init__(
        self,
        of: Sequence[TransformLike],
        ndim: int | None = None,
        align_corners: bool | None = None,
    ) -> None:
        super().__init__()
        require(isinstance(of, list | tuple) and len(of) > 0, "of", expected="one transform at least", given=of)
        known = {part.ndim for part in of if isinstance(part, Transform)}
        told = {"ndim": ndim or (known.pop() if len(known) == 1 else None), "align_corners": align_corners}
        parts = [transforms.own(part, **{k: v for k, v in told.items() if v is not None}) for part in of]
        dimensions = sorted({part.ndim for part in parts} | ({ndim} if ndim else set()))
        require(len(dimensions) == 1, f"of: transforms of different dimensions, {dimensions}")
        self.transforms = nn.ModuleList(parts)
        self.ndim = dimensions[0]
        self.num_params = sum(part.num_params for part in parts)
        self.is_matrix = all(part.is_matrix for part in parts)
        self.is_affine = all(part.is_affine for part in parts)
        self.is_field = any(part.is_field for part in parts)

    def spec_options(self) -> dict[str, object]:
        """The options that would make this composition again, with its parts themselves."""
        return {**super().spec_options(), "of": self._parts()}

    @property
    def param_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The parts' parameter names, each after the number of its part."""
        return tuple(f"{i}.{name}" for i, part in enumerate(self._parts()) for name in part.param_names)

    def identity(self) -> Any:
        """The parts' identities, `[P]`; with a field among the parts a tuple of them."""
        each = [part.identity() for part in self._parts()]
        return tuple(each) if self.is_field else torch.cat(each)

    def as_theta(self, theta: Any) -> Any:
        """θ as the formula takes it, each part's of any shape that the part takes; flat ones are put side by side."""
        parts, theta = self._parts(), tuple(theta) if isinstance(theta, list) else theta
        if not isinstance(theta, tuple) or (self.is_field and len(theta) != len(parts)):
            return super().as_theta(theta)
        expected = f"[N, {self.num_params}], or a tuple of {len(parts)}, one for each part"
        require(len(theta) == len(parts), "theta", expected=expected, given=Told(f"tuple of {len(theta)}"))
        each = []
        for i, (part, given) in enumerate(zip(parts, theta, strict=True)):
            with at(f"part {i}, {type(part).__name__}"):
                each.append(part.as_theta(given))
        return tuple(each) if self.is_field else _beside(each)

    def check_theta(self, theta: Any) -> None:
        """Raise `InputError` unless theta is [N, num_params], or with fields a tuple of what the parts take."""
        parts = self._parts()
        names = ", ".join(type(part).__name__ for part in parts)
        if not self.is_field:
            try:
                check_flat(self, theta)
            except InputError as error:
                raise error.hinting(error.hint or f"Or give a tuple ({names}), one θ for each part") from None
            return
        count = len(theta) if isinstance(theta, tuple | list) else None
        if not isinstance(theta, tuple) or count != len(parts):
            given = Told(f"{type(theta).__name__} of {count}") if count is not None else theta
            raise InputError("theta", expected=f"a tuple ({names}), since one of the parts is a field", given=given)
        for i, (part, given) in enumerate(zip(parts, theta, strict=True)):
            with at(f"part {i}, {type(part).__name__}"):
                part.check_theta(given)

    def inverted(self, theta: Any) -> "tuple[Compose, Any]":
        """The composition of the parts' inverses in reverse order, and its θ. `InputError` where a part has none."""
        theta = self.as_theta(theta)
        pairs = [
            part.inverted(t) if isinstance(part, Compose) else (part, part.inverse(t))
            for part, t in reversed(self._with_theta(theta))
        ]
        back = Compose([part for part, _ in pairs])
        return back, tuple(t for _, t in pairs) if self.is_field else torch.cat([t for _, t in pairs], dim=1)

    def inverse(self, theta: Any) -> Any:
        """The θ of the inverse, where the parts are the same in reverse order; else `InputError`: see `inverted`."""
        parts = self._parts()
        if not all(_are_alike(a, b) for a, b in zip(parts, reversed(parts), strict=True)):
            raise InputError("Compose: its inverse has the parts in reverse order: back, theta = inverted(theta)")
        return self.inverted(theta)[1]

    def matrix(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N E E"]:
        """The product of the parts' matrices; `InputError` unless all parts are matrices."""
        return _product(self._with_theta(theta))

    def forward(self, theta: Any, points: Float[Tensor, "B M D"]) -> Float[Tensor, "NB M D"]:
        """Map the points by one part after the other, each run of matrices as their product."""
        for run in self._runs(theta):
            points = _through_matrices(run, points) if run[0][0].is_matrix else run[0][0](run[0][1], points)
        return points

    def shifts(self, theta: Any, size: tuple[int, ...], align_corners: bool, part: Part | None = None) -> Tensor:
        """The first part's shifts, taken on by each of the others: exactly zero where all are the identity."""
        theta = self.as_theta(theta)
        (transform, first), *_ = pairs = self._with_theta(theta)
        if not transform.is_matrix:
            start = transform.shifts(first, size, align_corners, part)
            return self._carried(pairs[1:], start, align_corners, part)
        dtype, asked = working(*(t.dtype for t in leaves(theta))), size if part is None else part.size
        start = torch.zeros(1, *asked, self.ndim, dtype=dtype, device=first.device)
        return self._carried(pairs, start, align_corners, part)

    def further(self, theta: Any, shifts: Tensor, align_corners: bool, part: Part | None = None) -> Tensor:
        """The shifts, taken on by one part after the other."""
        theta = self.as_theta(theta)
        return self._carried(self._with_theta(theta), shifts, align_corners, part)

    def jacobian(self, theta: Any, points: Tensor) -> Tensor:
        """[N, *T, D, D], ∂T_i/∂p_j at [i, j]: with fields the product of the parts' own."""
        if not self.is_field:
            return super().jacobian(theta, points)
        theta = self.as_theta(theta)
        whole: Tensor | None = None
        for part, t in self._with_theta(theta):
            own = part.jacobian(t, points)
            whole, points = own if whole is None else own @ whole, part(t, points)
        assert whole is not None
        return whole

    def preimages(self, theta: Any, points: Float[Tensor, "B M D"]) -> Float[Tensor, "NB M D"]:
        """Invert the product of matrices; anything else is searched from where the parts' own inverses lead.

        That the parts can be inverted one by one is no certificate: what the whole folds together is judged on it.
        """
        if self.is_matrix:
            return apply(invert(_product(self._with_theta(theta))), points, self.is_affine)
        guess, mirrored = points.detach(), torch.ones((), dtype=points.dtype, device=points.device)
        with torch.no_grad():
            pairs = [(part, each(t, Tensor.detach)) for part, t in self._with_theta(theta)]
            for run in reversed(list(_runs(pairs))):
                part, t = run[0]
                if part.is_matrix:
                    product, is_affine = _product(run), all(part.is_affine for part, _ in run)
                    inverse = invert(product)
                    guess = of_finite(guess, lambda y: apply(inverse, y, is_affine))  # noqa: B023
                    mirrored = mirrored * torch.linalg.det(product).sign()
                else:
                    guess = of_finite(guess, lambda y: part.preimages(t, y))  # noqa: B023
        return preimages(self, theta, points, guess, mirrored)

    def _carried(self, pairs: Sequence[Pair], shifts: Tensor, align_corners: bool, part: Part | None = None) -> Tensor:
        for run in _runs(pairs):
            if run[0][0].is_matrix:
                asked = part or Part.all_of(shifts.shape[1:-1])
                at = asked.lattice(align_corners, shifts.dtype, shifts.device) + shifts
                points = at.flatten(1, -2)
                moved = _through_matrices(run, points)
                shifts = shifts + (moved - points).reshape(moved.shape[0], *at.shape[1:])
            else:
                shifts = run[0][0].further(run[0][1], shifts, align_corners, part)
        return shifts

    def _runs(self, theta: Any) -> Iterator[list[Pair]]:
        return _runs(self._with_theta(theta))

    def _with_theta(self, theta: Any) -> list[Pair]:
        parts = self._parts()
        each = theta if self.is_field else torch.split(theta, [part.num_params for part in parts], dim=1)
        return list(zip(parts, each, strict=True))

    def _parts(self) -> list[Transform]:
        return list(self.transforms)  # type: ignore[arg-type]  # a ModuleList forgets what its modules are


def _beside(each: Sequence[Tensor]) -> Tensor:
    """Several flat θ as one, of one batch."""
    batch = each[0]
    for i, t in enumerate(each[1:], 1):
        batch = t if common_batch(f"part {i}", t, f"part {i - 1}", batch) != len(batch) else batch
    return torch.cat([t.expand(len(batch), -1) for t in each], dim=1)


def _runs(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Neighbouring matrices together, anything else by itself."""
    for is_matrix, run in groupby(pairs, key=lambda pair: pair[0].is_matrix):
        if is_matrix:
            yield list(run)
        else:
            yield from ([pair] for pair in run)


def _through_matrices(run: Sequence[Pair], points: Tensor) -> Tensor:
    """Points through the product of neighbouring matrices, which is computed in float64."""
    exact = wide(points.device)
    product = _product([(part, t.to(exact)) for part, t in run])
    is_affine = all(part.is_affine for part, _ in run)
    return of_finite(points.to(exact), lambda p: apply(product, p, is_affine)).to(points.dtype)


def _product(pairs: Sequence[Pair]) -> Tensor:
    part, theta = pairs[0]
    product = checked_matrix(part, theta)
    for part, theta in pairs[1:]:
        product = checked_matrix(part, theta) @ product
    return product


def _are_alike(a: Transform, b: Transform) -> bool:
    """Whether one θ means the same to both."""
    same = type(a) is type(b) and not (list(a.parameters()) or list(b.parameters()))
    return a is b or (same and repr(written(a.spec_options())) == repr(written(b.spec_options())))
