"""Kernels as a user might write them, each with one mistake, and the checks that must notice it."""

import functools
import logging
import math
import threading

import numpy as np
import torch
from torch import nn

import warpkit as wk

BROKEN = []  # (class, the checks that must fail)
WARNED = []  # (class, the checks that must warn)


def caught_by(*names, warned=False):
    """The checks that must notice this plugin; no other may."""

    def note(cls):
        (WARNED if warned else BROKEN).append((cls, frozenset(names)))
        return cls

    return note


def keys(distance, a=-0.5):
    """Cubic convolution, rightly: C1, interpolating, radius 2."""
    d = distance.abs()
    near = ((a + 2) * d - (a + 3)) * d**2 + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d < 1, near, far)


def cubic_spline(distance):
    """The cubic B-spline, rightly: C2, sums to one, not interpolating, support ±2."""
    d = distance.abs()
    return torch.where(d < 1, (4 - 6 * d**2 + 3 * d**3) / 6, (2 - d) ** 3 / 6)


# --------------------------------------------------------------------------------- what a kernel says about itself


@caught_by("radius_is_a_multiple_of_half")
class OddRadius(wk.Kernel):
    """The radius is where the formula ends, 0.75, but taps come in steps of half a pixel."""

    radius = 0.75
    partition_of_unity = False

    def forward(self, distance):
        return 1 - distance.abs() / 0.75


@caught_by("radius_is_a_multiple_of_half")
class LearnableRadius(wk.Kernel):
    """The radius is a parameter, so that it is no number, and would not stay a multiple of a half."""

    interpolating = partition_of_unity = False

    def __init__(self):
        super().__init__()
        self.radius = nn.Parameter(torch.tensor(2.0))

    def forward(self, distance):
        return 1 - distance.abs() / self.radius


@caught_by("radius_is_a_multiple_of_half")
class PiecesByDivision(wk.Kernel):
    """The number of pieces is a float, for `/` was written where `//` was meant."""

    radius = 1.5
    pieces = 4 / 2
    interpolating = partition_of_unity = False

    def forward(self, distance):
        return (1 - distance.abs() / 1.5) / 1.5


@caught_by("facts_are_stated_rightly")
class ContinuityInWords(wk.Kernel):
    """`continuity` is "C1", as the paper calls it, and no number."""

    radius = 2.0
    continuity = "C1"

    def forward(self, distance):
        return keys(distance)


@caught_by("facts_are_stated_rightly")
class SymmetricAsMethod(wk.Kernel):
    """`symmetric` is a method without @property: it is true whatever it would return."""

    radius = 1.0

    def symmetric(self):
        return False

    def forward(self, distance):
        return (1 - distance.abs()) * (1 + 0.2 * distance)


@caught_by("facts_are_stated_rightly")
class UnityNotStated(wk.Kernel):
    """None means "not stated" for other facts; `partition_of_unity` is True or False, for sampling relies on it."""

    radius = 1.0
    partition_of_unity = None

    def forward(self, distance):
        return 1 - distance.abs()


# ------------------------------------------------------------------------------------------- a function of a tensor


@caught_by("one_weight_for_each_distance")
class ReturnsANumber(wk.Kernel):
    """The nearest pixel has weight one: a Python number, and not one for each distance."""

    radius = 0.5
    continuity = -1

    def forward(self, distance):
        return 1.0


@caught_by("one_weight_for_each_distance")
class Squeezed(wk.Kernel):
    """`squeeze` drops every axis of one element, and so changes the shape of a single point."""

    radius = 1.0

    def forward(self, distance):
        return (1 - distance.abs()).squeeze()


@caught_by("input_is_not_changed")
class AbsInPlace(wk.Kernel):
    """`abs_` overwrites the caller's distances."""

    radius = 1.0

    def forward(self, distance):
        return 1 - distance.abs_()


@caught_by("input_is_not_changed")
class DividesInPlace(wk.Kernel):
    """`/=` on an argument is an operation in place, which it does not look like."""

    radius = 2.0
    interpolating = False

    def forward(self, distance):
        distance /= 2
        return (1 - distance.abs()) / 2


@caught_by("same_each_time")
class Jittered(wk.Kernel):
    """Random jitter against aliasing, new at each call."""

    radius = 1.0

    def forward(self, distance):
        return 1 - (distance + 1e-3 * torch.randn_like(distance)).abs()


