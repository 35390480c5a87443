"""All first derivatives of pull: in the image, in the coordinates or the matrix, and in the kernels' tables."""

import torch
from torch import Tensor

from warpkit.sampling.gpu.how import AFFINE
from warpkit.sampling.gpu.launch import (
    Call,
    blocks,
    filling,
    fresh,
    image_strides,
    is_last,
    point_strides,
    resolved,
    start,
)
from warpkit.sampling.gpu.maps import push
from warpkit.sampling.gpu.slopes import slopes
from warpkit.sampling.gpu.weights import weights
from warpkit.sampling.problem import Problem

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]
_ENOUGH = 512  # programs, for every processor of a large GPU to have some


def gradients(grad: Tensor, image: Tensor, problem: Problem, wants: tuple[bool, bool, bool]) -> Gradients:
    """Of pull in the image, in `problem.where` and in `problem.table`, as they are wanted."""
    grad, image = resolved(grad), resolved(image)
    wants_image, wants_where, wants_table = wants
    return (
        push(grad, problem, image.shape[0]) if wants_image else None,
        _in_where(grad, image, problem) if wants_where else None,
        _in_table(grad, image, problem) if wants_table else None,
    )


def _in_where(grad: Tensor, image: Tensor, problem: Problem) -> Tensor:
    """Of points and shifts [NB, *target, D]; of matrices as these are."""
    images, channels, d = grad.shape[0], image.shape[1], len(problem.size)
    call = Call(problem, image.dtype, image, grad)
    many, few = blocks(channels, is_last(image))
    fill, kind = filling(problem, image.device, image.dtype)
    across = -(-call.points // many)
    parts = min(-(-channels // few), -(-_ENOUGH // max(1, images * across)))
    listed = call.how.kind < AFFINE
    shape = (parts, images, call.points, d) if listed else (images, parts, across, d + 1, d + 1)
    # The last row of an affine matrix stays zero.
    found = fresh(shape, call.where.dtype, image.device, zeros=problem.kind == "affine")
    flat, strides = point_strides(grad, call.points)
    start(
        slopes, images * parts * across, image.device, flat, image, call.where, call.table, fill, found, channels,
        call.points, parts, images, call.axes, image_strides(image), strides, call.where_strides, kind, call.how, many,
        few,
    )  # fmt: skip
    if listed:
        return (found[0] if parts == 1 else found.sum(0)).reshape(images, *problem.where.shape[1:])
    summed = found.sum((1, 2))
    return summed.sum(0, keepdim=True) if problem.has_shared_where else summed


def _in_table(grad: Tensor, image: Tensor, problem: Problem) -> Tensor:
    """Of all coefficients, in float64; axes with one table between them add to it."""
    images, channels = grad.shape[0], image.shape[1]
    call = Call(problem, image.dtype, image, grad)
    many, few = blocks(channels, is_last(image))
    fill, kind = filling(problem, image.device, image.dtype)
    across = -(-call.points // many)
    flat, strides = point_strides(grad, call.points)
    total = torch.zeros(problem.table.numel(), dtype=torch.float64, device=image.device)
    how = call.how
    for axis in range(how.dims):
        taps, pieces, width = how.taps[axis], how.pieces[axis], how.width[axis]
        found = fresh((images, taps, across, pieces, width), torch.float64, image.device)
        start(
            weights, images * taps * across, image.device, flat, image, call.where, call.table, fill, found, channels,
            call.points, call.axes, image_strides(image), strides, call.where_strides, axis, kind, how, many, few,
        )  # fmt: skip
        row = slice(how.start[axis], how.start[axis] + pieces * taps * width)
        total[row] += found.sum((0, 2)).transpose(0, 1).flatten()
    return total.to(problem.table.device)
