"""Finite differences that tell where they can be trusted, and checks of autograd against them."""

import contextlib
import functools
from collections.abc import Callable, Mapping

import torch
from hypothesis import assume
from torch import Tensor

from warpkit.testing.check import Broken, NotApplicable, expect_close
from warpkit.testing.inputs import uniform

STEP = 1e-5
TOLERANCE = 1e-4  # of a first derivative, relative to 1 at least
_KINK = 1e-5  # how far several estimates may be apart, for a place to count as smooth


def slope(values: Callable[[Tensor], Tensor], step: float = STEP) -> tuple[Tensor, Tensor]:
    """The derivative at 0 of `values(steps [7]) → [7, *S]`, and whether it is smooth there, both `[*S]`.

    Not smooth is also what is no number, or has a joint or a singularity near.
    """
    offsets = torch.tensor([-8.0, -2.0, -1.0, 0.0, 1.0, 2.0, 8.0], dtype=torch.float64) * step
    wide_left, far_left, left, here, right, far_right, wide_right = values(offsets).detach().double().unbind(0)
    # Differences of fourth order about the middle, of second order on either side: at a kink they are apart.
    central = (8 * (right - left) - (far_right - far_left)) / (12 * step)
    after = (4 * right - 3 * here - far_right) / (2 * step)
    before = (3 * here - 4 * left + far_left) / (2 * step)
    wide = (wide_right - wide_left) / (16 * step)  # x log|x| is odd: both sides agree, but two steps do not
    apart = torch.stack([after, before, wide]).sub(central).abs().amax(0)
    smooth = (apart <= _KINK * (1 + central.abs())) & central.isfinite()
    return central, smooth


def slope_after(values: Callable[[Tensor], Tensor], step: float = 1e-4) -> Tensor:
    """The right-hand derivative at 0, from five points that all lie behind it."""
    offsets = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64) * step
    # Of fourth order, from h to 5 h: the value at 0 itself may belong to the piece on the left.
    weights = torch.tensor([-77 / 12, 107 / 6, -39 / 2, 61 / 6, -25 / 12], dtype=torch.float64)
    result: Tensor = torch.tensordot(weights, values(offsets).detach().double(), dims=1) / step
    return result


def derivative(output: Tensor, *inputs: Tensor, again: bool = True) -> list[Tensor]:
    """Autograd's gradients of the output's sum, differentiable if `again`; zero for an input it does not depend on."""
    if not output.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    given = torch.autograd.grad(output.sum(), inputs, create_graph=again, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, given, strict=True)]


def derivative_along(function: Callable[[Tensor], Tensor], start: Tensor, way: Tensor) -> Tensor:
    """The derivative [*S] of function(start) → [*S] along `way`, by reverse mode twice: forward mode may be missing."""
    x = start.clone().requires_grad_()
    output = function(x)
    if not output.requires_grad:
        return torch.zeros_like(output)
    weights = torch.zeros_like(output).requires_grad_()
    (gradient,) = torch.autograd.grad(output, x, weights, create_graph=True, allow_unused=True)
    return torch.zeros_like(output) if gradient is None else derivative(gradient * way, weights)[0]


def check_derivatives_everywhere(
    of: Callable[[Tensor], Tensor], start: Tensor, way: Tensor, what: str, at: Mapping[str, object]
) -> None:
    """Raise `Broken` where autograd's derivative of of(start) → [*S] along `way` is not that of the values."""
    expected, smooth = slope(lambda steps: torch.stack([of(start + step * way) for step in steps.to(start)]))
    found = torch.where(smooth, derivative_along(of, start, way), 0.0)
    expect_close(found, torch.where(smooth, expected, 0.0), TOLERANCE, f"autograd's derivative along {what}", at)


