"""inverse_points: back to where a point came from, or a refusal that is deserved."""

import torch
from hypothesis import assume
from torch import Tensor

from warpkit.errors import InputError
from warpkit.geometry import lattice
from warpkit.testing import inputs
from warpkit.testing.check import Checks, NotApplicable, expect, expect_close
from warpkit.testing.transforms.contract import BASICS, Rows
from warpkit.transforms.base import Transform
from warpkit.transforms.newton import adjugate

checks = Checks("transform")

_CLOSE = 2e-6  # in normalised coordinates: what is certified, and its rounding
_SIDE = {1: 101, 2: 15, 3: 7}  # of the lattice on which folds are looked for
_FOLDED = 4  # points of a fold that are tried


_NEEDS = ("matrix_agrees", "affine_is_affine", "inverse_undoes", "jacobian_agrees", "derivative_in_points")


@checks.add(*BASICS, *_NEEDS, theta=inputs.thetas(2), points=inputs.points(1, 4, 0.9))
def inverse_points_undo(transform: Transform, theta: Rows, points: Rows) -> None:
    """transform(θ, inverse_points(θ, y)) = y, and inverse(θ), where there is one, takes y there too.

    Why:
        Landmarks and boxes would be drawn beside what they mark.
    How:
        Where generated points go, taken back. NaN is right only where the transform folds, or has no value, on a
        lattice over the image.
    Mend:
        Leave it to the base class, which searches; or give the exact inverse as `preimages`. −θ is none.
    """
    t, p = inputs.tensor(transform, theta), inputs.tensor(transform, points)[None]
    y = transform(t, p)
    seen = y.isfinite().all(-1) & (y.abs() < 1e3).all(-1)
    try:
        found = transform.inverse_points(t, torch.where(seen[..., None], y, torch.nan))
    except InputError:
        assume(not transform.is_matrix)  # which may be singular
        raise
    expect(found.shape == y.shape, f"points {list(found.shape)}", f"points {list(y.shape)}")
    answered = found.isfinite().all(-1)
    whole = (_areas(transform, t)[1] > 1e-3).all(-1, keepdim=True)
    refused = (seen & whole & ~answered).nonzero().tolist()
    at = {"theta": theta, "points": points}
    expect(not refused, f"no answer for {y[tuple(refused[0])].tolist() if refused else ''}", "where it came from", at)
    again = transform(t, torch.where(answered[..., None], found, p))
    expected = torch.where(answered[..., None] & seen[..., None], y, again)
    expect_close(again, expected, _CLOSE, "T(θ, inverse_points(θ, y))", at={"y": y, "theta": theta})
    try:
        other = transform(transform.inverse(t), y)
    except InputError:
        return
    known = answered[..., None] & other.isfinite() & whole[..., None]
    expect_close(
        torch.where(known, found, other),
        other,
        10 * _CLOSE,
        "unlike inverse(θ), inverse_points",
        at={"y": y, "theta": theta},
    )


@checks.add(*BASICS, "inverse_points_undo", theta=inputs.thetas(2))
def folds_are_refused(transform: Transform, theta: Rows) -> None:
    """inverse_points gives NaN where the transform turns the image over: the point is seen elsewhere too.

    Why:
        Of several places in the output one would be picked by chance, and jump with the next step of training.
    How:
        Points of a lattice over the image with det J < 0, as far as generated θ have some; where they go is asked for.
    Mend:
        Leave it to the base class. A `preimages` of your own gives NaN where det J ≤ 0.
    """
    if transform.is_matrix:
        raise NotApplicable("a matrix folds nothing")
    t = inputs.tensor(transform, theta)
    places, areas = _areas(transform, t)
    areas, index = areas.nan_to_num(0.0).topk(_FOLDED, largest=False)
    p = places[0][index]
    y = transform(t, p)
    found = transform.inverse_points(t, torch.where((areas < -1e-2)[..., None], y, torch.nan))
    answered = found.isfinite().all(-1).nonzero().tolist()
    n, m = answered[0] if answered else (0, 0)
    expect(
        not answered,
        f"inverse_points(θ, {y[n, m].tolist()}) = {found[n, m].tolist()}",
        f"NaN: it is seen at {p[n, m].tolist()} as well, turned over",
        at={"theta": theta[n], "det J": areas[n, m]},
    )


def _areas(transform: Transform, theta: Tensor) -> tuple[Tensor, Tensor]:
    """A lattice over the image, [1, M, D], and det J there, [N, M]."""
    places = lattice((_SIDE[transform.ndim],) * transform.ndim, dtype=theta.dtype, device=theta.device)
    places = places.reshape(1, -1, transform.ndim)
    return places, adjugate(transform.jacobian(theta, places))[1].detach()