@caught_by("same_each_time")
class WarmingUp(wk.Kernel):
    """Starts soft and gets sharper with every call, evaluation included."""

    radius = 2.0

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, distance):
        self.calls += 1
        return keys(distance, a=-0.5 * (1 - math.exp(-self.calls / 100)))


@caught_by("same_each_time")
class SeedsTheWorld(wk.Kernel):
    """Fixes its own coefficient by seeding the generator that dropout and data loading use too."""

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance):
        torch.manual_seed(0)
        d = distance.abs()
        return 1 - d + 0.1 * float(torch.rand(())) * d * (1 - d)


@caught_by("same_each_time")
class ReusedBuffer(wk.Kernel):
    """Returns the same memory at each call: the weights of the first call become those of the second."""

    radius = 1.0

    def __init__(self):
        super().__init__()
        self.out = None

    def forward(self, distance):
        if self.out is None or self.out.shape != distance.shape or self.out.dtype != distance.dtype:
            self.out = torch.empty_like(distance)
        return self.out.copy_(1 - distance.abs())


@caught_by("same_each_time")
class RememberedByShape(wk.Kernel):
    """Keeps its weights by the shape of the distances, as if their values never changed."""

    radius = 2.0

    def __init__(self):
        super().__init__()
        self.known = {}

    def forward(self, distance):
        key = (tuple(distance.shape), distance.dtype, distance.device)
        if key not in self.known:
            self.known[key] = keys(distance)
        return self.known[key]


@caught_by("keeps_the_type")
class WindowInTheDefaultType(wk.Kernel):
    """The constants of a window as a new tensor: they have as many digits as `torch.get_default_dtype()` says.

    F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform", Proc. IEEE 1978.
    """

    radius = 2.0
    interpolating = partition_of_unity = False
    symmetric = True

    def forward(self, distance):
        constants = torch.tensor([0.35875, 0.48829, 0.14128, 0.01168]).to(distance)
        return sum(c * torch.cos(k * math.pi / 2 * distance) for k, c in enumerate(constants))


@caught_by("keeps_the_type")
class CoarserByDefault(wk.Kernel):
    """A quicker formula where the default type is a narrow one, whatever the type of what is sampled."""

    radius = 2.0

    def forward(self, distance):
        if torch.get_default_dtype() == torch.bfloat16:
            return torch.relu(1 - distance.abs())
        return keys(distance)


@caught_by("keeps_the_type")
class SmoothedByTheDefault(wk.Kernel):
    """|d| made smooth by the ε of the default type instead of the distances': √(d² + ε)."""

    radius = 2.0
    interpolating = partition_of_unity = False

    def forward(self, distance):
        eps = 1e5 * torch.finfo(torch.get_default_dtype()).eps
        return 1 - torch.sqrt(distance**2 / 8 + 0.5 + eps)


@caught_by("same_each_time")
class TurnsGradientsOff(wk.Kernel):
    """Switches gradients off for good, where `with torch.no_grad()` was meant."""

    radius = 1.0

    def forward(self, distance):
        torch.set_grad_enabled(False)
        return 1 - distance.abs()


@caught_by("each_distance_alone")
class SoftmaxOverTaps(wk.Kernel):
    """A softmax sums to one over whatever lies in the last axis: the weight depends on its neighbours there."""

    radius = 1.0
    interpolating = False

    def forward(self, distance):
        return torch.softmax(-4 * distance.abs(), dim=-1)


@caught_by("each_distance_alone")
class DividedByTheLargest(wk.Kernel):
    """Weights are divided by the largest of them, which depends on where the other points lie."""

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance):
        w = (1 - distance.abs()) * torch.exp(-distance.abs())
        return w / w.amax() if w.numel() else w


@caught_by("each_distance_alone")
class OneBranchForAll(wk.Kernel):
    """A Python `if` over the whole tensor chooses the branch, where `torch.where` should for each."""

    radius = 2.0

    def forward(self, distance):
        d, a = distance.abs(), -0.5
        if (d < 1).all():
            return ((a + 2) * d - (a + 3)) * d**2 + 1
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a


