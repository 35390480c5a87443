"""Plugins that are right and unlike the built-in ones: none of them may fail a check."""

import math

import torch
from torch import nn

import warpkit as wk
from warpkit.sampling.reference import Reference

UNUSUAL_KERNELS = []
UNUSUAL_TRANSFORMS = []
UNUSUAL_BACKENDS = []


def kernel(made):
    """A kernel, or a function that makes one, that must pass."""
    UNUSUAL_KERNELS.append(made)
    return made


def transform(made):
    """A transform, or a function that makes one, that must pass."""
    UNUSUAL_TRANSFORMS.append(made)
    return made


def backend(made):
    """A backend that must pass."""
    UNUSUAL_BACKENDS.append(made)
    return made


# -------------------------------------------------------------------------------------------------------- kernels


@kernel
class HoldsThePixel(wk.Kernel):
    """The pixel to the left, until the next: not symmetric, jumps at 0 and at 1, no gradient."""

    radius = 1.0
    symmetric = False
    continuity = -1
    reproduces = 0

    def forward(self, distance):
        return (distance >= 0).to(distance.dtype)


@kernel
class BothHalves(wk.Kernel):
    """The nearest pixel with `<=` on both sides: harmless, for at ±radius no formula is evaluated."""

    radius = 0.5
    continuity = -1

    def forward(self, distance):
        return (distance.abs() <= 0.5).to(distance.dtype)


@kernel
class SlopedNearest(wk.Kernel):
    """Radius ½ and a slope: one tap with a gradient, a jump at either end."""

    radius = 0.5
    partition_of_unity = False
    symmetric = False
    continuity = -1

    def forward(self, distance):
        return 1 + distance / 2


@kernel
class BoxOfThree(wk.Kernel):
    """The mean of three pixels."""

    radius = 1.5
    interpolating = False
    symmetric = True
    continuity = -1
    reproduces = 0

    def forward(self, distance):
        return torch.full_like(distance, 1 / 3)


@kernel
class SplineOfSevenTaps(wk.Kernel):
    """The B-spline of degree 6: radius 3½, C5."""

    radius = 3.5
    interpolating = False
    symmetric = True
    continuity = 5
    reproduces = 1

    def forward(self, distance):
        x = 3.5 - distance.abs()  # from the end, where few terms cancel
        terms = [(-1) ** k * math.comb(7, k) * torch.relu(x - k) ** 6 for k in range(4)]
        return sum(terms) / math.factorial(6)


@kernel
class QuinticSpline(wk.Kernel):
    """The B-spline of degree 5: C4."""

    radius = 3
    interpolating = False
    symmetric = True
    continuity = 4
    reproduces = 1

    def forward(self, distance):
        x = 3 - distance.abs()
        return sum((-1) ** k * math.comb(6, k) * torch.relu(x - k) ** 5 for k in range(3)) / 120


@kernel
class Dodgson(wk.Kernel):
    """A quadratic that interpolates, of three taps.

    N. Dodgson, "Quadratic interpolation for image resampling", IEEE TIP 6(9), 1997.
    """

    radius = 1.5
    symmetric = True
    continuity = 0
    reproduces = 1

    def forward(self, distance):
        d = distance.abs()
        return torch.where(d < 0.5, 1 - 2 * d**2, (d - 1) * (d - 1.5))


@kernel
class TwoParabolas(wk.Kernel):
    """Joints at ±½ between the taps of a kernel of radius 1."""

    radius = 1.0
    pieces = 2
    symmetric = True
    continuity = 1
    reproduces = 0

    def forward(self, distance):
        d = distance.abs()
        return torch.where(d < 0.5, 1 - 2 * d**2, 2 * (1 - d) ** 2)


class Ramp(wk.Kernel):
    """Flat, then down over `width` about a half: in between nearest and bilinear."""

    radius = 1.0
    symmetric = True
    continuity = 0
    reproduces = 0

    def __init__(self, width, pieces):
        super().__init__()
        self.width, self.pieces = width, pieces

    def forward(self, distance):
        return ((0.5 - distance.abs()) / self.width + 0.5).clamp(0, 1)


@kernel
def ramp_of_three_pieces():
    """Joints at thirds, which no float hits."""
    return Ramp(1 / 3, 3)


@kernel
def ramp_of_five_pieces():
    """A steep one: slope 5."""
    return Ramp(1 / 5, 5)


