"""Transforms as a user might write them, each with one mistake, and the checks that must notice it."""

import logging
import math

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


def turned(points, angle):
    """Points [B, M, 2] turned about the centre by angle [N, 1], rightly."""
    x, y = points.unbind(-1)
    c, s = angle.cos(), angle.sin()
    return torch.stack([c * x - s * y, s * x + c * y], dim=-1)


def rows(*entries):
    """A matrix [N, 3, 3] of the entries [N] or numbers of its first two rows, rightly."""
    like = next(e for e in entries if isinstance(e, torch.Tensor))
    entries = [e if isinstance(e, torch.Tensor) else torch.full_like(like, e) for e in (*entries, 0.0, 0.0, 1.0)]
    return torch.stack(entries, dim=-1).reshape(-1, 3, 3)


class Turning(wk.Transform):
    """A rotation by an angle, rightly: what many of the broken ones were made of."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return turned(points, theta)


class Shifting(wk.Transform):
    """A translation that is right in everything."""

    ndim = 2
    num_params = 2

    def identity(self):
        return torch.zeros(2)

    def forward(self, theta, points):
        return points + theta[:, None]


class Window(wk.MatrixTransform):
    """Scale and translation as a matrix, rightly; it has no from_matrix."""

    ndim = 2
    num_params = 3
    is_affine = True

    def identity(self):
        return torch.tensor([1.0, 0.0, 0.0])

    def matrix(self, theta):
        s, x, y = theta.unbind(-1)
        return rows(s, 0.0, x, 0.0, s, y)


class TwoWaves(wk.BasisTransform):
    """A displacement by two sines of x, rightly."""

    ndim = 2
    num_params = 4

    def identity(self):
        return torch.zeros(4)

    def basis(self, points):
        return torch.stack([torch.sin(3 * points[..., 0]), torch.cos(2 * points[..., 0])], dim=-1)

    def coefficients(self, theta):
        return theta.reshape(-1, 2, 2)


# ----------------------------------------------------------------------------------------------- sizes and shapes


@caught_by("sizes_are_stated")
class HalfAsMany(Shifting):
    """The number of parameters comes out of a division, 2.0: `/` was written where `//` was meant."""

    num_params = 4 / 2


@caught_by("sizes_are_stated")
class TwoNamesForThree(Window):
    """Two names for three parameters."""

    param_names = ("scale", "shift")


@caught_by("sizes_are_stated")
class NoDimension(wk.Transform):
    """A transform that forgets to state `ndim`."""

    num_params = 2

    def identity(self):
        return torch.zeros(2)

    def forward(self, theta, points):
        return points + theta[:, None]


@caught_by("one_point_for_each_point")
class StillHomogeneous(Shifting):
    """Returns x, y and the 1 that was appended for the matrix product."""

    def forward(self, theta, points):
        return torch.cat([points + theta[:, None], torch.ones_like(points[..., :1]).expand(len(theta), -1, 1)], dim=-1)


@caught_by("one_point_for_each_point")
class AxesFirst(Shifting):
    """Returns [N, 2, M], as the paper writes points in columns."""

    def forward(self, theta, points):
        return (points + theta[:, None]).mT


@caught_by("one_point_for_each_point")
class TwoByThree(Window):
    """The matrix lacks its last row.

    github.com/kornia/kornia/issues/745: 3×3 from one function, 2×3 expected by the next.
    """

    def matrix(self, theta):
        return super().matrix(theta)[:, :2]


@caught_by("one_point_for_each_point")
class MatrixOfFloat32(Window):
    """`torch.zeros` is float32, and a float64 θ put into it stays so: the product with the points is refused."""

    def matrix(self, theta):
        matrix = torch.zeros(len(theta), 3, 3)
        matrix[:, 0, 0] = matrix[:, 1, 1] = theta[:, 0]
        matrix[:, :2, 2] = theta[:, 1:]
        matrix[:, 2, 2] = 1
        return matrix


@caught_by("inputs_are_not_changed")
class ShiftsInPlace(Shifting):
    """`+=` writes into the caller's points."""

    def forward(self, theta, points):
        if len(theta) > len(points):
            points = points.repeat(len(theta), 1, 1)
        points += theta[:, None]
        return points


@caught_by("inputs_are_not_changed")
class HalfTurnsInPlace(Turning):
    """θ in half-turns is made radians in place: it grows by π at every call."""

    def forward(self, theta, points):
        theta *= math.pi
        return turned(points, theta)


@caught_by("same_each_time")
class Trembling(Shifting):
    """Random jitter, new at each call."""

    def forward(self, theta, points):
        return points + theta[:, None] + 1e-3 * torch.randn_like(points)


@caught_by("same_each_time")
class NoisyInTraining(Shifting):
    """Augments while it trains, so that a gradient is compared with another image than the one that was seen."""

    def forward(self, theta, points):
        noise = 0.01 * torch.randn_like(theta) if self.training else 0
        return points + (theta + noise)[:, None]


