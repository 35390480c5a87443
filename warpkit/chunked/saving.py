"""A lazy array is computed and written to Zarr, some tiles at a time; a run that was stopped goes on where it was."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from warpkit.chunked.axes import SPACE, layout_of
from warpkit.errors import InputError, require
from warpkit.quoting import reason

_BATCH = 16  # tiles between two notes of what is done: as many are computed again at most
Progress = Callable[[int, int], None]  # tiles that are done, and all


def save(
    array: Any,
    path: str | os.PathLike[str],
    *,
    axes: str | None = None,
    levels: int | None = None,
    scale: Sequence[float] | None = None,
    origin: Sequence[float] | None = None,
    units: Sequence[str | None] | None = None,
    progress: Progress | None = None,
) -> None:
    """Compute a Dask array and write it to a Zarr store, a tile at a time: its chunks become Zarr's.

    A run that was stopped, by a signal or an error, loses at most the few tiles that it was working on: the same call
    goes on after the last ones that it has noted. The same is an array of the same name, and what `chunked.warp` makes
    of the same Zarr array with the same arguments has the same name, in another process too, as long as no chunk of
    the array was written since, where it is in a local folder.

    Args:
        array: a Dask array, such as `chunked.warp` gives; its chunks are equal but for the last ones.
        path: of a Zarr array that is written, or of a group where there are levels.
        axes: the letters of its axes, which the store then names.
        levels: so many levels of an OME-Zarr image (0.5), each of half the size of the one before it, of the means of
            its pixels; of one array without a group unless given. It needs `axes`.
        scale: with levels, how large a pixel is along each axis, 1 unless given.
        origin: with levels, where the first pixel's middle lies along each axis, 0 unless given.
        units: with levels, the unit of each axis, as "micrometer", or None.
        progress: called with the number of tiles that are done and the number of all.

    Raises:
        InputError: for chunks that are not equal, a store that is there and is not this run's, and one that cannot be
            written.
    """
    import dask.array as da

    if not isinstance(array, da.Array):
        raise InputError("array", expected="a Dask array, such as wk.chunked.warp gives", given=array)
    if axes is not None:
        layout_of(axes, array.shape)
    for name, given in (("scale", scale), ("origin", origin), ("units", units)):
        right = given is None or (levels is not None and len(given) == array.ndim)
        require(right, name, expected=f"levels, and {array.ndim} values, one for each axis", given=given)
    if levels is None:
        _write(array, os.fspath(path), None, axes, progress or _silent)
        return
    if type(levels) is not int or levels < 1:
        raise InputError("levels", expected="a whole number from 1", given=levels)
    if axes is None:
        raise InputError("axes", expected="a letter for each axis of an image with levels", given=axes)
    group = _group(os.fspath(path), {"name": array.name, "axes": axes})
    current, shapes = array, []
    for level in range(levels):
        shapes.append(current.shape)
        written = _write(current, os.fspath(path), str(level), axes, progress or _silent)
        current = _halved(da.from_zarr(written), axes, array.dtype)  # type: ignore[no-untyped-call]
    sizes = [1.0] * array.ndim if scale is None else [float(n) for n in scale]
    first = [0.0] * array.ndim if origin is None else [float(n) for n in origin]
    datasets = list(_datasets(shapes, sizes, first))
    found = {"axes": _axes(axes, [None] * array.ndim if units is None else units), "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [found]}


def _write(array: Any, path: str, name: str | None, axes: str | None, progress: Progress) -> Any:
    """The Zarr array that all of it was written to."""
    from dask.base import compute
    from dask.delayed import delayed

    target = _target(array, path, name, axes)
    note = dict(target.attrs["warpkit"])
    places = list(itertools.product(*(range(n) for n in array.numblocks)))
    ends = [np.cumsum((0, *along)) for along in array.chunks]
    done = int(note["done"])
    progress(done, len(places))
    while done < len(places):
        batch = places[done : done + _BATCH]
        regions = [tuple(slice(int(e[k]), int(e[k + 1])) for e, k in zip(ends, at, strict=True)) for at in batch]
        tiles = [array.blocks[at].to_delayed().ravel()[0] for at in batch]
        put = delayed(_put, pure=False)
        compute(*(put(tile, target, region) for tile, region in zip(tiles, regions, strict=True)))  # type: ignore[no-untyped-call]
        done += len(batch)
        target.attrs["warpkit"] = note | {"done": done}
        progress(done, len(places))
    return target


def _put(tile: Any, target: Any, region: tuple[slice, ...]) -> None:
    if np.ascontiguousarray(tile).view(np.uint8).any():  # what is not there is zero, and not minus zero
        target[region] = tile


def _target(array: Any, path: str, name: str | None, axes: str | None) -> Any:
    """The Zarr array for it: the one that a stopped run has left, or a new one.

    Zarr's own look for chunks of zeros, unlike that of `_put`, compares all numbers in the one thread that serves all.
    """
    import zarr

    chunks = tuple(along[0] for along in array.chunks)
    if any(len(set(along[:-1])) > 1 or along[-1] > along[0] for along in array.chunks):
        raise InputError("chunks", expected="equal ones but for the last along each axis", given=list(array.chunks))
    where = path if name is None else os.path.join(path, name)
    run = {"name": array.name, "axes": axes}
    if _is_there(where):
        target = _opened(where, lambda: zarr.open(where, mode="r+"))
        _check_run(where, target if isinstance(target, zarr.Array) else None, run)
    else:
        ways: dict[str, Any] = {"shape": array.shape, "chunks": chunks, "dtype": array.dtype}
        ways["attributes"] = {"warpkit": run | {"done": 0}}
        ways["dimension_names"] = None if axes is None else [letter.lower() for letter in axes]
        target = _opened(where, lambda: zarr.create_array(where, **ways))
    return target.with_config({"write_empty_chunks": True})


def _group(path: str, run: dict[str, Any]) -> Any:
    """The Zarr group for the levels: the one that a stopped run has left, or a new one."""
    import zarr

    if not _is_there(path):
        return _opened(path, lambda: zarr.create_group(path, attributes={"warpkit": run}))
    there = _opened(path, lambda: zarr.open(path, mode="r+"))
    _check_run(path, there if isinstance(there, zarr.Group) else None, run)
    return there


def _is_there(path: str) -> bool:
    return os.path.lexists(path) and not (os.path.isdir(path) and not os.listdir(path))


def _check_run(path: str, there: Any, run: dict[str, Any]) -> None:
    """Raise `InputError` unless what is there was begun by this run."""
    note = None if there is None else there.attrs.get("warpkit")
    if not isinstance(note, dict) or any(note.get(key) != value for key, value in run.items()):
        hint = "Remove it, or write elsewhere. A stopped run goes on with the same array and arguments only."
        raise InputError(f"{path} is there, and is no part of this run", hint=hint)


def _opened(path: str, open_it: Callable[[], Any]) -> Any:
    try:
        return open_it()
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be written: {reason(error)}") from error


def _halved(array: Any, axes: str, dtype: Any) -> Any:
    """Half as many pixels along the axes of space, each the mean of those that it covers, of which there may be fewer
    at the end."""
    import dask.array as da

    for axis, letter in enumerate(axes.upper()):
        if letter in SPACE and array.shape[axis] > 1:
            more = array.shape[axis] % 2
            if more:
                widths = [(0, more if k == axis else 0) for k in range(array.ndim)]
                array = da.pad(array, widths, mode="edge")
            even = tuple(n + n % 2 for n in array.chunks[axis])
            array = array.rechunk({axis: even if sum(even) == array.shape[axis] else "auto"})
            array = da.coarsen(np.mean, array, {axis: 2})
    whole = array if np.dtype(dtype).kind in "fc" else array.round()
    chunks = tuple(max(along) for along in whole.chunks)
    return whole.astype(dtype).rechunk(chunks)


def _axes(axes: str, units: Sequence[str | None]) -> list[dict[str, str]]:
    kinds = {"C": "channel", "T": "time"} | dict.fromkeys(SPACE, "space")
    named = [{"name": a.lower(), "type": kinds.get(a.upper()), "unit": u} for a, u in zip(axes, units, strict=True)]
    return [{k: v for k, v in axis.items() if v} for axis in named]


def _datasets(shapes: list[tuple[int, ...]], scale: list[float], origin: list[float]) -> Iterator[dict[str, Any]]:
    """Each level: how large its pixels are, and where the first is. An axis of one pixel is not halved further."""
    factors = [1.0] * len(scale)
    for level, shape in enumerate(shapes):
        before = shapes[max(0, level - 1)]
        factors = [f * (2 if m < n else 1) for f, m, n in zip(factors, shape, before, strict=True)]
        sizes = [s * f for s, f in zip(scale, factors, strict=True)]
        first = [o + s * (f - 1) / 2 for o, s, f in zip(origin, scale, factors, strict=True)]
        steps = [{"type": "scale", "scale": sizes}, {"type": "translation", "translation": first}]
        yield {"path": str(level), "coordinateTransformations": steps}


def _silent(done: int, whole: int) -> None:
    """Report nothing to anybody about the progress."""
