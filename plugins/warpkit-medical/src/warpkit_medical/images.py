"""Images from NIfTI files, and into them."""

from typing import Any

from torch import Tensor

import warpkit as wk
from warpkit_medical import nifti
from warpkit_medical.nifti import FilePath
from warpkit_medical.orientation import space_of


def read_image(path: FilePath, *, ndim: int | None = None) -> tuple[Tensor, wk.Space]:
    """The image in a NIfTI file, and where it lies in millimetres, as SimpleITK would say it.

    Time points are the batch, so that each may have a θ of its own; several values at each voxel (NIfTI's fifth axis,
    or colours) are channels. `image.transpose(0, 1)` turns one into the other.

    Args:
        path: a `.nii` or `.nii.gz` file, NIfTI-1 or NIfTI-2, or the `.hdr` of a pair.
        ndim: 2 or 3. Unless it is given, 2 for a file of two axes and for ITK's vector images of one slice, else 3.

    Returns:
        The image, `[N, C, H, W]` or `[N, C, D, H, W]`: rows and slices first, as `wk.warp` takes it. Its type is the
        file's; where the header scales its integers it is float32, or float64 from 32 bits on. And its `wk.Space`,
        whose millimetres are ITK's (LPS). If the two forms of a header differ, ITK's choice counts: the sform if its
        code is 1, or if there is no qform.

    Raises:
        InputError: for a file that is missing, truncated or no NIfTI, for voxels that torch has no type for, and for
            `ndim=2` where there are slices or the image is not in the plane of x and y.
    """
    if ndim not in (None, 2, 3):
        raise wk.InputError("ndim", expected="2 or 3", given=ndim)
    with nifti.reading(path, "NIfTI"):
        pixels, header = nifti.load(path)
        flat = _is_flat(pixels, header) if ndim is None else ndim == 2
        if flat and pixels.shape[2] != 1:
            raise wk.InputError("ndim=2", expected="one slice", given=pixels.shape[2])
        image = pixels[:, :, 0] if flat else pixels
        return image, space_of(header, tuple(image.shape[2:]))


def write_image(image: Tensor, space: wk.Space, path: FilePath) -> None:
    """Write an image into a NIfTI file: what `read_image` reads, and SimpleITK.

    The file appears whole or not at all; one that is there is replaced.

    Args:
        image: `[N, C, H, W]` or `[N, C, D, H, W]` of any real or complex type. The batch becomes NIfTI's time, channels
            its vectors. Booleans are written as bytes, halves as float32.
        space: where it lies, in millimetres; its size is the image's. NIfTI keeps it in float32.
        path: it ends in `.nii` or `.nii.gz`.

    Raises:
        InputError: for another shape or name, and where the file cannot be written.
    """
    if not isinstance(space, wk.Space) or space.ndim < 2:
        raise wk.InputError("space", expected="a wk.Space in 2-D or 3-D", given=space)
    if not isinstance(image, Tensor) or image.ndim < 3 or tuple(image.shape[2:]) != space.size or 0 in image.shape:
        given = list(image.shape) if isinstance(image, Tensor) else image
        raise wk.InputError("image", expected=f"[N, C, {', '.join(map(str, space.size))}], as its space", given=given)
    nifti.save(image, space, path)


def _is_flat(pixels: Tensor, header: Any) -> bool:
    """Whether SimpleITK would call it an image in 2-D."""
    t, c, z = pixels.shape[:3]
    are_vectors = int(header["intent_code"]) in (nifti.DISPLACEMENTS, nifti.VECTORS)
    return int(header["dim"][0]) == 2 or (are_vectors and c > 1 and t == z == 1)