@caught_by("same_each_time")
class Annealed(Turning):
    """Turns further the more often it was called, evaluation included."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, theta, points):
        self.calls += 1
        return turned(points, theta * (1 - math.exp(-self.calls / 100)))


@caught_by("same_each_time")
class BasisOfTheFirstPoints(TwoWaves):
    """Keeps its basis by the shape of the points: other points of that shape get the first ones' basis."""

    def __init__(self):
        super().__init__()
        self.known = {}

    def basis(self, points):
        key = (tuple(points.shape), points.dtype, points.device)
        if key not in self.known:
            self.known[key] = super().basis(points)
        return self.known[key]


@caught_by("keeps_the_type")
class KnotsInTheDefaultType(wk.BasisTransform):
    """Knots at thirds by `torch.linspace`, which has the default type and not that of the points."""

    ndim = 2
    num_params = 8

    def identity(self):
        return torch.zeros(8)

    def basis(self, points):
        knots = torch.linspace(-1, 1, 4, device=points.device)
        return torch.exp(-((points[..., :1] - knots) ** 2))

    def coefficients(self, theta):
        return theta.reshape(-1, 4, 2)


@caught_by("keeps_the_type")
class FactorOfTheFirstDefault(Turning):
    """Makes its factor at the first call, in the type that is the default then, and keeps it."""

    def __init__(self):
        super().__init__()
        self.factor = None

    def forward(self, theta, points):
        if self.factor is None:
            self.factor = torch.full((1, 1), 1 / 3)
        return turned(points, theta * self.factor.to(theta))


@caught_by("keeps_the_type")
class ShortSeriesByDefault(Turning):
    """Fewer terms of a series where the default type has fewer digits."""

    def forward(self, theta, points):
        terms = 12 if torch.finfo(torch.get_default_dtype()).bits > 16 else 3
        return turned(points, sum((-1) ** k * theta ** (2 * k + 1) / math.gamma(2 * k + 2) for k in range(terms)))


# -------------------------------------------------------------------------------------------- batches and points


@caught_by("each_image_alone")
class LargeOnesByTheirMean(Shifting):
    """Brings large shifts back by the mean of the batch: it is seen only where one is larger than 1."""

    def forward(self, theta, points):
        centred = torch.where(theta.abs().amax() > 1, theta - theta.mean(0) / 2, theta)
        return points + centred[:, None]


@caught_by("empty_inputs")
class ReshapedByMinusOne(Shifting):
    """A reshape with −1: without points torch cannot tell how many there are."""

    def forward(self, theta, points):
        return points.reshape(points.shape[0], -1, 2) + theta[:, None]


@caught_by("one_lattice_for_all")
class AsManyAsPoints(Turning):
    """The result is made like the points: with one lattice there is room for one image."""

    def forward(self, theta, points):
        out = torch.zeros_like(points)
        out += turned(points, theta)
        return out


@caught_by("one_lattice_for_all")
class ThetaOfThePoints(Turning):
    """Takes as many θ as there are sets of points: with one lattice all images get the first θ."""

    def forward(self, theta, points):
        return turned(points, theta[: len(points)])


@caught_by("one_lattice_for_all", "one_theta_for_all")
class ReshapedToTheta(Turning):
    """`points.reshape(N, …)` with θ's N: one lattice for N images has too few points, N sets for one θ too many."""

    def forward(self, theta, points):
        return turned(points.reshape(len(theta), points.shape[1], 2), theta)


@caught_by("one_lattice_for_all", "one_theta_for_all")
class BatchedProduct(Turning):
    """`bmm` wants equal batches.

    github.com/princeton-vl/RAFT/issues/161: "expected grid and input to have same batch size".
    """

    def forward(self, theta, points):
        c, s = theta[:, 0].cos(), theta[:, 0].sin()
        matrix = torch.stack([c, s, -s, c], dim=-1).reshape(-1, 2, 2)
        return torch.bmm(points, matrix)


@caught_by("one_theta_for_all")
class ExpandedToTheta(Turning):
    """Expands the points to θ's batch, but never θ to theirs."""

    def forward(self, theta, points):
        return turned(points.expand(len(theta), -1, -1), theta)


@caught_by("each_image_alone")
class FirstTheta(Turning):
    """The first image's angle turns all."""

    def forward(self, theta, points):
        return turned(points, theta[:1]).expand(max(len(theta), len(points)), -1, -1)


@caught_by("each_image_alone")
class CentredOverTheBatch(Shifting):
    """θ less its mean over the batch: what an image is moved by depends on its neighbours."""

    def forward(self, theta, points):
        return points + (theta - theta.mean(0) / 2)[:, None]


