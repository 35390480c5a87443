"""What every kernel has to be: a function of one distance that treats each number by itself."""

import math

import torch
from hypothesis import strategies as st

from warpkit.errors import InputError, quoted
from warpkit.kernels.base import Kernel
from warpkit.testing import common, inputs
from warpkit.testing.check import Broken, Checks, expect, expect_close
from warpkit.testing.differences import not_rounded

checks = Checks("kernel")
# Where one of these fails, what the others would say means nothing.
BASICS = (
    "radius_is_a_multiple_of_half",
    "facts_are_stated_rightly",
    "one_weight_for_each_distance",
    "input_is_not_changed",
    "same_each_time",
    "each_distance_alone",
    "keeps_the_type",
    "float64_is_not_rounded",
    "values_are_finite",
)


@checks.add()
def radius_is_a_multiple_of_half(kernel: Kernel) -> None:
    """`radius` is a positive multiple of ½, and `pieces` a positive whole number.

    Why:
        A kernel touches 2 · radius pixels along an axis; no sampler can touch two and a half.
    How:
        Both attributes are read.
    Mend:
        Set `radius` in the class. For a formula that ends in between, take the next larger multiple of ½; the formula
        must then give 0 from its end to there.
    """
    try:
        _ = kernel.taps
    except InputError as error:
        raise Broken(f"{error.what} = {error.given}", str(error.expected)) from error


