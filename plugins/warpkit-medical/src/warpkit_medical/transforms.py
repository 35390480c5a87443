"""ITK's transform files → θ, and back.

A file takes points of the fixed image to points of the moving one, in millimetres; θ does it in normalised coordinates.
So θ is moving⁻¹ · T · fixed, and two spaces always belong to a file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import warpkit as wk
from warpkit.transforms.base import leaves
from warpkit_medical import itk
from warpkit_medical.fields import read_field, write_field
from warpkit_medical.nifti import FilePath, is_nifti, reading


def read_transform(
    path: FilePath | Sequence[FilePath], *, fixed: wk.Space, moving: wk.Space, align_corners: bool = False
) -> tuple[Any, Any]:
    """The transform in a file, as `wk.warp` takes it: `transform, theta = read_transform(...)`.

    `wk.warp(image, transform, theta, size=fixed.size, padding_mode="none")` is then SimpleITK's `Resample` of an image
    in the space `moving` onto `fixed`, by that file.

    Args:
        path: a file that ITK, SimpleITK, ANTs or Slicer wrote: `.tfm`, `.txt`, `.h5`, `.hdf5`, `.mat`, or a
            displacement field as `.nii` or `.nii.gz`. Or several, in the order of `antsApplyTransforms -t`: a point of
            the fixed image passes the first, then the next.
        fixed: where the result lies.
        moving: where the image lies that is warped.
        align_corners: as in the `warp` that gets θ.

    Returns:
        For matrices (translations, Euler, versor, similarity, affine, and composites of them) "affine" and
        θ `[1, P]` in float64. For displacement fields, alone or in a composite, a `wk.Compose` of "affine" and
        "displacement" and its tuple of θ, or the one part that is not the identity; outside of a field nothing is
        displaced. Of other transforms (B-splines) the displacements at the pixels of `fixed`, which are exact there.
        All θ lie on the CPU.

    Raises:
        InputError: for a file that is missing, truncated or no transform, that holds several, for spaces of other
            dimensions than its own, and for a B-spline in a file behind another.
    """
    _check_spaces(fixed, moving)
    paths = path if isinstance(path, list | tuple) else [path]
    if not paths:
        raise wk.InputError("path", expected="one file at least", given=path)
    steps = [step for i, each in enumerate(paths) for step in _steps(each, fixed, i == 0)]
    with torch.device("cpu"):
        return _theta_of(steps, fixed, moving, align_corners)


def _steps(path: FilePath, fixed: wk.Space, is_first: bool) -> list[itk.Step]:
    with reading(path, "a transform"):
        if not is_nifti(path):
            return itk.steps(itk.read(Path(path)), fixed, is_first)
        vectors, space = read_field(path)
        if space.ndim != fixed.ndim:
            raise wk.InputError("field", expected=f"one in {fixed.ndim}-D", given=space.ndim)
        return [(vectors, space)]


def _theta_of(steps: list[itk.Step], fixed: wk.Space, moving: wk.Space, align_corners: bool) -> tuple[Any, Any]:
    parts: list[tuple[Any, Tensor]] = []
    reached = fixed.world(align_corners)  # from the coordinates of the last part to millimetres
    for step in steps:
        if isinstance(step, Tensor):
            reached = step @ reached
        else:
            vectors, space = step
            field = wk.get_transform("displacement", ndim=fixed.ndim, padding_mode="none")
            parts += [*_affine(space.normalized() @ reached), (field, space.displacement(vectors))]
            reached = space.world()
    last = moving.normalized(align_corners) @ reached
    parts += _affine(last) if parts else [("affine", _theta(last))]
    transforms, thetas = zip(*parts, strict=True)
    return (transforms[0], thetas[0]) if len(parts) == 1 else (wk.Compose(transforms, ndim=fixed.ndim), thetas)


def write_transform(
    transform: Any, theta: Any, path: FilePath, *, fixed: wk.Space, moving: wk.Space, align_corners: bool = False
) -> None:
    """Write a transform and its θ into a file: what `read_transform` reads, and SimpleITK, ANTs and Slicer.

    The file appears whole or not at all; one that is there is replaced. An affine matrix is written as ITK's
    `AffineTransform`. Every other transform is written as the displacements of the pixels of `fixed`, between which ITK
    interpolates.

    Args:
        transform: as `wk.warp` takes it.
        theta: its θ, a batch of one.
        path: it ends in `.tfm`, `.txt`, `.h5`, `.hdf5` or `.mat`, or in `.nii` or `.nii.gz`. NIfTI holds displacements
            in all cases, in float32, as those of ANTs are.
        fixed: where the result of `wk.warp` lies.
        moving: where the image lies that is warped.
        align_corners: as in the `warp` that θ is for.

    Raises:
        InputError: for several θ, for a name that ends otherwise, for a transform that takes a pixel nowhere (behind a
            horizon), and where the file cannot be written.
    """
    _check_spaces(fixed, moving)
    if not is_nifti(path):
        itk.check_suffix(Path(path))
    whole = wk.Compose([transform], ndim=fixed.ndim, align_corners=align_corners)
    given = whole.as_theta((theta,) if whole.is_field else theta)
    if any(len(each) != 1 for each in leaves(given)):
        raise wk.InputError("theta", expected="that of one image: a file holds one", given=theta)
    if whole.is_affine and not is_nifti(path):
        matrix = fixed.millimetres(given, moving, whole, align_corners=align_corners)
        _check_finite(matrix)
        itk.write(itk.affine(matrix[0]), Path(path))
        return
    vectors = _vectors(whole, given, fixed, moving, align_corners)
    if is_nifti(path):
        write_field(vectors.float(), fixed, path)
    else:
        itk.write(itk.field(vectors, fixed), Path(path))


def _affine(matrix: Tensor) -> list[tuple[str, Tensor]]:
    """The matrix as a part; none for the identity, so that a field on the pixels of an image is read as it is."""
    is_identity = torch.allclose(matrix, torch.eye(len(matrix), dtype=matrix.dtype), rtol=0, atol=1e-12)
    return [] if is_identity else [("affine", _theta(matrix))]


def _theta(matrix: Tensor) -> Tensor:
    return wk.get_transform("affine", ndim=len(matrix) - 1).from_matrix(matrix[None])


def _vectors(whole: wk.Compose, theta: Any, fixed: wk.Space, moving: wk.Space, align_corners: bool) -> Tensor:
    """How far each pixel of the fixed image is displaced, [1, D, *size], in millimetres."""
    device = leaves(theta)[0].device
    points = wk.lattice(fixed.size, align_corners=align_corners, dtype=torch.float64, device=device)
    with torch.no_grad():
        reached = whole(theta, points[None])[0]
    inside, outside = (space.world(align_corners).to(device) for space in (moving, fixed))
    _check_finite(reached)
    moved = reached @ inside[:-1, :-1].mT + inside[:-1, -1] - points @ outside[:-1, :-1].mT - outside[:-1, -1]
    return moved.movedim(-1, 0)[None].cpu()


def _check_finite(reached: Tensor) -> None:
    if not reached.isfinite().all():
        raise wk.InputError("theta", expected="a transform that takes every pixel somewhere", given="one that does not")


def _check_spaces(fixed: Any, moving: Any) -> None:
    for name, space in (("fixed", fixed), ("moving", moving)):
        if not isinstance(space, wk.Space) or space.ndim != fixed.ndim or space.ndim < 2:
            raise wk.InputError(name, expected="a wk.Space in 2-D or 3-D, both in the same", given=space)
