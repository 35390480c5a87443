"""The transform's derivatives, in θ, in the points and in parameters of its own."""

from warpkit.testing import inputs
from warpkit.testing.check import Checks, NotApplicable
from warpkit.testing.differences import check_derivatives, check_derivatives_everywhere
from warpkit.testing.transforms.contract import BASICS, Rows
from warpkit.transforms.base import Transform

checks = Checks("transform")

_MANY = 100  # points: what is wrong in a tenth of the image is found
_AROUND = 2.0  # in a composition points come from outside of −1 … 1 too


@checks.add(
    *BASICS, "identity_gradients_are_finite", theta=inputs.wide_thetas(1), points=inputs.points(1, 3), seed=inputs.seed
)
def derivative_in_theta(transform: Transform, theta: Rows, points: Rows, seed: int) -> None:
    """Autograd's first and second derivatives in θ are those of the values.

    Why:
        It is what trains a localization network: a wrong gradient leads astray, a lost one leaves the transformer
        where it starts, and nothing says so.
    How:
        Central differences along one number of θ and along all of them, near where the transform starts and far from
        it, wherever the result is smooth; also for a hundred points all over the image.
    Mend:
        No `.detach()`, `.item()`, `.data`, NumPy, `torch.tensor(theta…)` or `torch.no_grad()` on the way; a
        `torch.autograd.Function` needs a backward that is right and can itself be differentiated.
    """
    t, p = inputs.tensor(transform, theta)[0], inputs.tensor(transform, points)[None]
    check_derivatives(lambda x: transform(x[None], p), t, seed, "θ", {"theta": theta, "points": points})
    many = inputs.scattered(transform, seed, _MANY)
    way = inputs.uniform(seed + 1, len(t)).to(t)
    check_derivatives_everywhere(
        lambda x: transform(x[None], many), t, way, "all of θ", {"theta": theta, "point": many}
    )


@checks.add(
    *BASICS,
    "identity_gradients_are_finite",
    theta=inputs.wide_thetas(1),
    points=inputs.points(1, 3, _AROUND),
    seed=inputs.seed,
)
def derivative_in_points(transform: Transform, theta: Rows, points: Rows, seed: int) -> None:
    """Autograd's first and second derivatives in the points are those of the values.

    Why:
        In a composition the gradient of every earlier transform passes through here; the Jacobian is made of it.
    How:
        Central differences along one coordinate and along all of them, in the image and around it, wherever the result
        is smooth; also for a hundred points at once.
    Mend:
        As for θ; what is made of the points (distances, cells) must not be detached.
    """
    t, p = inputs.tensor(transform, theta), inputs.tensor(transform, points)
    at = {"theta": theta, "points": points}
    check_derivatives(lambda x: transform(t, x.reshape(1, *p.shape)), p.flatten(), seed, "the points", at)
    many = inputs.scattered(transform, seed, _MANY, _AROUND)
    way = inputs.uniform(seed + 1, *many.shape).to(t)
    check_derivatives_everywhere(
        lambda x: transform(t, x), many, way, "a point's own way", {"theta": theta, "point": many}
    )


@checks.add(
    *BASICS,
    "identity_gradients_are_finite",
    theta=inputs.wide_thetas(1),
    points=inputs.points(1, 3),
    seed=inputs.seed,
    phi=inputs.wide_phi,
)
def derivative_in_parameters(transform: Transform, theta: Rows, points: Rows, seed: int, phi: int) -> None:
    """Autograd's first and second derivatives in the transform's own parameters are those of the values.

    Why:
        A parameter whose gradient is lost never learns, and nothing says so.
    How:
        Central differences in float64, along one of them and along all, near where they start and far from it.
    Mend:
        Use the nn.Parameter itself in the formula: `float(self.a)`, `self.a.item()` and `self.a.data` cut its gradient
        off.
    """
    if not inputs.has_phi(transform):
        raise NotApplicable("it has no parameters")
    t, p = inputs.tensor(transform, theta), inputs.tensor(transform, points)[None]
    begin = inputs.parameters(inputs.at_phi(transform, phi))
    at = {"theta": theta, "points": points}
    check_derivatives(lambda x: inputs.with_parameters(transform, x, t, p), begin, seed, "the parameters", at)
