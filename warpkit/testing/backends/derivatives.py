"""The gradients, first and second; which side is taken on a joint; and coordinates that are not finite."""

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor

from warpkit.boundary import PADDING_MODES
from warpkit.sampling.backend import Backend
from warpkit.testing import inputs
from warpkit.testing.backends.case import MATRICES, REFERENCE, Case, gradient_tolerance
from warpkit.testing.backends.cases import cases
from warpkit.testing.backends.kernels import EVERY, SMOOTH, STANDARD, Learned
from warpkit.testing.check import Checks, expect_close
from warpkit.testing.differences import derivative

checks = Checks("backend")

_VALUES = ("agrees_on_shared_batches", "agrees_on_kernels", "agrees_on_padding", "agrees_on_fill")
_SETS: Any = {"images": (1, 2), "sets": (2, 1), "fills": (0.0, 0.3), "aligned": (False, True), "outs": [(5,), (2, 3)]}
_SHAPES: Any = {**_SETS, "channels": (1, 3, 5), "paddings": PADDING_MODES, "kernels": (*SMOOTH, Learned())}


def _check_gradients(case: Case, backend: Backend, run: Callable[[Backend], Tensor], *wanted: Tensor) -> None:
    """Raise `Broken` unless the gradient of a weighted sum of run(backend), in each of `wanted`, is the reference's."""
    results = []
    for one in (REFERENCE, backend):
        output = run(one)
        weights = inputs.uniform(3, *output.shape).to(output)
        # not again: so that a pass of the backend's own is tried
        results.append(derivative(output * weights, *wanted, again=False))
    for expected, found in zip(*results, strict=True):
        expect_close(found, expected, gradient_tolerance(case.dtype), "a gradient")


@checks.add(*_VALUES, case=cases(**_SHAPES))
def gradient_in_image(backend: Backend, case: Case) -> None:
    """The gradient in the image is the reference's; for a shared image it is the sum.

    Why:
        It is what the layers before the sampler are trained with.
    How:
        A weighted sum of the output, differentiated by both.
    Mend:
        Each tap's weight goes back to the pixel that it was read from, through the same padding.
    """
    image, where = case.image().requires_grad_(), case.where()
    _check_gradients(case, backend, lambda one: case.sample(one, image, where), image)


@checks.add(*_VALUES, case=cases(("points", "shifts"), **_SHAPES))
def gradient_in_points(backend: Backend, case: Case) -> None:
    """The gradient in the coordinates is the reference's; for shared points it is the sum.

    Why:
        It is what θ is trained with.
    How:
        A weighted sum of the output, differentiated by both, at points off the joints.
    Mend:
        The derivative of the table's polynomials, times the pixels, times n / 2 (a normalised unit in pixels).
    """
    image, where = case.image(), case.where().requires_grad_()
    _check_gradients(case, backend, lambda one: case.sample(one, image, where), where)


@checks.add("gradient_in_image", "gradient_in_points", case=cases(MATRICES, **_SHAPES))
def gradient_in_matrix(backend: Backend, case: Case) -> None:
    """The gradient in the matrix is the reference's; for a shared matrix it is the sum.

    Why:
        θ of an affine or projective transformer learns through it.
    How:
        A weighted sum of the output, differentiated by both.
    Mend:
        The gradient in the coordinates times each output point, summed; with the division's own derivative for a
        projective matrix, and none from points behind its horizon. The last row of an affine one has none.
    """
    image, matrix = case.image(), case.where().requires_grad_()
    _check_gradients(case, backend, lambda one: case.sample(one, image, _free(case, matrix)), matrix)


def _free(case: Case, where: Tensor) -> Tensor:
    """The matrix of an affine case, with its last row held fixed; whatever else `where` is, unchanged."""
    return torch.cat([where[:, :-1], where[:, -1:].detach()], 1) if case.door == "affine" else where


@checks.add("agrees_on_large_work", "gradient_in_matrix", case=cases(
    sizes=((400,), (3, 300), (90, 2)), outs=[(3000,), (40, 70)], images=(1, 2), sets=(2, 1), kernels=SMOOTH[:2]
))  # fmt: skip
def gradients_of_large_work(backend: Backend, case: Case) -> None:
    """Gradients of wide images and thousands of points are the reference's.

    Why:
        Many outputs add to one pixel and to one matrix; blocks and threads that add without waiting lose some.
    How:
        In the image and in the points or the matrix, images of up to 400 pixels along an axis, up to 3,000 points.
    Mend:
        Let each thread add to a part of its own, and add the parts up in a fixed order.
    """
    image, where = case.image().requires_grad_(), case.where().requires_grad_()
    _check_gradients(case, backend, lambda one: case.sample(one, image, _free(case, where)), image, where)


@checks.add(*_VALUES, case=cases(kernels=(Learned(),), paddings=PADDING_MODES, images=(1, 2)))
def gradient_in_kernel(backend: Backend, case: Case) -> None:
    """The gradient in a kernel's own parameters Φ is the reference's.

    Why:
        A kernel that learns would stay as it is.
    How:
        Keys' cubic with its a as a parameter, along every axis.
    Mend:
        Give the table a gradient: `kernel.table(dtype)` is differentiable in Φ.
    """
    image, where = case.image(), case.where()
    (parameter,) = case.kernels[0].parameters()
    _check_gradients(case, backend, lambda one: case.sample(one, image, where), parameter)


