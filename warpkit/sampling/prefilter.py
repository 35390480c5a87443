"""The door to coefficients: an image is filtered once and sampled often."""

from collections.abc import Sequence

from torch import Tensor

from warpkit.boundary import PaddingMode
from warpkit.errors import InputError
from warpkit.kernels.base import KernelLike
from warpkit.sampling.coefficients import Coefficients
from warpkit.sampling.rule import FillLike, filtered, how, rule_for


def prefilter(
    image: Tensor,
    kernel: KernelLike | Sequence[KernelLike] = "bspline",
    *,
    padding_mode: PaddingMode | Sequence[PaddingMode] = "zeros",
    fill: FillLike = 0.0,
    align_corners: bool = False,
) -> Tensor:
    """The coefficients that a kernel with a prefilter samples in place of an image.

    `warp` and `sample` find them at each call. For an image that is sampled often, find them once, and sample them with
    the same kernel and `prefilter=False`, and with the same padding, `fill` and `align_corners`.

    Args:
        image: `[N, C, *S]`, any type.
        kernel: a kernel that has a prefilter, or one for each of x, y, z, of which some have.
        padding_mode: what extends the image, as in `warp`, and so are `fill` and `align_corners`.
        fill: see `warp`.
        align_corners: see `warp`.

    Returns:
        `[N, C, *S]`, floating-point or complex. Under "zeros", "border" and "none" there are more, those beyond the
        image's edge; the tensor knows how many (`margin`), so that `warp` and `sample` find the image's place in it.
        It keeps that while S stays as it is; neither a file nor a compiled graph does. It is linear in the image and
        differentiable.

    Raises:
        InputError: for a wrong shape, type, name or option, and where no kernel has a prefilter.

    >>> import torch, warpkit as wk
    >>> image, place = torch.tensor([[[0.0, 0, 1, 0, 0]]]), torch.tensor([[[0.0], [0.2]]])
    >>> coefficients = wk.prefilter(image, "bspline")
    >>> wk.sample(coefficients, place, kernel={"type": "bspline", "prefilter": False}).round(decimals=4).tolist()
    [[[1.0, 0.6373]]]
    >>> wk.sample(image, place, kernel="bspline").round(decimals=4).tolist()
    [[[1.0, 0.6373]]]
    """
    rule = rule_for(image, kernel, padding_mode, fill, align_corners)
    if not rule.filters:
        raise InputError("kernel", expected="one that has a prefilter, such as bspline", given=kernel)
    found, inner = filtered(image, rule)
    return Coefficients.of(found, inner.margin, how(rule))
