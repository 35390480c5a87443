"""The facts that a kernel declares, and those that are found where it declares nothing."""

import math

import torch
from torch import Tensor

from warpkit.kernels.base import Kernel
from warpkit.testing import inputs, joints
from warpkit.testing.check import Checks, Doubtful, NotApplicable, expect, expect_close
from warpkit.testing.kernels.contract import BASICS
from warpkit.testing.kernels.prefilter import SAMPLED, with_prefilter

checks = Checks("kernel")

_TOLERANCE = 1e-6  # of weights and their sums: what no image shows; constants typed with seven digits pass
_FRACTIONS = (torch.arange(101, dtype=torch.float64) + 0.4142) / 101
_HIGHEST = 5  # degree of polynomials that is looked for


@checks.add(*BASICS)
def radius_is_needed(kernel: Kernel) -> None:
    """The formula uses the radius that it declares: it is not zero everywhere beyond a smaller one.

    Why:
        Each tap costs time in every dimension: one too many is half as slow again in 2-D.
    How:
        The formula on a fine grid, and its derivative in Φ: a part that is zero now may be learned.
    Mend:
        Declare the radius that is expected.
    """
    d = inputs.grid(kernel)
    used = _sizes(kernel, d) > 1e-20 * joints.peak(kernel)
    reach = float(d.abs()[used].max()) if bool(used.any()) else kernel.radius
    enough = math.ceil(2 * reach - 1e-2) / 2
    if enough < kernel.radius and _has_options(kernel):
        raise Doubtful(f"k is zero beyond {reach:.3g}: with these options radius = {enough:g} would do")
    expect(enough >= kernel.radius, f"radius = {kernel.radius:g}, and k = 0 beyond {reach:.3g}", f"radius = {enough:g}")


@checks.add(*SAMPLED, phi=inputs.phi)
def interpolating(kernel: Kernel, phi: int) -> None:
    """k(0) = 1 and k = 0 at the other whole distances, as `interpolating = True` says.

    Why:
        Pixels keep their values where they are hit exactly: an identity warp gives the image back. Otherwise a
        transformer that has not learned anything yet blurs already.
    How:
        Every whole distance inside the radius, and a hair to the right of it, where the sampler takes its weights. A
        kernel with a prefilter is judged together with it.
    Mend:
        Scale the formula so that k(0) = 1 and give it its zeros; give it a `prefilter`, as B-splines have; or say
        `interpolating = False`, as smoothing kernels (a Gaussian) do.
    """
    if not kernel.interpolating:
        raise NotApplicable("it says that it does not interpolate")
    moved = with_prefilter(inputs.at_phi(kernel, phi))
    whole = torch.arange(-math.ceil(moved.radius) + 1, math.ceil(moved.radius), dtype=torch.float64)
    expected = (whole == 0).double()
    after, before = (joints.extended(moved, whole + side) for side in (1e-10, -1e-10))
    expect_close(after, expected, _TOLERANCE, "k", at={"distance": whole, **inputs.told(moved, phi)})
    continuous = (after - before).abs() < _TOLERANCE  # where it jumps, the value in between is nobody's claim
    exact = torch.where(continuous, joints.extended(moved, whole), expected)
    expect_close(exact, expected, _TOLERANCE, "k", at={"distance": whole, **inputs.told(moved, phi)})


@checks.add(*BASICS, fraction=inputs.fraction, phi=inputs.phi)
def partition_of_unity(kernel: Kernel, fraction: float, phi: int) -> None:
    """The weights of all taps sum to one wherever the image is sampled, as `partition_of_unity = True` says.

    Why:
        A flat area would get ripples: its brightness would depend on where between two pixels it is sampled.
    How:
        The sum at generated fractions of a pixel.
    Mend:
        Correct the constants; divide by the sum over the taps, Σₙ k(frac(d) + n); or say `partition_of_unity = False`.
    """
    if not kernel.partition_of_unity:
        raise NotApplicable("it says that its weights do not sum to one")
    moved = inputs.at_phi(kernel, phi)
    for f in (_float64(fraction), _FRACTIONS):
        at = {"fraction": f, **inputs.told(moved, phi)}
        expect_close(_moments(moved, f, 0)[:, 0], torch.ones(len(f)), _TOLERANCE, "the sum of the weights", at)