@caught_by("each_distance_alone")
class Sorted(wk.Kernel):
    """Sorts the distances, to evaluate branch after branch, and never puts them back in order."""

    radius = 2.0

    def forward(self, distance):
        return keys(distance.flatten().sort().values).reshape(distance.shape)


@caught_by("keeps_the_type")
class FilledIntoZeros(wk.Kernel):
    """`torch.zeros(shape)` is float32, whatever the distances are."""

    radius = 2.0

    def forward(self, distance):
        out = torch.zeros(distance.shape)
        out += keys(distance)
        return out


@caught_by("keeps_the_type")
class InterpolatedByNumpy(wk.Kernel):
    """`np.interp` gives float64, whatever it is given, and no gradient."""

    radius = 1.0

    def forward(self, distance):
        return torch.as_tensor(np.interp(distance.detach().numpy(), [-1, 0, 1], [0, 1, 0]))


@caught_by("float64_is_not_rounded")
class SinglePrecision(wk.Kernel):
    """`.float()` inside: float64 distances lose half of their digits."""

    radius = 2.0

    def forward(self, distance):
        return keys(distance.float()).to(distance.dtype)


@caught_by("float64_is_not_rounded")
class InTheTypeOfItsBuffer(wk.Kernel):
    """Brings the distances to the type of its buffer, float32, instead of the buffer to theirs."""

    radius = 2.0

    def __init__(self, a=-0.5):
        super().__init__()
        self.register_buffer("a", torch.tensor(a))

    def forward(self, distance):
        return keys(distance.to(self.a.dtype), self.a).to(distance.dtype)


@caught_by("float64_is_not_rounded")
class PhiInSingle(wk.Kernel):
    """`.float()` on its parameter alone: the distances keep their digits, what was learnt does not."""

    radius = 2.0

    def __init__(self, a=-0.5):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, distance):
        return keys(distance, self.a.float())


@caught_by("float64_is_not_rounded")
class OneOfThreeInSingle(wk.Kernel):
    """Three parameters, and only the last is brought to the type of a buffer, float32, on the way."""

    radius = 1.0
    interpolating = partition_of_unity = False

    def __init__(self):
        super().__init__()
        self.bends = nn.Parameter(torch.tensor([0.3, -0.2, 0.1]))
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, distance):
        a, b, c = self.bends
        d = distance.abs()
        return (1 - d) * (1 + a * d + b * d**2 + (self.scale * c.to(self.scale)) * d**3)


# ----------------------------------------------------------------------------------------- values and derivatives


@caught_by("values_are_finite")
class SincByDivision(wk.Kernel):
    """sin(πd) / πd is 0/0 at 0, where every pixel of an identity warp lies.

    github.com/RustAudio/dasp/issues/106: a sinc interpolator that returns NaN at 0.
    """

    radius = 3.0
    partition_of_unity = False

    def forward(self, distance):
        x = math.pi * distance
        return torch.sin(x) / x * torch.sinc(distance / 3)


@caught_by("values_are_finite")
class PowerOfASignedDistance(wk.Kernel):
    """`abs` is forgotten: a negative distance has no power of 1.5."""

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance):
        return 1 - distance**1.5


@caught_by("derivatives_are_finite")
class SincByWhere(wk.Kernel):
    """`where` selects the right value at 0, but the gradient of the other branch is NaN there, and 0 · NaN is NaN.

    github.com/pytorch/pytorch/issues/53989 and github.com/kornia/kornia/issues/367.
    """

    radius = 2.0
    partition_of_unity = False

    def forward(self, distance):
        x = math.pi * distance
        return torch.where(x == 0, 1.0, torch.sin(x) / x) * torch.sinc(distance / 2)


@caught_by("derivatives_are_finite")
class RootOfTheSquare(wk.Kernel):
    """|d| written as √d²: its gradient at 0 is 0/0."""

    radius = 1.0

    def forward(self, distance):
        return 1 - torch.sqrt(distance**2)


@caught_by("derivative_in_distance")
class PartlyDetached(wk.Kernel):
    """One factor is detached, so that a third of the slope is missing."""

    radius = 2.0

    def forward(self, distance):
        d, a = distance.abs(), -0.5
        near = ((a + 2) * d - (a + 3)) * d.detach() * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return torch.where(d < 1, near, far)


