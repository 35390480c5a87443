"""What is read: NumPy, Zarr and Dask arrays, and the levels of OME-Zarr images."""

import hashlib
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from warpkit.errors import InputError, require
from warpkit.quoting import reason


class Source(NamedTuple):
    """An array that is read by slices, and the letters of its axes, where it names them."""

    array: Any  # of Zarr or Dask
    axes: str | None


def source_of(given: Any, level: int = 0, what: str = "array") -> Source:
    """The array of what was given; `InputError` for what is none.

    A path, or a Zarr group, is that of a Zarr array or of an OME-Zarr image, whose `level` is taken.
    """
    import dask.array as da
    import zarr

    if isinstance(given, da.Array):
        return Source(_checked(given, what), None)
    if isinstance(given, Tensor):
        require(given.dtype != torch.bfloat16, what, expected="numbers that NumPy has", given=given.dtype)
        given = given.detach().cpu().numpy()
    if isinstance(given, np.ma.MaskedArray):
        raise InputError(what, expected="an array without a mask, as filled(nan) gives", given=type(given))
    if isinstance(given, np.ndarray):
        # In chunks: a task then holds what it reads, and no worker the whole.
        return Source(da.from_array(_checked(given, what), chunks="auto", name=False), None)  # type: ignore[no-untyped-call]
    if isinstance(given, str | os.PathLike):
        given = opened(given, what)
    if isinstance(given, zarr.Group):
        return _level(given, level, what)
    if isinstance(given, zarr.Array):
        names = getattr(given.metadata, "dimension_names", None)
        return Source(_checked(given, what), _letters(names))
    expected = "a NumPy, Dask or Zarr array, an OME-Zarr image, or a path to one of the latter"
    raise InputError(what, expected=expected, given=given)


def opened(path: str | os.PathLike[str], what: str = "array") -> Any:
    """The Zarr array or group at a path, to be read."""
    import zarr

    try:
        return zarr.open(os.fspath(path), mode="r")
    except Exception as error:  # of many kinds: no such file, no Zarr, a format that is not known
        raise InputError(f"{what}: {os.fspath(path)} is no Zarr array or group: {reason(error)}") from None


def state_of(array: Any) -> str:
    """What tells an array of Zarr from others, and from itself before any of its chunks was written in a folder."""
    found = hashlib.sha256(repr((str(array.store_path), array.shape)).encode())
    root = getattr(array.store, "root", None)
    for folder, folders, names in os.walk(os.path.join(root, array.path)) if root is not None else []:
        folders.sort()
        for name in sorted(names):
            held = os.stat(os.path.join(folder, name))
            found.update(repr((os.path.relpath(folder, root), name, held.st_size, held.st_mtime_ns)).encode())
    return found.hexdigest()


def levels_of(group: Any) -> list[str]:
    """The paths of the levels of an OME-Zarr image, the finest first; empty where it is none."""
    return [str(each["path"]) for each in _multiscale(group).get("datasets", [])]


def axes_of(group: Any) -> str | None:
    """The letters of the axes of an OME-Zarr image."""
    return _letters([axis["name"] if isinstance(axis, dict) else axis for axis in _multiscale(group).get("axes", [])])


def pixels_of(group: Any, level: int) -> tuple[list[float], list[float], list[str | None]] | None:
    """How large a pixel of a level is along each axis, where the first one lies, and the axes' units."""
    found = _multiscale(group)
    axes = [axis if isinstance(axis, dict) else {} for axis in found.get("axes", [])]
    scale, origin = [1.0] * len(axes), [0.0] * len(axes)
    steps = [found["datasets"][level], found]  # a level's own first, then those of all levels
    for step in (step for each in steps for step in each.get("coordinateTransformations") or []):
        by = step.get(step.get("type"))
        if not isinstance(by, list) or len(by) != len(axes):  # in a file of its own
            return None
        if step["type"] == "scale":
            scale, origin = ([float(a * b) for a, b in zip(each, by, strict=True)] for each in (scale, origin))
        else:
            origin = [float(a + b) for a, b in zip(origin, by, strict=True)]
    return scale, origin, [axis.get("unit") for axis in axes]


def _multiscale(group: Any) -> dict[str, Any]:
    attributes = dict(group.attrs)
    found = attributes.get("ome", attributes).get("multiscales") or [{}]
    return dict(found[0])


def _level(group: Any, level: int, what: str) -> Source:
    paths = levels_of(group)
    if not paths:
        names = ", ".join(sorted(group.array_keys())[:8])
        hint = f"Its arrays: {names}." if names else ""
        raise InputError(what, expected="a Zarr array, or a group with OME-Zarr's multiscales", given=group, hint=hint)
    if not 0 <= level < len(paths):
        raise InputError("level", expected=f"0 to {len(paths) - 1}", given=level)
    return Source(_checked(group[paths[level]], what), axes_of(group))


def _letters(names: Sequence[Any] | None) -> str | None:
    """One letter for each name, if they are such."""
    if not names or not all(isinstance(name, str) and name for name in names):
        return None
    found = "".join(name[0] for name in names).upper()
    return found if len(set(found)) == len(found) and "X" in found else None


def _checked(array: Any, what: str) -> Any:
    torch_type(array.dtype, what)
    if array.ndim == 0 or 0 in array.shape:
        raise InputError(what, expected="a pixel at least", given=list(array.shape))
    if any(n != n for n in array.shape):
        raise InputError(what, expected="a Dask array whose sizes are known: call compute_chunk_sizes()", given=array)
    return array


def torch_type(dtype: Any, what: str = "array") -> torch.dtype:
    """PyTorch's type for such numbers; `InputError` where there is none."""
    try:
        return torch.from_numpy(np.empty(0, dtype=np.dtype(dtype).newbyteorder("="))).dtype
    except (TypeError, ValueError):
        raise InputError(what, expected="numbers or truth values, as PyTorch has them", given=str(dtype)) from None


def tensor_of(values: Any) -> Tensor:
    """What was read of an array, as a tensor with its own memory order."""
    found = np.asarray(values)
    found = found.astype(found.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.ascontiguousarray(found) if found.flags.writeable else found.copy())
