"""The kernel at work in the sampler: identities, channels, images, and gradients in the coordinate."""

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from warpkit.boundary import PaddingMode
from warpkit.kernels.base import Kernel
from warpkit.sampling.sampler import sample
from warpkit.testing import inputs
from warpkit.testing.check import Checks, NotApplicable, expect, expect_close
from warpkit.testing.common import SAME
from warpkit.testing.differences import TOLERANCE, derivative, slope, slope_after
from warpkit.testing.kernels.prefilter import SAMPLED
from warpkit.warping import warp

checks = Checks("kernel")

_WIDTH = 7


def _place(kernel: Kernel) -> st.SearchStrategy[float]:
    """A pixel coordinate in or around an image of seven pixels."""
    return inputs.decimals(-kernel.radius, _WIDTH - 1 + kernel.radius)


def _coords(kernel: Kernel, places: list[float]) -> Tensor:
    """Normalised coordinates [1, M, 1] of these pixel coordinates."""
    return ((2 * inputs.tensor(kernel, places) + 1) / _WIDTH - 1)[None, :, None]


def _places(kernel: Kernel) -> st.SearchStrategy[list[float]]:
    return st.lists(_place(kernel), min_size=1, max_size=4)


def _image(kernel: Kernel, seed: int, batch: int = 1, channels: int = 1) -> Tensor:
    return inputs.uniform(seed, batch, channels, _WIDTH).to(inputs.device(kernel))


@checks.add(
    *SAMPLED,
    "interpolating",
    "table_agrees_with_formula",
    size=lambda _: inputs.size(2),
    seed=inputs.seed,
    padding=inputs.padding,
    aligned=inputs.aligned,
)
def identity_warp(kernel: Kernel, size: list[int], seed: int, padding: PaddingMode, aligned: bool) -> None:
    """An identity warp gives the image back, for a kernel that interpolates.

    Why:
        A spatial transformer starts as the identity: whatever is lost here, every network loses before it learns.
    How:
        Images of every small size, with every padding and alignment.
    Mend:
        See `interpolating`; a `table` or `weights` of its own must give 0 and 1 where a place lies on a pixel.
    """
    if not kernel.interpolating:
        raise NotApplicable("it says that it does not interpolate")
    image = inputs.uniform(seed, 1, 2, *size).to(inputs.device(kernel))
    theta = torch.eye(2, 3, dtype=torch.float64).reshape(1, 6).to(image)
    given = warp(image, "affine", theta, kernel=kernel, padding_mode=padding, align_corners=aligned)
    expect_close(given, image, 1e-5, "a pixel")


@checks.add(*SAMPLED, "table_agrees_with_formula", places=_places, seed=inputs.seed)
def channels_do_not_mix(kernel: Kernel, places: list[float], seed: int) -> None:
    """Each channel of the result comes from that channel alone.

    Why:
        Colours would bleed, features of a network would leak.
    How:
        Three channels at once, and each by itself.
    Mend:
        A formula of distances cannot do this; look at what the kernel overrides or keeps.
    """
    image, coords = _image(kernel, seed, channels=3), _coords(kernel, places)
    alone = torch.cat([sample(image[:, c : c + 1], coords, kernel=kernel) for c in range(3)], dim=1)
    expect_close(sample(image, coords, kernel=kernel), alone, SAME, "with other channels a value")


@checks.add(*SAMPLED, "table_agrees_with_formula", places=_places, seed=inputs.seed)
def images_do_not_mix(kernel: Kernel, places: list[float], seed: int) -> None:
    """Each image of a batch gives what it gives alone.

    Why:
        A network's answer would depend on what else is in the batch.
    How:
        Three images at once, and each by itself.
    Mend:
        A formula of distances cannot do this; look at what the kernel overrides or keeps.
    """
    images, coords = _image(kernel, seed, batch=3), _coords(kernel, places).repeat(3, 1, 1)
    coords = coords + 0.1 * torch.arange(3).to(coords)[:, None, None]
    alone = torch.cat([sample(images[n : n + 1], coords[n : n + 1], kernel=kernel) for n in range(3)])
    expect_close(sample(images, coords, kernel=kernel), alone, SAME, "in a batch a value")


@checks.add(*SAMPLED, "table_agrees_with_formula", places=_places, seed=inputs.seed, padding=inputs.padding)
def linear_in_the_image(kernel: Kernel, places: list[float], seed: int, padding: PaddingMode) -> None:
    """A sum of images gives the sum of the results, and a multiple the multiple.

    Why:
        Gradients in the image, and the adjoint, rely on it.
    How:
        2 · U − 3 · V beside the two results.
    Mend:
        A formula of distances cannot do this; look at what the kernel overrides or keeps.
    """
    u, v, coords = _image(kernel, seed), _image(kernel, seed + 1), _coords(kernel, places)

    def result(image: Tensor) -> Tensor:
        return sample(image, coords, kernel=kernel, padding_mode=padding)

    expect_close(result(2 * u - 3 * v), 2 * result(u) - 3 * result(v), SAME, "of 2U − 3V a value")


@checks.add(*SAMPLED, "partition_of_unity", "table_agrees_with_formula", places=_places)
def constant_stays_constant(kernel: Kernel, places: list[float]) -> None:
    """A constant image stays constant, for a kernel whose weights sum to one.

    Why:
        Flat areas would get ripples.
    How:
        An image of ones, continued beyond its border.
    Mend:
        See `partition_of_unity`.
    """
    if not kernel.partition_of_unity:
        raise NotApplicable("it says that its weights do not sum to one")
    given = sample(torch.ones_like(_image(kernel, 0)), _coords(kernel, places), kernel=kernel, padding_mode="border")
    expect_close(given, torch.ones_like(given), 1e-5, "a value")


@checks.add(*SAMPLED, "table_agrees_with_formula", place=_place, seed=inputs.seed)
def sampled_gradients(kernel: Kernel, place: float, seed: int) -> None:
    """Sampling has the right gradient in the coordinate: off the joints, and, from the right, on them.

    Why:
        It is what trains θ. An identity warp lies on joints, so this is the first gradient that a transformer sees.
    How:
        Central differences where the result is smooth, forward differences at whole pixels; in float64.
    Mend:
        The framework differentiates the table: look at what the kernel overrides; a kernel without a table needs a
        formula whose own derivative is right (`derivative_in_distance`).
    """
    image = _image(kernel, seed)
    scale = 2 / _WIDTH

    def values(steps: Tensor) -> Tensor:
        moved = _coords(kernel, [place]) + scale * steps.to(image)[None, :, None]
        return sample(image, moved, kernel=kernel)[0, 0].cpu()

    at = _coords(kernel, [place]).requires_grad_()
    (found,) = derivative(sample(image, at, kernel=kernel), at)
    expect(bool(found.isfinite().all()), f"a gradient of {float(found):g}", "a finite number")
    expected, smooth = slope(values)
    if not bool(
        smooth
    ):  # on a joint the table has the right-hand derivative; a formula's own autograd may say anything
        assume(kernel.table(torch.float64) is not None)
        expected = slope_after(values)
    expect_close(found.flatten()[0] * scale, expected, 10 * TOLERANCE, "by autograd dV/dx", at={"place": place})