@caught_by("derivative_in_distance")
class StraightThrough(wk.Kernel):
    """The values of a cubic with the gradient of a triangle, "for stability"."""

    radius = 2.0

    def forward(self, distance):
        triangle = torch.relu(1 - distance.abs())
        return triangle + (keys(distance) - triangle).detach()


@caught_by("derivative_in_distance")
class HeldSlope(wk.Kernel):
    """A slope worked out by hand and detached: the first derivative is right, and the second is zero."""

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance):
        held = distance.detach()
        return 1 - held**2 - 2 * held * (distance - held)


class _Parabola(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(distance):
        return 1 - distance**2

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        (distance,) = ctx.saved_tensors
        return -2 * distance * grad


class _ParabolaWithoutTheTwo(_Parabola):
    @staticmethod
    def backward(ctx, grad):
        (distance,) = ctx.saved_tensors
        return -distance * grad


class _ParabolaOnce(_Parabola):
    @staticmethod
    def backward(ctx, grad):
        (distance,) = ctx.saved_tensors
        return -2 * distance.detach() * grad


@caught_by("derivative_in_distance")
class WrongBackward(wk.Kernel):
    """A backward written by hand lacks a factor of two (and there is no jvp, as in most such functions).

    github.com/balbasty/torch-interpol/pull/7: splines whose hand-written derivatives were wrong.
    """

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance):
        return _ParabolaWithoutTheTwo.apply(distance)


@caught_by("derivative_in_distance")
class WrongDoubleBackward(wk.Kernel):
    """A backward written by hand is right once, but its own derivative is lost (and there is no jvp)."""

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance):
        return _ParabolaOnce.apply(distance)


class _ParabolaInSingle(_Parabola):
    @staticmethod
    def backward(ctx, grad):
        (distance,) = ctx.saved_tensors
        return (-2 * distance.float()).to(distance.dtype) * grad


@caught_by("derivative_in_distance")
class BackwardInSingle(wk.Kernel):
    """A backward that saves memory by float32: the values have all digits, their derivative has half of them."""

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance):
        return _ParabolaInSingle.apply(distance)


@caught_by("derivative_in_distance", "works_on_meta")
class ThroughNumpy(wk.Kernel):
    """A round trip through numpy: right values, no gradient, and a CPU that has to hold numbers."""

    radius = 2.0
    partition_of_unity = False

    def forward(self, distance):
        d = distance.detach().numpy()
        return torch.as_tensor(np.sinc(d) * np.sinc(d / 2)).to(distance)


@caught_by("derivative_in_parameters")
class DetachedParameter(wk.Kernel):
    """The parameter is detached: it is listed for the optimiser, and never learns."""

    radius = 2.0

    def __init__(self, a=-0.5):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, distance):
        return keys(distance, self.a.detach())


@caught_by("derivative_in_parameters", "works_on_meta")
class ParameterAsFloat(wk.Kernel):
    """`float(self.a)` leaves the graph, and asks the device for a number at each call."""

    radius = 2.0

    def __init__(self, a=-0.5):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, distance):
        return keys(distance, float(self.a))


@caught_by("derivative_in_parameters")
class SlowedParameter(wk.Kernel):
    """A tenth of the learning rate, made by a gradient that is a tenth of the right one."""

    radius = 2.0

    def __init__(self, a=-0.5):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, distance):
        return keys(distance, 0.1 * self.a + 0.9 * self.a.detach())


@caught_by("derivative_in_parameters")
class HeldWhereFar(wk.Kernel):
    """A parameter below −¾ is held, "to keep it from running away": it never comes back either."""

    radius = 2.0

    def __init__(self, a=-0.5):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, distance):
        return keys(distance, torch.where(self.a < -0.75, self.a.detach(), self.a))


# ----------------------------------------------------------------------------------------------- radius and facts


@caught_by("radius_reaches_zero")
class SplineCutShort(wk.Kernel):
    """A cubic B-spline reaches to 2; cut at 1.5 it jumps by 0.02, a faint line at every pixel."""

    radius = 1.5
    pieces = 2
    interpolating = partition_of_unity = False

    def forward(self, distance):
        return cubic_spline(distance)