@caught_by("each_point_alone")
class AboutTheMean(Turning):
    """Turns about the mean of the points it happens to be given."""

    def forward(self, theta, points):
        centre = points.mean(dim=1, keepdim=True)
        return centre + turned(points - centre, theta)


@caught_by("each_point_alone")
class StepByCount(Shifting):
    """θ in pixels, and the size of a pixel worked out from the number of points."""

    def forward(self, theta, points):
        return points + theta[:, None] * 2 / max(1, points.shape[1]) ** 0.5


@caught_by("each_point_alone")
class FallingOffByTheMean(Turning):
    """The fall-off is relative to the mean distance of the points it happens to be given."""

    def forward(self, theta, points):
        squared = points.square().sum(-1)
        return turned(points, theta / (1 + squared / squared.mean(dim=1, keepdim=True)))


@caught_by("each_point_alone")
class BasisSummingToOne(TwoWaves):
    """The basis is normalised over the points, where over the basis functions was meant."""

    def basis(self, points):
        basis = super().basis(points).exp()
        return basis / (1 + basis.sum(dim=1, keepdim=True))


@caught_by("keeps_the_type")
class FilledIntoZeros(Turning):
    """`torch.zeros(shape)` is float32, whatever the points are."""

    def forward(self, theta, points):
        out = torch.zeros(max(len(theta), len(points)), points.shape[1], 2)
        out += turned(points, theta)
        return out


@caught_by("keeps_the_type")
class AlwaysDouble(Turning):
    """Computes in float64, and leaves the result there."""

    def forward(self, theta, points):
        return turned(points.double(), theta.double())


@caught_by("float64_is_not_rounded")
class SinglePrecision(Turning):
    """`.float()` inside: float64 points lose half of their digits."""

    def forward(self, theta, points):
        return turned(points.float(), theta.float()).to(points.dtype)


@caught_by("float64_is_not_rounded")
class InTheTypeOfItsCentres(wk.BasisTransform):
    """Brings the points to the type of its buffer, float32, instead of the buffer to theirs."""

    ndim = 2
    num_params = 4

    def __init__(self):
        super().__init__()
        self.register_buffer("centres", torch.tensor([[-0.5, 0.0], [0.5, 0.0]]))

    def identity(self):
        return torch.zeros(4)

    def basis(self, points):
        squared = (points.to(self.centres.dtype)[..., None, :] - self.centres).square().sum(-1)
        return torch.exp(-squared).to(points.dtype)

    def coefficients(self, theta):
        return theta.reshape(-1, 2, 2)


@caught_by("float64_is_not_rounded")
class MatrixByWayOfFloat32(Window):
    """The matrix is made in float32 and cast to the type of θ afterwards: half a pixel in a wide image.

    github.com/kornia/kornia/issues/3958: constants made at float32, 0.5999999910593036 for 0.6.
    """

    def matrix(self, theta):
        return super().matrix(theta.float()).to(theta.dtype)


@caught_by("float64_is_not_rounded")
class FrequencyInSingle(wk.BasisTransform):
    """Its own parameter passes through float32, θ and points do not."""

    ndim = 2
    num_params = 2

    def __init__(self, frequency=3.0):
        super().__init__()
        self.frequency = nn.Parameter(torch.tensor(frequency))

    def identity(self):
        return torch.zeros(2)

    def basis(self, points):
        return torch.sin(self.frequency.float() * points[..., :1])

    def coefficients(self, theta):
        return theta[:, None]


@caught_by("values_are_finite")
class DirectionOfEachPoint(wk.Transform):
    """The centre has no direction: 0/0."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return points + theta[:, None] * points / points.square().sum(-1, keepdim=True).sqrt()


@caught_by("values_are_finite")
class FisheyeByDivision(wk.Transform):
    """tan(θr)/(θr) is 0/0 in the centre, and everywhere at θ = 0.

    github.com/GafferHQ/gaffer/pull/2341: a warp whose distortion is NaN.
    """

    ndim = 2
    num_params = 1

    def forward(self, theta, points):
        r = theta[:, None] * points.norm(dim=-1, keepdim=True) / 4
        return points * torch.tan(r) / r


# ------------------------------------------------------------------------------------------------------ identity


@caught_by("theta_length_is_checked")
class PastTheDoor(Window):
    """Overrides `__call__` to save time, and with it goes every check of what was given."""

    def __call__(self, theta, points):
        flat = points.reshape(len(points), math.prod(points.shape[1:-1]), 2)
        moved = self.forward(theta[:, :3], flat)
        return moved.reshape(len(moved), *points.shape[1:])


@caught_by("identity")
class AlmostIdentity(Shifting):
    """A thousandth off: half a pixel in an image of a thousand."""

    def identity(self):
        return torch.full((2,), 1e-3)


@caught_by("identity")
class ShortIdentity(Window):
    """Two numbers for three parameters."""

    def identity(self):
        return torch.zeros(2)


@caught_by("identity")
class BatchedIdentity(Shifting):
    """[1, P] instead of [P]."""

    def identity(self):
        return torch.zeros(1, 2)


@caught_by("identity")
class WholeIdentity(Window):
    """Whole numbers: nothing can be learnt from where they stand.

    github.com/pytorch/pytorch/issues/12362: an `affine_grid` of the whole-number identity that was none.
    """

    def identity(self):
        return torch.tensor([1, 0, 0])


@caught_by("identity")
class SharedIdentity(Window):
    """Gives its own buffer away: whoever adds to the identity in place changes it for all."""

    def __init__(self):
        super().__init__()
        self.register_buffer("start", torch.tensor([1.0, 0.0, 0.0]))

    def identity(self):
        return self.start


@caught_by("identity")
class OnesForZeros(wk.Transform):
    """The scale is exp(θ), and the identity still the 1 of a plain scale."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.ones(1)

    def forward(self, theta, points):
        return points * torch.exp(theta)[:, None]