@kernel
class Cardinal(wk.Kernel):
    """Cubic convolution that learns its `a`; facts that depend on nothing learnt."""

    radius = 2.0
    symmetric = True
    continuity = 1

    def __init__(self, a=-0.6):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a))

    def forward(self, distance):
        d, a = distance.abs(), self.a
        near = ((a + 2) * d - (a + 3)) * d**2 + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return torch.where(d < 1, near, far)


@kernel
class LearntBends(wk.Kernel):
    """A vector of parameters, one for each sine that bends the triangle."""

    radius = 1.0
    partition_of_unity = False
    symmetric = True
    continuity = 0

    def __init__(self):
        super().__init__()
        self.bends = nn.Parameter(torch.tensor([0.1, -0.05, 0.02]))

    def forward(self, distance):
        d = distance.abs()
        order = torch.arange(1, 4, dtype=d.dtype, device=d.device)
        return 1 - d + (self.bends.to(d.dtype) * torch.sin(math.pi * order * d[..., None])).sum(-1)


class Falloff(nn.Module):
    """exp(−e^s · d²), with s to be learnt."""

    def __init__(self):
        super().__init__()
        self.s = nn.Parameter(torch.tensor(-0.5))

    def forward(self, distance):
        return torch.exp(-self.s.exp() * distance**2)


@kernel
class LearntInside(wk.Kernel):
    """Its parameter is a submodule's."""

    radius = 1.0
    partition_of_unity = False

    def __init__(self):
        super().__init__()
        self.falloff = Falloff()

    def forward(self, distance):
        return (1 - distance.abs()) * self.falloff(distance)


@kernel
class Softened(wk.Kernel):
    """Two parameters that enter by exp and tanh, flat where they are far from where they start."""

    radius = 1.0
    interpolating = partition_of_unity = False
    symmetric = True

    def __init__(self):
        super().__init__()
        self.width, self.share = nn.Parameter(torch.tensor(0.0)), nn.Parameter(torch.tensor(0.3))

    def forward(self, distance):
        bell = torch.exp(-(distance**2) * self.width.exp())
        return (1 - distance.abs()) * (1 - self.share.tanh() * (1 - bell))


@kernel
class WithoutATable(wk.Kernel):
    """|d|^1.5 is no polynomial near 0: its formula is evaluated, and its second derivative at 0 is infinite."""

    radius = 2.0
    interpolating = partition_of_unity = False
    symmetric = True
    continuity = 1

    def forward(self, distance):
        return (1 - (distance.abs() / 2) ** 1.5) ** 2


@kernel
class Bump(wk.Kernel):
    """C∞, with every derivative 0 at ±1; just there, where no formula is evaluated, autograd gives NaN."""

    radius = 1.0
    partition_of_unity = False
    symmetric = True
    continuity = 3

    def forward(self, distance):
        return torch.exp(1 - 1 / (1 - distance**2))


@kernel
class GaussianOfItsTaps(wk.Kernel):
    """A Gaussian cut at 2 and divided by the sum over its own four taps, which a distance alone tells."""

    radius = 2.0
    interpolating = False
    symmetric = True
    continuity = -1
    reproduces = 0

    def forward(self, distance):
        taps = torch.arange(-2, 2, dtype=distance.dtype, device=distance.device)
        beside = (distance - torch.floor(distance))[..., None] + taps
        return torch.exp(-(distance**2)) / torch.exp(-(beside**2)).sum(dim=-1)


@kernel
class Lanczos(wk.Kernel):
    """Negative lobes, no polynomial, and an option that decides the radius, a whole number."""

    partition_of_unity = False
    symmetric = True
    continuity = 1

    def __init__(self, lobes=3):
        super().__init__()
        self.lobes = self.radius = lobes

    def forward(self, distance):
        return torch.sinc(distance) * torch.sinc(distance / self.lobes)


@kernel
class Edges(wk.Kernel):
    """The difference of two neighbours: weights of both signs that sum to zero, with a jump at 0."""

    radius = 1.0
    interpolating = partition_of_unity = False
    symmetric = False
    continuity = -1

    def forward(self, distance):
        return torch.where(distance < 0, 1.0, -1.0).to(distance.dtype)


@kernel
class OneSided(wk.Kernel):
    """Leans to the right: a slow decay behind a jump at 0."""

    radius = 2.5
    pieces = 2
    interpolating = partition_of_unity = False
    continuity = -1

    def forward(self, distance):
        return torch.where(distance < 0, 0.0, 1 - distance / 2.5)


