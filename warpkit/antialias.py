"""Antialiased warps: the mean of what lies under each output pixel, instead of one sample in its middle.

Where an output pixel covers several pixels of the image, one sample of them is noise. The transform itself places a few
sub-points in each output pixel, as many along each of its axes as it covers pixels there, up to a limit; each is read
from the level of the image's pyramid whose pixels are as large as the sub-point's own footprint; and they are averaged.
So no footprint is replaced by an ellipse, and nothing is undefined where the transform bends: θ's gradient goes through
the sub-points, their footprints and the levels.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from warpkit import tracing
from warpkit.errors import InputError
from warpkit.footprints import area_means, between_pixels
from warpkit.geometry import Part
from warpkit.kernels.base import Kernel
from warpkit.precision import saturated, wide
from warpkit.quoting import Told
from warpkit.sampling.coefficients import Coefficients, size_of
from warpkit.sampling.pixel_means import pixel_means
from warpkit.sampling.pyramid import Pyramid
from warpkit.sampling.rule import Rule
from warpkit.sampling.sampler import resample
from warpkit.transforms.base import Transform, leaves
from warpkit.transforms.matrix import checked_matrix

Size = tuple[int, ...]

MOST = 4  # sub-points along an axis, unless another number is asked for


def check_antialias(given: Any, kernels: Iterable[Kernel]) -> int:
    """The most sub-points along an axis, 0 for none; `InputError` for what is neither a truth value nor a number."""
    if given is False:
        return 0
    most = MOST if given is True else given
    if type(most) is not int or not 1 <= most <= 64:
        raise InputError("antialias", expected="True, False or a whole number of sub-points up to 64", given=given)
    if any(kernel.taps == 1 for kernel in kernels):
        hint = (
            "Means of labels are no labels: warp without it, or warp one channel for each label, and take the largest."
        )
        raise InputError("antialias", expected="a kernel that mixes pixels", given="nearest", hint=hint)
    return most


def point_sampled(image: Tensor, mapping: Transform, theta: Any, rule: Rule, out: Size) -> Tensor:
    """The warped image without antialiasing, `[N, C, *out]`: one sample in the middle of each output pixel."""
    if mapping.is_matrix:
        matrix = checked_matrix(mapping, theta.to(wide(theta.device)))
        return resample(image, matrix, "affine" if mapping.is_affine else "projective", out, rule)
    return resample(image, mapping.shifts(theta, out, rule.align_corners), "shifts", out, rule)


@tracing.uncompiled
def antialiased(image: Tensor, mapping: Transform, theta: Any, rule: Rule, out: Size, most: int) -> Tensor:
    """The warped image with means where an output pixel covers more than one pixel of the image."""
    if torch.compiler.is_exporting():
        told = "antialias: how many sub-points an output pixel has depends on θ's numbers, which no exported graph sees"
        raise InputError(told, hint="Export it with antialias=False")
    if isinstance(image, Coefficients):
        raise InputError("antialias", expected="an image, from which it makes smaller ones", given=Told("coefficients"))
    if any(tracing.is_mapped(part) for part in leaves(theta)):
        hint = "How many sub-points there are depends on θ: give a batch of θ instead."
        raise InputError("antialias", expected="False where vmap goes over θ", given=most, hint=hint)
    if tracing.is_hollow(image):
        return point_sampled(image, mapping, theta, rule, out)
    matrix = between_pixels(mapping, theta, size_of(image), out, rule.align_corners)
    if matrix is not None and (means := pixel_means(image, matrix, out, rule, most)) is not None:
        return means
    if rule.marks:
        ones = torch.ones(1, 1, *size_of(image), dtype=torch.float32, device=image.device)
        return marked(
            rule, lambda own, of_ones: antialiased(ones if of_ones else image, mapping, theta, own, out, most)
        )
    found, changed = area_means(Pyramid(image, rule), mapping, theta, matrix, Part.all_of(out), most)
    return shown(found, changed, image.dtype, lambda: point_sampled(image, mapping, theta, rule, out))


def shown(means: Tensor | None, changed: Tensor, dtype: torch.dtype, plain: Callable[[], Tensor]) -> Tensor:
    """The means where there are such, and a plain warp elsewhere, which is made where it is seen."""
    if means is None:
        return plain()
    means = saturated(means, dtype)
    return means if bool(changed.all()) else torch.where(changed, means, plain())


def marked(rule: Rule, warped: Callable[[Rule, bool], Tensor]) -> Tensor:
    """The warped image with NaN where anything outside has a part in the mean, and `fill` is NaN.

    `warped`: the same by a rule without such marks, of the image or of one of ones.
    """
    marks = rule.fill.isnan()
    clean = rule._replace(marks=False, words=None, fill=torch.where(marks, 0.0, rule.fill))
    found = warped(clean, False)
    with torch.no_grad():
        # Sums over the same numbers in the same order, wherever nothing is outside, and every point has a place.
        extended = tuple("border" if mode in ("zeros", "none") else mode for mode in rule.padding)
        two = torch.full((1,), 2.0, dtype=wide(rule.fill.device), device=rule.fill.device)
        rules = (clean._replace(padding=extended, fill=two), clean._replace(fill=clean.fill[:0]))
        whole, inside = (warped(each, True) for each in rules)
    return torch.where((whole != inside) & marks.reshape(1, -1, *[1] * (found.ndim - 2)), torch.nan, found)