@caught_by("identity")
class RowsBeforeColumns(Shifting):
    """Takes the points apart as y, x, and puts x, y together: the image is transposed.

    github.com/kevinzakka/spatial-transformer-network/issues/18: a sampler that swaps its axes.
    """

    def forward(self, theta, points):
        y, x = (points + theta[:, None]).unbind(-1)
        return torch.stack([x, y], dim=-1)


@caught_by("identity")
class DisplacementOnly(Shifting):
    """Returns how far each point moves, and not where it goes.

    github.com/adalca/neurite/issues/8: a transform and a difference from the identity, mixed up.
    """

    def forward(self, theta, points):
        return theta[:, None] + 0 * points


@caught_by("identity")
class EpsilonInTheDenominator(wk.Transform):
    """An ε against division by zero moves every point at the identity too.

    github.com/kornia/kornia/issues/747: `warp_perspective` that does not give the image back for the identity.
    """

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.ones(1)

    def forward(self, theta, points):
        r = points.square().sum(-1, keepdim=True)
        return points * theta[:, None] * r / (r + 1e-3)


@caught_by("identity_gradients_are_finite")
class AxisAngle(wk.MatrixTransform):
    """√(θ·θ) has no gradient at 0, where every network starts.

    github.com/kornia/kornia/issues/2924: "SqrtBackward0 returned nan values".
    """

    ndim = 3
    num_params = 3
    is_affine = True

    def identity(self):
        return torch.zeros(3)

    def matrix(self, theta):
        angle = torch.sqrt(theta.square().sum(-1))
        x, y, z = (theta / (angle[:, None] + 1e-6)).unbind(-1)
        o = torch.zeros_like(x)
        cross = torch.stack([o, -z, y, o, z, o, -x, o, -y, x, o, o, o, o, o, o], dim=-1).reshape(-1, 4, 4)
        s, c = angle.sin()[:, None, None], angle.cos()[:, None, None]
        return torch.eye(4, dtype=theta.dtype, device=theta.device) + s * cross + (1 - c) * cross @ cross


@caught_by("float64_is_not_rounded", "identity_gradients_are_finite")
class AngleByAcos(wk.Transform):
    """A unit complex number w + iz as θ, and its angle by acos(w), whose slope at w = 1 is infinite.

    github.com/kornia/kornia/issues/3949: NaN gradients at the identity quaternion.
    """

    ndim = 2
    num_params = 2

    def identity(self):
        return torch.tensor([1.0, 0.0])

    def forward(self, theta, points):
        w, z = theta.unbind(-1)
        angle = torch.acos(w / torch.sqrt(w**2 + z**2)) * torch.sign(z)
        return turned(points, angle[:, None])


@caught_by("identity_gradients_are_finite")
class RootInTheCentre(wk.Transform):
    """A radius by √(x² + y²): right in the centre, but its gradient in the point is NaN there."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        r = torch.sqrt(points.square().sum(-1, keepdim=True))
        return points * (1 + theta[:, None] * r)


@caught_by("handles_lead_back")
class HandlesHalfWay(Shifting):
    """A way back from handles that forgets that normalised coordinates go from −1 to 1."""

    def from_handles(self, handles):
        return handles.mean(1) / 2


@caught_by("inverse_points_undo")
class InverseOfMinusTheta(TwoWaves):
    """Points are taken back by −θ, which is the inverse to first order only."""

    def inverse_points(self, theta, points, *, tol=1e-6):
        return self(-theta, points)


@caught_by("inverse_points_undo")
class NoWayBack(Turning):
    """Inverted by a few steps of an iteration that converges for small angles; the certificate refuses the rest."""

    def preimages(self, theta, points):
        found = points
        for _ in range(3):
            found = found - (self(theta, found) - points)
        return found


@caught_by("folds_are_refused")
class Bisected(wk.Transform):
    """An inverse by bisection, which finds one of the places of what is folded, and asks for no other."""

    ndim = 1
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return points + theta[:, None] * torch.sin(8 * points)

    def preimages(self, theta, points):
        low, high = points - 5, points + 5
        for _ in range(60):
            middle = (low + high) / 2
            beyond = self(theta, middle) > points
            low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
        return low


@caught_by("gradient_at_the_identity", warned=True)
class Squared(Shifting):
    """The shift is θ²: at θ = 0 nothing says which way to go."""

    def forward(self, theta, points):
        return points + theta.square()[:, None]


@caught_by("gradient_at_the_identity", warned=True)
class NeverNegative(wk.Transform):
    """|θ| keeps the zoom above one, and has the gradient 0 where it starts."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return points * (1 + theta.abs())[:, None]