@checks.add(*BASICS, distance=inputs.distance, phi=inputs.phi)
def symmetric(kernel: Kernel, distance: float, phi: int) -> None:
    """k(−d) = k(d), as `symmetric = True` says.

    Why:
        A mirrored image would not give the mirrored result.
    How:
        Generated distances and their opposites.
    Mend:
        Begin the formula with `d = distance.abs()`; or say `symmetric = False`, or nothing.
    """
    if not kernel.symmetric:
        raise NotApplicable("it does not say that it is symmetric")
    moved = inputs.at_phi(kernel, phi)
    for d in (_float64(distance), inputs.grid(moved).cpu()):
        there, opposite = joints.extended(moved, d), joints.extended(moved, -d)
        hair = 1e-9  # at a jump the side it belongs to is a matter of taste: a half rounds up
        jumps = (joints.extended(moved, d + hair) - joints.extended(moved, d - hair)).abs() > _TOLERANCE
        at = {"distance": d, **inputs.told(moved, phi)}
        expect_close(torch.where(jumps, there, opposite), there, _TOLERANCE, "k(−d)", at)


@checks.add(*SAMPLED, fraction=inputs.fraction, phi=inputs.phi)
def reproduces(kernel: Kernel, fraction: float, phi: int) -> None:
    """Sampling gives polynomials of this degree back exactly, as `reproduces = n` says.

    Why:
        A ramp would get steps; the degree is how fast the error falls on smooth images (the order of approximation).
    How:
        The moments Σ k(d) dʲ over the taps: 1 for j = 0, and 0 for j = 1 … n.
    Mend:
        Correct the constants; or declare the degree that is found (−1: not even constants).
    """
    if kernel.reproduces is None:
        raise NotApplicable("it states no degree")
    moved = with_prefilter(inputs.at_phi(kernel, phi))
    degree = int(min(kernel.reproduces, 12))
    powers = torch.arange(degree + 1)
    for f in (_float64(fraction), _FRACTIONS):
        moments = _moments(moved, f, degree) / moved.radius**powers
        for j in powers.tolist():
            at = {"fraction": f, "degree": j, **inputs.told(moved, phi)}
            expected = torch.full((len(f),), float(j == 0))
            expect_close(moments[:, j], expected, _TOLERANCE, f"Σ k(d) · (d / radius)^{j}", at)


def found_facts(kernel: Kernel) -> list[str]:
    """The facts that hold and are not stated, as lines that the class could have."""
    d, f, whole_kernel = inputs.grid(kernel).cpu(), _FRACTIONS, with_prefilter(kernel)
    values = joints.extended(kernel, d)
    whole = torch.arange(-math.ceil(whole_kernel.radius) + 1, math.ceil(whole_kernel.radius), dtype=torch.float64)
    moments = _moments(whole_kernel, f, _HIGHEST) - (torch.arange(_HIGHEST + 1) == 0).double()
    holds = (moments.abs() <= _TOLERANCE * whole_kernel.radius ** torch.arange(_HIGHEST + 1)).all(0).tolist()
    degree = [*holds, False].index(False) - 1
    smooth = joints.continuity(kernel)
    is_symmetric = bool((values - joints.extended(kernel, -d)).abs().max() <= _TOLERANCE)
    takes = bool((joints.extended(whole_kernel, whole + 1e-10) - (whole == 0).double()).abs().max() <= _TOLERANCE)
    stated = kernel.continuity
    suggestions = {
        "symmetric": is_symmetric if kernel.symmetric is None or (is_symmetric and not kernel.symmetric) else None,
        "continuity": smooth if stated is None or stated < smooth else None,
        "reproduces": degree if degree > (-1 if kernel.reproduces is None else kernel.reproduces) else None,
        "interpolating": True if takes and not kernel.interpolating else None,
        "partition_of_unity": True if holds[0] and not kernel.partition_of_unity else None,
    }
    return [f"{name} = {value}" for name, value in suggestions.items() if value is not None]


def _float64(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _moments(kernel: Kernel, fraction: Tensor, degree: int) -> Tensor:
    """The moments Σ k(d) dʲ over the taps, [fractions, degree + 1]."""
    distance = fraction[:, None] + kernel.radius - 1 - torch.arange(kernel.taps)
    powers = distance[..., None] ** torch.arange(degree + 1)
    moments: Tensor = (joints.extended(kernel, distance)[..., None] * powers).sum(1)
    return moments


def _sizes(kernel: Kernel, distance: Tensor) -> Tensor:
    """The sum of |k| and of all |∂k/∂Φ|, by which an error is judged."""
    sizes: Tensor = kernel(distance).detach().abs()
    if not inputs.has_phi(kernel):
        return sizes
    phi = {name: p.detach() for name, p in kernel.named_parameters()}
    slopes = torch.func.jacrev(lambda phi: torch.func.functional_call(kernel, phi, (distance,)))(phi)
    for slope in slopes.values():
        sizes = sizes + slope.detach().abs().reshape(len(distance), -1).sum(1)
    return sizes


def _has_options(kernel: Kernel) -> bool:
    from warpkit.registry import _options

    return bool(_options(type(kernel)))