@caught_by("radius_reaches_zero")
class GaussianCutShort(wk.Kernel):
    """A Gaussian of σ = 0.8 is 0.04 at 2, and nothing says that it jumps there."""

    radius = 2.0
    interpolating = partition_of_unity = False

    def forward(self, distance):
        return torch.exp(-(distance**2) / (2 * 0.8**2))


@caught_by("radius_is_needed")
class WideTriangle(wk.Kernel):
    """Bilinear with a radius of 2: two of four taps are always zero, in 2-D twelve of sixteen."""

    radius = 2.0

    def forward(self, distance):
        return torch.relu(1 - distance.abs())


@caught_by("radius_is_needed")
class NearestOfThree(wk.Kernel):
    """The nearest pixel, looked for among three."""

    radius = 1.5
    continuity = -1

    def forward(self, distance):
        return ((distance >= -0.5) & (distance < 0.5)).to(distance.dtype)


@caught_by("interpolating")
class BlursUnsaid(wk.Kernel):
    """A cubic B-spline is 2/3 at 0: it blurs, and does not say so."""

    radius = 2.0

    def forward(self, distance):
        return cubic_spline(distance)


@caught_by("interpolating")
class MitchellUnsaid(wk.Kernel):
    """Mitchell's B = 1/3, C = 1/3 sums to one, but is 8/9 at 0 and 1/18 at 1; it says nothing of it."""

    radius = 2.0

    def forward(self, distance):
        d = distance.abs()
        near = (7 * d**3 - 12 * d**2 + 16 / 3) / 6
        far = (-7 / 3 * d**3 + 12 * d**2 - 20 * d + 32 / 3) / 6
        return torch.where(d < 1, near, far)


@caught_by("partition_of_unity")
class MitchellByFive(wk.Kernel):
    """The denominator is 5 instead of 6, so that every image gets brighter by a fifth."""

    radius = 2.0
    interpolating = False

    def forward(self, distance):
        d = distance.abs()
        near = (7 * d**3 - 12 * d**2 + 16 / 3) / 5
        far = (-7 / 3 * d**3 + 12 * d**2 - 20 * d + 32 / 3) / 5
        return torch.where(d < 1, near, far)


@caught_by("partition_of_unity")
class LanczosUnnormalised(wk.Kernel):
    """Lanczos' weights sum to 0.997 … 1.01, a ripple in flat regions; it does not say so."""

    radius = 3.0

    def forward(self, distance):
        return torch.sinc(distance) * torch.sinc(distance / 3)


@caught_by("partition_of_unity")
class CubedTwice(wk.Kernel):
    """d³ where d² belongs: it still is 1 at 0 and 0 at 1.

    github.com/rthome/SharpNoise/issues/18: "q is being multiplied by a one too many times".
    """

    radius = 2.0

    def forward(self, distance):
        d, a = distance.abs(), -0.5
        near = ((a + 2) - (a + 3)) * d**3 + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return torch.where(d < 1, near, far)


@caught_by("partition_of_unity")
class OverlappingNearest(wk.Kernel):
    """The nearest pixel with a little overlap, lest one be lost: near a half two pixels are added."""

    radius = 1.0
    pieces = 20
    continuity = -1

    def forward(self, distance):
        return ((distance >= -0.55) & (distance < 0.55)).to(distance.dtype)


@caught_by("symmetric")
class Skewed(wk.Kernel):
    """Leans to one side, and says that it is symmetric."""

    radius = 1.0
    symmetric = True

    def forward(self, distance):
        return (1 - distance.abs()) * (1 + 0.2 * distance)


@caught_by("continuity")
class KeysIsNotC2(wk.Kernel):
    """Cubic convolution is C1; its second derivative jumps at 1."""

    radius = 2.0
    continuity = 2

    def forward(self, distance):
        return keys(distance)


@caught_by("continuity")
class CutSinc(wk.Kernel):
    """A sinc without a window ends at zero, but its slope jumps there: C0, where C1 is said."""

    radius = 2.0
    partition_of_unity = False
    continuity = 1

    def forward(self, distance):
        return torch.sinc(distance)


@caught_by("continuity")
class JumpsUnsaid(wk.Kernel):
    """Jumps at 0 from 0.3 to 1, and says that it is continuous."""

    radius = 1.0
    partition_of_unity = False
    continuity = 0

    def forward(self, distance):
        return torch.where(distance < 0, 0.3 * (1 + distance), 1 - distance**2)


