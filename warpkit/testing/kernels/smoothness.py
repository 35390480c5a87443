"""How a kernel's pieces meet: at its joints, at ±radius, and at the pixels."""

import math

import torch

from warpkit.kernels.base import Kernel
from warpkit.testing import inputs, joints
from warpkit.testing.check import Checks, Doubtful, NotApplicable, expect
from warpkit.testing.kernels.contract import BASICS

checks = Checks("kernel")

_TOLERANCE = 1e-6  # of what no image shows


@checks.add(*BASICS, phi=inputs.phi)
def radius_reaches_zero(kernel: Kernel, phi: int) -> None:
    """k goes to 0 where the radius ends, unless `continuity = -1` states that it jumps there.

    Why:
        What lies beyond the radius is cut off. A formula that has not come to zero there jumps: the image has seams,
        and the gradient does not see them.
    How:
        The values just inside −radius and radius.
    Mend:
        A larger `radius`, if the formula goes on beyond it; a formula that ends at zero; or, if it is meant to jump,
        `continuity = -1`.
    """
    if kernel.continuity == -1:
        raise NotApplicable("it states that it jumps")
    moved = inputs.at_phi(kernel, phi)
    largest = joints.peak(moved)
    for side in (-1, 1):
        far, near = joints.extended(
            moved, torch.tensor([moved.radius - 1e-6, moved.radius - 1e-10], dtype=torch.float64) * side
        ).tolist()
        jumps = abs(near) > 1e-5 * largest and abs(near) > 0.5 * abs(far)  # a square root still falls: it gets there
        expect(
            not jumps,
            f"k = {near:.6g} just inside",
            "0",
            at={"distance": side * moved.radius, **inputs.told(moved, phi)},
        )


@checks.add(*BASICS, "radius_reaches_zero", phi=inputs.phi)
def continuity(kernel: Kernel, phi: int) -> None:
    """The k-th derivative is continuous, over all distances and at ±radius, as `continuity = k` says.

    Why:
        An optimiser that is promised a C1 kernel and gets a C0 one meets a gradient that jumps at every pixel.
    How:
        Joints and their order are found from the values alone: eighth differences of a smooth function vanish with the
        step's eighth power, those at a jump of the j-th derivative with its j-th.
    Mend:
        Let both sides of the joint have the same value (and derivatives); or declare what is found.
    """
    if kernel.continuity is None:
        raise NotApplicable("it states no continuity")
    moved = inputs.at_phi(kernel, phi)
    for joint in joints.joints(moved):
        order = math.ceil(joint.order - 0.25)
        expect(
            order > kernel.continuity,
            f"{_ordinal(order)} jumps: continuity = {order - 1}",
            f"continuity = {kernel.continuity}",
            at={"distance": f"{_neat(joint)} (± {joint.within:.1g})", **inputs.told(moved, phi)},
        )


@checks.add(*BASICS)
def pieces_name_the_joints(kernel: Kernel) -> None:
    """Where the formula has joints, a piece of the table begins: they are multiples of 1/pieces from −radius.

    Why:
        No polynomial goes across a joint. The kernel then has no table: it is right, but sampled slowly, and by no
        native backend.
    How:
        Joints are found from the values alone (see `continuity`).
    Mend:
        Declare the `pieces` that are expected: the joints of the formula then fall on those of the table.
    """
    stray = joints.unnamed(kernel)
    if stray:
        pieces = joints.pieces_for(kernel)
        places = ", ".join(_neat(joint) for joint in stray[:6])
        hint = f"pieces = {pieces}" if pieces else "move the joints to multiples of a fraction of a pixel"
        step = f"1/{kernel.pieces} of a pixel" if kernel.pieces > 1 else "a pixel"
        raise Doubtful(f"joints at d = {places} lie between those of the table, each {step} from −radius on", hint)


@checks.add(*BASICS)
def jumps_belong_to_the_right(kernel: Kernel) -> None:
    """Where the formula jumps, its value is the limit from the right.

    Why:
        Sampling takes the limit from the right at every joint (a half rounds up): the formula says one thing there,
        the image shows another.
    How:
        The value at each declared joint, beside the values a hair away.
    Mend:
        `<` instead of `<=` where the piece on the left ends.
    """
    cells = torch.arange(1, kernel.taps * kernel.pieces, dtype=torch.float64)
    place = cells / kernel.pieces - kernel.radius
    before, here, after = (joints.extended(kernel, place + side) for side in (-1e-10, 0.0, 1e-10))
    wrong = ((after - before).abs() > _TOLERANCE) & ((here - after).abs() > _TOLERANCE)
    if bool(wrong.any()):
        d, value, limit = (x[wrong][0].item() for x in (place, here, after))
        raise Doubtful(
            f"k({d:g}) = {value:.6g}, and {limit:.6g} to the right of it: sampling takes the latter",
            "`<` instead of `<=` where the piece on the left ends",
        )


@checks.add(*BASICS)
def gradient_at_the_identity(kernel: Kernel) -> None:
    """Where a place lies exactly on a pixel, some weight has a slope.

    Why:
        A transformer starts as the identity, where every place lies exactly on a pixel. With slopes of zero there, no
        gradient reaches θ, and it never moves: (1 + cos πd)/2 is such a kernel, and so is any that takes one pixel.
    How:
        Forward differences at the whole distances.
    Mend:
        Start the transformer off the identity (`init`), or train with another kernel (bilinear, bicubic).
    """
    whole = torch.arange(-math.ceil(kernel.radius), math.ceil(kernel.radius) + 1, dtype=torch.float64)
    after = joints.extended(kernel, whole + 2e-6) - joints.extended(kernel, whole + 1e-6)
    if bool((after.abs() / 1e-6 < 1e-4).all()):
        raise Doubtful(
            "every weight's slope is zero where a place lies on a pixel: a transformer that starts as the identity "
            "gets no gradient",
            "start it elsewhere (init=…), or train with bilinear or bicubic",
        )


def _neat(joint: joints.Joint) -> str:
    """A joint's place as a short fraction, where there is one within the joint's own uncertainty."""
    for n in (1, 2, 3, 4, 5, 6, 8, 10):
        if abs(joint.at * n - round(joint.at * n)) / n <= joint.within:
            return f"{round(joint.at * n) / n:.4g}"
    return f"{joint.at:.3f}"


def _ordinal(order: int) -> str:
    return "the value" if order <= 0 else f"the {order}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(order, 'th') } derivative"
