"""The order of the work: many starts at the coarsest level, the best of them at the next ones, one at the finest."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from warpkit.alignment.descent import descend
from warpkit.alignment.level import Fit, Level
from warpkit.alignment.losses import Loss
from warpkit.alignment.pyramid import pyramid
from warpkit.alignment.starts import FEW, MANY, affine_starts, imitate, nodes
from warpkit.kernels.base import KernelLike
from warpkit.transforms.base import Transform, transforms

FOLLOWED = (48, 8, 2)  # starts at the coarsest level, and how many of them at the next ones
_SAME = 0.02  # root mean square distance, normalised
_STEPS = 20  # at each level, at most


@dataclass(frozen=True)
class CoarseToFine:
    """The search for θ, one image at a time or many at once."""

    transform: Transform
    loss: Loss
    kernel: KernelLike | Sequence[KernelLike]
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
        """The best θ that is found, `start` included; `search` begins from many other starts too."""
        levels = self.levels(moving, fixed)
        theta, first = self._searched(levels, start) if search else (start[:, None], 0)
        theta = self._descended(levels, first, self.transform, theta, keep=1)
        for number in range(first + 1, len(levels)):
            use = levels[number].follows(levels[number - 1], self.transform, theta[:, 0])
            if use.any():
                further = self._descended(levels, number, self.transform, theta, keep=1)
                theta = torch.where(use[:, None, None], further, theta)
        both = torch.cat([start[:, None], theta], 1)
        found = levels[-1].fit(self.transform, both)
        self.report(1.0, float(found.value[:, 1].mean()))
        return _best(both, found.score, 1)[:, 0]

    def levels(self, moving: Tensor, fixed: Tensor) -> list[Level]:
        """The pairs of images, coarsest first. Where one pyramid is shorter, its finest image is in several pairs."""
        moving, fixed = _scaled(moving, moving if self.loss.is_relative else fixed), _scaled(fixed, fixed)
        pyramids = [pyramid(image, self.align_corners) for image in (moving, fixed)]
        count = max(map(len, pyramids))
        pairs = zip(*([levels[min(i, len(levels) - 1)] for i in range(count)] for levels in pyramids), strict=True)
        levels = [Level(m, f, self.loss, "bicubic", self.align_corners) for m, f in pairs]
        # Where both are blurred the kernel makes no difference.
        whole = [level.moving is moving or level.fixed is fixed for level in levels]
        return [
            dataclasses.replace(each, kernel=self.kernel) if w else each for each, w in zip(levels, whole, strict=True)
        ]

    def _searched(self, levels: list[Level], start: Tensor) -> tuple[Float[Tensor, "N K P"], int]:
        """The θ to go on with, a few for each image, and the number of the level to go on at."""
        d, coarsest, last = self.transform.ndim, levels[0], len(levels) - 1
        affine = transforms.shared("affine", start.device, ndim=d)
        model = affine if self.transform.num_params > affine.num_params else self.transform
        begin = affine.identity().to(start) if model is affine else start[0]
        starts = affine_starts(levels[-1].moving.shape[2:], levels[-1].fixed.shape[2:]).to(start)
        if type(model) is not type(affine):
            starts = imitate(model, begin, affine(starts, nodes(d, FEW, start)[None]))
        theta = torch.cat([begin[None], starts])
        theta = theta.expand(len(start), -1, -1)
        parts = torch.split(theta, 4 * FOLLOWED[0], 1)
        score = torch.cat([coarsest.fit(model, part, slope=False).score for part in parts], 1)
        score[:, 0] = -torch.inf  # not to have moved is always worth a try
        theta = self._descended(levels, 0, model, _best(theta, score, FOLLOWED[0]), keep=FOLLOWED[1])
        if last > 0:
            theta = self._descended(levels, 1, model, theta, keep=FOLLOWED[2])
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
    """The θ of the `count` lowest scores; of equal scores the first counts."""
    order = score.argsort(dim=1, stable=True)[:, :count]
    return theta.gather(1, order[..., None].expand(-1, -1, theta.shape[-1]))


def _repeated(model: Transform, theta: Float[Tensor, "N K P"], score: Float[Tensor, "N K"]) -> Bool[Tensor, "N K"]:
    """Whether another θ of a lower score does nearly the same: one of them is enough to follow."""
    points = model(theta.flatten(0, 1), nodes(model.ndim, FEW, theta)[None]).reshape(*theta.shape[:2], -1)
    near = (points[:, :, None] - points[:, None]).square().mean(-1) < _SAME**2
    order = score.argsort(dim=1, stable=True).argsort(dim=1)
    return (near & (order[:, :, None] > order[:, None])).any(2)


def _scaled(image: Float[Tensor, "N C *S"], by: Float[Tensor, "N C *T"]) -> Float[Tensor, "N C *S"]:
    """The image, shifted and scaled as takes `by` to mean 0 and variance 1, so that products lose no digits."""
    axes, shape = tuple(range(1, by.ndim)), (-1,) + (1,) * (by.ndim - 1)
    return (image - by.mean(axes).reshape(shape)) / by.std(axes).reshape(shape)
