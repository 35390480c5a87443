"""What every transform has to be: a function of one θ and one point, for each image and each point by itself."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from warpkit.errors import InputError, quoted
from warpkit.testing import common, inputs
from warpkit.testing.check import Broken, Checks, expect, expect_close
from warpkit.transforms.base import Transform

checks = Checks("transform")
# Where one of these fails, what the others would say means nothing.
BASICS = (
    "sizes_are_stated",
    "one_point_for_each_point",
    "inputs_are_not_changed",
    "same_each_time",
    "each_image_alone",
    "each_point_alone",
    "one_lattice_for_all",
    "one_theta_for_all",
    "many_as_few",
    "keeps_the_type",
    "float64_is_not_rounded",
    "values_are_finite",
)
Rows = list[list[float]]


@checks.add()
def sizes_are_stated(transform: Transform) -> None:
    """`ndim` is 1, 2 or 3, `num_params` a whole number, and `param_names`, where given, has a name for each.

    Why:
        The sampler and the regression layer of a transformer are built from them.
    How:
        The attributes are read.
    Mend:
        Set them in the class, or in `__init__` where they depend on options.
    """
    ndim, count = getattr(transform, "ndim", None), getattr(transform, "num_params", None)
    expect(type(ndim) is int and ndim in (1, 2, 3), f"ndim = {quoted(ndim)}", "1, 2 or 3")
    expect(type(count) is int and count >= 0, f"num_params = {quoted(count)}", "a whole number from 0 on")
    names = tuple(transform.param_names)
    expect(
        len(names) == count, f"{len(names)} param_names for num_params = {count}", f"{count}", at={"param_names": names}
    )


@checks.add(*BASICS[:1], theta=inputs.thetas(2), count=lambda _: st.integers(1, 3))
def one_point_for_each_point(transform: Transform, theta: Rows, count: int) -> None:
    """transform(theta [N, P], points [N, M, D]) gives points [N, M, D], whatever N and M.

    Why:
        The sampler hands over lattices and lists of any length.
    How:
        Two θ and one, with one to three points each.
    Mend:
        Keep the first axis for the batch and the last for x, y, z: `x, y = points.unbind(-1)`, `theta[:, None, 0]`
        (one number for each image, for all its points), `torch.stack([…], dim=-1)`.
    """
    rows = [[0.1 * (i + 1) for _ in range(transform.ndim)] for i in range(count)]
    for n in (2, 1):
        t = inputs.tensor(transform, theta)[:n]
        p = inputs.tensor(transform, rows).reshape(1, count, transform.ndim).repeat(n, 1, 1)
        given = transform(t, p)
        at = {"theta": f"a tensor {list(t.shape)}", "points": f"a tensor {list(p.shape)}"}
        expect(isinstance(given, Tensor), type(given).__name__, "a tensor", at=at)
        expect(given.shape == p.shape, f"points {list(given.shape)}", f"points {list(p.shape)}", at=at)


@checks.add(*BASICS[:2], theta=inputs.thetas(2), points=inputs.points())
def inputs_are_not_changed(transform: Transform, theta: Rows, points: Rows) -> None:
    """forward() leaves θ and the points as they were.

    Why:
        The same lattice serves every batch: it would be another one from the second batch on.
    How:
        Both are compared with copies after the call.
    Mend:
        No function that ends in an underscore, no `points[…] = …`, no `theta *= …`: make new tensors.
    """
    t, p = inputs.batch(transform, theta, points)
    common.check_inputs_unchanged(transform.forward, theta=t, points=p)


@checks.add(*BASICS[:3], afresh=True, theta=inputs.thetas(2), points=inputs.points(), other=inputs.thetas(3))
def same_each_time(transform: Transform, theta: Rows, points: Rows, other: Rows) -> None:
    """The same θ and points give the same result, whatever was called before; no global state is read or moved.

    Why:
        Training is not repeatable otherwise, and what a cache kept of one batch would be used for the next.
    How:
        The call is repeated after others and under torch.no_grad(); earlier results, the global random state and the
        default dtype are compared afterwards.
    Mend:
        No random numbers, counters or running means; return new tensors, no buffer that is filled again.
    """
    common.check_repeats(transform, inputs.batch(transform, theta, points), inputs.batch(transform, other, points[:1]))


@checks.add(*BASICS[:4], theta=inputs.wide_thetas(3), points=inputs.points())
def each_image_alone(transform: Transform, theta: Rows, points: Rows) -> None:
    """Each entry of the batch gives what it gives alone, in any order.

    Why:
        A network's answer would depend on what else is in the batch, and gradients would go to the wrong image.
    How:
        Three θ with their points at once, each by itself, and all in reverse.
    Mend:
        No `theta[0]`, no mean, max or norm over the first axis; sums and norms need a `dim`.
    """
    t, p = inputs.batch(transform, theta, points)
    together = transform(t, p)
    alone = torch.cat([transform(t[n : n + 1], p[n : n + 1]) for n in range(3)])
    tolerance = common.SAME if inputs.is_near(transform, theta) else 1e-6  # far away rounding grows from step to step
    expect_close(together, alone, tolerance, "in a batch T", at={"theta": theta, "points": p})
    expect_close(transform(t.flip(0), p.flip(0)).flip(0), together, tolerance, "in reverse order T")


@checks.add(*BASICS[:4], theta=inputs.thetas(1), points=inputs.points(2, 5))
def each_point_alone(transform: Transform, theta: Rows, points: Rows) -> None:
    """Where a point goes depends on that point and θ alone, not on the other points, their number or their order.

    Why:
        A lattice of another size would be bent in another way, and a list of points in yet another.
    How:
        Several points at once, each by itself, and all in reverse.
    Mend:
        No mean, extent or norm of the points, no index into their axis, nothing that takes them for a lattice. What
        depends on the size of the image belongs into an option.
    """
    t, p = inputs.batch(transform, theta, points)
    together = transform(t, p)
    alone = torch.cat([transform(t, p[:, m : m + 1]) for m in range(p.shape[1])], dim=1)
    expect_close(together, alone, common.SAME, "among other points T", at={"theta": theta, "points": p})
    expect_close(transform(t, p.flip(1)).flip(1), together, common.SAME, "in reverse order T")


@checks.add(*BASICS[:5], theta=inputs.thetas(3), points=inputs.points())
def one_lattice_for_all(transform: Transform, theta: Rows, points: Rows) -> None:
    """Points [1, M, D] are shared by all θ [N, P].

    Why:
        One lattice serves a whole batch, and is stored once.
    How:
        Three θ with one set of points, beside each θ by itself.
    Mend:
        Write the formula so that it broadcasts: numbers of θ as [N, 1], coordinates as [1, M]; no
        `points.reshape(theta.shape[0], …)`, no loop over the batch of one of them.
    """
    t, p = inputs.tensor(transform, theta), inputs.tensor(transform, points)[None]
    alone = torch.cat([transform(t[n : n + 1], p) for n in range(len(t))])
    expect_close(transform(t, p), alone, common.SAME, "with one set of points T")


@checks.add(*BASICS[:5], theta=inputs.thetas(1), points=inputs.points())
def one_theta_for_all(transform: Transform, theta: Rows, points: Rows) -> None:
    """One θ [1, P] is shared by points [N, M, D].

    Why:
        The same warp for a whole batch, or for points that differ from image to image.
    How:
        One θ with three sets of points, beside each set by itself.
    Mend:
        Write the formula so that it broadcasts: numbers of θ as [1, 1], coordinates as [N, M].
    """
    t, p = inputs.batch(transform, theta * 3, points)
    alone = torch.cat([transform(t[:1], p[n : n + 1]) for n in range(3)])
    expect_close(transform(t[:1], p), alone, common.SAME, "with one θ T")


@checks.add(*BASICS[:7])
def many_as_few(transform: Transform) -> None:
    """Many images and thousands of points give what each of them gives alone.

    Why:
        Real batches have dozens of images, and lattices tens of thousands of points: what is cut into blocks, or kept
        for small work only, is not seen in small tests.
    How:
        Seven θ and five thousand points at once, beside each θ with the points by hundreds.
    Mend:
        No fixed number of images or points, no block without its last, shorter one.
    """
    begin = inputs.centre(transform).to(inputs.device(transform))
    theta = begin + 0.1 * inputs.uniform(1, 7, len(begin)).to(begin)
    points = inputs.scattered(transform, 2, 5000)
    together = transform(theta, points)
    few = list(torch.split(points, 500, dim=1))
    alone = torch.cat([torch.cat([transform(t[None], p) for p in few], dim=1) for t in theta])
    expect_close(together, alone, common.SAME, "among many T", at={"point": points.expand_as(alone)})


@checks.add(*BASICS[:9])
def empty_inputs(transform: Transform) -> None:
    """No image, or no point, gives an empty result.

    Why:
        The last batch of a data loader, or a list of landmarks, may be empty.
    How:
        No θ, and no points.
    Mend:
        No `reshape(n, -1, …)`, whose −1 is ambiguous when nothing is there, no `max` or `min` over points.
    """
    theta = inputs.centre(transform).to(inputs.device(transform))[None]
    points = torch.zeros(1, 2, transform.ndim).to(theta)
    for t, p, what in ((theta[:0], points[:0], "no θ"), (theta, points[:, :0], "no points")):
        given = transform(t, p)
        expect(given.shape == p.shape, f"shape {list(given.shape)} for {what}", f"shape {list(p.shape)}")


@checks.add(*BASICS[:9])
def theta_length_is_checked(transform: Transform) -> None:
    """A θ of another length is an InputError.

    Why:
        One number too many would be ignored, and one too few shared, without a word.
    How:
        θ with one number more and one fewer.
    Mend:
        Leave `__call__` to the base class, which checks, and define `forward`.
    """
    points = torch.zeros(1, 1, transform.ndim, dtype=torch.float64)
    for count in {max(transform.num_params - 1, 0), transform.num_params + 1} - {transform.num_params}:
        try:
            transform(torch.zeros(1, count, dtype=torch.float64), points)
        except InputError:
            continue
        except Exception as error:
            told = f"θ of length {count} raises {type(error).__name__}"
        else:
            told = f"θ of length {count} is taken"
        raise Broken(told, "an InputError", {"num_params": transform.num_params})
