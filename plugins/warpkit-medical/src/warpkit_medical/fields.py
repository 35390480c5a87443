"""Displacement fields in millimetres from NIfTI files, and into them, as ITK and ANTs have them."""

import torch
from torch import Tensor

import warpkit as wk
from warpkit_medical import nifti
from warpkit_medical.nifti import FilePath
from warpkit_medical.orientation import space_of

# How the intents' names begin where the vectors are positions or velocities.
_OTHERS = {
    "NREG": "NiftyReg's own format (reg_transform -disp writes displacements)",
    "Mapping": "SPM's deformations, which are positions",
}


def read_field(path: FilePath) -> tuple[Tensor, wk.Space]:
    """The displacement field in a NIfTI file, and where it lies.

    `wk.Space.displacement` of them is θ of `displacement`; `read_transform` does it all.

    Args:
        path: a file of five axes whose last are the components, with NIfTI's intent "vector" (ITK, ANTs: components as
            ITK's, LPS) or "displacement vector" (components as NIfTI's, RAS, which are turned).

    Returns:
        The vectors in millimetres, `[1, D, *F]` with components x, y, z first, and the `wk.Space` of the places they
        stand at; both in ITK's millimetres.

    Raises:
        InputError: for a file that is missing, truncated or no such field; the positions that SPM and NiftyReg write
            are none.
    """
    with nifti.reading(path, "a displacement field"):
        pixels, header = nifti.load(path)
        t, d, z = pixels.shape[:3]
        code = int(header["intent_code"])
        if code not in (nifti.DISPLACEMENTS, nifti.VECTORS) or t != 1 or d not in (2, 3) or (d == 2 and z != 1):
            expected = 'NIfTI of five axes, the last one the components, with the intent "vector"'
            raise wk.InputError("axes", expected=expected, given=f"{list(pixels.shape)} (time, components, z, y, x)")
        name = str(header.get_intent()[2])
        for start, whose in _OTHERS.items():
            if name.startswith(start):
                raise wk.InputError(whose, expected="displacements", given=f"the intent's name {name!r}")
        vectors = pixels.to(torch.promote_types(pixels.dtype, torch.float32))
        vectors = vectors[:, :, 0] if d == 2 else vectors
        if code == nifti.DISPLACEMENTS:
            vectors[:, :2] *= -1
        return vectors, space_of(header, tuple(vectors.shape[2:]))


def write_field(vectors: Tensor, space: wk.Space, path: FilePath) -> None:
    """Write a displacement field into a NIfTI file: what `read_field` reads, and ITK and ANTs.

    The file appears whole or not at all; one that is there is replaced. Its intent is "vector", its components LPS.

    Args:
        vectors: in millimetres, `[1, D, *F]`, components x, y, z first, as `wk.Space.vectors` gives them.
        space: of the places they stand at; its size is F.
        path: it ends in `.nii` or `.nii.gz`.

    Raises:
        InputError: for another shape or name, and where the file cannot be written.
    """
    if not isinstance(space, wk.Space) or space.ndim < 2:
        raise wk.InputError("space", expected="a wk.Space in 2-D or 3-D", given=space)
    shape = [1, space.ndim, *space.size]
    if not isinstance(vectors, Tensor) or list(vectors.shape) != shape or not vectors.is_floating_point():
        given = list(vectors.shape) if isinstance(vectors, Tensor) else vectors
        raise wk.InputError("vectors", expected=f"floating-point {shape}, as their space", given=given)
    nifti.save(vectors, space, path)
