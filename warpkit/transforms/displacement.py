"""The transform whose θ is a field of displacements."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from warpkit.boundary import PaddingMode
from warpkit.errors import unknown
from warpkit.geometry import UNITS, Units, check_size
from warpkit.kernels.base import KernelLike
from warpkit.transforms.field import FieldTransform, affine_shifts, half_extents, to_normalised


class Displacement(FieldTransform):
    """T(p) = p + θ(p): θ `[N, D, *F]` says how far each place is moved, along x, y, z.

    `units`: "normalized", of −1 … 1, or "pixels" of the field's own lattice. The rest as in `FieldTransform`; a cubic
    B-spline as `kernel` makes it a free-form deformation of any grid.
    """

    is_linear = True

    def __init__(
        self,
        ndim: int | None = None,
        *,
        units: Units = "normalized",
        kernel: KernelLike | Sequence[KernelLike] = "bilinear",
        padding_mode: PaddingMode | Sequence[PaddingMode] = "border",
        align_corners: bool = False,
    ) -> None:
        super().__init__(ndim, kernel=kernel, padding_mode=padding_mode, align_corners=align_corners)
        if not isinstance(units, str) or units not in UNITS:
            raise unknown("units", units, UNITS)
        self.units = units

    def displacement(self, theta: Float[Tensor, "N D *F"]) -> Float[Tensor, "N D *F"]:
        """The displacements θ in normalised coordinates, whatever their units are."""
        return to_normalised(theta, self.align_corners) if self.units == "pixels" else theta

    def part_of_field(self, theta: Float[Tensor, "N D *P"], size: tuple[int, ...]) -> Float[Tensor, "N D *P"] | None:
        """The part of the field that a part of θ gives; None for a subclass that makes something else of θ."""
        if type(self).displacement is not Displacement.displacement:
            return None
        return to_normalised(theta, self.align_corners, size) if self.units == "pixels" else theta

    def from_matrix(self, matrix: Float[Tensor, "N E E"], size: int | Sequence[int] = 2) -> Float[Tensor, "N D *F"]:
        """The θ of an affine map on a lattice of this size; `InputError` for a matrix with a horizon.

        It is exact within the field, for kernels that reproduce straight lines. In θ's units.
        """
        size = check_size(size, self.ndim)
        field = affine_shifts(self._generator(matrix), size, self.align_corners).movedim(-1, 1)
        if self.units == "normalized":
            return field
        return field * half_extents(field, self.align_corners).reshape(-1, *[1] * self.ndim)

    def _generator(self, matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N E E"]:
        """The affine map whose displacements are θ."""
        return matrix
