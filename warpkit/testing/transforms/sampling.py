"""The transform at work in the sampler, with every kernel."""

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from warpkit.boundary import PaddingMode
from warpkit.geometry import lattice
from warpkit.sampling.sampler import sample
from warpkit.testing import inputs
from warpkit.testing.check import Checks, expect, expect_close
from warpkit.testing.common import SAME
from warpkit.testing.differences import TOLERANCE, derivative, slope
from warpkit.testing.transforms.contract import BASICS, Rows
from warpkit.testing.transforms.facts import start
from warpkit.transforms.base import Transform
from warpkit.warping import warp

checks = Checks("transform")

KERNELS = ("nearest", "bilinear", "bicubic")
_CLOSE = 1e-7


def _size(transform: Transform) -> st.SearchStrategy[list[int]]:
    return inputs.size(transform.ndim)


def _kernel(_: Transform) -> st.SearchStrategy[str]:
    return st.sampled_from(KERNELS)


def _image(transform: Transform, seed: int, size: list[int], batch: int = 1, channels: int = 1) -> Tensor:
    return inputs.uniform(seed, batch, channels, *size).to(inputs.device(transform))


@checks.add(
    *BASICS, "matrix_agrees", "affine_is_affine", theta=inputs.thetas(2), size=_size, out=_size, seed=inputs.seed,
    kernel=_kernel, padding=inputs.padding, aligned=inputs.aligned,
)  # fmt: skip
def warp_agrees_with_sample(
    transform: Transform,
    theta: Rows,
    size: list[int],
    out: list[int],
    seed: int,
    kernel: str,
    padding: PaddingMode,
    aligned: bool,
) -> None:
    """Warping an image samples it where the transform takes the lattice, with every kernel, padding and size.

    Why:
        A matrix is applied row by row, a basis is computed once for each lattice: these shorter ways have to lead to
        the same places.
    How:
        `warp(image, T, θ)` beside `sample(image, T(θ, lattice))`.
    Mend:
        `matrix`, `basis` and `coefficients` describe the same mapping as `forward`, and each point by itself; leave
        `on_lattice` to the base class.
    """
    t, image = inputs.tensor(transform, theta), _image(transform, seed, size, batch=2)
    coords = transform(t, lattice(out, align_corners=aligned, dtype=t.dtype, device=t.device)[None])
    how = {"kernel": kernel, "padding_mode": padding, "align_corners": aligned}
    if kernel == "nearest":  # where a place lies between two pixels, rounding decides
        n = torch.tensor(size[::-1]).to(coords)
        pixels = (coords + 1) * (n - 1) / 2 if aligned else ((coords + 1) * n - 1) / 2
        assume(bool(((pixels - pixels.floor() - 0.5).abs() > 1e-6).all()))
    found, expected = warp(image, transform, t, size=out, **how), sample(image, coords, **how)  # type: ignore[arg-type]
    expect_close(found, expected, _CLOSE, "by warp a pixel")


@checks.add(*BASICS, "identity", size=_size, seed=inputs.seed, kernel=_kernel, padding=inputs.padding)
def identity_warp(transform: Transform, size: list[int], seed: int, kernel: str, padding: PaddingMode) -> None:
    """Warping by identity() gives the image back, with every kernel and padding.

    Why:
        A spatial transformer starts there: whatever is lost here, every network loses before it learns.
    How:
        Images of every small size.
    Mend:
        See `identity`.
    """
    theta = start(transform).detach().to(inputs.device(transform))[None]
    image = _image(transform, seed, size, channels=2)
    given = warp(image, transform, theta, kernel=kernel, padding_mode=padding)
    expect_close(given, image, 1e-5, "a pixel")


@checks.add(*BASICS, theta=inputs.thetas(1), size=_size, seed=inputs.seed, kernel=_kernel)
def channels_do_not_mix(transform: Transform, theta: Rows, size: list[int], seed: int, kernel: str) -> None:
    """Each channel of the result comes from that channel alone.

    Why:
        Colours would bleed, features of a network would leak.
    How:
        Three channels at once, and each by itself.
    Mend:
        A mapping of points cannot do this; look at what the transform keeps from call to call.
    """
    t, image = inputs.tensor(transform, theta), _image(transform, seed, size, channels=3)
    alone = torch.cat([warp(image[:, c : c + 1], transform, t, kernel=kernel) for c in range(3)], dim=1)
    expect_close(warp(image, transform, t, kernel=kernel), alone, SAME, "with other channels a pixel")


@checks.add(*BASICS, theta=inputs.thetas(3), size=_size, seed=inputs.seed, kernel=_kernel)
def images_do_not_mix(transform: Transform, theta: Rows, size: list[int], seed: int, kernel: str) -> None:
    """Each image of a batch is warped as it is alone.

    Why:
        A network's answer would depend on what else is in the batch.
    How:
        Three images at once, and each by itself.
    Mend:
        See `each_image_alone`; `matrix`, `basis` and `coefficients` keep the batch in the first axis.
    """
    t, images = inputs.tensor(transform, theta), _image(transform, seed, size, batch=3)
    alone = torch.cat([warp(images[n : n + 1], transform, t[n : n + 1], kernel=kernel) for n in range(3)])
    expect_close(warp(images, transform, t, kernel=kernel), alone, SAME, "in a batch a pixel")


@checks.add(
    *BASICS, "derivative_in_theta", "warp_agrees_with_sample", theta=inputs.thetas(1), size=_size, seed=inputs.seed,
    kernel=lambda _: st.sampled_from(KERNELS[1:]),
)  # fmt: skip
def sampled_gradients(transform: Transform, theta: Rows, size: list[int], seed: int, kernel: str) -> None:
    """The gradient of a warped image in θ is right, and finite at the identity.

    Why:
        It is the gradient that a spatial transformer is trained with.
    How:
        Central differences along a random way in θ, wherever the result is smooth; autograd at the identity.
    Mend:
        See `derivative_in_theta` and `identity_gradients_are_finite`; `matrix` and `coefficients` must not cut θ off.
    """
    t, image = inputs.tensor(transform, theta)[0], _image(transform, seed, size)
    weights, way = inputs.uniform(seed + 1, *image.shape).to(t), inputs.uniform(seed + 2, len(t)).to(t)

    def total(x: Tensor) -> Tensor:
        return (warp(image, transform, x[None], kernel=kernel) * weights).sum()

    begin = inputs.centre(transform).to(t).requires_grad_()
    (gradient,) = derivative(total(begin), begin)
    expect(bool(gradient.isfinite().all()), f"at the start a gradient of {gradient.tolist()}", "finite numbers")
    expected, smooth = slope(lambda steps: torch.stack([total(t + h * way) for h in steps.to(t)]))
    assume(bool(smooth))
    at = t.clone().requires_grad_()
    (found,) = derivative(total(at), at)
    expect_close(found @ way, expected, 10 * TOLERANCE, "by autograd the derivative along θ")
