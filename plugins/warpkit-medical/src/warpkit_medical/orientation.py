"""Where a NIfTI file lies: from its header to `wk.Space`, and back.

NIfTI's world is RAS: x runs to the patient's right, y to the front. `wk.Space` has ITK's, LPS: both turn their signs.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import warpkit as wk

_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])  # RAS ↔ LPS
_MILLIMETRES = {1: 1e3, 3: 1e-3}  # codes of metres and micrometres
_FLAT = 1e-4  # of a pixel: how far a flat image may lie out of the plane of x and y


def ras(space: wk.Space) -> NDArray[np.float64]:
    """NIfTI's matrix [4, 4] of a space in 2-D or 3-D, whose third axis is the world's where it has two."""
    whole, d = np.eye(4), space.ndim
    with torch.device("cpu"):
        matrix = space.matrix.numpy()
    whole[:d, :d], whole[:d, 3] = matrix[:d, :d], matrix[:d, d]
    return _TURN @ whole


def space_of(header: Any, size: tuple[int, ...]) -> wk.Space:
    """The space of a header, for an image of this size in 2-D or 3-D.

    Raises `InputError` where a flat image does not lie in the plane of x and y.
    """
    matrix = _TURN @ _affine(header)
    matrix[:3] *= _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    if len(size) == 2:
        aside = np.abs([*matrix[2, :2], *matrix[:2, 2]]).max()
        if aside > _FLAT * np.abs(matrix[:2, :2]).max():
            expected = "an image in the plane of x and y"
            raise wk.InputError(
                "ndim=2", expected=expected, given="an oblique one", hint="ndim=3 reads it as one slice"
            )
        matrix = matrix[np.ix_([0, 1, 3], [0, 1, 3])]
    return wk.Space.from_matrix(size, matrix)


def _affine(header: Any) -> NDArray[np.float64]:
    """The matrix that ITK would choose: nibabel takes the sform wherever there is one, and its lengths as spacing."""
    is_turned, given = int(header["qform_code"]) > 0, header.get_sform(coded=True)[0]
    if given is not None and not (is_turned and int(header["sform_code"]) != 1) and not is_sheared(given):
        matrix = np.array(given, dtype=np.float64)
        matrix[:3, :3] *= _spacing(header) / np.linalg.norm(matrix[:3, :3], axis=0)
        return matrix
    if is_turned:  # not asked for before: nibabel refuses a quaternion that is none
        return np.array(header.get_qform(), dtype=np.float64)
    if given is not None:
        return np.array(given, dtype=np.float64)
    return _TURN @ np.diag([*_spacing(header), 1.0])  # it says no more


def _spacing(header: Any) -> NDArray[np.float64]:
    """The header's own, where what is no length counts as 1."""
    lengths = np.abs(header["pixdim"][1:4].astype(np.float64))
    return np.where(np.isfinite(lengths) & (lengths > 0), lengths, 1.0)


def is_sheared(affine: NDArray[np.float64], most: float = 1e-4) -> bool:
    """Whether the axes are not at right angles, or one of them has no length."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not (lengths > 0).all():
        return True
    axes = affine[:3, :3] / lengths
    return bool(np.abs(axes @ axes.T - np.eye(3)).max() > most)