@caught_by("reproduces")
class NoCatmullRom(wk.Kernel):
    """Quadratics come back at a = −0.5 only, here a is −0.75."""

    radius = 2.0
    reproduces = 2

    def forward(self, distance):
        return keys(distance, a=-0.75)


@caught_by("reproduces")
class SplineOfOrderThree(wk.Kernel):
    """A cubic spline space holds cubics, but the B-spline alone gives back straight lines only."""

    radius = 2.0
    interpolating = False
    reproduces = 3

    def forward(self, distance):
        return cubic_spline(distance)


@caught_by("pieces_name_the_joints", warned=True)
class JointBetweenTaps(wk.Kernel):
    """A triangle of radius 1.5 has a joint at 0, half-way between its ends' steps: `pieces` should be 2."""

    radius = 1.5
    interpolating = partition_of_unity = False

    def forward(self, distance):
        return (1 - distance.abs() / 1.5) / 1.5


@caught_by("pieces_name_the_joints", warned=True)
class Knees(wk.Kernel):
    """Steeper between 1/4 and 3/4: `pieces` should be 4."""

    radius = 1.0

    def forward(self, distance):
        d = distance.abs()
        return 1 - d / 2 - torch.relu(d - 0.25) + torch.relu(d - 0.75)


@caught_by("gradient_at_the_identity", warned=True)
class RaisedCosine(wk.Kernel):
    """Its slope at 0 and at ±1 is rightly zero: a transformer that starts as the identity never starts."""

    radius = 1.0

    def forward(self, distance):
        return (1 + torch.cos(math.pi * distance)) / 2


@caught_by("gradient_at_the_identity", warned=True)
class Smoothstep(wk.Kernel):
    """3d² − 2d³ has no slope at the pixels either."""

    radius = 1.0

    def forward(self, distance):
        d = distance.abs()
        return 1 - (3 - 2 * d) * d**2


# ------------------------------------------------------------------------------------------------ tables and weights


@caught_by("table_agrees_with_formula")
class TapsFromTheRight(wk.Kernel):
    """Its own table lists the taps from right to left, so that it mirrors."""

    radius = 1.0

    def forward(self, distance):
        return 1 - distance.abs()

    def table(self, dtype=torch.float32):
        return torch.tensor([[[0.0, 1.0], [1.0, -1.0]]], dtype=torch.float64)


@caught_by("table_agrees_with_formula")
class TableOfAnotherKernel(wk.Kernel):
    """The table was worked out for a = −0.5, and forgotten when the formula became −0.75."""

    radius = 2.0

    def forward(self, distance):
        return keys(distance, a=-0.75)

    def table(self, dtype=torch.float32):
        return wk.get_kernel("bicubic", a=-0.5).table(dtype)


@caught_by("jumps_belong_to_the_right", warned=True)
class JumpsTheOtherWay(wk.Kernel):
    """`<=` at a jump at 0: the formula says 1 there, but sampling takes what lies to the right, 0.3."""

    radius = 1.0
    interpolating = partition_of_unity = False
    continuity = -1

    def forward(self, distance):
        return torch.where(distance <= 0, 1 + distance, 0.3 * (1 - distance))


# ------------------------------------------------------------------------------ where and how a kernel has to work


@caught_by("works_on_meta")
class ChecksItsDistances(wk.Kernel):
    """Reads values to complain about them: a tensor on the meta device has none."""

    radius = 1.0

    def forward(self, distance):
        if (distance.abs() > 1).any():
            raise ValueError("distance beyond the radius")
        return 1 - distance.abs()


@caught_by("works_on_meta")
class ConstantsOnTheCpu(wk.Kernel):
    """Makes its coefficients on the CPU, wherever the distances are."""

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance):
        coefficients = torch.tensor([1.0, -0.5, -0.5], dtype=distance.dtype)
        powers = torch.stack([torch.ones_like(distance), distance.abs(), distance**2], dim=-1)
        return (coefficients * powers).sum(dim=-1)


