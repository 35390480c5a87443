"""The public function `align`: it checks its input once, and works on too large a batch in parts."""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from warpkit import tracing
from warpkit.alignment.coarse_to_fine import FOLLOWED, CoarseToFine
from warpkit.alignment.dense import Dense, starts
from warpkit.alignment.energy import PENALTIES, Regularization
from warpkit.alignment.losses import LOSSES, LossName
from warpkit.alignment.pyramid import COARSEST
from warpkit.component import as_number
from warpkit.errors import InputError, require, unknown
from warpkit.geometry import FLOATS, common_batch, is_dense
from warpkit.kernels.base import KernelLike
from warpkit.precision import working
from warpkit.quoting import Told
from warpkit.sampling import mixups
from warpkit.sampling.sampler import sample
from warpkit.transforms.base import Transform, transforms
from warpkit.transforms.field import FieldTransform
from warpkit.transforms.given import TransformLike

_NUMBERS = 2**23  # in the largest tensor: a larger batch is worked on in parts


def align(
    moving: Any,
    fixed: Any,
    transform: TransformLike,
    *,
    loss: LossName = "mse",
    kernel: KernelLike | Sequence[KernelLike] = "bicubic",
    regularization: Regularization = "bending",
    weight: float = 2.0,
    init: Tensor | None = None,
    align_corners: bool = False,
    progress: Callable[[float, float], None] | None = None,
    axes: str | None = None,
) -> Tensor:
    """Find the θ with which `warp(moving, transform, θ, size=fixed's)` looks like `fixed`.

    From coarse to fine: at the coarsest level many turned, scaled and shifted starts are tried, and the best are
    followed by Levenberg and Marquardt's descent through the sampler. A transform of more parameters than an affine one
    starts from the best affine one. What the moving image does not show does not count. The same input gives the same
    θ.

    Of arrays this is done with small copies, of means over blocks of pixels (from the levels of an OME-Zarr image where
    it has such). Gauss and Newton's steps then go on down to the pixels themselves, in 64 tiles (512 in 3-D) that are
    spread over the fixed image, so that what is read and held does not grow with the images.

    Fields (`displacement`, `velocity`, those of plugins) and `free_form` begin with the best affine motion, and go on
    by Gauss and Newton's steps on all their numbers at once, held together by a penalty on the field. θ has the fixed
    image's size unless `init` has another.

    Args:
        moving: `[N, C, *S]`, of any real, integer or boolean type. Or an array of NumPy, Dask or Zarr, an OME-Zarr
            image, or a path to one of the latter two: one image, which need not fit into memory.
        fixed: `[N, C, *T]`, of as many dimensions and channels. One image of either is shared by all of the other. Or
            an array likewise.
        transform: a name, a table `{"type": name, **options}` or a `Transform`.
        loss: "mse", the mean square of the difference, or "ncc", the normalised cross-correlation of each channel, for
            images of different brightness and contrast.
        kernel: what the moving image is sampled with, as in `warp`. Where `fixed` was made by a warp, name its kernel,
            and θ is found more exactly.
        regularization: of fields and `free_form`: "bending", which lets every affine motion pass, or "diffusion", as in
            `wk.losses`; of a velocity field it is the velocity's.
        weight: of the penalty, beside the mean square of the images' difference, both scaled to variance 1. Pairs whose
            field folds with it are matched again with 4 times the weight, then 16 times, … (eight times at most, while
            less is folded).
        init: `[N, P]`, `[1, P]` or `[P]`, of a field `[N, D, *F]` or without its batch: the only start, where the
            motion is known roughly or the transform has no identity.
        align_corners: as in `warp`.
        progress: called with the share of the work that is done, 0 … 1, and the loss (images scaled to variance 1).
        axes: of arrays: a letter for each axis, see `chunked.warp`.

    Returns:
        θ `[N, P]`, of a field `[N, D, *F]`, in float32, or in float64 for such images, and for arrays. Where nothing
        better is found it is the identity (or `init`).

    Raises:
        InputError: for a wrong shape, type, device, name or option, for values that are not finite, for an image that
            is the same everywhere, and for a transform without an identity unless `init` is given. For arrays also:
            for a field, and for another loss, kernel or alignment of corners than the usual ones.

    B. D. Lucas, T. Kanade, "An iterative image registration technique with an application to stereo vision", 1981.

    >>> wave = torch.linspace(0, 6, 64).sin().reshape(1, 1, 64)
    >>> theta = align(wave, wave.roll(-8, -1), {"type": "attention", "ndim": 1})
    >>> [round(number, 2) for number in theta[0].tolist()]
    [1.0, 0.25]
    """
    if any(_is_stored(image) for image in (moving, fixed)):
        usual = {"loss": (loss, "mse"), "kernel": (kernel, "bicubic"), "align_corners": (align_corners, False)}
        for name, (given, known) in usual.items():
            require(given == known, name, expected=f"{known!r}, where images are arrays", given=given)
        from warpkit.alignment.tiles import align_tiles  # of Dask and Zarr

        first = int(init is None)  # of the parts of the work: the small copies' match, and what goes on from there
        report = _reporter(progress, first, first + 1)

        def matched(a: Tensor, b: Tensor) -> Tensor:
            return align(a, b, transform, progress=_reporter(progress, 0, 2))

        return align_tiles(moving, fixed, transform, matched, init=init, axes=axes, report=report)
    require(axes is None, "axes", expected="None for tensors, whose axes are [N, C, *S]", given=axes)
    images = _checked(moving, fixed)
    mapping = transforms.shared(transform, moving.device, ndim=moving.ndim - 2, align_corners=align_corners)
    given = Told(f"{type(mapping).__name__} in {mapping.ndim}-D")
    dimensions = moving.ndim - 2
    require(mapping.ndim == dimensions, "transform", expected=f"one in {dimensions}-D, as the images are", given=given)
    told = "aligned are transforms of plain numbers, and fields, but no compositions with fields"
    require(isinstance(mapping, FieldTransform) or not mapping.is_field, f"{type(mapping).__name__}: {told}")
    if regularization not in PENALTIES:
        raise unknown("regularization", regularization, PENALTIES)
    weight = as_number(weight)
    right = isinstance(weight, int | float) and 0 <= weight < math.inf
    require(right, "weight", expected="a finite number, 0 or more", given=weight)
    if not isinstance(loss, str) or loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    sample(images[0][:0], images[0].new_zeros(0, 1, mapping.ndim), kernel=kernel)  # complains about a wrong one
    with torch.inference_mode(False), torch.no_grad(), tracing.no_autocast(moving.device):
        is_dense = isinstance(mapping, FieldTransform)
        start = _start(mapping, init, images[0], fixed.shape[2:])
        start = start.expand(common_batch("moving", moving, "init", start), *start.shape[1:])
        batch = common_batch("fixed", fixed, "init", start)
        whole = [t.expand(batch, *t.shape[1:]) for t in (*images, start)]
        numbers = fixed.shape[1:].numel()
        params = 0 if is_dense else mapping.num_params
        numbers = max(numbers, FOLLOWED[0] * min(numbers, COARSEST * fixed.shape[1])) * (3 + params)
        size = max(1, _NUMBERS // numbers)
        parts = list(zip(*(torch.split(t, size) for t in whole), strict=True)) if batch else []
        found = []
        for i, (m, f, s) in enumerate(parts):
            report = _reporter(progress, i, len(parts))
            if isinstance(mapping, FieldTransform):
                begin = None if init is None else s
                search = Dense(mapping, regularization, weight, LOSSES[loss].is_relative, align_corners, report)
                found.append(_dense(search, m, f, begin, loss, kernel))
            else:
                matching = CoarseToFine(mapping, LOSSES[loss], kernel, align_corners, report)
                found.append(matching.theta(m, f, s, search=init is None))
    return torch.cat(found) if found else start[:0]


def _is_stored(image: Any) -> bool:
    """Whether an image is an array, or the path of one, that need not fit into memory."""
    is_array = all(hasattr(image, name) for name in ("shape", "dtype", "ndim")) and not isinstance(image, Tensor)
    return is_array or hasattr(image, "array_keys") or isinstance(image, str | os.PathLike)


_AFFINE = 0.3  # of the work


def _dense(search: Dense, moving: Tensor, fixed: Tensor, start: Tensor | None, loss: LossName, kernel: Any) -> Tensor:
    """The field, from an affine motion that is found first or from where it is to start."""
    affine = transforms.shared("affine", moving.device, ndim=moving.ndim - 2)
    whole, shift = (1.0, 0.0) if start is not None else (1 - _AFFINE, _AFFINE)
    told = search.report
    coarse = CoarseToFine(
        affine, LOSSES[loss], kernel, search.align_corners, lambda done, value: told(_AFFINE * done, value)
    )
    if start is None:
        identity = affine.identity().to(fixed).expand(len(fixed), -1)
        matrix = affine.matrix(coarse.theta(moving, fixed, identity, search=True))
        start = starts(search.transform, matrix, tuple(fixed.shape[2:]))
    search = dataclasses.replace(search, report=lambda done, value: told(shift + whole * done, value))
    return search.theta(coarse.levels(moving, fixed), start)


def _checked(moving: Any, fixed: Any) -> list[Tensor]:
    """Both images in a common floating-point type; `InputError` for those that cannot be matched."""
    pair = {"moving": moving, "fixed": fixed}
    for name, image in pair.items():
        right = isinstance(image, Tensor) and is_dense(image) and 3 <= image.ndim <= 5 and not image.is_complex()
        right = right and (image.dtype in FLOATS or not image.is_floating_point())
        given = Told(f"{image.dtype} {list(image.shape)}") if isinstance(image, Tensor) else image
        require(right, name, expected="a real tensor [N, C, *S] with one to three axes in S", given=given)
        require(0 not in image.shape[1:], name, expected="a channel and a pixel at least", given=list(image.shape))
        mixups.look_at_image(image)
    same = moving.ndim == fixed.ndim and moving.shape[1] == fixed.shape[1]
    expected = f"as many channels and dimensions as moving has, {list(moving.shape)}"
    require(same, "fixed", expected=expected, given=list(fixed.shape))
    common_batch("moving", moving, "fixed", fixed)
    dtype = working(*(image.dtype for image in pair.values() if image.is_floating_point()))
    images = []
    for name, image in pair.items():
        image = image.detach().to(dtype)
        _reject(name, "values that are not finite", ~image.isfinite().flatten(1).all(1))
        channels = image.flatten(2)
        _reject(name, "the same value everywhere", (channels.amax(2) == channels.amin(2)).all(1))
        images.append(image.clone() if image.is_inference() else image)
    return images


def _reject(name: str, what: str, bad: Tensor) -> None:
    require(not bool(bad.any()), f"{name}: {what}, in batch entries {bad.nonzero().flatten().tolist()}")


def _start(transform: Transform, init: Any, like: Tensor, size: Sequence[int]) -> Tensor:
    if init is None:
        try:
            one = transform.identity(size) if isinstance(transform, FieldTransform) else transform.identity()
            return one.to(like)[None]
        except InputError as error:
            raise error.hinting("give init, from where to start") from None
    axes = transform.ndim + 1 if transform.is_field else 1
    is_one = isinstance(init, Tensor) and (init.ndim == axes or init.shape == transform.theta_shape)
    start: Tensor = transform.as_theta(init[None] if is_one else init)
    require(bool(start.isfinite().all()), "init", expected="finite numbers")
    return start.detach().to(like)


def _reporter(progress: Callable[[float, float], None] | None, part: int, parts: int) -> Callable[[float, float], None]:
    most = 0.0

    def report(done: float, loss: float) -> None:
        nonlocal most
        most = max(most, done)  # a small image is gone over twice
        if progress is not None:
            progress((part + most) / parts, loss)

    return report