@kernel
class Steep(wk.Kernel):
    """Falls to a hundredth within a quarter of a pixel: no polynomial of degree 15 follows."""

    radius = 1.0
    partition_of_unity = False
    symmetric = True
    continuity = 0

    def forward(self, distance):
        d = distance.abs()
        return (1 - d) * torch.exp(-20 * d)


class BCFamily(wk.Kernel):
    """Mitchell and Netravali's cubics: whether they interpolate, and what they reproduce, depends on B and C.

    D. Mitchell, A. Netravali, "Reconstruction filters in computer graphics", SIGGRAPH 1988.
    """

    radius = 2.0
    symmetric = True

    def __init__(self, b=1 / 3, c=1 / 3):
        super().__init__()
        self.b, self.c = b, c

    @property
    def interpolating(self):
        return self.b == 0

    @property
    def continuity(self):
        return 2 if (self.b, self.c) == (1, 0) else 1

    @property
    def reproduces(self):
        if (self.b, self.c) == (0, 0.5):
            return 2
        return 1 if self.b + 2 * self.c == 1 else 0

    def forward(self, distance):
        d, b, c = distance.abs(), self.b, self.c
        near = (12 - 9 * b - 6 * c) * d**3 + (-18 + 12 * b + 6 * c) * d**2 + 6 - 2 * b
        far = (-b - 6 * c) * d**3 + (6 * b + 30 * c) * d**2 + (-12 * b - 48 * c) * d + 8 * b + 24 * c
        return torch.where(d < 1, near, far) / 6


@kernel
def mitchell():
    """B = C = 1/3."""
    return BCFamily()


@kernel
def b_spline_of_the_family():
    """B = 1, C = 0."""
    return BCFamily(1, 0)


@kernel
def catmull_rom_of_the_family():
    """B = 0, C = ½."""
    return BCFamily(0, 0.5)


@kernel
class Amplified(wk.Kernel):
    """Weights in the hundreds: an image in other units comes out."""

    radius = 1.0
    interpolating = partition_of_unity = False
    symmetric = True
    continuity = 0

    def forward(self, distance):
        return 255 * (1 - distance.abs())


@kernel
class ByCoefficients(wk.Kernel):
    """A piecewise polynomial looked up in a buffer of its own, float64 and not saved."""

    radius = 2.0
    interpolating = False
    symmetric = True
    continuity = 2
    reproduces = 1

    def __init__(self):
        super().__init__()
        pieces = torch.tensor([[4, 0, -6, 3], [8, -12, 6, -1]], dtype=torch.float64) / 6
        self.register_buffer("coefficients", pieces, persistent=False)

    def forward(self, distance):
        d = distance.abs()
        inner, outer = self.coefficients.to(distance.device, distance.dtype)
        powers = torch.stack([torch.ones_like(d), d, d**2, d**3], dim=-1)
        return (torch.where(d[..., None] < 1, inner, outer) * powers).sum(dim=-1)


@kernel
class Cosine(wk.Kernel):
    """No slope at the pixels, which deserves a warning and no more."""

    radius = 1.0
    symmetric = True
    continuity = 1
    reproduces = 0

    def forward(self, distance):
        return (1 + torch.cos(math.pi * distance)) / 2


# ----------------------------------------------------------------------------------------------------- transforms


@transform
class TowardsLandmarks(wk.BasisTransform):
    """Gaussians about landmarks that were found in data; their width is what the data say."""

    ndim = 2

    def __init__(self, landmarks=((-0.6, -0.5), (0.5, -0.4), (0.1, 0.7), (0.8, 0.9))):
        super().__init__()
        found = torch.tensor(landmarks, dtype=torch.float64)
        apart = torch.cdist(found, found) + torch.eye(len(found)) * 1e9
        self.num_params = found.numel()
        self.register_buffer("landmarks", found)
        self.register_buffer("width", apart.amin(dim=1))

    def identity(self):
        return torch.zeros(self.num_params)

    def basis(self, points):
        landmarks, width = self.landmarks.to(points), self.width.to(points)
        squared = (points[..., None, :] - landmarks).square().sum(-1)
        return torch.exp(-squared / (2 * width**2))

    def coefficients(self, theta):
        return theta.reshape(-1, len(self.landmarks), 2)


@transform
class Twist(wk.Transform):
    """In 3-D only: turns about z, the further up the more."""

    ndim = 3
    num_params = 2
    param_names = ("angle", "twist")

    def identity(self):
        return torch.zeros(2)

    def forward(self, theta, points):
        x, y, z = points.unbind(-1)
        angle = theta[:, :1] + theta[:, 1:] * z
        c, s = angle.cos(), angle.sin()
        return torch.stack([c * x - s * y, s * x + c * y, z + 0 * c], dim=-1)

    def inverse(self, theta):
        return -theta


