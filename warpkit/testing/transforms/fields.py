"""What a transform of fields has to be beside: of any lattice, in x, y, z, and exact where nothing moves."""

import torch
from torch import Tensor

from warpkit.errors import InputError
from warpkit.geometry import half_extent, lattice
from warpkit.testing import inputs
from warpkit.testing.check import Broken, Checks, NotApplicable, expect, expect_close
from warpkit.testing.flattened import Flattened
from warpkit.testing.transforms.contract import BASICS
from warpkit.transforms.base import Transform
from warpkit.transforms.field import FieldTransform
from warpkit.warping import warp

checks = Checks("transform")

_SIZES = ((5, 4, 3), (1, 1, 1), (1, 6, 2), (7, 2, 5))  # of fields, in 1-D the last number
_FINE = 32  # places along each axis of a smooth field


def _field(transform: Transform) -> FieldTransform:
    of = transform.of if isinstance(transform, Flattened) else transform
    if not isinstance(of, FieldTransform) or not of.is_field:
        raise NotApplicable("its θ is no field")
    return of


def _alike(of: FieldTransform, axis: int, size: tuple[int, ...], by: float = 0.25) -> Tensor:
    """A θ that is `by` along one axis at every place."""
    theta = torch.zeros(1, of.ndim, *size, dtype=torch.float64, device=inputs.device(of))
    theta[:, axis] = by
    return theta


@checks.add(*BASICS[:10])
def field_of_any_size(transform: Transform) -> None:
    """θ is a field of any lattice, of one place and of many, and identity(size) is such a field that moves nothing.

    Why:
        A network gives a coarse field for a large image, and another one for the next.
    How:
        Fields of several sizes, one place along an axis among them, for the same points.
    Mend:
        No size in an option, no reshape to one; padding by reflection needs more than one place: pad by "replicate".
    """
    of = _field(transform)
    points = inputs.scattered(of, 1, 5).to(torch.float64)
    for size in (sides[-of.ndim :] for sides in _SIZES):
        at = {"lattice": list(size)}
        try:
            given = of(0.1 * inputs.uniform(2, 2, of.ndim, *size).to(points), points)
        except Exception as error:
            raise Broken(f"{type(error).__name__}: {error}", "points", at=at) from error
        expect(given.shape == (2, 5, of.ndim), f"points {list(given.shape)}", f"points {[2, 5, of.ndim]}", at=at)
        expect(bool(given.isfinite().all()), "a point that is no number", "finite numbers", at=at)
        start = of.identity(size)
        expect(start.shape == (of.ndim, *size), f"identity(size) {list(start.shape)}", f"{[of.ndim, *size]}", at=at)
        expect_close(of(start.to(points)[None], points), points, 1e-6, "at identity(size) T", at=at)


@checks.add(*BASICS[:10], "identity", "field_of_any_size")
def field_zero_is_exact(transform: Transform) -> None:
    """A field of zeros gives the image back, bit for bit, whatever its lattice.

    Why:
        Pixels then lie on joints, where a last digit decides which of two slopes a gradient takes.
    How:
        Images in float32 with bilinear sampling, fields of the output's lattice and of others.
    Mend:
        `displacement` gives exactly 0 for zeros: no constant that is added, no difference of large numbers.
    """
    of = _field(transform)
    for sides in _SIZES:
        size = sides[-of.ndim :]
        image = inputs.uniform(3, 1, 1, *_SIZES[0][-of.ndim :]).to(inputs.device(of), torch.float32)
        theta = of.identity(size).to(image)[None]
        given = warp(image, of, theta, align_corners=of.align_corners)
        off = float((given - image).abs().max())
        expect(bool(torch.equal(given, image)), f"off by {off:.3g}", "the image", at={"lattice": list(size)})


