"""Where an image lies in the world, in millimetres: what medical images and microscopes say of theirs.

Everything here is a matrix, computed in float64: from a pixel of the fixed image to millimetres, through a map of
millimetres, to a pixel of the moving image. Their product is one matrix transform, so an image is resampled once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.errors import InputError
from warpkit.geometry import check_floats, check_size
from warpkit.pixels.given import ArrayLike, matrices
from warpkit.pixels.thetas import pixels_of
from warpkit.transforms.base import transforms
from warpkit.transforms.field import axes_of
from warpkit.transforms.matrix import checked_matrix, scaled

_UNIT = 0.01  # how far a direction's length may be from 1: headers round theirs


@dataclass(frozen=True)
class Space:
    """A lattice of pixels in the world: position = origin + direction · (spacing · index), as in ITK and DICOM.

    Args:
        size: of the image in pixels, rows first, as its array has it: (H, W) or (D, H, W).
        spacing: from one pixel's centre to the next, in millimetres, along x, y, z; one number counts for all. 1 unless
            given.
        origin: where the first pixel's centre lies, x, y, z; 0 unless given.
        direction: D rows of D numbers, or D² of them: column i is the unit vector along which axis i (x, y, z) runs.
            The identity unless given.

    `Space.of(image)` reads them of a SimpleITK or ITK image, `Space.from_matrix` of a matrix. Raises `InputError` for
    other numbers of them, numbers that are not finite, a spacing that is not positive, and directions that are no unit
    vectors or not independent.

    >>> scan = Space((2, 4), spacing=0.5, origin=(10, 20))
    >>> scan.matrix[:2].tolist()
    [[0.5, 0.0, 10.0], [0.0, 0.5, 20.0]]
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[tuple[float, ...], ...]

    def __init__(self, size: Sequence[int], spacing: Any = 1.0, origin: Any = 0.0, direction: Any = None) -> None:
        checked = check_size(size)
        d = len(checked)
        steps, start = _numbers("spacing", spacing, d), _numbers("origin", origin, d)
        if not all(step > 0 for step in steps):
            raise InputError("spacing", expected="positive millimetres", given=spacing)
        axes = _numbers("direction", np.eye(d) if direction is None else direction, d * d)
        rows = tuple(axes[k : k + d] for k in range(0, d * d, d))
        if not abs(np.linalg.det(np.array(rows))) > 1e-9:
            raise InputError("direction", expected="independent unit vectors as columns", given=direction)
        if not np.allclose(np.linalg.norm(rows, axis=0), 1, rtol=0, atol=_UNIT):
            hint = "Space.from_matrix takes one that holds the spacing"
            raise InputError("direction", expected="unit vectors as columns", given=direction, hint=hint)
        for name, value in (("size", checked), ("spacing", steps), ("origin", start), ("direction", rows)):
            object.__setattr__(self, name, value)

    @staticmethod
    def of(image: Any) -> "Space":
        """The space of an image of SimpleITK, or of ITK's own Python, where a region says the size.

        Raises `InputError` for anything else, and for an image of four axes.
        """
        try:
            spacing, origin, direction = image.GetSpacing(), image.GetOrigin(), image.GetDirection()
            if hasattr(image, "GetSize"):
                size = image.GetSize()
            else:  # ITK's: the origin is that of index 0, and a region may begin at another
                region = image.GetLargestPossibleRegion()
                size, origin = region.GetSize(), image.TransformIndexToPhysicalPoint(region.GetIndex())
        except AttributeError:
            expected = "a SimpleITK or ITK image: wk.Space(size, spacing, origin, direction) takes numbers"
            raise InputError("image", expected=expected, given=image) from None
        return Space(tuple(size)[::-1], tuple(spacing), tuple(origin), np.asarray(direction))

    @staticmethod
    def from_matrix(size: Sequence[int], matrix: ArrayLike) -> "Space":
        """The space of this size whose `matrix` this is, from pixel indices x, y, z to millimetres.

        Args:
            size: as in `Space`, rows first.
            matrix: `[D, D + 1]` or `[D + 1, D + 1]`. nibabel's `affine`, whose x and y point the other way, is
                `diag(-1, -1, 1, 1) @ affine`. A shear stays in the directions, which are then not at right angles.

        Raises:
            InputError: for another shape, for a matrix that is singular, not finite or not affine.
        """
        square = matrices(matrix)
        d = len(check_size(size))
        if square.shape != (1, d + 1, d + 1):
            raise InputError("matrix", expected=f"one in {d}-D, as the size is", given=list(square.shape))
        given = square[0].detach().cpu().double().numpy()
        spacing = np.linalg.norm(given[:-1, :-1], axis=0)
        if not (np.isfinite(given).all() and np.array_equal(given[-1], np.eye(d + 1)[-1]) and spacing.all()):
            raise InputError("matrix", expected="an invertible affine matrix of finite numbers", given=given.tolist())
        return Space(size, spacing, given[:-1, -1], given[:-1, :-1] / spacing)

    @property
    def ndim(self) -> int:
        """The number of the space's axes."""
        return len(self.size)

    @property
    def matrix(self) -> Float[Tensor, "E E"]:
        """From pixel indices x, y, z to millimetres, in float64; the first pixel's centre is index 0."""
        matrix = torch.eye(self.ndim + 1, dtype=torch.float64)
        matrix[:-1, :-1] = torch.tensor(self.direction, dtype=torch.float64) * torch.tensor(
            self.spacing, dtype=torch.float64
        )
        matrix[:-1, -1] = torch.tensor(self.origin, dtype=torch.float64)
        return matrix

    def theta(
        self,
        moving: "Space",
        matrix: ArrayLike | None = None,
        transform: Any = "affine",
        *,
        align_corners: bool = False,
    ) -> Float[Tensor, "N P"]:
        """θ that resamples an image in the space `moving` on this one's pixels: moving⁻¹ · matrix · this.

        `wk.warp(image, "affine", fixed.theta(moving, matrix), size=fixed.size)` is ITK's `Resample` of that transform.

        Args:
            moving: where the image lies that is warped.
            matrix: from points of this space to points of the moving one, in millimetres, `[N, D, D + 1]` or
                `[N, D + 1, D + 1]`, or without N; the identity unless given. It is the direction of ITK's transforms.
            transform: a matrix transform with `from_matrix`, as `warp` takes it.
            align_corners: as in the `warp` that gets θ.

        Returns:
            `[N, P]` in float64. Differentiable in the matrix.

        Raises:
            InputError: for other dimensions, and a matrix that is not of the family.
        """
        self._check(moving)
        given = self._matrices(matrix)
        inner, outer = moving.normalized(align_corners), self.world(align_corners)
        mapping = transforms.shared(transform, given.device, ndim=self.ndim)
        return mapping.from_matrix(inner.to(given.device) @ given @ outer.to(given.device))

    def millimetres(
        self, theta: Tensor, moving: "Space", transform: Any = "affine", *, align_corners: bool = False
    ) -> Float[Tensor, "N E E"]:
        """The matrix of millimetres of such a θ, from this space to the moving one: the way back of `theta`."""
        self._check(moving)
        check_floats("theta", theta)
        mapping = transforms.shared(transform, theta.device, ndim=self.ndim)
        theta = mapping.as_theta(theta)
        inner, outer = moving.world(align_corners), self.normalized(align_corners)
        matrix = checked_matrix(mapping, theta.double())
        return scaled(inner.to(theta.device) @ matrix @ outer.to(theta.device))

    def world(self, align_corners: bool = False) -> Float[Tensor, "E E"]:
        """From normalised coordinates to millimetres, in float64."""
        return self.matrix @ pixels_of(self.size, align_corners, self.matrix)

    def normalized(self, align_corners: bool = False) -> Float[Tensor, "E E"]:
        """From millimetres to normalised coordinates, in float64: the inverse of `world`.

        Raises `InputError` for an axis of one pixel with `align_corners`, where all coordinates are the same place.
        """
        if align_corners and 1 in self.size:
            hint = "align_corners=False, in the warp too, has no such limit"
            raise InputError("align_corners=True", expected="two pixels along each axis", given=self.size, hint=hint)
        return torch.linalg.inv(self.world(align_corners))  # type: ignore[no-any-return]

    def displacement(self, millimetres: Tensor, *, align_corners: bool = False) -> Float[Tensor, "N D *F"]:
        """θ of `displacement` from vectors in millimetres, `[N, D, *F]`, x, y, z first, one for each pixel.

        F is this space's size, or any other that spans it. In this space's own coordinates, so that the whole is
        `wk.Compose(["affine", displacement, "affine"])` of `fixed.theta(self)`, this, and `self.theta(moving)`.
        Differentiable. Raises `InputError` for another shape.
        """
        return self._turned("millimetres", millimetres, self.normalized(align_corners))

    def vectors(self, theta: Tensor, *, align_corners: bool = False) -> Float[Tensor, "N D *F"]:
        """The displacements in millimetres of such a θ: the way back of `displacement`."""
        return self._turned("theta", theta, self.world(align_corners))

    def _turned(self, what: str, field: Tensor, matrix: Tensor) -> Tensor:
        check_floats(what, field)
        d = self.ndim
        if field.ndim != d + 2 or field.shape[1] != d:
            raise InputError(what, expected=f"[N, {d}, {axes_of(d)}], x, y, z first", given=list(field.shape))
        moved = torch.einsum("ij,nj...->ni...", matrix[:-1, :-1].to(field.device), field.double())
        return moved.to(field.dtype)

    def _check(self, moving: Any) -> None:
        if not isinstance(moving, Space) or moving.ndim != self.ndim:
            given = f"one in {moving.ndim}-D" if isinstance(moving, Space) else moving
            raise InputError("moving", expected=f"a Space in {self.ndim}-D", given=given)

    def _matrices(self, matrix: Any) -> Tensor:
        if matrix is None:
            return torch.eye(self.ndim + 1, dtype=torch.float64)[None]
        square = matrices(matrix).double()
        if square.shape[-1] != self.ndim + 1:
            raise InputError("matrix", expected=f"one in {self.ndim}-D", given=list(square.shape))
        return square


def _numbers(what: str, given: Any, count: int) -> tuple[float, ...]:
    given = given.detach().cpu().double() if isinstance(given, Tensor) and not given.is_meta else given
    try:
        found = np.asarray(given, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        found = np.empty(0)
    found = np.repeat(found, count) if len(found) == 1 and count > 1 and np.ndim(given) == 0 else found
    if len(found) != count or not np.isfinite(found).all():
        raise InputError(what, expected=f"{count} finite numbers, x, y, z", given=given)
    return tuple(found.tolist())
