"""A field that need not fit into memory: θ of a displacement, read where a tile needs it."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from warpkit.chunked.coefficients import check_prefilters, margins_of, stored
from warpkit.chunked.reading import Box
from warpkit.chunked.sources import state_of, tensor_of, torch_type
from warpkit.chunked.windows import reaches
from warpkit.geometry import Part
from warpkit.precision import working
from warpkit.sampling.rule import Within
from warpkit.transforms.base import Transform
from warpkit.transforms.field import FieldTransform

_LARGE = 2**24  # numbers: a smaller field is kept in memory


@dataclass(frozen=True, eq=False)
class Field:
    """θ `[N, D, *F]` as an array of Zarr or Dask; `entry`: the one of a batch that is meant."""

    array: Any
    entry: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the θ that is meant, `[N, D, *F]`."""
        return (self.array.shape[0] if self.entry is None else 1, *self.array.shape[1:])

    @property
    def dtype(self) -> torch.dtype:
        """The type of θ's numbers, as torch names it."""
        return torch_type(self.array.dtype, "theta")

    @property
    def name(self) -> str:
        """What tells it from others, in another process too."""
        is_lazy = hasattr(self.array, "__dask_graph__")
        return f"{self.array.name if is_lazy else state_of(self.array)} {self.shape}"

    def of(self, entry: int) -> "Field":
        """One θ of the batch, or the one that there is."""
        return replace(self, entry=entry if self.array.shape[0] > 1 else 0)

    def read(self, box: Box) -> Tensor:
        """θ in a box, `[1, D, *box]`."""
        at = self.entry or 0
        values = self.array[(slice(at, at + 1), slice(None), *(slice(*ends) for ends in box))]
        # The chunks of a Dask array are computed here, by the task that needs them.
        return tensor_of(values.compute(scheduler="synchronous") if hasattr(values, "compute") else values)

    def shifts(self, mapping: FieldTransform, size: tuple[int, ...], align_corners: bool, part: Part) -> Tensor:
        """`mapping.shifts` for a part of an output of this size, from a part of θ."""
        own = self.shape[2:]
        if mapping.is_read_as_is(own, size, align_corners):
            box = tuple((first, first + n) for first, n in zip(part.origin, part.size, strict=True))
            return self._field(mapping, self.read(box)).movedim(1, -1)
        matrix = mapping.to_field(own, size, align_corners, torch.device("cpu"))
        rule = mapping.rule(torch.device("cpu"))._replace(words=None)
        kind = working(self.dtype)
        found = reaches(matrix, "affine", part, own, rule, margins_of(rule, kind))

        def read(box: Box) -> Tensor:
            return self._field(mapping, self.read(box))

        pixels = stored(read, kind, found, own, rule)
        place = Within(own, tuple(reach.begin for reach in found), part)
        own_rule = rule._replace(filters=False, within=place)
        return mapping.sampled(pixels, matrix, "affine", part.size, own_rule).movedim(1, -1)

    def _field(self, mapping: FieldTransform, theta: Tensor) -> Tensor:
        found = mapping.part_of_field(theta.to(working(theta.dtype)), self.shape[2:])
        assert found is not None
        return found


def field_of(mapping: Transform, theta: Any) -> Field | None:
    """θ as a field that is read in parts, where it is such an array, large, and each place of it counts alone."""
    is_array = hasattr(theta, "__dask_graph__") or hasattr(theta, "store_path")
    if not is_array or not isinstance(mapping, FieldTransform) or math.prod(theta.shape) <= _LARGE:
        return None
    found = Field(theta)
    mapping.check_theta(torch.empty(theta.shape, dtype=found.dtype, device="meta"))
    blank = torch.zeros(1, mapping.ndim, *[1] * mapping.ndim)
    if mapping.part_of_field(blank, (1,) * mapping.ndim) is None:
        return None
    check_prefilters(tuple(mapping.kernels))  # type: ignore[arg-type]
    return found