@checks.add(*BASICS[:10], "field_of_any_size")
def field_components_are_x_y_z(transform: Transform) -> None:
    """The first component moves points along x, the second along y, the third along z.

    Why:
        Others keep their fields rows first; what is swapped still looks like a warp.
    How:
        A field that is the same at every place, of one component after the other.
    Mend:
        `theta.flip(1)` turns components that are listed z, y, x. A family that mixes them says so in its
        `expected_failures`.
    """
    of = _field(transform)
    points = 0.5 * inputs.scattered(of, 1, 5).to(torch.float64)
    for axis in range(of.ndim):
        there, still = (of(_alike(of, axis, _SIZES[0][-of.ndim :], by), points) for by in (0.25, 0.0))
        moved = there - still
        if float(moved.abs().max()) < 1e-9:
            raise NotApplicable("a field that is the same everywhere moves nothing")
        others = [i for i in range(of.ndim) if i != axis]
        at = {"component": "xyz"[axis]}
        expect_close(moved[..., others], torch.zeros_like(moved[..., others]), 1e-9, "along other axes it moves", at=at)


@checks.add(*BASICS[:10], "field_components_are_x_y_z")
def field_units_are_of_its_own_axis(transform: Transform) -> None:
    """What is the same everywhere moves points alike on every lattice; in pixels, by those of the axis it is along.

    Why:
        A field in pixels is divided by the wrong side's length without a word, as long as images are square.
    How:
        A field that is the same everywhere, on a lattice and on one that is twice as long along one axis.
    Mend:
        Sizes are rows first, components x first: `for n, u in zip(reversed(theta.shape[2:]), theta.unbind(1))`.
    """
    of = _field(transform)
    size = _SIZES[0][-of.ndim :]
    points = 0.5 * inputs.scattered(of, 1, 5).to(torch.float64)
    for along in range(of.ndim):
        longer = tuple(2 * n if of.ndim - 1 - i == along else n for i, n in enumerate(size))
        n = size[of.ndim - 1 - along]
        fewer = half_extent(n, of.align_corners) / half_extent(2 * n, of.align_corners)
        for axis in range(of.ndim):
            short, long = (of(_alike(of, axis, s), points) - points for s in (size, longer))
            if float((short - short[:, :1]).abs().max()) > 1e-9:
                raise NotApplicable("a field that is the same everywhere does not move everything alike")
            in_pixels = axis == along and float((long - fewer * short).abs().max()) < 1e-9
            at = {"component": "xyz"[axis], "longer along": "xyz"[along]}
            expect_close(fewer * short if in_pixels else long, fewer * short if in_pixels else short, 1e-9, "T − p", at)


@checks.add(*BASICS[:10], "field_of_any_size")
def field_inverse_undoes(transform: Transform) -> None:
    """transform(inverse(θ), transform(θ, p)) = p for a smooth field, to a twentieth of its lattice's pixel.

    Why:
        Landmarks of one image would be taken to a wrong place in the other.
    How:
        A field of slow waves on a fine lattice, both orders. An inverse that is itself a field is exact only in between
        its places as far as its kernel is.
    Mend:
        −θ undoes a velocity's flow, and not a displacement: leave `inverse` out, `inverse_points` finds it.
    """
    of = _field(transform)
    size = (_FINE,) * of.ndim
    places = lattice(size, align_corners=of.align_corners, dtype=torch.float64)
    ways = inputs.uniform(4, of.ndim, of.ndim).to(places)
    theta = 0.2 * torch.sin(2 * places @ ways + 0.5).movedim(-1, 0)[None].to(inputs.device(of))
    theta = theta * _FINE / 2 if getattr(of, "units", "") == "pixels" else theta
    try:
        back = of.inverse(theta)
    except InputError as error:
        raise NotApplicable("it has no inverse") from error
    points = 0.6 * inputs.scattered(of, 1, 20).to(theta)
    for first, second, order in ((theta, back, "T(inverse, T(θ, p))"), (back, theta, "T(θ, T(inverse, p))")):
        expect_close(of(second, of(first, points)), points, 0.05 * 2 / _FINE, order, at={"point": points})