@caught_by("works_under_vmap")
class FilledInPlace(wk.Kernel):
    """Adds into zeros that know nothing of vmap's hidden axis.

    github.com/kornia/kornia/pull/2346: an operation in place that vmap refused.
    """

    radius = 2.0

    def forward(self, distance):
        out = torch.zeros(distance.shape, dtype=distance.dtype, device=distance.device)
        out += keys(distance)
        return out


@caught_by("works_under_jvp")
class FunctionWithoutJvp(wk.Kernel):
    """A right backward, but no jvp: `transform.jacobian` and forward mode stop here."""

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance):
        return _Parabola.apply(distance)


@torch.library.custom_op("warpkit_broken::parabola", mutates_args=())
def _parabola(distance: torch.Tensor) -> torch.Tensor:
    return 1 - distance**2


_parabola.register_fake(torch.empty_like)
_parabola.register_vmap(lambda info, dims, distance: (_parabola(distance), dims[0]))
_parabola.register_autograd(
    lambda ctx, grad: -2 * ctx.saved_tensors[0] * grad,
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
)


@caught_by("works_under_jvp")
class OperatorWithoutJvp(wk.Kernel):
    """An operator with `register_autograd`: forward mode gives zeros, and says nothing."""

    radius = 1.0
    partition_of_unity = False

    def forward(self, distance):
        return torch.ops.warpkit_broken.parabola(distance)


@caught_by("works_under_compile")
class CoarserWhenCompiled(wk.Kernel):
    """Another formula where it is compiled, as if that were only a matter of speed."""

    radius = 2.0

    def forward(self, distance):
        if torch.compiler.is_compiling():
            return torch.relu(1 - distance.abs())
        return keys(distance)


@caught_by("works_under_compile")
class Logs(wk.Kernel):
    """Writes a line at each call, which cannot be part of a compiled graph."""

    radius = 1.0

    def forward(self, distance):
        logging.getLogger(__name__).debug("%d distances", distance.numel())
        return 1 - distance.abs()


@caught_by("trains_after_inference_mode")
class KeptFromInference(wk.Kernel):
    """Keeps a constant from its first call: made in inference mode, it can never be trained with.

    github.com/sgl-project/sglang/issues/33470: "inference_mode mismatch can break lazy buffers".
    """

    radius = 1.0
    partition_of_unity = False

    def __init__(self):
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(0.5))
        self.known = {}

    def forward(self, distance):
        key = (distance.dtype, distance.device)
        if key not in self.known:
            self.known[key] = torch.full((), -2.0, dtype=distance.dtype, device=distance.device)
        d = distance.abs()
        return (1 - d) * torch.exp(self.known[key] * self.sharpness * d)


@caught_by("tensors_are_registered")
class PlainTensor(wk.Kernel):
    """A tensor that asks for a gradient, and is no parameter: no optimiser sees it, no state_dict keeps it."""

    radius = 2.0

    def __init__(self, a=-0.5):
        super().__init__()
        self.a = torch.tensor(a, requires_grad=True)

    def forward(self, distance):
        return keys(distance, self.a)


@caught_by("tensors_are_registered")
class ParametersInAList(wk.Kernel):
    """A Python list hides parameters from the module that holds it."""

    radius = 1.0

    def __init__(self):
        super().__init__()
        self.bends = [nn.Parameter(torch.tensor(0.1)), nn.Parameter(torch.tensor(-0.1))]

    def forward(self, distance):
        d = distance.abs()
        left, right = self.bends
        bend = torch.where(distance < 0, left.to(d.dtype), right.to(d.dtype))
        return 1 - d + bend * d * (1 - d)


@caught_by("works_on_meta")
class CoefficientsLeftBehind(wk.Kernel):
    """Coefficients in a plain attribute stay on the CPU when the kernel moves to another device."""

    radius = 1.0
    partition_of_unity = False

    def __init__(self):
        super().__init__()
        self.coefficients = torch.tensor([1.0, -0.5, -0.5])

    def forward(self, distance):
        powers = torch.stack([torch.ones_like(distance), distance.abs(), distance**2], dim=-1)
        return (self.coefficients.to(distance.dtype) * powers).sum(dim=-1)


