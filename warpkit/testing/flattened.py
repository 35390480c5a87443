"""A transform of fields as one of plain numbers, so that every check of transforms is one of fields too."""

import math
from typing import Any

import torch
from torch import Tensor

from warpkit.errors import InputError
from warpkit.geometry import Part
from warpkit.transforms.base import Transform

_SIDES = (4, 3, 2)  # of the lattice of a field, rows last: none like another


class Flattened(Transform):
    """The transform `of` with its θ in one row: a field of a small lattice, or what a composition has, joined.

    `theta`: one θ without its batch, whose lattice it takes.
    """

    def __init__(self, of: Transform, theta: Any = None) -> None:
        super().__init__()
        self.of = of
        self.ndim = getattr(of, "ndim", None)  # type: ignore[assignment]  # the check of sizes tells
        self.shapes = _shapes(of) if theta is None else _shapes_of(theta)
        self.num_params = sum(math.prod(shape) for shape in _rows(self.shapes))

    def identity(self) -> Tensor:
        """Zeros where fields are, and what the other parts say."""
        return _identity(self.of, self.shapes)

    def forward(self, theta: Tensor, points: Tensor) -> Tensor:
        """The result of the transform itself for θ, which is brought to its own shape."""
        return self.of(self.apart(theta), points)

    def shifts(self, theta: Tensor, size: tuple[int, ...], align_corners: bool, part: Part | None = None) -> Tensor:
        """The result of the transform itself for θ, which is brought to its own shape."""
        return self.of.shifts(self.apart(theta), size, align_corners, part)

    def further(self, theta: Tensor, shifts: Tensor, align_corners: bool, part: Part | None = None) -> Tensor:
        """The result of the transform itself for θ, which is brought to its own shape."""
        return self.of.further(self.apart(theta), shifts, align_corners, part)

    def jacobian(self, theta: Tensor, points: Tensor) -> Tensor:
        """The result of the transform itself for θ, which is brought to its own shape."""
        return self.of.jacobian(self.apart(theta), points)

    def apart(self, theta: Tensor) -> Any:
        """θ [N, P] as the transform takes it: [N, D, *F], or a tuple."""
        parts = iter(torch.split(theta, [math.prod(shape) for shape in _rows(self.shapes)], dim=1))
        return _filled(self.shapes, parts)


def _shapes(of: Transform) -> Any:
    parts = getattr(of, "transforms", None)
    if of.is_field and parts is not None:
        return tuple(_shapes(part) for part in parts)
    return torch.Size((of.ndim, *_SIDES[-of.ndim :]) if of.is_field else (of.num_params,))


def _shapes_of(theta: Any) -> Any:
    return theta.shape if isinstance(theta, Tensor) else tuple(map(_shapes_of, theta))


def _rows(shapes: Any) -> list[torch.Size]:
    return [shapes] if isinstance(shapes, torch.Size) else [row for part in shapes for row in _rows(part)]


def _filled(shapes: Any, parts: Any) -> Any:
    if isinstance(shapes, torch.Size):
        return next(parts).reshape(-1, *shapes)
    return tuple(_filled(part, parts) for part in shapes)


def _identity(of: Any, shapes: Any) -> Tensor:
    if not isinstance(shapes, torch.Size):
        return torch.cat([_identity(part, shape) for part, shape in zip(of.transforms, shapes, strict=True)])
    given = of.identity()
    try:
        return given.expand(shapes).clone().flatten()  # type: ignore[no-any-return]
    except RuntimeError as error:
        raise InputError(f"identity: expected [{', '.join(map(str, shapes))}], it gave {list(given.shape)}") from error