@checks.add()
def facts_are_stated_rightly(kernel: Kernel) -> None:
    """Each declared fact is of its kind: True or False, a whole number, or None where nothing is stated.

    Why:
        The framework relies on them: a text "False" counts as true, and an identity is then no longer exact.
    How:
        `interpolating`, `partition_of_unity`, `symmetric`, `continuity` and `reproduces` are read.
    Mend:
        `interpolating` and `partition_of_unity` are True or False, `symmetric` one of these or None, `continuity` a
        whole number from −1 on (or math.inf) or None, `reproduces` a degree from 0 on (−1: not even constants) or None.
    """
    for name in ("interpolating", "partition_of_unity", "symmetric"):
        value = getattr(kernel, name)
        right = isinstance(value, bool) or (value is None and name == "symmetric")
        expect(right, f"{name} = {quoted(value)}", "True or False" + (" or None" if name == "symmetric" else ""))
    for name in ("continuity", "reproduces"):
        value = getattr(kernel, name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        right = value is None or (whole and value >= -1) or value == math.inf
        expect(right, f"{name} = {quoted(value)}", "a whole number from −1 on, or None")


@checks.add(*BASICS[:2], shape=lambda _: st.lists(st.integers(0, 3), max_size=3))
def one_weight_for_each_distance(kernel: Kernel, shape: list[int]) -> None:
    """forward(distance) gives a tensor of the same shape, whatever the shape and the strides.

    Why:
        The sampler hands over distances of any shape, of all taps at once or of one.
    How:
        Distances of generated shapes, a single number and an empty tensor among them; then transposed ones.
    Mend:
        Use elementwise functions of torch alone: no `view` (`reshape` is right for any strides), no reduction, no
        index into an axis, no NumPy.
    """
    count = math.prod(shape)
    steps = (torch.arange(count, dtype=torch.float64, device=inputs.device(kernel)) + 0.37) / max(count, 1)
    distance = ((2 * steps - 1) * kernel.radius).reshape(shape)
    given = kernel(distance.clone())
    at = {"distance": f"a tensor of shape {shape}"}
    if not isinstance(given, torch.Tensor):
        raise Broken(f"{type(given).__name__} {given!r:.40}", "a tensor", at)
    expect(given.shape == distance.shape, f"shape {list(given.shape)}", f"shape {shape}", at=at)
    if len(shape) > 1:
        strided = kernel(distance.mT.contiguous().mT)
        expect(strided.shape == distance.shape, f"shape {list(strided.shape)} for other strides", f"shape {shape}", at)


@checks.add(*BASICS[:3], distances=inputs.distances)
def input_is_not_changed(kernel: Kernel, distances: list[float]) -> None:
    """forward() leaves its input as it was.

    Why:
        The same distances are used again, for other taps and for gradients; autograd refuses a leaf that was changed.
    How:
        The input is compared with a copy of it after the call.
    Mend:
        Take the functions without an underscore: `distance.abs()`, not `distance.abs_()`; no `distance *= …`, no
        `distance[…] = …`.
    """
    common.check_inputs_unchanged(kernel, distance=inputs.tensor(kernel, distances))


@checks.add(*BASICS[:4], afresh=True, distances=inputs.distances, others=inputs.distances)
def same_each_time(kernel: Kernel, distances: list[float], others: list[float]) -> None:
    """The same distances give the same weights, whatever was called before; no global state is read or moved.

    Why:
        Training is not repeatable otherwise, and the table that samples is made from a few calls.
    How:
        The call is repeated after calls with other distances and seeds, and under torch.no_grad(); earlier results,
        the global random state and the default dtype are compared afterwards.
    Mend:
        No random numbers, counters or running means in a formula; return new tensors, no buffer that is filled again.
    """
    common.check_repeats(kernel, (inputs.tensor(kernel, distances),), (inputs.tensor(kernel, others),))


@checks.add(*BASICS[:5], distances=lambda k: st.lists(inputs.distance(k), min_size=2, max_size=6))
def each_distance_alone(kernel: Kernel, distances: list[float]) -> None:
    """The weight at a distance depends on that distance alone, not on the others, their number or their order.

    Why:
        The same pixel would weigh differently in a batch than alone: training and use would disagree.
    How:
        Several distances at once, each by itself, and all in reverse; thousands at once, and a hundred at a time.
    Mend:
        Nothing in the formula may run over all elements: no sum, mean, max, softmax, sort or cumsum of `distance`, and
        no `if` about it. Weights that are to sum to one are divided by the sum over the taps, itself a function of the
        one distance: Σₙ k(frac(d) + n).
    """
    d = inputs.tensor(kernel, distances)
    together = kernel(d.clone())
    alone = torch.stack([kernel(x.clone()) for x in d.reshape(-1, 1)]).flatten()
    expect_close(together, alone, common.SAME, "among others k", at={"distance": d, "distances": distances})
    many = inputs.grid(kernel).repeat(1 + 5000 // (128 * kernel.taps))
    parts = torch.cat([kernel(part.clone()) for part in torch.split(many, 101)])
    expect_close(kernel(many.clone()), parts, common.SAME, f"among {len(many)} others k", at={"distance": many})
    expect_close(kernel(d.flip(0)).flip(0), together, common.SAME, "in reverse order k", at={"distances": distances})


@checks.add(
    *BASICS[:6],
    afresh=True,
    distances=inputs.distances,
    dtype=lambda _: st.sampled_from((torch.float32, torch.float64)),
)
def keeps_the_type(kernel: Kernel, distances: list[float], dtype: torch.dtype) -> None:
    """Weights have the dtype of the distances, whatever the default dtype is, and lie on the same device.

    Why:
        A table in float64 needs the formula in float64; a weight of whole numbers has no gradient at all. Constants in
        the default dtype have three digits where a network was loaded in bfloat16.
    How:
        float32 and float64 distances; the same weights under other default dtypes.
    Mend:
        Make constants with `distance.new_tensor(…)`, `torch.linspace(…, dtype=distance.dtype)` or plain numbers, 0 and
        1 as 0.0 and 1.0 in torch.where, and bring buffers along with `.to(distance)`.
    """
    d = inputs.tensor(kernel, distances).to(dtype)
    given = common.copied(kernel)(d)
    expect(given.dtype == dtype, given.dtype, dtype)
    expect(given.device == d.device, f"on {given.device}", f"on {d.device}")
    common.check_default_dtypes(kernel, d)


@checks.add(*BASICS[:7], distance=inputs.distance, seed=inputs.seed)
def float64_is_not_rounded(kernel: Kernel, distance: float, seed: int) -> None:
    """float64 distances and parameters Φ are not rounded to float32 on the way.

    Why:
        The result looks like float64 and is right to seven digits only; finite differences and gradcheck drown in it.
    How:
        The distance, one number of Φ or all of them are moved by 1e-9: the weight has to move by its slope times that.
    Mend:
        No `.float()`, no `dtype=torch.float32`, no NumPy float32 in the formula. Digits are lost by cancellation too:
        acos near 1, 1 − cos(x) and √(1 − x²) near 0.
    """
    d = inputs.tensor(kernel, [distance])
    moved = {"the distance": lambda steps: kernel(d + steps.to(d))}
    if inputs.has_phi(kernel):
        phi = inputs.parameters(kernel)
        entry = seed % len(phi)
        moved[f"Φ[{entry}]"] = inputs.along(kernel, torch.eye(len(phi)).to(phi)[entry], d)
        moved["all of Φ"] = inputs.along(kernel, inputs.uniform(seed, len(phi)).to(phi), d)
    not_rounded(moved)


@checks.add(*BASICS[:7], distance=inputs.special_distance)
def values_are_finite(kernel: Kernel, distance: float) -> None:
    """Every weight inside the radius is a finite number, at joints and whole distances too.

    Why:
        One NaN makes the whole image, and every gradient, NaN.
    How:
        Whole and half distances, the declared joints, places a hair away from all of these, and any others; in float32
        and float64.
    Mend:
        sin(x)/x at 0 is `torch.sinc(x / π)`; in general select the argument first and divide afterwards:
        `safe = torch.where(d == 0, 1.0, d); torch.where(d == 0, 1.0, f(safe))`.
    """
    d = inputs.tensor(kernel, [distance])
    for x in (d, d.float()):
        given = kernel(x)
        expect(bool(given.isfinite().all()), f"k = {float(given):g} in {x.dtype}", "a finite number")


@checks.add(*BASICS)
def float32_agrees_with_float64(kernel: Kernel) -> None:
    """In float32 the weights are those of float64, but for rounding.

    Why:
        Most images are float32.
    How:
        The same distances, on a fine grid, in both.
    Mend:
        No branch about the dtype; avoid differences of large, nearly equal numbers.
    """
    d = inputs.grid(kernel).float().double()
    expected = kernel(d)
    steep = (kernel(d + 1e-5) - kernel(d - 1e-5)).abs() > 1e-3
    found = torch.where(steep, expected, kernel(d.float()).double())
    expect_close(found, expected, 1e-4, "in float32 k", at={"distance": d})
