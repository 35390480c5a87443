"""The facts of a transform beside its formula: identity, inverse, matrix, Jacobian."""

import math

import torch
from hypothesis import assume
from torch import Tensor

from warpkit.errors import InputError
from warpkit.geometry import lattice
from warpkit.testing import inputs
from warpkit.testing.check import Checks, Doubtful, NotApplicable, expect, expect_close
from warpkit.testing.differences import TOLERANCE, derivative, slope
from warpkit.testing.transforms.contract import BASICS, Rows
from warpkit.transforms.base import Transform
from warpkit.transforms.matrix import apply

checks = Checks("transform")

_CLOSE = 1e-6  # of normalised coordinates: a thousandth of a pixel in 2,000; an identity is float32
_MANY = 64  # parameters that are moved one by one


def start(transform: Transform) -> Tensor:
    """The transform's identity [P]; `NotApplicable` where it has none."""
    try:
        return transform.identity()
    except InputError as error:
        raise NotApplicable("it has no identity") from error


@checks.add(*BASICS, points=inputs.points())
def identity(transform: Transform, points: Rows) -> None:
    """identity() is a new floating-point tensor [P] that leaves every point where it is; or an InputError.

    Why:
        A spatial transformer starts there: what is off from the first step bends every image that it is given.
    How:
        Generated points in float64 and float32; what was returned is overwritten, and asked for again.
    Mend:
        Correct the numbers; express θ as an offset from the identity; return a copy of a kept tensor (`.clone()`). A
        family that has no identity defines none.
    """
    theta = start(transform)
    expect(
        isinstance(theta, Tensor),
        f"{type(theta).__name__} {theta!r:.40}",
        "a tensor [P]",
        at={"num_params": transform.num_params},
    )
    expect(theta.shape == (transform.num_params,), f"shape {list(theta.shape)}", f"shape [{transform.num_params}]")
    expect(theta.is_floating_point(), theta.dtype, "a floating-point tensor")
    for dtype, tolerance in ((torch.float64, _CLOSE), (torch.float32, 10 * _CLOSE)):
        p = inputs.tensor(transform, points).to(dtype)[None]
        moved = transform(theta.detach().to(p)[None], p)
        expect_close(moved, p, tolerance, f"at the identity, in {dtype}, T", at={"point": p})
    before = theta.detach().clone()
    theta.detach().add_(1.0)
    again = transform.identity()
    expect(torch.equal(again, before), f"{again.tolist()}, after the first result was written to", f"{before.tolist()}")


@checks.add(*BASICS[:10], "values_are_finite", points=inputs.points())
def identity_gradients_are_finite(transform: Transform, points: Rows) -> None:
    """At the identity the gradients in θ and in the points are finite numbers.

    Why:
        Training starts there; one NaN in the first step and the whole network is NaN. Norms (of a rotation axis, say),
        acos(1), atan2(0, 0) and sqrt(0) have such gradients.
    How:
        Autograd for generated points, and for the centre, in float64 and float32.
    Mend:
        Select the argument before the delicate function: `safe = torch.where(r > 0, r, 1.0)`; or use a series near 0.
    """
    theta = start(transform)
    if theta.shape != (transform.num_params,):
        raise NotApplicable("its identity is none")
    at = inputs.tensor(transform, [*points, [0.0] * transform.ndim])[None]
    for dtype in (torch.float64, torch.float32):
        t, p = (x.detach().to(at.device, dtype).requires_grad_() for x in (theta[None], at))
        for gradient, what in zip(derivative(transform(t, p), t, p), ("θ", "the points"), strict=True):
            finite = bool(gradient.isfinite().all())
            told = f"in {dtype} the gradient in {what} is {gradient.flatten()[:12].tolist()}"
            expect(finite, told, "finite numbers", at={"points": p})


@checks.add(*BASICS)
def every_parameter_counts(transform: Transform) -> None:
    """Every number of θ moves some point.

    Why:
        One that moves nothing is most often an index that was mistyped: another number is used twice.
    How:
        Gradients at several θ for a fine lattice over and around the image; one that has none is moved by a quarter.
    Mend:
        Look where θ's numbers are taken apart; or lower `num_params`.
    """
    p = _around(transform)
    begin = inputs.centre(transform).to(p)
    idle = torch.ones(len(begin), dtype=torch.bool)
    for seed in range(3):
        theta = (begin + 0.2 * inputs.uniform(seed, len(begin)).to(p))[None].requires_grad_()
        idle &= _slopes(transform, theta, p) == 0
    for i in idle.nonzero().flatten().tolist()[:_MANY]:  # no gradient: it may have been cut off
        moved = begin.clone()
        moved[i] += 0.25
        change = (transform(moved[None], p) - transform(begin[None], p)).abs().nan_to_num(1.0)
        idle[i] = not bool((change > 1e-9).any())
    unused = idle.nonzero().flatten().tolist()
    names = tuple(transform.param_names)
    expect(not unused, f"{', '.join(names[i] for i in unused[:8])} moves no point", "every number of θ moves some")


