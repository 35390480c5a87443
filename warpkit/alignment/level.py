"""One level of the pyramid: how well a θ brings the moving image onto the fixed one, and which way is better."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from warpkit.alignment.losses import Loss
from warpkit.geometry import lattice, to_pixels
from warpkit.kernels.base import KernelLike
from warpkit.precision import wide
from warpkit.sampling.sampler import sample
from warpkit.transforms.base import Transform

LEAST_OVERLAP = 0.1  # of the fixed image's pixels: below it any loss can be made small
_STEPPED_OVER = 1.5  # pixels of the moving image for one of the fixed image
_MOST_POINTS = 2**16  # of the lattice: a few numbers θ are known well from 256²


class Fit(NamedTuple):
    """The loss of K θ for each of N images, and its derivatives in θ."""

    value: Float[Tensor, "N K"]  # the loss; ∞ with too little overlap
    score: Float[Tensor, "N K"]  # overlap · log(unexplained share): compares θ of different overlap, less is better
    gradient: Float[Tensor, "N K P"]
    curvature: Float[Tensor, "N K P P"]
    metric: Float[Tensor, "N K P P"]  # δᵀ · metric · δ is how far a step δ moves the points: mean square, in pixels


@dataclass(frozen=True)
class Level:
    """One pair of levels of the two pyramids, on which a θ is judged."""

    moving: Float[Tensor, "N C *S"]
    fixed: Float[Tensor, "N C *T"]
    loss: Loss
    kernel: KernelLike | Sequence[KernelLike]
    align_corners: bool
    most_points: int = _MOST_POINTS

    @functools.cached_property
    def size(self) -> tuple[int, ...]:
        """The size of the lattice on which the images are compared: the fixed image's, or a sparser one."""
        size = self.fixed.shape[2:]
        sparser = min(1.0, (self.most_points / size.numel()) ** (1 / len(size)))
        return tuple(max(1, int(n * sparser)) for n in size)

    @functools.cached_property
    def target(self) -> Float[Tensor, "N C M"]:
        """The fixed image on that lattice."""
        if self.size == self.fixed.shape[2:]:
            return self.fixed.flatten(2)
        points = lattice(self.size, align_corners=self.align_corners, dtype=self.fixed.dtype, device=self.fixed.device)
        return self._read(self.fixed, points[None], "bicubic").flatten(2)

    def fit(self, transform: Transform, theta: Float[Tensor, "N K P"], slope: bool = True) -> Fit:
        """Judge each θ. Without `slope` it is a quick look by a bilinear kernel, and derivatives are empty."""
        n, k = theta.shape[:2]
        if slope:
            coords, motion = moved(transform, theta.flatten(0, 1), self.size, self.align_corners)
            motion = motion.reshape(n, k, *motion.shape[1:])
        else:
            coords = transform.on_lattice(theta.flatten(0, 1), self.size, self.align_corners)
            motion = coords.new_empty(n, k, 1, self.moving.ndim - 2, 0)
        coords = coords.reshape(n, k, -1, coords.shape[-1])
        sampled, across = self._seen(coords, slope)
        weight = self.inside(coords)
        m, c = sampled.shape[-1], self.moving.shape[1]
        rows = torch.empty(n, k, c, m, 3 + motion.shape[-1], dtype=sampled.dtype, device=sampled.device)
        rows[..., 0], rows[..., 1], rows[..., 2] = 1, sampled, self.target[:, None]
        if slope:
            rows[..., 3:] = (across[..., None, :] @ motion[:, :, None]).squeeze(-2)
        # Selected, not multiplied by zero: a point that is not finite would make 0 · NaN.
        weighted = torch.where(weight[:, :, None, :, None] > 0, rows * weight[:, :, None, :, None], 0.0)
        products = (weighted.mT @ rows.nan_to_num(0, 0, 0)).to(wide(rows.device))
        overlap = products[:, :, 0, 0, 0] / m
        products = products / products[..., :1, :1].clamp_min(1e-9)
        slopes = self.loss.slope(products.flatten(0, 1))
        value, unexplained, gradient, curvature = (t.reshape(n, k, *t.shape[1:]) for t in slopes)
        enough = overlap > LEAST_OVERLAP
        pixels = motion * self._pixels_per_unit(motion)
        return Fit(
            torch.where(enough, value, torch.inf),
            torch.where(enough, overlap * unexplained.clamp_min(1e-6).log(), torch.inf),
            gradient,
            curvature,
            torch.einsum("nkmdp,nkmdq->nkpq", pixels, pixels).to(products.dtype) / m,
        )

    def follows(self, before: "Level", transform: Transform, theta: Float[Tensor, "N P"]) -> Bool[Tensor, " N"]:
        """Whether it is worth while to go on from the level `before`, with these θ.

        It is not where only the moving image becomes finer and θ steps over its new pixels: between them are details
        that the fixed image lacks, and the moving image of `before` has their means.
        """
        if self.fixed.shape != before.fixed.shape:
            return torch.ones(len(theta), dtype=torch.bool, device=theta.device)
        points = lattice((3,) * transform.ndim, align_corners=True, dtype=theta.dtype, device=theta.device)
        per_pixel = torch.tensor([2 / n for n in reversed(self.fixed.shape[2:])]).to(theta)
        steps = transform.jacobian(theta, points[None]).flatten(1, -3) * self._pixels_per_unit(theta) * per_pixel
        widths: Tensor = steps.norm(dim=-2).nan_to_num(1, 1, 1).mean((1, 2))
        return widths < _STEPPED_OVER

    def sampled(self, coords: Float[Tensor, "N M D"]) -> Float[Tensor, "N C M"]:
        """The moving image at these coordinates."""
        return self._read(self.moving, coords, self.kernel)

    def seen(self, coords: Float[Tensor, "N M D"]) -> tuple[Float[Tensor, "N C M"], Float[Tensor, "N C M D"]]:
        """The same, and its slope along each axis."""
        sampled, across = self._seen(coords[:, None], slope=True)
        return sampled[:, 0], across[:, 0]

    def _seen(self, coords: Float[Tensor, "N K M D"], slope: bool) -> tuple[Tensor, Tensor]:
        """The moving image at these coordinates, [N, K, C, M], and its slope along each axis, [N, K, C, M, D]."""
        if not slope:
            return self._read(self.moving, coords, "bilinear").transpose(1, 2), coords
        # Each channel as an image of its own: one backward pass gives the slopes of all. They are the bicubic image's
        # for every kernel: a bilinear one's jump, at the very points of the identity, and nearest has none.
        n, c = self.moving.shape[:2]
        apart = coords.repeat_interleave(c, 0).requires_grad_()
        with torch.enable_grad():
            sampled = self._read(self.moving.flatten(0, 1)[:, None], apart, "bicubic")
            (across,) = torch.autograd.grad(sampled.sum(), apart)
        if self.kernel != "bicubic":
            sampled = self._read(self.moving, coords, self.kernel)
        sampled, across = (t.reshape(n, c, *coords.shape[1:-1], -1).transpose(1, 2) for t in (sampled.detach(), across))
        return sampled[..., 0], across

    def _read(self, image: Tensor, coords: Tensor, kernel: KernelLike | Sequence[KernelLike]) -> Tensor:
        return sample(image, coords, kernel=kernel, padding_mode="border", align_corners=self.align_corners)

    def inside(self, coords: Float[Tensor, "*B M D"]) -> Float[Tensor, "*B M"]:
        """The weight of each point: 1 inside the moving image, 0 outside; a ramp of a pixel keeps the loss smooth."""
        weight = torch.ones_like(coords[..., 0])
        for x, n in zip(coords.unbind(-1), reversed(self.moving.shape[2:]), strict=True):
            index = to_pixels(x.nan_to_num(torch.inf), n, self.align_corners)
            weight = weight * (torch.minimum(index, n - 1 - index) + 0.5).clamp(0, 1)
        return weight

    def _pixels_per_unit(self, like: Tensor) -> Float[Tensor, "D 1"]:
        return torch.tensor([[n / 2] for n in reversed(self.moving.shape[2:])], dtype=like.dtype, device=like.device)


def moved(
    transform: Transform, theta: Float[Tensor, "B P"], size: tuple[int, ...], align_corners: bool
) -> tuple[Float[Tensor, "B *T D"], Float[Tensor, "B M D P"]]:
    """The lattice's points after the transform, and their derivative in each parameter (forward mode, in one pass)."""
    axes = torch.eye(theta.shape[1], dtype=theta.dtype, device=theta.device)

    def along(axis: Tensor) -> tuple[Tensor, Tensor]:
        coords, motion, *_ = torch.func.jvp(
            lambda t: transform.on_lattice(t, size, align_corners), (theta,), (axis.expand_as(theta),)
        )
        return coords, motion

    coords, motion = torch.vmap(along, out_dims=(None, 0))(axes)  # type: ignore[arg-type]
    return coords, motion.flatten(2, -2).permute(1, 2, 3, 0).nan_to_num(0, 0, 0)
