"""The door: arrays larger than memory are warped tile by tile."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from warpkit.antialias import check_antialias
from warpkit.chunked.axes import Layout, layout_of
from warpkit.chunked.coefficients import check_prefilters
from warpkit.chunked.fields import Field, field_of
from warpkit.chunked.graph import Job, dask_array
from warpkit.chunked.sources import Source, source_of, tensor_of, torch_type
from warpkit.chunked.tiles import Sampling
from warpkit.errors import InputError
from warpkit.footprints import between_pixels
from warpkit.geometry import check_size
from warpkit.kernels.base import KernelLike
from warpkit.quoting import Told
from warpkit.sampling.backend import named
from warpkit.sampling.pixel_means import whole_blocks
from warpkit.sampling.rule import FillLike, rule_for
from warpkit.transforms.base import Transform, leaves, transforms
from warpkit.transforms.given import TransformLike

_TILE = 2**22  # numbers of a tile, unless its size is given
_CPU = torch.device("cpu")


def warp(
    array: Any,
    transform: TransformLike,
    theta: Any,
    *,
    size: int | Sequence[int] | None = None,
    chunks: Any = "auto",
    kernel: KernelLike | Sequence[KernelLike] = "bilinear",
    padding_mode: str | Sequence[str] = "zeros",
    fill: FillLike = 0.0,
    align_corners: bool = False,
    antialias: bool | int = False,
    axes: str | None = None,
) -> Any:
    """Warp an array that need not fit into memory: a lazy `dask.array`, computed tile by tile.

    Its numbers are those of `warp`, to the last bit: a tile's coordinates are the whole's, and what its points reach of
    the image is found from these coordinates themselves, for any transform.

    Args:
        array: NumPy's, Dask's or Zarr's, a Zarr group that is an OME-Zarr image (its finest level), or a path to one of
            the latter two.
        transform: as in `warp`, and so are `theta`, `kernel`, `padding_mode`, `fill` and `align_corners`.
        theta: `[N, P]`, of a field `[N, D, *F]`; a tensor, or an array of NumPy, Dask or Zarr. N is 1 or the number of
            images: the product of the axes that are neither space nor channels. A large `displacement` of Dask or Zarr
            stays where it is, and a tile reads the part that it needs, unless `antialias`; every other θ is kept in
            memory.
        size: the output's in space, rows first; the image's unless given.
        chunks: the output's, in the words of Dask: a number or a tuple for the axes of space, or one for all axes;
            "auto" makes tiles of some four million numbers.
        kernel: see `warp`. One with a prefilter has to be able to filter a part of an image, as B-splines are.
        padding_mode: see `warp`.
        fill: see `warp`.
        align_corners: see `warp`.
        antialias: as in `warp`. Tiles of a strong reduction read each chunk that they cover; of an OME-Zarr image a
            coarser level may do.
        axes: a letter for each axis of the array, as "CZYX": X, Y, Z are space, C the channels, and all others count
            images. Those that the Zarr store names, or YX, unless given.

    Returns:
        A Dask array of the same axes and type. Nothing is read before it is computed; of a Dask array the tasks depend
        on the chunks that they read, which is found now: that evaluates the coordinates once, or the corners of a tile
        where these suffice.

    Raises:
        InputError: for a wrong shape, type, size, name or option, before anything is read.

    >>> import numpy as np
    >>> flip = torch.tensor([[-1.0, 0, 0, 0, 1, 0]])
    >>> warp(np.arange(4.0).reshape(1, 4), "affine", flip).compute().tolist()
    [[3.0, 2.0, 1.0, 0.0]]
    """
    source = source_of(array)
    how = How(kernel, padding_mode, fill, align_corners, axes, antialias)
    job, shape = job_of(source, transform, theta, size, how)
    whole = chunks_of(chunks, job.layout, shape, source.array.dtype)
    lazy = source.array if job.array is None else None
    return dask_array(job, lazy, whole, np.dtype(source.array.dtype).newbyteorder("="))


class How(NamedTuple):
    """How an array is read, as it was given; see `warp`."""

    kernel: Any
    padding_mode: Any
    fill: Any
    align_corners: Any
    axes: str | None
    antialias: Any = False


def job_of(
    source: Source, transform: TransformLike, theta: Any, size: Any, how: How, *, lazily: bool = True
) -> tuple[Job, tuple[int, ...]]:
    """What a tile of such a warp needs, checked, and the shape of the output."""
    layout = layout_of(source.axes if how.axes is None else how.axes, source.array.shape)
    dtype = torch_type(source.array.dtype)
    like = torch.empty(1, *layout.size_of("C"), *[1] * len(layout.space), dtype=dtype)
    rule = rule_for(like, how.kernel, how.padding_mode, how.fill, how.align_corners)
    check_prefilters(rule.kernels)
    most = check_antialias(how.antialias, rule.kernels)
    # Footprints ask a field for any place: it is read as a whole.
    mapping, given = prepared(transform, theta, layout, rule.align_corners, lazily and not most)
    own = layout.size_of(layout.space)
    out = own if size is None else check_size(size, len(own))
    outside = rule.fill.tolist() if rule.fill.numel() > 1 else rule.fill.item() if rule.fill.numel() else 0.0
    matrix = between_pixels(mapping, given, own, out, rule.align_corners) if most else None
    blocks = None if matrix is None else whole_blocks(matrix, own, out, rule, most)
    sampling = Sampling(mapping, rule.kernels, rule.padding, outside, rule.align_corners, own, out, dtype, most, blocks)
    lead = lead_of(layout, given)
    sizes = dict(zip(layout.images, lead, strict=True)) | dict(zip(layout.space, out, strict=True))
    shape = tuple(sizes.get(letter, n) for letter, n in zip(layout.axes, layout.shape, strict=True))
    array = None if hasattr(source.array, "__dask_graph__") else source.array
    return Job(sampling, given, layout, lead, array, named()), shape


def prepared(
    transform: TransformLike, theta: Any, layout: Layout, align_corners: Any, lazily: bool
) -> tuple[Transform, Any]:
    """The transform for such an array, and θ, checked: as tensors, or `lazily` as a field that stays where it is."""
    d = len(layout.space)
    mapping = transforms.shared(transform, _CPU, ndim=d, align_corners=align_corners)
    if mapping.ndim != d:
        given = Told(f"{type(mapping).__name__} in {mapping.ndim}-D")
        hint = f'axes={layout.axes!r}: is one of them missing, as in "ZYX"?' if mapping.ndim > d else ""
        raise InputError("transform", expected=f"one in {d}-D, as {layout.space} is", given=given, hint=hint)
    if lazily and (field := field_of(mapping, theta)) is not None:
        return mapping, field
    return mapping, mapping.as_theta(tensors(theta))


def tensors(theta: Any) -> Any:
    """θ as tensors without a gradient, in memory."""
    if isinstance(theta, tuple):
        return tuple(tensors(part) for part in theta)
    if isinstance(theta, Tensor):
        return theta.detach().to(_CPU)
    if hasattr(theta, "__dask_graph__"):
        theta = theta.compute()
    if hasattr(theta, "shape") and hasattr(theta, "dtype"):
        return tensor_of(theta[...] if theta.ndim else theta)
    return theta


def lead_of(layout: Layout, theta: Any) -> tuple[int, ...]:
    """The sizes of the output's axes that count images."""
    sizes = layout.size_of(layout.images)
    each = [theta.shape[0]] if isinstance(theta, Field) else [leaf.shape[0] for leaf in leaves(theta)]
    images, sets = math.prod(sizes), max(each)
    if sets in (1, images) and all(n in (1, sets) for n in each):
        return sizes
    if images == 1 and len(sizes) == 1:
        return (sets,)
    expected = f"1, or {images}, the images of {layout.axes} {list(layout.shape)}"
    hint = "" if sizes else f'Give the array an axis of images, array[None] with axes="N{layout.axes}".'
    raise InputError("batch of theta", expected=expected, given=sets, hint=hint)


