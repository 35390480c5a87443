"""The public door, and the order of the work: many starts at the coarsest level, the best of them at the finest."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from warpkit import tracing
from warpkit.alignment.descent import descend
from warpkit.alignment.level import Fit, Level
from warpkit.alignment.losses import LOSSES, Loss
from warpkit.alignment.pyramid import pyramid
from warpkit.alignment.starts import FEW, MANY, affine_starts, imitate, nodes
from warpkit.errors import InputError, require, unknown
from warpkit.precision import working
from warpkit.sampling.sampler import TransformLike
from warpkit.transforms.base import Transform, check_theta, common_batch, transforms

_FOLLOWED = (24, 6, 2)  # starts at the coarsest level, and how many of them at the next ones
_SAME = 0.02  # root mean square distance, normalised
_STEPS = 20  # at each level, at most
_TRIED_AT_ONCE = 200  # starts
_NUMBERS = 2**27  # in the largest tensor: a larger batch is worked on in parts


def align(
    moving: Tensor,
    fixed: Tensor,
    transform: TransformLike,
    *,
    loss: str = "mse",
    init: Tensor | None = None,
    align_corners: bool = False,
    progress: Callable[[float, float], None] | None = None,
) -> Tensor:
    """Find the θ with which `warp(moving, transform, θ, size=fixed's)` looks like `fixed`.

    From coarse to fine: at the coarsest level many turned, scaled and shifted starts are tried, and the best are
    followed by Levenberg and Marquardt's descent through the sampler. A transform of more parameters than an affine one
    starts from the best affine one. What the moving image does not show does not count. The same input gives the same
    θ.

    Args:
        moving: `[N, C, *S]`, of any real, integer or boolean type.
        fixed: `[N, C, *T]`, of as many dimensions and channels. One image of either is shared by all of the other.
        transform: a name, a table `{"type": name, **options}` or a `Transform`.
        loss: "mse", the mean square of the difference, or "ncc", the normalised cross-correlation of each channel, for
            images of different brightness and contrast.
        init: `[N, P]`, `[1, P]` or `[P]`: the only start, where the motion is known roughly or the transform has no
            identity.
        align_corners: as in `warp`.
        progress: called with the share of the work that is done, 0 … 1, and the loss (images scaled to variance 1).

    Returns:
        θ `[N, P]`, in float32, or in float64 for such images. Where nothing better is found it is the identity (or
        `init`).

    Raises:
        InputError: for a wrong shape, type, device, name or option, for values that are not finite, for an image that
            is the same everywhere, and for a transform without an identity unless `init` is given.

    B. D. Lucas, T. Kanade, "An iterative image registration technique with an application to stereo vision", 1981.

    >>> wave = torch.linspace(0, 6, 64).sin().reshape(1, 1, 64)
    >>> theta = align(wave, wave.roll(-8, -1), {"type": "attention", "ndim": 1})
    >>> [round(number, 2) for number in theta[0].tolist()]
    [1.0, 0.25]
    """
    images = _checked(moving, fixed)
    mapping = transforms.shared(transform, moving.device, ndim=moving.ndim - 2)
    require(
        mapping.ndim == moving.ndim - 2,
        f"{type(mapping).__name__} is {mapping.ndim}-D, the images are {moving.ndim - 2}-D",
    )
    if not isinstance(loss, str) or loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    with torch.inference_mode(False), torch.no_grad(), tracing.no_autocast(moving.device):
        start = _start(mapping, init, images[0])
        start = start.expand(common_batch("moving", moving, "init", start), -1)
        batch = common_batch("fixed", fixed, "init", start)
        whole = [t.expand(batch, *t.shape[1:]) for t in (*images, start)]
        size = max(1, _NUMBERS // (fixed.shape[1:].numel() * (3 + mapping.num_params)))
        parts = list(zip(*(torch.split(t, size) for t in whole), strict=True)) if batch else []
        found = []
        for i, (m, f, s) in enumerate(parts):
            matching = _Matching(mapping, LOSSES[loss], align_corners, _reporter(progress, i, len(parts)))
            found.append(matching.theta(m, f, s, search=init is None))
    return torch.cat(found) if found else start[:0]


@dataclass(frozen=True)
class _Matching:
    """One part of a batch."""

    transform: Transform
    loss: Loss
    align_corners: bool
    report: Callable[[float, float], None]

    def theta(
        self,
        moving: Float[Tensor, "N C *S"],
        fixed: Float[Tensor, "N C *T"],
        start: Float[Tensor, "N P"],
        *,
        search: bool,
    ) -> Float[Tensor, "N P"]:
        levels = self._levels(_scaled(moving, moving if self.loss.is_relative else fixed), _scaled(fixed, fixed))
        theta, first = self._searched(levels, start) if search else (start[:, None], 0)
        for number in range(first, len(levels)):
            theta = self._descended(levels, number, self.transform, theta, keep=1)
        both = torch.cat([start[:, None], theta], 1)
        found = levels[-1].fit(self.transform, both, slope=False)
        self.report(1.0, float(found.value[:, 1].mean()))
        return _best(both, found.score, 1)[:, 0]

    def _levels(self, moving: Tensor, fixed: Tensor) -> list[Level]:
        """Coarsest first. Of two images of different size the smaller one waits at its finest."""
        pyramids = [pyramid(image, self.align_corners) for image in (moving, fixed)]
        count = max(map(len, pyramids))
        pairs = zip(*([levels[min(i, len(levels) - 1)] for i in range(count)] for levels in pyramids), strict=True)
        return [Level(m, f, self.loss, self.align_corners) for m, f in pairs]

    def _searched(self, levels: list[Level], start: Tensor) -> tuple[Float[Tensor, "N K P"], int]:
        """A few θ to go on with, and the level to go on at."""
        d, coarsest, last = self.transform.ndim, levels[0], len(levels) - 1
        affine = transforms.shared("affine", start.device, ndim=d)
        model = affine if self.transform.num_params > affine.num_params else self.transform
        begin = affine.identity().to(start) if model is affine else start[0]
        points = nodes(d, FEW, start)
        rows = affine_starts(levels[-1].moving.shape[2:], levels[-1].fixed.shape[2:]).to(start)
        theta = torch.cat([begin[None], imitate(model, begin, points @ rows[:, :, :d].mT + rows[:, None, :, d])])
        theta = theta.expand(len(start), -1, -1)
        parts = torch.split(theta, _TRIED_AT_ONCE, 1)
        score = torch.cat([coarsest.fit(model, part, slope=False).score for part in parts], 1)
        score[:, 0] = -torch.inf  # not to have moved is always worth a try
        theta = self._descended(levels, 0, model, _best(theta, score, _FOLLOWED[0]), keep=_FOLLOWED[1])
        if last > 0:
            theta = self._descended(levels, 1, model, theta, keep=_FOLLOWED[2])
        if model is self.transform:
            return theta, min(2, last)
        imitated = imitate(self.transform, start[0], model(theta.flatten(0, 1), nodes(d, MANY, start)[None]))
        return torch.cat([start[:, None], imitated.reshape(*theta.shape[:2], -1)], 1), min(1, last)

    def _descended(self, levels: list[Level], number: int, model: Transform, theta: Tensor, keep: int) -> Tensor:
        def report(done: int, fit: Fit) -> None:
            self.report((number + done / (_STEPS + 1)) / len(levels), float(fit.value.amin(1).mean()))

        theta, found = descend(lambda t: levels[number].fit(model, t), theta, _STEPS, report)
        return _best(theta, torch.where(_repeated(model, theta, found.score), torch.inf, found.score), keep)


def _best(theta: Float[Tensor, "N K P"], score: Float[Tensor, "N K"], count: int) -> Float[Tensor, "N k P"]:
    """Those of the least scores; of equal ones the first."""
    order = score.argsort(dim=1, stable=True)[:, :count]
    return theta.gather(1, order[..., None].expand(-1, -1, theta.shape[-1]))


def _repeated(model: Transform, theta: Float[Tensor, "N K P"], score: Float[Tensor, "N K"]) -> Bool[Tensor, "N K"]:
    """Whether another one of a less score does nearly the same: one of them is enough to follow."""
    points = model(theta.flatten(0, 1), nodes(model.ndim, FEW, theta)[None]).reshape(*theta.shape[:2], -1)
    near = (points[:, :, None] - points[:, None]).square().mean(-1) < _SAME**2
    order = score.argsort(dim=1, stable=True).argsort(dim=1)
    return (near & (order[:, :, None] > order[:, None])).any(2)


def _scaled(image: Float[Tensor, "N C *S"], by: Float[Tensor, "N C *T"]) -> Float[Tensor, "N C *S"]:
    """With the mean and variance of `by` taken to 0 and 1, so that products lose no digits."""
    axes, shape = tuple(range(1, by.ndim)), (-1,) + (1,) * (by.ndim - 1)
    return (image - by.mean(axes).reshape(shape)) / by.std(axes).reshape(shape)


def _checked(moving: Any, fixed: Any) -> list[Tensor]:
    """Both, in a common floating-point type; `InputError` for what cannot be matched."""
    pair = {"moving": moving, "fixed": fixed}
    for name, image in pair.items():
        right = isinstance(image, Tensor) and 3 <= image.ndim <= 5 and not image.is_complex()
        given = f"{image.dtype} {list(image.shape)}" if isinstance(image, Tensor) else repr(image)
        require(right, f"{name}: expected a real tensor [N, C, *S] with one to three axes in S, got {given}")
        require(0 not in image.shape[1:], f"{name}: empty, {list(image.shape)}")
    same = moving.ndim == fixed.ndim and moving.shape[1] == fixed.shape[1]
    expected = "expected as many channels and dimensions in both"
    require(same, f"{expected}, got moving {list(moving.shape)}, fixed {list(fixed.shape)}")
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


def _start(transform: Transform, init: Any, like: Tensor) -> Float[Tensor, "N P"]:
    if init is None:
        try:
            return transform.identity().to(like)[None]
        except InputError as error:
            raise InputError(f"{error}: give init, from where to start") from None
    start = init[None] if isinstance(init, Tensor) and init.ndim == 1 else init
    check_theta(transform, start)
    require(bool(start.isfinite().all()), "init: expected finite numbers")
    return start.detach().to(like)


def _reporter(progress: Callable[[float, float], None] | None, part: int, parts: int) -> Callable[[float, float], None]:
    most = 0.0

    def report(done: float, loss: float) -> None:
        nonlocal most
        most = max(most, done)  # a small image is gone over twice
        if progress is not None:
            progress((part + most) / parts, loss)

    return report
