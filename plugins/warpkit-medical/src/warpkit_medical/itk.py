"""Transforms of SimpleITK ↔ matrices and fields of millimetres, and their files."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

import warpkit as wk
from warpkit.files import written_whole
from warpkit.quoting import reason, shown
from warpkit_medical.whole import check_whole

Step = Tensor | tuple[Tensor, wk.Space]  # a matrix [D + 1, D + 1], or vectors [1, D, *F] and where they stand
SUFFIXES = (".tfm", ".txt", ".h5", ".hdf5", ".mat")  # .xfm keeps one transform of several


def check_suffix(path: Path) -> None:
    """Raise `InputError` unless ITK keeps transforms in files that are called like this."""
    if path.suffix.lower() not in SUFFIXES:
        expected = f"one that ends in {', '.join(SUFFIXES)}, .nii or .nii.gz"
        raise wk.InputError("the file's name", expected=expected, given=path.name)


def read(path: Path) -> Any:
    """The transform in a file, as SimpleITK reads it; `InputError` for a file that ends too early."""
    check_suffix(path)
    check_whole(path)
    try:
        with _of_a_known_kind():
            return sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise wk.InputError(f"ITK refuses it: {_said(error)}") from error


def write(transform: Any, path: Path) -> None:
    """Write a transform of SimpleITK; the file appears whole or not at all."""
    with written_whole(path) as draft:
        try:
            sitk.WriteTransform(transform, str(draft))
        except RuntimeError as error:
            raise wk.InputError(f"{shown(path)} cannot be written: {_said(error)}") from error
        try:
            check_whole(draft)  # ITK does not notice a full disk
        except wk.InputError:
            raise wk.InputError(f"{shown(path)} cannot be written: only a part of it was") from None


@contextlib.contextmanager
def _of_a_known_kind() -> Iterator[None]:
    """SimpleITK looks up its class for each transform, and fails for some that ITK has."""
    try:
        yield
    except KeyError as error:
        hint = "sitk.TransformToDisplacementField makes a field of it"
        raise wk.InputError("transform", expected="one that SimpleITK has a class for", hint=hint) from error


def steps(transform: Any, fixed: wk.Space, is_first: bool = True) -> list[Step]:
    """What a point of the fixed image passes, one after the other, in millimetres.

    Of what is neither a matrix nor a field the displacements at the pixels of `fixed`: `InputError` for one that is not
    the first, where points come from elsewhere.
    """
    if transform.GetDimension() != fixed.ndim:
        raise wk.InputError("transform", expected=f"one in {fixed.ndim}-D", given=transform.GetDimension())
    whole = sitk.CompositeTransform([transform])
    whole.FlattenTransform()
    with _of_a_known_kind():
        each = [
            whole.GetNthTransform(i) for i in reversed(range(whole.GetNumberOfTransforms()))
        ]  # the last comes first
    if all(part.IsLinear() or isinstance(part, sitk.DisplacementFieldTransform) for part in each):
        return [_matrix(part) if part.IsLinear() else _field(part.GetDisplacementField()) for part in each]
    if not is_first:
        hint = "others only in the first: a composite in one file has them anywhere"
        raise wk.InputError("transform", expected="matrices and fields behind another file", hint=hint)
    grid = (fixed.size[::-1], fixed.origin, fixed.spacing, np.ravel(fixed.direction).tolist())
    return [_field(sitk.TransformToDisplacementField(whole, sitk.sitkVectorFloat64, *grid))]


def affine(matrix: Tensor) -> Any:
    """ITK's affine transform of a matrix `[D + 1, D + 1]`."""
    d = len(matrix) - 1
    made = sitk.AffineTransform(d)
    made.SetMatrix(matrix[:d, :d].reshape(-1).tolist())
    made.SetTranslation(matrix[:d, d].tolist())
    return made


def field(vectors: Tensor, space: wk.Space) -> Any:
    """ITK's displacement field transform of vectors `[1, D, *F]`."""
    image = sitk.GetImageFromArray(vectors[0].movedim(0, -1).double().numpy(), isVector=True)
    image.SetSpacing(space.spacing)
    image.SetOrigin(space.origin)
    image.SetDirection(np.ravel(space.direction).tolist())
    return sitk.DisplacementFieldTransform(image)


def _matrix(linear: Any) -> Tensor:
    """The matrix of any linear transform, which is what it makes of zero and of the unit vectors."""
    d = linear.GetDimension()
    start = np.array(linear.TransformPoint([0.0] * d))
    columns = [np.array(linear.TransformPoint(unit)) - start for unit in np.eye(d).tolist()]
    matrix = np.eye(d + 1)
    matrix[:d] = np.column_stack([*columns, start])
    if not np.isfinite(matrix).all():
        raise wk.InputError("parameters", expected="finite numbers", given=linear.GetParameters())
    return torch.from_numpy(matrix)


def _field(image: Any) -> Step:
    vectors = torch.from_numpy(sitk.GetArrayFromImage(image)).movedim(-1, 0)[None]
    return vectors, wk.Space.of(image)


def _said(error: RuntimeError) -> str:
    """What ITK says, without the places in its sources."""
    told = str(error).rpartition("ERROR: ")[2]
    return reason(RuntimeError(re.sub(r"^\w+\(0x\w+\): ", "", told)))
