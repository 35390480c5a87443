"""The public door: what was given is checked once, then a backend samples."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from warpkit import tracing
from warpkit.errors import InputError
from warpkit.kernels.base import Kernel, kernels
from warpkit.lattice import check_size
from warpkit.precision import wide, working
from warpkit.sampling.backend import Rule, choose
from warpkit.sampling.boundary import check_fill, check_padding, for_each_axis
from warpkit.transforms.base import Transform, check_coordinates, check_theta, common_batch, transforms
from warpkit.transforms.matrix import checked_matrix

KernelLike = str | dict[str, Any] | Kernel
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128)
_INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64)
_IMAGE_TYPES = frozenset((*_FLOATS, *_INTEGERS, torch.bool))
TransformLike = str | dict[str, Any] | Transform


def warp(
    image: Tensor,
    transform: TransformLike,
    theta: Tensor,
    *,
    size: int | Sequence[int] | None = None,
    kernel: KernelLike | Sequence[KernelLike] = "bilinear",
    padding_mode: str | Sequence[str] = "zeros",
    fill: float | Sequence[float] | Tensor = 0.0,
    align_corners: bool = False,
) -> Tensor:
    """Warp images: each output pixel is sampled from where the transform takes it.

    Args:
        image: `[N, C, *S]`, S = (W,), (H, W) or (D, H, W); any real, integer, boolean or complex type.
        transform: a name, a table `{"type": name, **options}` or a `Transform`.
        theta: `[N, P]`, the transform's parameters for each image. One image with N θ, or one θ with N images, is
            shared.
        size: the output's, rows first; the image's unless given.
        kernel: a name, a table or a `Kernel`, or one for each of x, y, z.
        padding_mode: "zeros", "border", "reflection" or "wrap", or one for each of x, y, z.
        fill: what "zeros" finds outside: a number, or one for each channel. In every mode it is the value where a
            coordinate is not finite.
        align_corners: whether −1 and 1 are the centres of the border pixels, or their outer edges.

    Returns:
        `[N, C, *size]` in the image's type. Integers are rounded and stop at the type's limits; `nearest` copies them.

    Raises:
        InputError: for a wrong shape, type, device, size, name or option.

    Jaderberg et al. 2015, eq. 3. A matrix transform is computed in float64, and no grid of coordinates is kept for it.

    >>> image = torch.arange(4.0).reshape(1, 1, 1, 4)
    >>> flip = torch.tensor([[-1.0, 0, 0, 0, 1, 0]])
    >>> warp(image, "affine", flip).flatten().tolist()
    [3.0, 2.0, 1.0, 0.0]
    """
    rule = _rule(image, kernel, padding_mode, fill, align_corners)
    dimensions = image.ndim - 2
    mapping = transforms.shared(transform, image.device, ndim=dimensions)
    if mapping.ndim != dimensions:
        raise InputError(
            f"{type(mapping).__name__} is {mapping.ndim}-D, the image {list(image.shape)} is {dimensions}-D"
        )
    check_theta(mapping, theta)
    common_batch("image", image, "theta", theta)
    out_size = tuple(image.shape[2:]) if size is None else check_size(size, dimensions)
    backend = choose(image, rule)
    with tracing.no_autocast(image.device):
        if mapping.is_matrix:
            matrix = checked_matrix(mapping, theta.to(wide(theta.device)))
            return backend.sample_matrix(image, matrix, mapping.is_affine, out_size, rule)
        return backend.sample_points(image, mapping.on_lattice(theta, out_size, align_corners), rule)


def sample(
    image: Tensor,
    coords: Tensor,
    *,
    kernel: KernelLike | Sequence[KernelLike] = "bilinear",
    padding_mode: str | Sequence[str] = "zeros",
    fill: float | Sequence[float] | Tensor = 0.0,
    align_corners: bool = False,
) -> Tensor:
    """Sample images at given points.

    Args:
        image: `[N, C, *S]`, as in `warp`.
        coords: `[N, *T, D]`, normalised, the last axis x, y, z: a grid, or a list of points `[N, M, D]`. One image with
            N sets of points, or one set with N images, is shared.
        kernel: as in `warp`, and so are `padding_mode`, `fill` and `align_corners`.
        padding_mode: see `warp`.
        fill: see `warp`.
        align_corners: see `warp`.

    Returns:
        `[N, C, *T]` in the image's type.

    Raises:
        InputError: for a wrong shape, type, device, name or option.

    >>> sample(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[-0.5], [0.0]]])).tolist()
    [[[1.0, 1.5]]]
    """
    rule = _rule(image, kernel, padding_mode, fill, align_corners)
    check_coordinates("coords", coords, image.ndim - 2)
    common_batch("image", image, "coords", coords)
    with tracing.no_autocast(image.device):
        return choose(image, rule).sample_points(image, coords.to(working(coords.dtype)), rule)


def _rule(image: Any, kernel: Any, padding_mode: Any, fill: Any, align_corners: Any) -> Rule:
    if not isinstance(image, Tensor):
        raise InputError(f"image: expected a tensor [N, C, *S], got {type(image).__name__}")
    if not 3 <= image.ndim <= 5:
        raise InputError(f"image: expected [N, C, *S] with one to three axes in S, got {list(image.shape)}")
    if image.dtype not in _IMAGE_TYPES or image.layout != torch.strided:
        raise InputError(f"image: expected a dense tensor of real, complex, integer or boolean type, got {image.dtype}")
    if 0 in image.shape[1:]:
        raise InputError(f"image: empty, {list(image.shape)}")
    if not isinstance(align_corners, bool):
        raise InputError(f"align_corners: expected True or False, got {align_corners!r}")
    dimensions = image.ndim - 2
    if isinstance(kernel, list | tuple):
        resolved = tuple(kernels.shared(k, image.device) for k in for_each_axis("kernel", kernel, dimensions))
    else:
        resolved = (kernels.shared(kernel, image.device),) * dimensions
    for k in set(resolved):
        _ = k.taps  # complains about a radius that is none
    return Rule(
        resolved,
        check_padding(padding_mode, dimensions),
        check_fill(fill, image.shape[1]),
        align_corners,
    )
