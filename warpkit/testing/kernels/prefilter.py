"""The prefilter of a kernel that has one: a linear map of each line of the image to its coefficients."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from warpkit.errors import InputError
from warpkit.kernels.base import Kernel
from warpkit.sampling.coefficients import find
from warpkit.testing import inputs, joints
from warpkit.testing.check import Broken, Checks, NotApplicable, expect, expect_close
from warpkit.testing.common import SAME
from warpkit.testing.differences import derivative
from warpkit.testing.kernels.contract import BASICS

checks = Checks("kernel")

# Where one of these fails, what is sampled means nothing.
SAMPLED = (*BASICS, "prefilter_gives_coefficients", "prefilter_is_linear")
_REACH = 48  # pixels: what a prefilter still gives at that distance is not seen


class _Together(Kernel):
    """A kernel with its prefilter, as one kernel: what becomes of an image in which one pixel is one."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.radius, self.pieces = kernel.radius + _REACH, kernel.pieces
        self._kernel = kernel
        impulse = torch.zeros(1, 1, 4 * _REACH, dtype=torch.float64, device=inputs.device(kernel))
        impulse[..., 2 * _REACH] = 1
        found = kernel.prefilter(impulse, -1, "wrap", False)
        start = (found.shape[-1] - impulse.shape[-1]) // 2 + _REACH
        self._response = found[0, 0, start : start + 2 * _REACH + 1].detach()

    def forward(self, distance: Tensor) -> Tensor:
        """The sum over the coefficients of that pixel."""
        total = torch.zeros_like(distance)
        for k, c in enumerate(self._response.tolist()):
            total = total + c * joints.extended(self._kernel, distance.cpu() + _REACH - k).to(distance)
        return total


def with_prefilter(kernel: Kernel) -> Kernel:
    """The kernel, together with its prefilter if it has one."""
    return _Together(kernel) if kernel.has_prefilter else kernel


def _needs_it(kernel: Kernel) -> None:
    if not kernel.has_prefilter:
        raise NotApplicable("it has no prefilter")


def _filtered(kernel: Kernel, image: Tensor, padding: str, aligned: bool) -> Tensor:
    fill = torch.zeros(0, dtype=torch.float64)
    return find(image, [kernel] * (image.ndim - 2), [padding] * (image.ndim - 2), fill, aligned)[0]


@checks.add(
    *BASICS,
    size=lambda _: inputs.size(2),
    seed=inputs.seed,
    padding=inputs.padding,
    aligned=inputs.aligned,
    dtype=lambda _: st.sampled_from((torch.float32, torch.float64)),
)
def prefilter_gives_coefficients(
    kernel: Kernel, size: list[int], seed: int, padding: str, aligned: bool, dtype: torch.dtype
) -> None:
    """prefilter(image, axis, …) gives finite coefficients of the image's type, at least one for each pixel.

    Why:
        They are sampled in place of the image.
    How:
        Images of every small size, with every padding and alignment.
    Mend:
        Return as many along the axis as there are pixels, or as many more at either end, and leave the other axes
        alone; keep the type; the recursion of a pole needs the pole inside the unit circle.
    """
    _needs_it(kernel)
    image = inputs.uniform(seed, 1, 2, *size).to(inputs.device(kernel), dtype)
    before = image.clone()
    try:
        found = _filtered(kernel, image, padding, aligned)
    except InputError as error:
        raise Broken(f"{error.what}: {error.given}", str(error.expected)) from error
    expect(bool(found.isfinite().all()), "coefficients that are not finite", "finite numbers")
    expect_close(image, before, 0.0, "after the call a pixel of its input")


@checks.add(*BASICS, "prefilter_gives_coefficients", seed=inputs.seed, padding=inputs.padding, aligned=inputs.aligned)
def prefilter_is_linear(kernel: Kernel, seed: int, padding: str, aligned: bool) -> None:
    """The prefilter of a sum is the sum of the prefilters, every line by itself, and its derivative is itself.

    Why:
        The gradient in the image, and `push`, are the adjoint of the prefilter.
    How:
        2 · U − 3 · V beside the two; each row alone; and, by autograd, ⟨c, P u⟩ differentiated in u beside P itself.
    Mend:
        Functions of torch that are linear: no normalisation, no clamp, no `detach`, no sum over other axes.
    """
    _needs_it(kernel)
    u, v = (inputs.uniform(seed + k, 2, 2, 5, 6).to(inputs.device(kernel)) for k in range(2))
    of_u, of_v = (_filtered(kernel, image, padding, aligned) for image in (u, v))
    expect_close(_filtered(kernel, 2 * u - 3 * v, padding, aligned), 2 * of_u - 3 * of_v, SAME, "of 2U − 3V one")
    rows = kernel.prefilter(u, -1, padding, aligned)
    alone = torch.cat([kernel.prefilter(u[:, :, k : k + 1], -1, padding, aligned) for k in range(5)], dim=2)
    expect_close(rows, alone, SAME, "among other rows one")
    weights = inputs.uniform(seed + 2, *of_u.shape).to(of_u)
    at = u.clone().requires_grad_()
    (slope,) = derivative((weights * _filtered(kernel, at, padding, aligned)).sum(), at)
    expect_close((slope * v).sum(), (weights * of_v).sum(), 1e-6, "⟨∂⟨c, P u⟩/∂u, v⟩")