@caught_by("gradient_at_the_identity", warned=True)
class QuarterTurns(Turning):
    """Steps of a quarter turn: no θ has a gradient anywhere."""

    def forward(self, theta, points):
        return turned(points, (4 * theta).round() * math.pi / 2)


# --------------------------------------------------------------------------------------------------- derivatives


@caught_by("every_parameter_counts")
class UnusedFourth(Window):
    """Four parameters, of which three are read: a fourth of the regression layer learns nothing."""

    num_params = 4

    def identity(self):
        return torch.tensor([1.0, 0.0, 0.0, 0.0])

    def matrix(self, theta):
        return super().matrix(theta[:, :3])


@caught_by("every_parameter_counts")
class SoftmaxOfOne(wk.Transform):
    """The scale passes a softmax over a single number, and so is one whatever θ is."""

    ndim = 2
    num_params = 3

    def identity(self):
        return torch.zeros(3)

    def forward(self, theta, points):
        scale, shift = torch.softmax(theta[:, None, :1], dim=-1), theta[:, None, 1:]
        return points * scale + shift


@caught_by("derivative_in_theta")
class ScaledGradient(Turning):
    """A tenth of the learning rate, made by a gradient that is a tenth of the right one."""

    def forward(self, theta, points):
        return turned(points, 0.1 * theta + 0.9 * theta.detach())


@caught_by("derivative_in_theta")
class StraightThroughLimit(Shifting):
    """Limits θ to ±0.2, but keeps the gradient beyond, so that it runs away where nothing moves."""

    def forward(self, theta, points):
        limited = theta + (theta.clamp(-0.2, 0.2) - theta).detach()
        return points + limited[:, None]


@caught_by("derivative_in_theta")
class CosineHeld(Turning):
    """The cosine is detached: right at θ = 0, where its slope is 0, and wrong everywhere else."""

    def forward(self, theta, points):
        x, y = points.unbind(-1)
        c, s = theta.cos().detach(), theta.sin()
        return torch.stack([c * x - s * y, s * x + c * y], dim=-1)