@caught_by("survives_copies")
class WindowAsLambda(wk.Kernel):
    """A lambda among the attributes: such a kernel cannot be pickled, and no model with it saved whole.

    github.com/AlessioGalluccio/FastFlow/issues/3: "Can't pickle local object … <lambda>".
    """

    radius = 2.0
    partition_of_unity = False

    def __init__(self):
        super().__init__()
        self.window = lambda d: torch.sinc(d / 2)

    def forward(self, distance):
        return torch.sinc(distance) * self.window(distance)


@caught_by("survives_copies")
class WindowAsClosure(wk.Kernel):
    """The same with a function made inside another, here behind `functools.partial`."""

    radius = 2.0
    partition_of_unity = False

    def __init__(self, lobes=2):
        super().__init__()

        def window(width, d):
            return torch.sinc(d / width)

        self.window = functools.partial(window, lobes)

    def forward(self, distance):
        return torch.sinc(distance) * self.window(distance)


@caught_by("survives_copies")
class StateGoesOneWay(wk.Kernel):
    """`get_extra_state` without `set_extra_state`: a checkpoint can be written, and not read."""

    radius = 2.0

    def __init__(self, a=-0.5):
        super().__init__()
        self.a = a

    def get_extra_state(self):
        return {"a": self.a}

    def forward(self, distance):
        return keys(distance, self.a)


@caught_by("survives_copies")
class HoldsALock(wk.Kernel):
    """A lock among the attributes can neither be copied nor pickled."""

    radius = 1.0

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def forward(self, distance):
        return 1 - distance.abs()


@caught_by("float32_agrees_with_float64")
class FasterInSingle(wk.Kernel):
    """A quicker formula for float32, of another kernel."""

    radius = 2.0

    def forward(self, distance):
        return keys(distance, -0.75 if distance.dtype == torch.float32 else -0.5)


# ------------------------------------------------------------------------------------------ kernel and prefilter


class _Spline(wk.Kernel):
    """The cubic B-spline with its prefilter, rightly."""

    radius = 2.0

    def forward(self, distance):
        return cubic_spline(distance)

    def prefilter(self, image, axis, padding_mode, align_corners):
        return wk.spline_filter(image, axis, [2 / 3, 1 / 6], padding_mode, align_corners)


@caught_by("prefilter_gives_coefficients")
class RoundsCoefficients(_Spline):
    """Coefficients in another type than the image's."""

    def prefilter(self, image, axis, padding_mode, align_corners):
        return super().prefilter(image.double(), axis, padding_mode, align_corners).float()


@caught_by("prefilter_gives_coefficients")
class MarginOnOneSide(_Spline):
    """One coefficient more behind the last pixel, and none before the first."""

    def prefilter(self, image, axis, padding_mode, align_corners):
        found = super().prefilter(image, axis, padding_mode, align_corners)
        return torch.cat([found, found.narrow(axis, found.shape[axis] - 1, 1)], dim=axis)


@caught_by("prefilter_gives_coefficients")
class FiltersInPlace(_Spline):
    """The user's image is overwritten."""

    def prefilter(self, image, axis, padding_mode, align_corners):
        found = super().prefilter(image, axis, padding_mode, align_corners)
        if found.shape == image.shape:
            image.copy_(found)
        return found


@caught_by("prefilter_is_linear")
class DetachesCoefficients(_Spline):
    """No gradient reaches the image."""

    def prefilter(self, image, axis, padding_mode, align_corners):
        return super().prefilter(image.detach(), axis, padding_mode, align_corners)


@caught_by("prefilter_is_linear")
class SharpensByTheBatch(_Spline):
    """What is left after a mean over all rows and images is filtered: the rows mix."""

    def prefilter(self, image, axis, padding_mode, align_corners):
        mean = image.mean()
        return super().prefilter(image - mean, axis, padding_mode, align_corners) + mean.square()


@caught_by("interpolating")
class WrongSamples(_Spline):
    """k(0) and k(1) typed wrongly: their sum is right, the spline misses the pixels."""

    def prefilter(self, image, axis, padding_mode, align_corners):
        return wk.spline_filter(image, axis, [0.7, 0.15], padding_mode, align_corners)


@caught_by("identity_warp")
class MirrorsAlways(_Spline):
    """The prefilter of one boundary, whatever the padding is."""

    def prefilter(self, image, axis, padding_mode, align_corners):
        return wk.spline_filter(image, axis, [2 / 3, 1 / 6], "reflection")