@transform
class AxisAngle(wk.MatrixTransform):
    """A rotation in 3-D by an axis of the angle's length, with series near 0 where √ has no slope."""

    ndim = 3
    num_params = 3
    is_affine = True

    def identity(self):
        return torch.zeros(3)

    def matrix(self, theta):
        squared = theta.square().sum(-1)
        small = squared < 1e-6
        angle = torch.sqrt(torch.where(small, 1.0, squared))
        s = torch.where(small, 1 - squared / 6, angle.sin() / angle)[:, None, None]
        c = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / angle**2)[:, None, None]
        x, y, z = theta.unbind(-1)
        o = torch.zeros_like(x)
        cross = torch.stack([o, -z, y, o, z, o, -x, o, -y, x, o, o, o, o, o, o], dim=-1).reshape(-1, 4, 4)
        return torch.eye(4, dtype=theta.dtype, device=theta.device) + s * cross + c * cross @ cross

    def inverse(self, theta):
        return -theta


@transform
class Shifted(wk.Transform):
    """In 1-D only: a hyperbolic shift, whose inverse is the shift back."""

    ndim = 1
    num_params = 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return torch.sinh(torch.asinh(points) + theta[:, None])

    def inverse(self, theta):
        return -theta


@transform
class FixedZoom(wk.Transform):
    """A window of half the size: it has no identity."""

    ndim = 2
    num_params = 2

    def forward(self, theta, points):
        return points / 2 + theta[:, None]


@transform
class Barrel(wk.Transform):
    """Options by keyword, in any dimension: a lens of `orders` even powers of the radius."""

    def __init__(self, ndim=2, orders=2, strength=0.1):
        super().__init__()
        self.ndim, self.num_params, self.strength = ndim, orders, strength

    @property
    def param_names(self):
        return tuple(f"k{2 * i + 2}" for i in range(self.num_params))

    def identity(self):
        return torch.zeros(self.num_params)

    def forward(self, theta, points):
        squared = points.square().sum(-1, keepdim=True)
        powers = torch.cat([squared ** (i + 1) for i in range(self.num_params)], dim=-1)
        return points * (1 + self.strength * (powers * theta[:, None]).sum(-1, keepdim=True))


@transform
class Hinge(wk.Transform):
    """Piecewise affine: each half of the plane has a stretch of its own, with a kink at x = 0.1."""

    ndim = 2
    num_params = 2

    def identity(self):
        return torch.zeros(2)

    def forward(self, theta, points):
        x, y = points.unbind(-1)
        right, left = torch.relu(x - 0.1), torch.relu(0.1 - x)
        return torch.stack([x + theta[:, :1] * right - theta[:, 1:] * left, y + 0 * theta[:, :1]], dim=-1)


@transform
class Ripples(wk.Transform):
    """Periodic in θ and in the points: amplitude, phase and direction of a wave."""

    ndim = 2
    num_params = 3

    def identity(self):
        return torch.zeros(3)

    def forward(self, theta, points):
        amplitude, phase, turn = theta[:, None].unbind(-1)
        x, y = points.unbind(-1)
        wave = amplitude * (torch.sin(6 * (x * turn.cos() + y * turn.sin()) + phase) + torch.cos(2 * x))
        return torch.stack([x + wave, y + 0 * wave], dim=-1)


@transform
class LearntWaves(wk.BasisTransform):
    """Its frequencies are learnt: two parameters of its own, one of them a submodule's."""

    ndim = 2
    num_params = 4

    def __init__(self):
        super().__init__()
        self.frequency = nn.Parameter(torch.tensor(3.0))
        self.more = nn.ParameterDict({"decay": nn.Parameter(torch.tensor(0.5))})

    def identity(self):
        return torch.zeros(4)

    def basis(self, points):
        x, y = points.unbind(-1)
        return torch.stack([torch.sin(self.frequency * x), torch.exp(-self.more["decay"] * y**2)], dim=-1)

    def coefficients(self, theta):
        return theta.reshape(-1, 2, 2)


