"""θ's gradient of a loss over images larger than memory: a sum over tiles, in a fixed order."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from warpkit.chunked.axes import Layout, layout_of
from warpkit.chunked.coefficients import stored
from warpkit.chunked.graph import Blocks, Job, Place, bounds_of, entry_of
from warpkit.chunked.sources import Source, source_of, tensor_of
from warpkit.chunked.tiles import reached, within
from warpkit.chunked.warping import How, chunks_of, job_of
from warpkit.errors import InputError, unknown
from warpkit.kernels.base import KernelLike
from warpkit.precision import arithmetic
from warpkit.sampling.rule import FillLike
from warpkit.sampling.sampler import resample
from warpkit.transforms.given import TransformLike

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "mse": lambda warped, fixed: (warped - fixed).square(),
    "l1": torch.nn.L1Loss(reduction="none"),
}


def gradient(
    moving: Any,
    fixed: Any,
    transform: TransformLike,
    theta: Any,
    loss: str | Loss = "mse",
    *,
    chunks: Any = "auto",
    kernel: KernelLike | Sequence[KernelLike] = "bilinear",
    padding_mode: str | Sequence[str] = "zeros",
    fill: FillLike = 0.0,
    align_corners: bool = False,
    axes: str | None = None,
) -> tuple[Tensor, Any]:
    """The mean of a loss between a warped array and a fixed one, and θ's gradient; neither array need fit into memory.

    It is that of `loss(wk.warp(moving, transform, θ, size=fixed's), fixed).mean()`, summed in float64 over tiles in
    their order, so the same for any number of workers. It is computed now, by the scheduler that Dask has chosen.

    Args:
        moving: as the array of `chunked.warp`, and so are `transform` to `axes`.
        fixed: likewise, of the same axes; its shape is that of the warped array.
        transform: see `chunked.warp`.
        theta: see `chunked.warp`; of a field it is kept in memory, and so is its gradient.
        loss: "mse", "l1", or a function of two tensors `[1, C, *S]`, warped and fixed, that gives a loss for
            each number of them, of the same shape. It works where the tiles do: with several processes it is pickled.
        chunks: see `chunked.warp`: the tiles.
        kernel: see `chunked.warp`.
        padding_mode: see `chunked.warp`.
        fill: see `chunked.warp`.
        align_corners: see `chunked.warp`.
        axes: see `chunked.warp`.

    Returns:
        The mean, in float64, and the gradient, like θ and of its type.

    Raises:
        InputError: for a wrong shape, type, size, name or option.

    >>> moving, fixed = np.arange(16.0).reshape(4, 4), np.zeros((4, 4))
    >>> value, slope = gradient(moving, fixed, "translation", torch.zeros(1, 2))
    >>> value.item(), slope.shape
    (77.5, torch.Size([1, 2]))
    """
    from dask.base import compute

    if isinstance(loss, str) and loss not in LOSSES:
        raise unknown("loss", loss, tuple(LOSSES))
    source, target = source_of(moving, what="moving"), source_of(fixed, what="fixed")
    layout = layout_of(target.axes if axes is None else axes, target.array.shape)
    how = How(kernel, padding_mode, fill, align_corners, axes)
    job, shape = job_of(source, transform, theta, layout.size_of(layout.space), how, lazily=False)
    if shape != layout.shape:
        expected = f"the shape of the warped array, {list(shape)}"
        raise InputError("fixed", expected=expected, given=list(layout.shape))
    whole = chunks_of(chunks, layout, shape, source.array.dtype)
    count = int(np.prod(shape))
    measure = LOSSES[loss] if isinstance(loss, str) else loss
    tasks = list(_tasks(job, source, target, layout, whole, measure))
    value, total = torch.zeros((), dtype=torch.float64), tree_map(lambda t: torch.zeros_like(t).double(), job.theta)
    for each, slope in compute(*tasks):  # type: ignore[no-untyped-call]  # in the tiles' order, whoever was first
        value = value + each / count
        total = tree_map(lambda a, b: a + b / count, total, slope)
    return value, tree_map(lambda a, like: a.to(like.dtype), total, job.theta)


def _tasks(job: Job, source: Source, target: Source, layout: Layout, chunks: Any, loss: Loss) -> Any:
    from dask.delayed import delayed

    work = delayed(_tile, pure=False)
    held = delayed(job, traverse=False)
    ends = [np.cumsum((0, *along)) for along in chunks]
    blocks = source.array.to_delayed() if job.array is None else None
    for index in itertools.product(*(range(len(along)) for along in chunks)):
        place = tuple((int(e[k]), int(e[k + 1])) for e, k in zip(ends, index, strict=True))
        region = tuple(slice(start, stop) for start, stop in place)
        is_lazy = hasattr(target.array, "__dask_graph__")
        seen = (target.array[region], None) if is_lazy else (target.array, region)
        if blocks is None:
            yield work(held, place, loss, *seen)
        else:
            starts, bounds = bounds_of(source.array)
            met = job.chunks_met(place, bounds)
            offsets = [tuple(int(s[k]) for s, k in zip(starts, at, strict=True)) for at in met]
            yield work(held, place, loss, *seen, [blocks[at] for at in met], offsets)


def _tile(
    job: Job, place: Place, loss: Loss, fixed: Any, region: Any, blocks: Sequence[Any] = (), offsets: Any = ()
) -> tuple[Tensor, Any]:
    """The sum of the loss over one tile, and θ's gradient of it."""
    array = job.array if job.array is not None else Blocks(blocks, offsets)
    seen = job.layout.to_images(tensor_of(fixed if region is None else fixed[region]))
    part, channels = job.part(place)
    count = channels.stop - channels.start
    kind = arithmetic(job.sampling.dtype, "cpu")
    value = torch.zeros((), dtype=torch.float64)
    theta = tree_map(lambda t: t.detach().clone().requires_grad_(), job.theta)
    each, structure = tree_flatten(theta)
    total = [torch.zeros_like(leaf) for leaf in each]
    with job.chosen():
        rule = job.sampling.rule(channels, count)
        for number, (index, image, _) in enumerate(job.images(place)):
            read = job.reader(array, image, channels)
            flat = int(np.ravel_multi_index(index, job.lead)) if index else 0
            with torch.enable_grad():
                own = entry_of(theta, flat)
                for one in reached(job.sampling, own, part, rule, count):
                    pixels = stored(read, job.sampling.dtype, one.reaches, job.sampling.size, rule).to(kind)
                    place_of = within(rule, job.sampling.size, one.part, one.reaches)
                    warped = resample(pixels, one.where, one.kind, one.part.size, place_of)
                    mine, theirs = one.part.within(part), part.within(one.part)
                    beside = seen[(slice(number, number + 1), slice(None), *mine)].to(kind)
                    lost = loss(warped[(slice(None), slice(None), *theirs)], beside)
                    some = lost.sum(dtype=torch.float64)
                    value = value + some.detach()
                    slopes = torch.autograd.grad(some, each, allow_unused=True, retain_graph=True)
                    total = [a if b is None else a + b for a, b in zip(total, slopes, strict=True)]
    return value, structure.unflatten(total)
