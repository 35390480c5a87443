"""The values of pull and push, compared with the reference backend's."""

import dataclasses
import itertools
from typing import Any

import torch

from warpkit.boundary import PADDING_MODES
from warpkit.sampling.backend import Backend
from warpkit.testing.backends.case import MATRICES, REFERENCE, TOLERANCES, Case, check_same
from warpkit.testing.backends.cases import DOORS, FILLS, cases
from warpkit.testing.backends.kernels import EVERY, SMOOTH, STANDARD
from warpkit.testing.check import Checks, expect_close

checks = Checks("backend")

_TYPES = (*TOLERANCES, torch.uint8, torch.int16, torch.int64, torch.bool)
_LARGE = ((700,), (3, 500), (130, 2), (2, 3, 300))
_MANY = ((5000,), (40, 70), (5, 30, 20))


@checks.add("inputs_are_not_changed", "same_each_time", case=cases(("points",), kernels=STANDARD))
def agrees_on_points(backend: Backend, case: Case) -> None:
    """pull gives the reference's values at points in and around an image.

    Why:
        A network must not change with the machine that it runs on.
    How:
        Images of one to three axes and generated points off the joints, in float64; no points at all, too.
    Mend:
        x, y, z are the last axis of the coordinates; −1 and 1 are outer edges: ((x + 1) · n − 1) / 2.
    """
    check_same(case, backend)


@checks.add("agrees_on_points", case=cases(("points",), kernels=STANDARD, aligned=(False, True)))
def agrees_on_float32_points(backend: Backend, case: Case) -> None:
    """Coordinates in float32 give the reference's values, also for an image in float64.

    Why:
        What a network predicts is float32.
    How:
        The points of `agrees_on_points`, in float32.
    Mend:
        Take coordinates of any floating-point type, and bring them to the type that is computed in.
    """
    check_same(case, backend, where=case.where().float())


@checks.add("agrees_on_points", case=cases(MATRICES, kernels=STANDARD, aligned=(False, True)))
def agrees_on_matrices(backend: Backend, case: Case) -> None:
    """pull by a matrix gives the reference's values, for affine and projective matrices and any output size.

    Why:
        It is the way of every affine, attention and projective transformer.
    How:
        Generated matrices near the identity, and projective ones whose horizon (w = 0) crosses the image.
    Mend:
        The matrix takes normalised output coordinates to normalised input coordinates; divide by the last row's w
        unless it is affine; where w ≤ 0 a point has no image, and gets `fill`; `target` is the output's size, rows
        first.
    """
    check_same(case, backend)


@checks.add("agrees_on_points", case=cases(("shifts",), kernels=STANDARD, aligned=(False, True)))
def agrees_on_shifts(backend: Backend, case: Case) -> None:
    """pull by shifts gives the reference's values, for any output size.

    Why:
        It is the way of every transform that is no matrix, and of displacement fields.
    How:
        Generated shifts for outputs of one to four pixels along an axis.
    Mend:
        Where an output pixel lies itself is ratio · (index − (out − 1) / 2) + (in − 1) / 2, with the ratio of the sizes
        (exactly 1 where they are equal); the shift counts half the image's extent for 1.
    """
    check_same(case, backend)


_SHAPED: Any = {"channels": (1, 2, 3, 5, 17), "outs": [(7,), (2, 3), (3, 4, 2), (4, 1, 2)], "kernels": STANDARD[:2]}


@checks.add(
    "agrees_on_matrices", "agrees_on_shifts", case=cases(("points",), **_SHAPED), other=cases(DOORS[1:], **_SHAPED)
)
def agrees_on_shapes(backend: Backend, case: Case, other: Case) -> None:
    """Points of any shape [*T], and any number of channels, give the reference's values.

    Why:
        Points come as lists, grids and volumes, whatever the image is; features have hundreds of channels.
    How:
        Targets of one to three axes in images of one to three, and 1 to 17 channels.
    Mend:
        The result is [N, C, *T], in the order of the points; vector code needs a loop for the channels that are left.
    """
    check_same(case, backend)
    check_same(other, backend, at={"case": other})


@checks.add(
    "agrees_on_shapes", case=cases(images=(1, 3, 2, 6, 0), sets=(3, 1, 2, 6, 0), channels=(1, 2), outs=[(4,), (2, 3)])
)
def agrees_on_shared_batches(backend: Backend, case: Case) -> None:
    """One image serves N sets of points, and one set N images; an empty batch gives an empty result.

    Why:
        Sharing without a copy is what the sampler promises.
    How:
        Batches of none to six, with points and with matrices.
    Mend:
        Either batch may be 1; the result has the other's.
    """
    check_same(case, backend)


@checks.add(
    "agrees_on_shared_batches",
    case=cases(sizes=_LARGE, outs=_MANY, channels=(1, 3), images=(1, 2), sets=(1, 2), kernels=STANDARD[:2]),
)
def agrees_on_large_work(backend: Backend, case: Case) -> None:
    """Wide images and thousands of points give the reference's values.

    Why:
        Work is cut into blocks and shared among threads; what is wrong only in the second block is found by users.
    How:
        Images of up to 700 pixels along an axis, and up to 5,000 points.
    Mend:
        Look at where a block or a thread begins and ends, and at indices that need more than 8 or 16 bits.
    """
    check_same(case, backend)