@transform
class TwoHundred(wk.BasisTransform):
    """A free-form grid of 10 × 10 control points, bilinear in between: 200 parameters, each of them local."""

    ndim = 2
    num_params = 200

    def identity(self):
        return torch.zeros(200)

    def basis(self, points):
        knots = torch.linspace(-1, 1, 10, dtype=points.dtype, device=points.device)
        hats = torch.relu(1 - (points[..., None] - knots).abs() * 4.5)  # [B, M, 2, 10]
        x, y = hats.unbind(-2)
        return (y[..., :, None] * x[..., None, :]).flatten(-2)

    def coefficients(self, theta):
        return theta.reshape(-1, 100, 2)


@transform
class Similarity(wk.MatrixTransform):
    """log s, an angle in radians and a shift; the angle comes back within ±π only."""

    ndim = 2
    num_params = 4
    is_affine = True
    param_names = ("log s", "φ", "t_x", "t_y")

    def identity(self):
        return torch.zeros(4)

    def matrix(self, theta):
        s, angle, x, y = theta.unbind(-1)
        a, b, o = s.exp() * angle.cos(), s.exp() * angle.sin(), torch.zeros_like(s)
        return torch.stack([a, -b, x, b, a, y, o, o, o + 1], dim=-1).reshape(-1, 3, 3)

    def from_matrix(self, matrix):
        matrix = matrix / matrix[:, 2:, 2:]
        a, b = matrix[:, 0, 0], matrix[:, 1, 0]
        rest = (matrix[:, :2, :2] - torch.stack([a, -b, b, a], dim=-1).reshape(-1, 2, 2)).detach().abs().amax((1, 2))
        if not matrix.is_meta and bool((rest > 1e-6).any()):
            raise wk.InputError("no similarity")
        return torch.stack([(a**2 + b**2).log() / 2, torch.atan2(b, a), matrix[:, 0, 2], matrix[:, 1, 2]], dim=-1)


@transform
class Degrees(wk.MatrixTransform):
    """Angle and tilt in degrees, a shift in pixels of an image of 512: numbers in the hundreds are ordinary."""

    ndim = 2
    num_params = 3

    def identity(self):
        return torch.zeros(3)

    def matrix(self, theta):
        angle, tilt, shift = (theta * theta.new_tensor([math.pi / 180, math.pi / 180, 1 / 256])).unbind(-1)
        c, s, o = angle.cos(), angle.sin(), torch.zeros_like(angle)
        return torch.stack([c, -s, shift, s, c, o, o, tilt.sin(), 1 + o], dim=-1).reshape(-1, 3, 3)


@transform
class SqueezedFlat(wk.MatrixTransform):
    """A matrix of rank one: all points go to a line, and there is no way back."""

    ndim = 2
    num_params = 2
    is_affine = True

    def matrix(self, theta):
        a, b = theta.unbind(-1)
        o = torch.zeros_like(a)
        return torch.stack([a, a, o, b, b, o, o, o, o + 1], dim=-1).reshape(-1, 3, 3)


@transform
class MatrixByHand(wk.Transform):
    """A plain transform that says it is a matrix, and has both formulas."""

    ndim = 1
    num_params = 2
    is_matrix = True
    is_affine = True

    def identity(self):
        return torch.tensor([1.0, 0.0])

    def matrix(self, theta):
        last = torch.tensor([0.0, 1.0], dtype=theta.dtype, device=theta.device).expand(theta.shape[0], 1, 2)
        return torch.cat([theta[:, None], last], dim=1)

    def forward(self, theta, points):
        return theta[:, :1, None] * points + theta[:, 1:, None]


@transform
class Horizon(wk.MatrixTransform):
    """A tilt: points behind the horizon have no image, and are NaN rightly."""

    ndim = 2
    num_params = 2

    def identity(self):
        return torch.zeros(2)

    def matrix(self, theta):
        a, b = theta.unbind(-1)
        o = torch.zeros_like(a)
        return torch.stack([o + 1, o, o, o, o + 1, o, a, b, o + 1], dim=-1).reshape(-1, 3, 3)


@transform
class LogPolar(wk.Transform):
    """Moves along rays and circles about a centre far outside, where alone it is singular."""

    ndim = 2
    num_params = 2

    def identity(self):
        return torch.zeros(2)

    def forward(self, theta, points):
        x, y = (points - 8).unbind(-1)
        log_r, angle = (x**2 + y**2).log() / 2 + theta[:, :1] / 8, torch.atan2(y, x) + theta[:, 1:] / 8
        r = log_r.exp()
        return torch.stack([r * angle.cos(), r * angle.sin()], dim=-1) + 8


@transform
class Clamped(wk.Transform):
    """A shift that never exceeds a quarter, however large θ is."""

    ndim = 2
    num_params = 2

    def identity(self):
        return torch.zeros(2)

    def forward(self, theta, points):
        return points + theta.clamp(-0.25, 0.25)[:, None]


