"""A transform's care of numbers: their type, their last digits, and those that are not finite."""

import torch
from hypothesis import strategies as st

from warpkit.testing import common, inputs
from warpkit.testing.check import Checks, expect, expect_close
from warpkit.testing.differences import derivative, not_rounded
from warpkit.testing.transforms.contract import BASICS, Rows
from warpkit.transforms.base import Transform

checks = Checks("transform")


@checks.add(
    *BASICS[:9],
    afresh=True,
    theta=inputs.thetas(2),
    points=inputs.points(),
    dtype=lambda _: st.sampled_from((torch.float32, torch.float64)),
)
def keeps_the_type(transform: Transform, theta: Rows, points: Rows, dtype: torch.dtype) -> None:
    """The result has the dtype of θ and points, whatever the default dtype is, and lies on their device.

    Why:
        float64 is what finite differences and registration rely on; float32 that turns into float64 halves the speed.
        Constants in the default dtype have three digits where a network was loaded in bfloat16.
    How:
        Both in float32, both in float64; the same result under other default dtypes.
    Mend:
        Bring own tensors to θ's type, `self.points.to(theta)`; make constants with `theta.new_tensor(…)` and
        `torch.linspace(…, dtype=points.dtype)`.
    """
    t, p = (x.to(dtype) for x in inputs.batch(transform, theta, points))
    given = common.copied(transform)(t, p)
    expect(given.dtype == dtype, given.dtype, dtype)
    expect(given.device == t.device, f"on {given.device}", f"on {t.device}")
    common.check_default_dtypes(transform, t, p)


@checks.add(*BASICS[:10], theta=inputs.thetas(1), points=inputs.points(1, 1), seed=inputs.seed)
def float64_is_not_rounded(transform: Transform, theta: Rows, points: Rows, seed: int) -> None:
    """float64 θ, points and parameters of the transform's own are not rounded to float32 on the way.

    Why:
        The result looks like float64 and is right to seven digits only; finite differences and gradcheck drown in it.
    How:
        θ, then the point, then the parameters, are moved by 1e-9: the result has to move by its slope times that.
    Mend:
        No `.float()`, no `dtype=torch.float32`, no NumPy float32 in the formula. Digits are lost by cancellation too:
        acos near 1, 1 − cos(x) and √(1 − x²) near 0.
    """
    t, p = inputs.batch(transform, theta, points)
    of_theta, of_point = inputs.uniform(seed, *t.shape).to(t), inputs.uniform(seed, *p.shape).to(p)
    moved = {
        "θ": lambda steps: transform(t + steps.to(t)[:, None] * of_theta, p),
        "the point": lambda steps: transform(t, p + steps.to(p)[:, None, None] * of_point),
    }
    if inputs.has_phi(transform):
        way = inputs.uniform(seed, len(inputs.parameters(transform))).to(t)
        moved["the parameters"] = inputs.along(transform, way, t, p)
    not_rounded(moved)


@checks.add(*BASICS[:10], theta=inputs.thetas(2), points=inputs.points())
def values_are_finite(transform: Transform, theta: Rows, points: Rows) -> None:
    """Points near −1 … 1 go to finite places; where one has none, the gradient of the others stays finite.

    Why:
        A place that is no number gets the fill value; but its gradient, 0 · ∞, would make the θ of every image NaN.
    How:
        θ near where the transform starts; for points that go nowhere, the gradient of the sum of the others.
    Mend:
        Select the argument before the delicate function, not its result: `safe = torch.where(r > 0, r, 1.0)`. A point
        that has no image is NaN, selected at the end.
    """
    t, p = (x.requires_grad_() for x in inputs.batch(transform, theta, points))
    given = transform(t, p)
    finite = given.isfinite()
    if bool(finite.all()):
        return
    everywhere = inputs.uniform(0, 1, 200, transform.ndim).to(p)
    expect(
        bool(transform(t.detach(), everywhere).isfinite().any()), "no point goes to a finite place", "most do",
        at={"theta": theta},
        hint="If such a θ makes no sense for this transform, name one that does: check_transform(…, theta=…).",
    )  # fmt: skip
    at = {"theta": theta, "points": p, "T": given}
    for gradient, what in zip(derivative(torch.where(finite, given, 0.0), t, p), ("θ", "the points"), strict=True):
        expect(bool(gradient.isfinite().all()), f"a gradient of {what} that is no number", "finite numbers", at=at)


@checks.add(*BASICS, theta=inputs.thetas(1), seed=inputs.seed)
def float32_agrees_with_float64(transform: Transform, theta: Rows, seed: int) -> None:
    """In float32 points go where they go in float64, but for rounding.

    Why:
        Most networks run in float32.
    How:
        The same θ and points in both, wherever the mapping is not steep.
    Mend:
        No branch about the dtype; avoid differences of large, nearly equal numbers.
    """
    t, p = inputs.tensor(transform, theta).float(), inputs.scattered(transform, seed, 100).float()
    expected = transform(t.double(), p.double())
    near = transform((1 - 1e-6) * t.double(), (1 + 1e-6) * p.double() + 1e-6)
    steep = ~((near - expected).abs() < 1e-4)
    found = torch.where(steep, expected, transform(t, p).double())
    expect_close(found, expected, 1e-3, "in float32 T", at={"point": p.expand_as(expected), "theta": theta})