@checks.add(*BASICS, "identity", "derivative_in_theta")
def gradient_at_the_identity(transform: Transform) -> None:
    """At the identity every number of θ has a gradient other than zero.

    Why:
        A transformer starts there. A parameter whose gradient is zero (one that enters as its square, say) stays where
        it is for ever.
    How:
        Autograd, for points over and around the image and several sums of the results.
    Mend:
        Let θ enter with a slope: θ, not θ²; exp(θ), not cosh(θ). Or start elsewhere: `SpatialTransformer(init=…)`.
    """
    theta = start(transform).detach().double().to(inputs.device(transform))[None].requires_grad_()
    slopes = _slopes(transform, theta, _around(transform))
    idle = [name for name, slope in zip(transform.param_names, slopes.tolist(), strict=True) if slope < 1e-9]
    if idle:
        raise Doubtful(
            f"at the identity {', '.join(idle[:8])} has a gradient of zero: a transformer that starts there never "
            "moves it",
            "let θ enter with a slope (θ, not θ²), or start elsewhere: SpatialTransformer(…, init=…)",
        )


def _around(transform: Transform) -> Tensor:
    """Points [1, M, D] over and around the image, the finer the more parameters there are."""
    side = math.ceil((1000 + 20 * transform.num_params) ** (1 / transform.ndim))
    points = 1.3 * lattice((side,) * transform.ndim, dtype=torch.float64).reshape(1, -1, transform.ndim)
    moved: Tensor = points + 0.3 / side * inputs.uniform(1, *points.shape)
    return moved.to(inputs.device(transform))


def _slopes(transform: Transform, theta: Tensor, points: Tensor) -> Tensor:
    """The largest gradient of three random sums of the results in each number of θ [1, P]: [P]."""
    given = transform(theta, points)
    given = torch.where(given.isfinite(), given, 0.0)
    sums = [derivative(given * inputs.uniform(seed, *given.shape).to(given), theta)[0][0] for seed in range(3)]
    return torch.stack(sums).detach().abs().amax(0).nan_to_num(1.0).cpu()


@checks.add(*BASICS, theta=inputs.thetas(2))
def affine_is_affine(transform: Transform, theta: Rows) -> None:
    """With `is_affine`, the matrix's last row is 0 … 0 1.

    Why:
        The sampler then leaves the division out: the image would be warped by another mapping.
    How:
        The last row at generated θ.
    Mend:
        `is_affine = False` for a projective family.
    """
    if not (transform.is_matrix and transform.is_affine):
        raise NotApplicable("it does not promise to be affine")
    last = transform.matrix(inputs.tensor(transform, theta))[:, -1]
    expected = torch.eye(transform.ndim + 1).to(last)[-1].expand_as(last)
    expect_close(last, expected, 1e-12, "in the last row", at={"theta": theta})


@checks.add(*BASICS, "affine_is_affine", theta=inputs.wide_thetas(2), points=inputs.points())
def matrix_agrees(transform: Transform, theta: Rows, points: Rows) -> None:
    """matrix(theta) takes points, in homogeneous coordinates, to where forward takes them.

    Why:
        The sampler uses the matrix and never calls `forward`: images and points would be warped differently.
    How:
        The product and the division by its last entry, beside the transform's result.
    Mend:
        The matrix acts on columns [x, y, 1] from the left, its rows give x, y and w. Leave `forward` to
        MatrixTransform.
    """
    if not transform.is_matrix:
        raise NotApplicable("it is no matrix transform")
    t, p = inputs.tensor(transform, theta), inputs.tensor(transform, points)[None]
    m = transform.matrix(t)
    e = transform.ndim + 1
    expect(
        m.ndim == 3 and m.shape[1:] == (e, e) and m.shape[0] in (1, 2), f"shape {list(m.shape)}", f"shape [2, {e}, {e}]"
    )
    expect(m.dtype == t.dtype, f"a matrix in {m.dtype}", f"{t.dtype}, as θ")
    given, expected = transform(t, p), apply(m.expand(2, e, e), p, is_affine=False)
    expect_close(given, expected, 1e-9, "by forward T", at={"point": p.expand_as(expected), "theta": theta})


