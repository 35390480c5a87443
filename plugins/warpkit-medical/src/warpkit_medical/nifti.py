"""NIfTI files ↔ arrays [T, C, Z, Y, X] and headers: NIfTI lists its axes x, y, z, time, values at each voxel."""

import contextlib
import gzip
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from numpy.lib.recfunctions import structured_to_unstructured
from torch import Tensor

import warpkit as wk
from warpkit.files import written_whole
from warpkit.quoting import reason, shown
from warpkit_medical.orientation import is_sheared, ras

FilePath = str | PathLike[str]
SUFFIXES = (".nii", ".nii.gz")
DISPLACEMENTS, VECTORS = 1006, 1007  # codes of NIfTI's intents; components RAS, and ITK's own, LPS
_MOST_VOXELS = 32767  # along an axis in NIfTI-1, whose header counts them in 16 bits
_SCANNER = 1  # the code of millimetres of the scanner's own


def is_nifti(path: FilePath) -> bool:
    """Whether the file is called like one."""
    return path_of(path).name.lower().endswith(SUFFIXES)


def path_of(path: FilePath) -> Path:
    """The path; `InputError` for what is none."""
    if not isinstance(path, str | PathLike):
        raise wk.InputError("path", expected="a text or a pathlib.Path", given=path)
    return Path(path)


@contextlib.contextmanager
def reading(path: FilePath, what: str) -> Iterator[None]:
    """Whatever is raised inside becomes an `InputError` that names the file. What is made lies on the CPU."""
    named = shown(path_of(path))
    try:
        with path_of(path).open("rb"), torch.device("cpu"):  # nibabel does not say why a file cannot be opened
            yield
    except wk.InputError as error:
        raise (error if str(error).startswith(named) else error.at(named)) from None
    except FileNotFoundError:
        raise wk.InputError(f"{named}: there is no such file") from None
    except Exception as error:  # readers raise nearly anything where a file is damaged
        told = getattr(error, "strerror", None) or reason(error)
        raise wk.InputError(f"{named} cannot be read as {what}: {told}") from error


def load(path: FilePath) -> tuple[Tensor, Any]:
    """The pixels [T, C, Z, Y, X], scaled as the header says, and the header. To be called within `reading`."""
    file = nib.loadsave.load(path)
    if not isinstance(file, nib.nifti1.Nifti1Pair):
        raise wk.InputError("file", expected="NIfTI", given=type(file).__name__)
    if isinstance(file, nib.nifti1.Nifti1Image) and path_of(path).suffix.lower() == ".gz":
        with gzip.open(path) as stream:
            pixels = np.asanyarray(type(file).from_stream(stream).dataobj)
            while stream.read(1 << 20):  # at its end stands the checksum, which nibabel does not reach
                pass
    else:
        pixels = np.asanyarray(file.dataobj)
    header = file.header
    stored = header.get_data_dtype()
    if pixels.dtype != stored:  # scaled: of up to 16 bits float32 holds all that the file can say
        pixels = pixels.astype(np.result_type(stored, np.float32))
    shape = pixels.shape
    if pixels.dtype.names:  # colours
        pixels = structured_to_unstructured(pixels)
        pixels = pixels.reshape(*shape, *[1] * (4 - len(shape)), pixels.shape[-1])
    if len(shape) < 2 or any(n != 1 for n in pixels.shape[5:]):
        raise wk.InputError("axes", expected="x, y, z, time and values at each voxel", given=list(shape))
    five = pixels.reshape((*pixels.shape, 1, 1, 1)[:5])
    return _tensor(five.T.swapaxes(0, 1)), header


def _tensor(pixels: Any) -> Tensor:
    """A copy in this machine's order of bytes; the file stays free."""
    try:
        return torch.from_numpy(np.array(pixels, dtype=pixels.dtype.newbyteorder("="), order="C"))
    except TypeError:
        raise wk.InputError("voxels", expected="numbers that torch has", given=str(pixels.dtype)) from None


def _held(pixels: Tensor) -> Tensor:
    """The pixels on the CPU in a type that NIfTI has."""
    kind = pixels.dtype
    if kind.itemsize < (8 if kind.is_complex else 4) and (kind.is_complex or kind.is_floating_point):
        kind = torch.complex64 if kind.is_complex else torch.float32
    kind = torch.uint8 if kind == torch.bool else kind
    return pixels.detach().to("cpu", kind).resolve_conj().resolve_neg()


def save(pixels: Tensor, space: wk.Space, path: FilePath) -> None:
    """Write pixels [N, C, *S] that lie in this space; with several channels, or vectors, as ITK does."""
    if not is_nifti(path):
        raise wk.InputError(f"{shown(Path(path))}: the file's name", expected="one that ends in .nii or .nii.gz")
    try:
        held = _held(pixels).numpy()
    except (TypeError, NotImplementedError) as error:  # sparse, quantized, without numbers
        raise wk.InputError("image", expected="a dense tensor of numbers", given=pixels) from error
    n, c = held.shape[:2]
    array = held.reshape(n, c, *[1] * (3 - space.ndim), *space.size).swapaxes(0, 1).T
    axes = 5 if c > 1 else 4 if n > 1 else space.ndim
    array = array.reshape(array.shape[:axes])
    kind: Any = nib.nifti2.Nifti2Image if max(array.shape) > _MOST_VOXELS else nib.nifti1.Nifti1Image
    affine = ras(space)
    file = kind(array, affine, dtype=array.dtype)
    file.header.set_xyzt_units("mm")
    file.set_sform(affine, _SCANNER)
    if is_sheared(affine, 1e-3):  # which a turn cannot say, and ITK does not read
        file.set_qform(None, 0)
    else:
        file.set_qform(affine, _SCANNER)
    if c > 1:
        file.header.set_intent("vector")
    with written_whole(Path(path)) as draft, draft.open("wb") as plain:
        if draft.suffix.lower() == ".gz":
            with gzip.GzipFile("", "wb", compresslevel=1, fileobj=plain, mtime=0) as packed:  # equal bytes each time
                file.to_stream(packed)
        else:
            file.to_stream(plain)