def check_derivatives(
    of: Callable[[Tensor], Tensor], start: Tensor, seed: int, what: str, at: Mapping[str, object]
) -> None:
    """Raise `Broken` where autograd's first or second derivative of of(x [K]) → [*S] is not that of its values.

    One number of the result is looked at, along one of x and along all of them together. The example is left out where
    it is not smooth. `Broken` too where the derivative moves in steps, as float32 does.
    """
    if start.numel() == 0:
        raise NotApplicable(f"{what}: there is none")
    place = seed % max(1, of(start).numel())

    def value(x: Tensor) -> Tensor:
        return of(x).flatten()[place]

    ways = uniform(seed, 2, len(start)).to(start)
    entry = int(ways[0].abs().argmax())
    one = torch.zeros_like(start)
    one[entry] = 1.0
    judged = False
    for way, label in ((one, f"{what}[{entry}]"), (ways[1], f"all of {what}")):
        for order, function in (("first", value), ("second", functools.partial(_derivative_along, value, way))):
            expected, smooth = _slope_along(function, start, way)
            if bool(smooth):
                judged = True
                found = _derivative_along(function, way, start)
                expect_close(found, expected, TOLERANCE, f"autograd's {order} derivative along {label}", at=at)
            elif order == "first":
                break
    along = functools.partial(_derivative_along, value, ways[1])
    with contextlib.suppress(NotApplicable):
        check_not_rounded(
            lambda steps: torch.stack([along(start + step * ways[1]) for step in steps.to(start)]),
            f"all of {what}", f"autograd's derivative along all of {what}", at,
        )  # fmt: skip
    assume(judged)


def check_not_rounded(
    values: Callable[[Tensor], Tensor], what: str, of: str = "the result", at: Mapping[str, object] | None = None
) -> None:
    """Raise `Broken` where `values(steps [S]) → [S, *R]` moves in steps, as float32 does, and not smoothly.

    `NotApplicable` where it hardly moves at all, or not smoothly, or where float64's own rounding is too coarse.
    """
    tiny, none = 2.0**-30, 2.0**-42  # far below what float32 can tell apart; so little that only rounding is seen
    coarse = torch.tensor([-1e-3, -1e-4, -1e-5, 1e-5, 1e-4, 1e-3], dtype=torch.float64)
    moved = values(torch.cat([torch.tensor([0.0, tiny, none, -none]), coarse])).detach().double().cpu()
    here, near = moved[0], moved[1]
    secants = torch.stack([(there - here) / step for there, step in zip(moved[4:], coarse, strict=True)])
    slope = secants.mean(0)
    # A chain of steep formulas amplifies rounding: there nothing can be said.
    quiet = (moved[2:4] - here).abs().amax(0) <= 5e-3 * tiny * slope.abs()
    smooth = quiet & slope.isfinite() & (slope.abs() > 1e-2)
    smooth &= (secants - slope).abs().amax(0) <= 0.02 * slope.abs()
    if not bool(smooth.any()):
        raise NotApplicable("it hardly moves here, or not smoothly")
    found = (near - here) / tiny
    bad = smooth & ((found - slope).abs() > 0.2 * slope.abs())
    if bool(bad.any()):
        raise Broken(
            f"a change of {tiny:.1e} in {what} changes {of} by {float(found[bad][0]) * tiny:.3e}",
            f"{float(slope[bad][0]) * tiny:.3e}, the slope times the change",
            at,
        )


def not_rounded(moved: Mapping[str, Callable[[Tensor], Tensor]]) -> None:
    """Raise `Broken` where any of these functions of steps [S] → [S, *R] moves in steps, as float32 does.

    The example is left out where none of them moves smoothly.
    """
    judged = False
    for what, values in moved.items():
        with contextlib.suppress(NotApplicable):
            check_not_rounded(values, what)
            judged = True
    assume(judged)


def _derivative_along(function: Callable[[Tensor], Tensor], way: Tensor, x: Tensor) -> Tensor:
    if not x.requires_grad:
        x = x.clone().requires_grad_()
    return derivative(function(x), x)[0] @ way


def _slope_along(function: Callable[[Tensor], Tensor], start: Tensor, way: Tensor) -> tuple[Tensor, Tensor]:
    return slope(lambda steps: torch.stack([function(start + step * way) for step in steps.to(start)]))
