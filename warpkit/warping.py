"""The public function `warp`, which joins transforms and the sampler."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from warpkit import tracing
from warpkit.antialias import antialiased, check_antialias, point_sampled
from warpkit.boundary import PaddingMode
from warpkit.errors import InputError
from warpkit.geometry import check_floats, check_size
from warpkit.kernels.base import KernelLike, kernels
from warpkit.precision import working
from warpkit.quoting import Told
from warpkit.sampling import plans
from warpkit.sampling.coefficients import size_of
from warpkit.sampling.rule import FillLike, Rule, missing_axis, rule_for
from warpkit.transforms.base import Transform, leaves, shared_batch, transforms
from warpkit.transforms.given import TransformLike, dimensions_of, takes

_checked: plans.Kept[tuple[Rule, Transform, tuple[int, ...], bool]] = plans.Kept()  # calls by name, by all that was met
ThetaLike = Tensor | tuple[Any, ...] | list[Any]


def warp(
    image: Tensor,
    transform: TransformLike,
    theta: ThetaLike,
    *,
    size: int | Sequence[int] | None = None,
    kernel: KernelLike | Sequence[KernelLike] = "bilinear",
    padding_mode: PaddingMode | Sequence[PaddingMode] = "zeros",
    fill: FillLike = 0.0,
    align_corners: bool = False,
    antialias: bool | int = False,
) -> Tensor:
    """Warp images: each output pixel is sampled from where the transform takes it.

    Args:
        image: `[N, C, *S]`, S = (W,), (H, W) or (D, H, W); any real, integer, boolean or complex type.
        transform: a name, a table `{"type": name, **options}` or a `Transform`. By name it has the image's number of
            dimensions and, where it is a field, this `align_corners`, unless the table says another.
        theta: `[N, P]`, the transform's parameters for each image, or in the family's own shape: affine matrices
            `[N, D, D + 1]`, homographies `[N, D + 1, D + 1]`, control points `[N, K, D]`. Of a field `[N, D, *F]`, of a
            composition a tuple too, one θ for each part. One image with N θ, or one θ with N images, is shared.
        size: the output's, rows first, or one number for all axes; the image's unless given.
        kernel: a name, a table or a `Kernel`, or one for each of x, y, z.
        padding_mode: "zeros", "border", "reflection", "wrap" or "none", or one for each of x, y, z.
        fill: what "zeros" finds outside, and "none" beyond −1 … 1: a number, or one for each channel; NaN marks every
            output that the outside has a weight in. In every mode it is the value where a coordinate is not finite. A
            number that an integer image cannot hold is refused.
        align_corners: whether −1 and 1 are the centres of the border pixels, or their outer edges.
        antialias: True takes the mean over each output pixel's area where it covers more than one pixel of the image
            (a picture made smaller), of at most 4 sub-points along an axis; a number is that most.

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
    words = plans.words(kernel, padding_mode, fill, align_corners)
    met = None
    if size is None and isinstance(transform, str) and isinstance(kernel, str) and isinstance(padding_mode, str):
        met = plans.met(image, theta, transform, words, transforms.revision)
    known = None if met is None else _checked.get(met)
    if known is None:
        rule = rule_for(image, kernel, padding_mode, fill, align_corners)
        mapping, flat = _mapping(image, transform, theta, align_corners)
        shared_batch(flat, "image", image)
        out = size_of(image) if size is None else check_size(size, image.ndim - 2)
        known = (rule, mapping, out, not isinstance(theta, Tensor) or flat is not theta)  # dynamo compares no tuples
        if met is not None and rule.words is not None:
            _checked.keep(met, known)
    rule, mapping, out, is_shaped = known
    theta = mapping.as_theta(theta) if is_shaped else theta
    most = 0 if antialias is False else check_antialias(antialias, rule.kernels)
    with tracing.no_autocast(image.device):
        if most:
            return antialiased(image, mapping, theta, rule, out, most)
        return point_sampled(image, mapping, theta, rule, out)


def coverage(
    transform: TransformLike,
    theta: Any,
    in_size: int | Sequence[int],
    out_size: int | Sequence[int] | None = None,
    *,
    kernel: KernelLike | Sequence[KernelLike] = "bilinear",
    align_corners: bool = False,
) -> Tensor:
    """How much of each output pixel comes from inside the image: the share of the kernel's weights that lie there.

    1 where every pixel that the kernel touches exists, 0 where none does. It is what `warp` makes of an image of ones
    with zeros around it, divided by the sum of the weights where the kernel's are not one. A loss weighted by it leaves
    out what the image does not show.

    Args:
        transform: a name, a table `{"type": name, **options}` or a `Transform`.
        theta: as `warp` takes it.
        in_size: the image's size, rows first, or one number for all axes, as many as the transform has with this θ.
        out_size: the output's; the image's unless given.
        kernel: as in `warp`, and so is `align_corners`.
        align_corners: see `warp`.

    Returns:
        `[N, 1, *out_size]` in θ's type, float32 at least; 0 where a point has no place (behind a horizon). Between 0
        and 1 for kernels without negative weights. Differentiable in θ.

    Raises:
        InputError: for a wrong shape, type, size, name or option.

    >>> coverage("affine", torch.tensor([[1.0, 0, 0.75, 0, 1, 0]]), (1, 4)).flatten().tolist()
    [1.0, 1.0, 0.5, 0.0]
    """
    parts = leaves(theta)
    for part in parts:
        check_floats("theta", part)
    size = check_size(in_size, dimensions_of(transform, theta, in_size))
    dtype, device = working(*(part.dtype for part in parts)), parts[0].device if parts else torch.device("cpu")
    ones = torch.ones(1, 1, *size, dtype=dtype, device=device)
    ways: dict[str, Any] = {"size": out_size, "kernel": kernel, "align_corners": align_corners}
    inside = warp(ones, transform, theta, **ways)
    given = kernel if isinstance(kernel, list | tuple) else [kernel]
    if all(kernels.shared(k, device).partition_of_unity for k in given):
        return inside
    total = warp(ones, transform, theta, padding_mode="border", **ways)
    return torch.where(total == 0, 0.0, inside / torch.where(total == 0, 1.0, total))


def _mapping(image: Tensor, transform: TransformLike, theta: Any, align_corners: bool) -> tuple[Transform, Any]:
    """The transform for this image, and its θ as it takes it; a forgotten axis is guessed and named."""
    dimensions = image.ndim - 2
    mapping = transforms.shared(transform, image.device, ndim=dimensions, align_corners=align_corners)
    if mapping.ndim != dimensions:
        hint = missing_axis(image) if mapping.ndim == dimensions + 1 else ""
        name = type(mapping).__name__
        expected = f"one in {dimensions}-D, as the image {list(image.shape)} is"
        raise InputError("transform", expected=expected, given=Told(f"{name} in {mapping.ndim}-D"), hint=hint)
    try:
        return mapping, mapping.as_theta(theta)
    except InputError as error:
        if dimensions < 3 and not isinstance(transform, Transform):
            larger = transforms.shared(transform, image.device, ndim=dimensions + 1)
            if larger.ndim > dimensions and not larger.is_field and takes(larger, theta):
                raise error.hinting(missing_axis(image)) from None
        raise