@checks.add("agrees_on_matrices", "agrees_on_shifts", case=cases(kernels=EVERY, mixed=True))
def agrees_on_kernels(backend: Backend, case: Case) -> None:
    """Every kernel gives the reference's values: lopsided, in pieces, with parameters, and another on each axis.

    Why:
        Users bring kernels of their own, and rely on them being sampled as their formula says.
    How:
        Kernels drawn for each axis, by points and by matrices.
    Mend:
        Read the table as it is: [pieces, taps, degree + 1], tap t at i0 + t with i0 = floor(x − r + ε) + 1; assume no
        symmetry, no sum of one and no single piece.
    """
    check_same(case, backend)


_PADDED: Any = {"kernels": STANDARD[1:], "paddings": PADDING_MODES, "aligned": (False, True)}


@checks.add("agrees_on_kernels", case=cases(("points",), **_PADDED), other=cases(DOORS[1:], **_PADDED))
def agrees_on_padding(backend: Backend, case: Case, other: Case) -> None:
    """Outside of the image every padding mode, with either alignment, gives the reference's values, mixed ones too.

    Why:
        Most warps look beyond the border somewhere.
    How:
        Points in and up to two pixels around images that may be one pixel wide.
    Mend:
        The rule maps the index of each tap: reflection about −½ and n − ½, or about 0 and n − 1 with align_corners;
        wrapping modulo n. Under "none" a coordinate beyond −1 … 1 gets `fill`, and taps inside stop at the edge.
    """
    many = len(PADDING_MODES)
    for one, i, mixed in itertools.product((case, other), range(many), (False, True)):
        modes = tuple(PADDING_MODES[(i + axis * mixed) % many] for axis in range(len(one.size)))
        padded = dataclasses.replace(one, padding=modes)
        if not padded.is_refused(backend):
            check_same(padded, backend, at={"case": padded})


@checks.add("agrees_on_kernels", "agrees_on_padding", case=cases(kernels=EVERY, fills=FILLS))
def agrees_on_fill(backend: Backend, case: Case) -> None:
    """Taps outside have the value `fill`, one number or one for each channel.

    Why:
        A background of −1, as normalised images have, would be black instead.
    How:
        Points around the image, kernels whose weights sum to one and others.
    Mend:
        An output is Σ of weights inside times pixels, plus `fill` times (1 − Σ of weights inside).
    """
    check_same(case, backend)


@checks.add(
    "agrees_on_fill",
    "agrees_on_float32_points",
    case=cases(kernels=EVERY, dtypes=_TYPES, paddings=PADDING_MODES, fills=FILLS[:2]),
)
def agrees_on_types(backend: Backend, case: Case) -> None:
    """Images of every type give a result of that type; whole numbers are rounded and saturate.

    Why:
        Photographs are bytes, labels whole numbers, networks run in half precision.
    How:
        float16, bfloat16, float32, float64, integers and booleans, as far as the backend does not refuse them.
    Mend:
        Compute in float32 at least, round once at the end; refuse (`refuses`) what cannot be done.
    """
    check_same(case, backend)


@checks.add("agrees_on_fill", case=cases(kernels=SMOOTH, paddings=PADDING_MODES, fills=FILLS, mixed=True))
def agrees_on_derivative_tables(backend: Backend, case: Case) -> None:
    """With tables that were differentiated, pull gives the reference's values.

    Why:
        Every derivative of sampling is such a pull: what is wrong here is wrong in Newton steps and penalties.
    How:
        Each axis once, and the first one twice.
    Mend:
        Read the table as it is; its weights sum to zero, so `fill` counts `problem.total` less the weights inside; a
        point that is not finite gives `fill` times `problem.total`.
    """
    image, where = case.image(), case.where()
    problem = case.problem(image, where)
    once = [problem.derivative(axis) for axis in range(len(case.size))]
    for slope in [*once, once[0].derivative(0)]:
        found, expected = backend.pull(image, slope), REFERENCE.pull(image, slope)
        expect_close(found, expected, 50 * TOLERANCES.get(image.dtype, 1e-9), "a derivative")


@checks.add(
    "agrees_on_shared_batches",
    "agrees_on_kernels",
    "agrees_on_padding",
    case=cases(images=(1, 3, 2), sets=(3, 1, 2), channels=(1, 3, 9), kernels=EVERY, paddings=PADDING_MODES, mixed=True),
)
def push_is_the_adjoint(backend: Backend, case: Case) -> None:
    """push is the adjoint of pull: the sum of push(v) · u is that of v · pull(u).

    Why:
        It is the gradient in the image, and splatting.
    How:
        Generated values, beside the reference's, and the two sums for a generated image.
    Mend:
        Each tap's weight times the value goes to the pixel that the tap reads, through the same padding; none where the
        tap is outside of zeros, or the point is not finite. With one image the values of all are added up.
    """
    values, where, u = case.values(), case.where(), case.image()
    found, expected = case.push(backend, values, where), case.push(REFERENCE, values, where)
    close = 10 * TOLERANCES.get(case.dtype, 1e-9)
    expect_close(found, expected, close, "a pushed value")
    pulled = dataclasses.replace(case, fill=0.0).sample(backend, u, where)
    expect_close((found * u).sum(), (values * pulled).sum(), close, "the sum of push(v) · u")