@checks.add(*BASICS, "matrix_agrees", theta=inputs.wide_thetas(2))
def from_matrix_undoes_matrix(transform: Transform, theta: Rows) -> None:
    """from_matrix(matrix(θ)) is a θ of the same matrix.

    Why:
        Inverses, and transformers that look several times (`steps`), go through it.
    How:
        The matrices, each divided by its last entry.
    Mend:
        Take the entries in the order in which `matrix` puts them.
    """
    if not transform.is_matrix or type(transform).from_matrix is Transform.from_matrix:
        raise NotApplicable("it has no from_matrix")
    m = transform.matrix(inputs.tensor(transform, theta))
    try:
        back = transform.from_matrix(m)
    except InputError:
        assume(inputs.is_near(transform, theta))  # far from where it starts, it may lie outside the family
        raise
    expect(back.shape == (2, transform.num_params), f"θ of shape {list(back.shape)}", f"[2, {transform.num_params}]")
    again = transform.matrix(back)
    last = (slice(None), slice(-1, None), slice(-1, None))
    expect_close(again / again[last], m / m[last], _CLOSE, "an entry of the matrix", at={"theta": theta})


@checks.add(*BASICS, "from_matrix_undoes_matrix", seed=inputs.seed)
def from_matrix_refuses_others(transform: Transform, seed: int) -> None:
    """from_matrix raises InputError for a matrix that is none of the family.

    Why:
        It would give a θ of another warp, and say nothing.
    How:
        A matrix that is changed in all its entries: either its θ is of that matrix, or there is an error.
    Mend:
        Compare matrix(θ) with what was given, and raise `InputError` where they differ.
    """
    if not transform.is_matrix or type(transform).from_matrix is Transform.from_matrix:
        raise NotApplicable("it has no from_matrix")
    e = transform.ndim + 1
    given = torch.eye(e, dtype=torch.float64) + 0.3 * inputs.uniform(seed, 1, e, e)
    given = (given / given[:, -1:, -1:]).to(inputs.device(transform))
    try:
        again = transform.matrix(transform.from_matrix(given))
    except InputError:
        return
    again = again / again[:, -1:, -1:]
    expect_close(again, given, 1e-4, "of the θ that it gives: an entry of the matrix", {"matrix": given})


@checks.add(*BASICS, theta=inputs.wide_thetas(2), points=inputs.points())
def inverse_undoes(transform: Transform, theta: Rows, points: Rows) -> None:
    """transform(inverse(θ), transform(θ, p)) = p, and the other way round.

    Why:
        Points of a label or landmark would be taken to a wrong place, and residuals in registration never vanish.
    How:
        Generated θ and points, both orders.
    Mend:
        Derive it again; an approximate inverse (−θ) is none: leave `inverse` out then.
    """
    t, p = inputs.tensor(transform, theta), inputs.tensor(transform, points)[None]
    try:
        back = transform.inverse(t)
    except InputError as error:
        assume(inputs.is_near(transform, theta))  # elsewhere it may be singular, or outside the family
        raise NotApplicable("it has no inverse") from error
    expect(back.shape == t.shape, f"θ of shape {list(back.shape)}", f"shape {list(t.shape)}")
    for first, second, order in ((t, back, "T(inverse, T(θ, p))"), (back, t, "T(θ, T(inverse, p))")):
        there = transform(first, p)
        again = transform(second, there)
        known = again.isfinite() & (there.abs() < 1e3).all(-1, keepdim=True)
        expected = p.expand_as(again)
        expect_close(
            torch.where(known, again, expected), expected, 10 * _CLOSE, order, at={"point": expected, "theta": theta}
        )


@checks.add(*BASICS, "works_under_jvp", theta=inputs.thetas(1), points=inputs.points(1, 2))
def jacobian_agrees(transform: Transform, theta: Rows, points: Rows) -> None:
    """jacobian(θ, points) [N, M, D, D] has ∂T_i/∂p_j at [i, j].

    Why:
        Folds and areas are measured by it, and velocities and tensors carried along.
    How:
        Central differences, wherever the mapping is smooth.
    Mend:
        Leave it to the base class; a hand-written one has the output's axis before the input's.
    """
    t, p = inputs.tensor(transform, theta), inputs.tensor(transform, points)[None]
    found = transform.jacobian(t, p)
    shape = [1, len(points), transform.ndim, transform.ndim]
    expect(list(found.shape) == shape, f"shape {list(found.shape)}", f"shape {shape}")
    for j in range(transform.ndim):
        axis = torch.eye(transform.ndim).to(p)[j]
        expected, smooth = slope(lambda steps, axis=axis: transform(t, p + steps.to(p)[:, None, None] * axis))  # type: ignore[misc]
        column = torch.where(smooth, found[0, ..., j].cpu(), expected.cpu())
        expect_close(column, expected, TOLERANCE, f"∂T/∂p{j + 1}", at={"theta": theta, "points": points})
