"""The two linear maps: pull and push, from tensors to the kernels that compute them."""

import torch
from torch import Tensor

from warpkit.precision import arithmetic
from warpkit.sampling.gpu import ordered
from warpkit.sampling.gpu import pull as pulling
from warpkit.sampling.gpu import push as pushing
from warpkit.sampling.gpu.launch import (
    Call,
    blocks,
    filling,
    image_strides,
    is_last,
    laid_out,
    point_strides,
    resolved,
    start,
)
from warpkit.sampling.problem import Problem

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # what is copied, by its size


def pull(image: Tensor, problem: Problem) -> Tensor:
    """Eq. 3; of a kernel that takes one pixel as it is, eq. 4."""
    image = resolved(image)
    images = problem.where.shape[0] if image.shape[0] == 1 else image.shape[0]
    channels = image.shape[1]
    copies = problem.copies
    output = laid_out((images, channels, *problem.target), image, image.dtype)
    number = arithmetic(torch.float32 if copies else image.dtype, image.device)
    call = Call(problem, number, image, output)
    shape = blocks(channels, is_last(image))
    tiles = call.tiles(images, channels, shape)
    fill, kind = filling(problem, image.device, image.dtype if copies else number)
    limits: tuple[float, ...] = ()
    if copies:
        bits = _BITS[image.dtype.itemsize]
        image, fill, written = image.view(bits), fill.view(bits), output.view(bits)
    else:
        written = output
        if not image.is_floating_point():
            info = torch.iinfo(image.dtype)
            limits = (float(info.min), float(info.max))
    written, strides = point_strides(written, call.points)
    given = (
        image, call.where, call.table, fill, written, channels, call.points, call.axes, image_strides(image), strides,
        call.where_strides, tiles, kind,
    )  # fmt: skip
    programs = call.programs(images, channels, (shape[0], shape[1] * tiles))
    if copies:
        start(pulling.copy, programs, image.device, *given, call.how, *shape)
    else:
        start(pulling.pull, programs, image.device, *given, limits, call.how, *shape)
    return output


def push(values: Tensor, problem: Problem, images: int) -> Tensor:
    """Eq. 6, by atomic additions or, where PyTorch is asked for deterministic algorithms, in a fixed order."""
    values = resolved(values)
    if torch.are_deterministic_algorithms_enabled():
        return ordered.push(values, problem, images)
    image = laid_out((images, values.shape[1], *problem.size), values, values.dtype, zeros=True)
    add(values, problem, image)
    return image


def add(values: Tensor, problem: Problem, image: Tensor) -> None:
    """Add each value to the taps of its point in the image."""
    call = Call(problem, values.dtype, image, values)
    images, channels = values.shape[:2]
    shape = blocks(channels, is_last(image))
    flat, strides = point_strides(values, call.points)
    tiles = call.tiles(images, channels, shape)
    programs = call.programs(images, channels, (shape[0], shape[1] * tiles))
    start(
        pushing.push, programs, image.device, flat, call.where, call.table, image, channels, call.points,
        call.axes, image_strides(image), strides, call.where_strides, tiles, call.how, *shape,
    )  # fmt: skip