@checks.add(
    "gradient_in_image", "gradient_in_points", "gradient_in_matrix", "push_is_the_adjoint",
    "agrees_on_derivative_tables",
    case=cases(**{**_SHAPES, "channels": (2,)}),
)  # fmt: skip
def second_derivatives(backend: Backend, case: Case) -> None:
    """The gradient can be differentiated again, and gives the reference's second derivatives.

    Why:
        Gradient penalties and Newton steps use them; a missing one that passes as zero is the worst case.
    How:
        The gradients' weighted sum, differentiated again in the image and in the points or the matrix.
    Mend:
        They are made of `pull` and `push` with differentiated tables; a differentiable backend detaches nothing.
    """
    image, where = case.image().requires_grad_(), case.where().requires_grad_()

    def run(one: Backend) -> Tensor:
        output = case.sample(one, image, _free(case, where))
        first = derivative(output * inputs.uniform(4, *output.shape).to(output), image, where)
        return torch.stack([(g * inputs.uniform(5 + i, *g.shape).to(g)).sum().to(output) for i, g in enumerate(first)])

    _check_gradients(case, backend, run, image, where)


@checks.add(
    "gradient_in_points",
    "gradient_in_matrix",
    "agrees_on_float32_points",
    size=lambda _: st.integers(2, 300),
    case=cases(("points", "affine"), axes=(1,), kernels=EVERY, aligned=(False, True)),
    dtype=lambda _: st.sampled_from((torch.float32, torch.float64)),
)
def agrees_on_joints(backend: Backend, size: int, case: Case, dtype: torch.dtype) -> None:
    """On the joints, where an identity warp has all its points, the reference's side is taken.

    Why:
        Coordinates carry rounding. Without its forgiveness two machines take different one-sided derivatives at every
        pixel, and `nearest` different pixels at a half.
    How:
        The pixels' own coordinates and the places half-way, as float32 and float64 round them, and the matrix that
        takes an output there: values, and gradients in the points or the matrix.
    Mend:
        i0 = floor(x − r + ε) + 1 with ε = 2 · eps(the coordinates' dtype, float32 at least) · n, x computed as
        ((x + 1) · n − 1) / 2; the fraction may be −ε.
    """
    half = torch.arange(2 * size - 1, dtype=torch.float64) / 2
    scale = size - 1 if case.aligned else size
    if case.door == "points":
        where = (2 * half / scale - 1 if case.aligned else (2 * half + 1) / scale - 1)[None, :, None]
        out: tuple[int, ...] = (len(half),)
    else:  # the identity, and half a pixel to the right
        out = (size,)
        where = torch.eye(2, dtype=torch.float64).repeat(2, 1, 1)
        where[1, 0, 1] = 1 / scale
    case = Case(**{**vars(case), "size": (size,), "out": out, "images": 1, "sets": len(where)})
    where = where.to(dtype).to(case.where()) if case.door == "affine" else where.to(case.device, dtype)
    image, results = case.image(), []
    for one in (REFERENCE, backend):
        at = where.clone().requires_grad_()
        output = case.sample(one, image, at)
        slopes = derivative(output, at)[0] * (2 / size)
        results.append([output, slopes if case.door == "points" else slopes[:, 0]])
    close = 1e-8 if dtype == case.dtype == torch.float64 else 1e-4
    for expected, found, what in zip(*results, ("a value", "a gradient in the pixel coordinate"), strict=True):
        expect_close(found, expected, close, what)


@checks.add(
    "gradient_in_image",
    "gradient_in_points",
    "gradient_in_matrix",
    "push_is_the_adjoint",
    case=cases(paddings=PADDING_MODES, kernels=STANDARD, fills=(0.25,), outs=[(5,), (3, 4), (3, 2, 4)]),
    value=lambda _: st.sampled_from((float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 3e9)),
)
def agrees_on_nonfinite_points(backend: Backend, case: Case, value: float) -> None:
    """A coordinate that is no number gets `fill` in every mode, a huge one is outside; no gradient becomes NaN.

    Why:
        A horizon, or a step too far in training, must not poison a batch, nor read memory that is not the image's.
    How:
        One such coordinate, or number of a matrix, among others: values, gradients in image and points or matrix.
    Mend:
        Test `isfinite` first and select; limit finite pixel coordinates before they become integers.
    """
    assume(case.door not in MATRICES or abs(value) not in (1e30, 3e9))
    image, where = case.image().requires_grad_(), case.where()
    where.view(-1)[1 % where.numel()] = value
    where.requires_grad_()
    results = []
    for one in (REFERENCE, backend):
        output = case.sample(one, image, _free(case, where))
        results.append([output, *derivative(output, image, where, again=False)])
    close = 10 * gradient_tolerance(case.dtype)
    for expected, found, what in zip(*results, ("a value", "a gradient in the image", "one in a place"), strict=True):
        expect_close(found, expected, close, what)


@checks.add(
    "push_is_the_adjoint", "gradient_in_points", "gradient_in_matrix",
    case=cases(**{**_SHAPES, "fills": (0.0,)}),
)  # fmt: skip
def gradients_of_push(backend: Backend, case: Case) -> None:
    """The gradients of push, in the values and in the points or the matrix, are the reference's.

    Why:
        Splatting learns through them.
    How:
        A weighted sum of what was pushed, differentiated by both.
    Mend:
        They are made of `pull`, and of `gradients` with values and image exchanged.
    """
    values, where = case.values().requires_grad_(), case.where().requires_grad_()
    _check_gradients(case, backend, lambda one: case.push(one, values, _free(case, where)), values, where)