def chunks_of(given: Any, layout: Layout, shape: tuple[int, ...], dtype: Any) -> tuple[tuple[int, ...], ...]:
    """The chunks of the output, along each of its axes."""
    from dask.array.core import normalize_chunks

    sizes, d = dict(zip(layout.axes, shape, strict=True)), len(layout.space)
    default = {letter: sizes[letter] if letter == "C" else 1 for letter in layout.axes}
    if isinstance(given, str) and given == "auto":
        edge = 2 ** max(6, int(math.log2(max(1, _TILE // sizes.get("C", 1)))) // d)
        wanted: Any = tuple(min(sizes[a], edge) if a in layout.space else default[a] for a in layout.axes)
    elif isinstance(given, int) or (isinstance(given, list | tuple) and len(given) == d < len(shape)):
        space = [given] * d if isinstance(given, int) else list(given)
        named_chunks = dict(zip(layout.space, space, strict=True))
        wanted = tuple(named_chunks.get(letter, default[letter]) for letter in layout.axes)
    else:
        wanted = given
    try:
        found = normalize_chunks(wanted, shape=shape, dtype=dtype)  # type: ignore[no-untyped-call]
        right = given is not True and all(isinstance(n, int) and n > 0 for along in found for n in along)
    except Exception:  # whatever Dask says of it
        right = False
    if not right:
        expected = f"a positive number, or {d} for {', '.join(layout.space)}, or Dask's chunks of {list(shape)}"
        raise InputError("chunks", expected=expected, given=given)
    return tuple(tuple(int(n) for n in along) for along in found)