@transform
class Scales(wk.Transform):
    """A scale for each axis, exp(θ): never zero, never negative."""

    ndim = 3
    num_params = 3

    def identity(self):
        return torch.zeros(3)

    def forward(self, theta, points):
        return points * theta.exp()[:, None]

    def inverse(self, theta):
        return -theta

    def jacobian(self, theta, points):
        scale = torch.diag_embed(theta.exp())
        batch = max(len(theta), len(points))
        return scale.reshape(-1, *[1] * (points.ndim - 2), 3, 3).expand(batch, *points.shape[1:-1], 3, 3).clone()


@transform
class NothingToLearn(wk.Transform):
    """No parameter at all: a mirror."""

    ndim = 2
    num_params = 0

    def forward(self, theta, points):
        return points * torch.tensor([-1.0, 1.0], dtype=points.dtype, device=points.device)


@transform
class FlowsForATime(wk.Transform):
    """Follows a velocity field for eight steps: the inverse is near −θ, and so is not stated."""

    ndim = 2
    num_params = 2

    def identity(self):
        return torch.zeros(2)

    def forward(self, theta, points):
        for _ in range(8):
            x, y = points.unbind(-1)
            velocity = torch.stack([theta[:, :1] * torch.sin(2 * y), theta[:, 1:] * torch.sin(2 * x)], dim=-1)
            points = points + velocity / 8
        return points


@transform
class FarAway(wk.Transform):
    """Large numbers: coordinates in the hundreds, all outside the image."""

    ndim = 2
    num_params = 1

    def forward(self, theta, points):
        return 500 + 100 * points * (1 + theta[:, None])


@transform
def mixed():
    """Matrices, a free form and a basis, one after the other."""
    return wk.Compose(["affine", Ripples(), Similarity(), {"type": "thin_plate_spline", "grid": [2, 3]}, Clamped()])


@transform
def projective_after_basis():
    """A horizon behind a basis with parameters of its own."""
    return wk.Compose([LearntWaves(), Horizon()])


# ------------------------------------------------------------------------------------------------------- backends


@backend
class OnlyWhatItCan(Reference):
    """Refuses most: two dimensions, float32, bilinear, zeros without fill."""

    def refuses(self, problem):
        if len(problem.size) != 2 or problem.stored != torch.float32:
            return f"samples float32 images in 2-D, got {problem.stored} {list(problem.size)}"
        if any(axis.kernel.taps != 2 or axis.kernel.pieces != 1 for axis in problem.axes):
            return "takes kernels of radius 1"
        if set(problem.padding) != {"zeros"} or problem.fill.numel():
            return "pads with zeros"
        return None


@backend
class InDouble(Reference):
    """Computes in float64, and rounds once at the end; ε stays that of the coordinates that were given."""

    def refuses(self, problem):
        return None if problem.stored.is_floating_point else "samples floating-point images"

    def pull(self, image, problem):
        return super().pull(image.double(), problem).to(image.dtype)


@backend
class FewAtATime(Reference):
    """Samples sixty-four points after the other."""

    def pull(self, image, problem):
        where, count = problem.where, math.prod(problem.target)
        if problem.kind != "points" or count == 0:
            return super().pull(image, problem)
        each = where.reshape(where.shape[0], count, len(problem.size)).split(64, dim=1)
        parts = [problem._replace(where=few, target=(few.shape[1],)) for few in each]
        result = torch.cat([super(FewAtATime, self).pull(image, part) for part in parts], dim=2)
        return result.reshape(*result.shape[:2], *problem.target)


@backend
class ChannelByChannel(Reference):
    """Samples one channel after the other."""

    def pull(self, image, problem):
        fills = problem.fill.expand(image.shape[1]) if problem.fill.numel() else problem.fill
        each = [problem._replace(fill=fills[c : c + 1]) for c in range(image.shape[1])]
        pulled = [super(ChannelByChannel, self).pull(u, p) for u, p in zip(image.split(1, dim=1), each, strict=True)]
        return torch.cat(pulled, dim=1)


@backend
class PullAndPushAlone(Reference):
    """Knows nothing of autograd and has no pass of its own for gradients: the framework makes all of them."""

    is_differentiable = False

    def pull(self, image, problem):
        with torch.no_grad():
            return super().pull(image, problem)

    def push(self, values, problem, images):
        with torch.no_grad():
            return super().push(values, problem, images)