class _ExpWithoutJvp(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(theta):
        return torch.exp(theta)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        (theta,) = ctx.saved_tensors
        return torch.exp(theta) * grad


@caught_by("derivative_in_theta")
class HeldBeyondAThird(Turning):
    """Angles beyond 0.3 are held, as if that kept training stable: what has got there stays there."""

    def forward(self, theta, points):
        return turned(points, torch.where(theta.abs() > 0.3, theta.detach(), theta))


@caught_by("derivative_in_theta")
class HeldBeyondARightAngle(Turning):
    """The same in degrees, beyond 90: far by its own measure."""

    def forward(self, theta, points):
        return turned(points, torch.deg2rad(torch.where(theta.abs() > 90, theta.detach(), theta)))


@caught_by("derivative_in_theta")
class SoftBeyondThree(Shifting):
    """Beyond 3 the gradient is a tenth of the right one: a shift that has run away comes back slowly."""

    def forward(self, theta, points):
        slow = 0.1 * theta + 0.9 * theta.detach()
        return points + torch.where(theta.abs() > 3, slow, theta)[:, None]


class _ExpInSingle(_ExpWithoutJvp):
    @staticmethod
    def backward(ctx, grad):
        (theta,) = ctx.saved_tensors
        return torch.exp(theta.float()).to(theta.dtype) * grad


@caught_by("derivative_in_theta")
class BackwardInSingle(wk.Transform):
    """A backward written by hand in float32: training works, finite differences in float64 do not agree."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return points * _ExpInSingle.apply(theta)[:, None]


class _ExpOfWrongBackward(_ExpWithoutJvp):
    @staticmethod
    def backward(ctx, grad):
        return grad


@caught_by("derivative_in_theta")
class WrongBackward(wk.Transform):
    """A backward written by hand forgets the factor exp(θ), which is 1 at the identity only (and there is no jvp)."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return points * _ExpOfWrongBackward.apply(theta)[:, None]


@caught_by("derivative_in_theta", "works_on_meta")
class RotationByNumpy(Turning):
    """The matrix is made by numpy: right values, no gradient, no `jacobian`, and a CPU that has to hold numbers."""

    def forward(self, theta, points):
        angle = theta.detach().numpy()[:, 0]
        matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
        return points @ torch.from_numpy(matrix).to(points)


@caught_by("derivative_in_points")
class BasisDetached(TwoWaves):
    """The basis is detached from the points, "to save memory": no gradient passes to what comes before it."""

    def basis(self, points):
        return super().basis(points.detach())


@caught_by("derivative_in_points")
class HeldOutsideOfTheImage(TwoWaves):
    """Points outside of the image are detached: what comes before in a composition never learns to come back."""

    def forward(self, theta, points):
        return super().forward(theta, torch.where(points.abs() > 1.15, points.detach(), points))


@caught_by("derivative_in_parameters")
class FrequencyDetached(wk.BasisTransform):
    """The frequency is a parameter, and detached: it is listed for the optimiser, and never learns."""

    ndim = 2
    num_params = 2

    def __init__(self, frequency=3.0):
        super().__init__()
        self.frequency = nn.Parameter(torch.tensor(frequency))

    def identity(self):
        return torch.zeros(2)

    def basis(self, points):
        return torch.sin(self.frequency.detach() * points[..., :1])

    def coefficients(self, theta):
        return theta[:, None]


# ------------------------------------------------------------------------------------------ matrices and inverses


class Rotation(wk.MatrixTransform):
    """A rotation as a matrix, rightly."""

    ndim = 2
    num_params = 1
    is_affine = True

    def identity(self):
        return torch.zeros(1)

    def matrix(self, theta):
        c, s = theta[:, 0].cos(), theta[:, 0].sin()
        return rows(c, -s, 0.0, s, c, 0.0)


@caught_by("matrix_agrees")
class RowVectors(Rotation):
    """`forward` multiplies rows by the matrix, not by its transpose, and so turns the other way.

    github.com/MIC-DKFZ/batchgeneratorsv2/issues/24: "you are actually applying the transpose of the affine matrix".
    """

    def forward(self, theta, points):
        return points @ self.matrix(theta)[:, :2, :2].to(points.dtype)


@caught_by("matrix_agrees")
class NeverDivides(wk.MatrixTransform):
    """`forward` leaves out the division by the last row's result."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def matrix(self, theta):
        one, zero = torch.ones_like(theta[:, 0]), torch.zeros_like(theta[:, 0])
        last = 0.2 * torch.tanh(theta[:, 0])
        return torch.stack([one, zero, last, zero, one, zero, last, zero, one], dim=-1).reshape(-1, 3, 3)

    def forward(self, theta, points):
        matrix = self.matrix(theta).to(points.dtype)
        return points @ matrix[:, :2, :2].mT + matrix[:, None, :2, 2]


@caught_by("affine_is_affine")
class Keystone(NeverDivides):
    """`is_affine` was copied along, but the last row is not 0 0 1: the sampler never divides."""

    is_affine = True

    def forward(self, theta, points):
        matrix = self.matrix(theta).to(points.dtype)
        product = points @ matrix[:, :, :2].mT + matrix[:, None, :, 2]
        return product[..., :2] / product[..., 2:]


@caught_by("from_matrix_undoes_matrix")
class AngleOfTheTranspose(Rotation):
    """`from_matrix` reads the sine from the wrong corner, and gives the angle the other way round."""

    def from_matrix(self, matrix):
        return torch.atan2(matrix[:, 0, 1], matrix[:, 0, 0])[:, None]

    def inverse(self, theta):
        return -theta


@caught_by("from_matrix_undoes_matrix")
class ScaleByTheDeterminant(Window):
    """`from_matrix` takes the scale for the determinant, which is its square."""

    def from_matrix(self, matrix):
        return torch.cat([torch.linalg.det(matrix)[:, None], matrix[:, :2, 2]], dim=-1)

    def inverse(self, theta):
        return torch.cat([1 / theta[:, :1], -theta[:, 1:] / theta[:, :1]], dim=-1)


@caught_by("inverse_undoes")
class ShearUndoneByItself(wk.MatrixTransform):
    """The inverse of a shear by θ is the shear by −θ; the sign is forgotten."""

    ndim = 2
    num_params = 1
    is_affine = True

    def identity(self):
        return torch.zeros(1)

    def matrix(self, theta):
        return rows(torch.ones_like(theta[:, 0]), theta[:, 0], 0.0, 0.0, 1.0, 0.0)

    def inverse(self, theta):
        return theta.clone()


@caught_by("inverse_undoes")
class WindowUndoneInPart(Window):
    """The inverse of s·p + t shifts by −t/s; here by −t."""

    def inverse(self, theta):
        return torch.cat([1 / theta[:, :1], -theta[:, 1:]], dim=-1)


@caught_by("inverse_undoes")
class SwirlUndoneFirst(wk.Transform):
    """The way back is taken for the first order's: a swirl that depends on where the point was, not where it is."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return turned(points, theta * torch.exp(-points[..., 0].square()))

    def inverse(self, theta):
        return -theta


@caught_by("jacobian_agrees")
class JacobianTransposed(Turning):
    """Its own Jacobian has rows for columns."""

    def jacobian(self, theta, points):
        return super().jacobian(theta, points).mT


@caught_by("jacobian_agrees")
class JacobianOfTheAngleAlone(wk.Transform):
    """Its own Jacobian forgets that the angle depends on the point."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return turned(points, theta * torch.exp(-points.square().sum(-1)))

    def jacobian(self, theta, points):
        angle = theta.reshape(-1, *[1] * (points.ndim - 2)) * torch.exp(-points.square().sum(-1))
        c, s = angle.cos(), angle.sin()
        return torch.stack([c, -s, s, c], dim=-1).reshape(*angle.shape, 2, 2)


# ---------------------------------------------------------------------------- where and how a transform has to work


@caught_by("works_on_meta")
class RefusesLargeAngles(Turning):
    """Reads values to complain about them: a tensor on the meta device has none."""

    def forward(self, theta, points):
        if (theta.abs() > 1000).any():
            raise ValueError("θ has diverged")
        return turned(points, theta)


@caught_by("works_on_meta")
class StepsOnTheCpu(wk.BasisTransform):
    """Makes its knots on the CPU, wherever the points are."""

    ndim = 2
    num_params = 6

    def identity(self):
        return torch.zeros(6)

    def basis(self, points):
        knots = torch.tensor([-1.0, 0.0, 1.0], dtype=points.dtype)
        return torch.exp(-((points[..., :1] - knots) ** 2))

    def coefficients(self, theta):
        return theta.reshape(-1, 3, 2)


@caught_by("works_under_vmap")
class FilledInPlace(Turning):
    """Adds into zeros that know nothing of vmap's hidden axis.

    github.com/kornia/kornia/pull/2346: a rotation matrix filled in place, which vmap refused.
    """

    def forward(self, theta, points):
        size = max(len(theta), len(points)), *points.shape[1:]
        out = torch.zeros(size, dtype=points.dtype, device=points.device)
        out += turned(points, theta)
        return out


@caught_by("works_under_jvp")
class FunctionWithoutJvp(wk.Transform):
    """A right backward for θ, but no jvp."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return points * _ExpWithoutJvp.apply(theta)[:, None]


@caught_by("works_under_compile")
class CoarserWhenCompiled(Turning):
    """Another formula where it is compiled, as if that were only a matter of speed."""

    def forward(self, theta, points):
        if torch.compiler.is_compiling():
            x, y = points.unbind(-1)
            return torch.stack([x - theta * y, y + theta * x], dim=-1)
        return turned(points, theta)


@caught_by("works_under_compile")
class Logs(Turning):
    """Writes a line at each call, which cannot be part of a compiled graph."""

    def forward(self, theta, points):
        logging.getLogger(__name__).debug("%d points", points.shape[1])
        return turned(points, theta)


@caught_by("trains_after_inference_mode")
class SolvedOnFirstUse(wk.BasisTransform):
    """Solves for its basis at the first call: made in inference mode, it can never be trained with."""

    ndim = 2
    num_params = 6

    def __init__(self):
        super().__init__()
        self.solved = {}

    def identity(self):
        return torch.zeros(6)

    def basis(self, points):
        knots = torch.tensor([-1.0, 0.0, 1.0], dtype=points.dtype, device=points.device)
        return torch.exp(-((points[..., :1] - knots) ** 2))

    def coefficients(self, theta):
        key = (theta.dtype, theta.device)
        if key not in self.solved:
            knots = torch.tensor([[[-1.0], [0.0], [1.0]]], dtype=theta.dtype, device=theta.device)
            self.solved[key] = torch.linalg.inv(self.basis(knots))
        return self.solved[key] @ theta.reshape(-1, 3, 2)


@caught_by("works_on_meta")
class CentresLeftBehind(wk.BasisTransform):
    """Centres in a plain attribute stay on the CPU when the transform moves to another device."""

    ndim = 2
    num_params = 4

    def __init__(self):
        super().__init__()
        self.centres = torch.tensor([[-0.5, 0.0], [0.5, 0.0]])

    def identity(self):
        return torch.zeros(4)

    def basis(self, points):
        return torch.exp(-(points[..., None, :] - self.centres.to(points.dtype)).square().sum(-1))

    def coefficients(self, theta):
        return theta.reshape(-1, 2, 2)


@caught_by("tensors_are_registered")
class PlainTensor(wk.Transform):
    """A tensor that asks for a gradient, and is no parameter: no optimiser sees it, no state_dict keeps it."""

    ndim = 2
    num_params = 1

    def __init__(self):
        super().__init__()
        self.falloff = torch.tensor(1.0, requires_grad=True)

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return turned(points, theta * torch.exp(-self.falloff * points.square().sum(-1)))


@caught_by("survives_copies")
class ProfileAsLambda(wk.Transform):
    """A lambda among the attributes: such a transform cannot be pickled, and no model with it saved whole.

    github.com/MIC-DKFZ/nnUNet/issues/2671: "Can't pickle local object … <lambda>".
    """

    ndim = 2
    num_params = 1

    def __init__(self):
        super().__init__()
        self.profile = lambda r: torch.exp(-r)

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return turned(points, theta * self.profile(points.square().sum(-1)))


@caught_by("survives_copies")
class StateGoesOneWay(Shifting):
    """`get_extra_state` without `set_extra_state`: a checkpoint can be written, and not read."""

    def get_extra_state(self):
        return {"version": 1}


# --------------------------------------------------------------------------------------------------- in the sampler


@caught_by("warp_agrees_with_sample")
class ForgetsTheAlignment(Turning):
    """Its own shifts are always those of `align_corners=False`.

    github.com/kornia/kornia/pull/896: warps that were off by the alignment.
    """

    def shifts(self, theta, size, align_corners):
        return super().shifts(theta, size, False)


@caught_by("warp_agrees_with_sample")
class ShiftBesidesTheBasis(TwoWaves):
    """`forward` adds a shift to what the basis does, but a warp takes basis and coefficients alone."""

    num_params = 6

    def identity(self):
        return torch.zeros(6)

    def coefficients(self, theta):
        return theta[:, :4].reshape(-1, 2, 2)

    def forward(self, theta, points):
        return super().forward(theta, points) + theta[:, None, 4:]


@caught_by("sampled_gradients")
class LatticeWithoutGradient(Turning):
    """Its own shifts are worked out under `no_grad`: a warp is right, and θ never learns from it."""

    @torch.no_grad()
    def shifts(self, theta, size, align_corners):
        return super().shifts(theta, size, align_corners)


@caught_by("float32_agrees_with_float64")
class SmallAnglesInSingle(wk.Transform):
    """A rotation that takes sin θ for θ in float32, to be quick."""

    ndim = 2
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        if theta.dtype == torch.float64:
            return turned(points, theta)
        x, y = points.unbind(-1)
        return torch.stack([x - theta * y, theta * x + y], dim=-1)


@caught_by("many_as_few")
class BlocksOfAThousand(Turning):
    """Works through the points by thousands, and forgets what is left over."""

    def forward(self, theta, points):
        given = super().forward(theta, points)
        if points.shape[1] < 1024:
            return given
        whole = points.shape[1] // 1024 * 1024
        return torch.cat([given[:, :whole], points[:, whole:].expand_as(given[:, whole:])], dim=1)


@caught_by("from_matrix_refuses_others")
class TakesAnyMatrix(Window):
    """Reads scale and translation out of whatever matrix it is given."""

    def from_matrix(self, matrix):
        return torch.stack([matrix[:, 0, 0], matrix[:, 0, 2], matrix[:, 1, 2]], dim=-1)


# ----------------------------------------------------------------------------------------------------------- fields


class Field(wk.FieldTransform):
    """Half of what θ says, rightly: what the broken ones below were made of."""

    def displacement(self, theta):
        return theta / 2


@caught_by("field_of_any_size")
class SmoothedByReflection(Field):
    """A field that is smoothed, padded by reflection: torch refuses that where an axis has one place."""

    def displacement(self, theta):
        padded = torch.nn.functional.pad(theta, (1, 1, 1, 1), mode="reflect")
        return torch.nn.functional.avg_pool2d(padded, 3, stride=1)


@caught_by("field_zero_is_exact")
class NeverQuiteStill(Field):
    """A little is added against a division by zero that is not there."""

    def displacement(self, theta):
        return theta / 2 + 1e-7


@caught_by("field_components_are_x_y_z")
class RowsFirst(Field):
    """Components in the order of the array's axes, y first, as others keep them."""

    def displacement(self, theta):
        return theta.flip(1) / 2


@caught_by("field_units_are_of_its_own_axis")
class PixelsOfTheOtherSide(Field):
    """In pixels, and x is divided by the number of rows: right as long as images are square."""

    def displacement(self, theta):
        rows_first = torch.tensor(theta.shape[2:], dtype=theta.dtype, device=theta.device)
        return theta * 2 / rows_first.reshape(2, 1, 1)


@caught_by("field_inverse_undoes")
class MinusIsNoInverse(Field):
    """−θ is taken for the inverse of a displacement."""

    def inverse(self, theta):
        return -theta
