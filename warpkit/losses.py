"""What a learned or fitted warp is to keep small: roughness, folds, the way there and back; and how images differ.

Each is a number for each image, `[N]`, of any transform at any output size, counted in pixels of that output, and is
differentiable except where it says otherwise. With a velocity field as θ, `diffusion("displacement", theta, size)` is
that of the velocity itself.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from warpkit import tracing
from warpkit.component import as_number
from warpkit.errors import InputError, require
from warpkit.geometry import check_floats, check_size, half_extent
from warpkit.transforms.base import Transform, leaves, transforms
from warpkit.transforms.given import TransformLike, dimensions_of

__all__ = ["bending", "diffusion", "folding", "folding_hinge", "inverse_consistency", "ncc"]
Size = int | Sequence[int]
_POOLS = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)


def diffusion(transform: TransformLike, theta: Any, size: Size, *, align_corners: bool = False) -> Float[Tensor, " N"]:
    """How unlike its neighbours each pixel is moved: the mean of |∂u/∂p|², u the displacement, by forward differences.

    Args:
        transform: a name, a table or a `Transform`.
        theta: as in `warp`.
        size: the output's, rows first, at least 2 along each axis.
        align_corners: as in `warp`.

    Returns:
        `[N]`, without a unit: the sum over axes of the mean of squared differences, over all components. 0 where all
        moves alike, d · (s − 1)² where it is scaled by s in d dimensions.

    Raises:
        InputError: for a θ or a size that does not fit.

    >>> zoom = torch.tensor([[1.5, 0, 0, 0, 1.5, 0]])
    >>> round(diffusion("affine", zoom, (8, 8)).item(), 4)
    0.5
    """
    u = _moved(transform, theta, size, align_corners, least=2)
    return torch.stack([_mean_square(u.diff(dim=a)) for a in range(1, u.ndim - 1)]).sum(0)


def bending(transform: TransformLike, theta: Any, size: Size, *, align_corners: bool = False) -> Float[Tensor, " N"]:
    """How bent it is: the mean of |∂²u/∂p²|² over all pairs of axes, by second differences, a pixel squared apart.

    Arguments and errors as in `diffusion`, with a size of at least 3. 0 for everything affine.

    >>> bending("affine", torch.tensor([[1.5, 0, 0, 0, 1.5, 0]]), (8, 8)).item() < 1e-10
    True
    """
    u = _moved(transform, theta, size, align_corners, least=3)
    axes = range(1, u.ndim - 1)
    straight = [_mean_square(u.diff(n=2, dim=a)) for a in axes]
    mixed = [2 * _mean_square(u.diff(dim=a).diff(dim=b)) for a, b in itertools.combinations(axes, 2)]
    return torch.stack([*straight, *mixed]).sum(0)


@torch.no_grad()
def folding(transform: TransformLike, theta: Any, size: Size, *, align_corners: bool = False) -> Float[Tensor, " N"]:
    """The share of folded cells, 0 … 1; it has no gradient (`folding_hinge` has).

    A cell has output pixels as its corners. It is folded where the triangle of any corner and its two neighbours is
    flat or turned over; in 3-D any of the eight such tetrahedra, or of the two that a cube has in its middle. One that
    goes nowhere counts as folded, and a mirrored image is folded everywhere. Arguments and errors as in `diffusion`.

    Y. Liu et al., "On finite difference Jacobian computation in deformable image registration", IJCV 132, 2024.

    >>> folding("affine", torch.tensor([[-1.0, 0, 0, 0, 1, 0]]), (8, 8)).item()
    1.0
    """
    u = _moved(transform, theta, size, align_corners, least=2)
    found, known = _simplices(u)
    unfolded = functools.reduce(torch.logical_and, [simplex > 0 for simplex in found], known)
    return (~unfolded).to(u.dtype).flatten(1).mean(1)


def folding_hinge(
    transform: TransformLike, theta: Any, size: Size, *, margin: float = 0.0, align_corners: bool = False
) -> Float[Tensor, " N"]:
    """How far cells are folded: the mean of max(0, margin − det) over the triangles, or tetrahedra, of `folding`.

    det is the area (volume) of each, 1 where nothing moves. `margin`: below which a loss begins; above 0 it keeps cells
    from being pressed flat. What goes nowhere has no say. Arguments and errors as in `diffusion`.
    """
    margin = as_number(margin)
    right = isinstance(margin, int | float) and abs(margin) < float("inf")
    require(right, "margin", expected="a finite number", given=margin)
    u = _moved(transform, theta, size, align_corners, least=2)
    found, known = _simplices(u)
    folded = torch.stack([torch.relu(margin - simplex) for simplex in found]).mean(0)
    return (folded * known).flatten(1).sum(1) / known.flatten(1).sum(1)  # of none at all a NaN: nothing is known


def inverse_consistency(
    transform: TransformLike, theta: Any, back: TransformLike, theta_back: Any, size: Size, *,
    align_corners: bool = False,
) -> Float[Tensor, " N"]:  # fmt: skip
    """How far from where it started each pixel is after going there and back: the mean of |back(T(p)) − p|².

    In squared pixels of an output of this size. The way round that starts with `back` is another number: add both.

    Args:
        transform: T, a name, a table or a `Transform`.
        theta: as in `warp`.
        back: what is to undo T.
        theta_back: its θ.
        size: as in `diffusion`.
        align_corners: see `warp`.

    Raises:
        InputError: for a θ or a size that does not fit.
    """
    first, theta, size = _mapping(transform, theta, size, align_corners)
    second, theta_back, _ = _mapping(back, theta_back, size, align_corners)
    with tracing.no_autocast(leaves(theta)[0].device):
        there = first.shifts(theta, size, align_corners)
        return _mean_square(_in_pixels(second.further(theta_back, there, align_corners), size, align_corners))


def ncc(a: Tensor, b: Tensor, window: int | None = 9) -> Float[Tensor, " N"]:
    """1 − the correlation of two images, in windows: 0 where they agree but for brightness and contrast, up to 2.

    Args:
        a: `[N, C, *S]`, floating-point, one to three axes in S.
        b: the same, or of a batch of 1.
        window: pixels along each axis of the windows, which lie inside the image, one around each pixel that has one;
            of an image that is smaller, the whole of it. None: one window, the image.

    Returns:
        `[N]`: the mean over windows and channels. Where either image is flat there is nothing to compare, and no say;
        0 where that is everywhere. NaN for an image with a pixel that is not finite.

    Raises:
        InputError: for other shapes, types and windows.
    """
    for name, image in (("a", a), ("b", b)):
        check_floats(name, image)
        right = 3 <= image.ndim <= 5 and 0 not in image.shape[1:]
        require(right, name, expected="[N, C, *S] with one to three axes in S", given=list(image.shape))
    fits = a.shape[1:] == b.shape[1:] and (a.shape[0] == b.shape[0] or 1 in (a.shape[0], b.shape[0]))
    require(fits, "b", expected=f"an image of the shape of a, {list(a.shape)}", given=list(b.shape))
    right = window is None or (type(window) is int and window > 1)
    require(right, "window", expected="a whole number above 1, or None", given=window)
    dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    with tracing.no_autocast(a.device):
        # What all have in common would take digits from the differences of means below.
        a, b = (x.to(dtype) - x.to(dtype).flatten(2).mean(2).reshape(*x.shape[:2], *[1] * (x.ndim - 2)) for x in (a, b))
        mean_a, mean_b = _windowed(a, window), _windowed(b, window)
        var_a, var_b = _windowed(a * a, window) - mean_a**2, _windowed(b * b, window) - mean_b**2
        both = _windowed(a * b, window) - mean_a * mean_b
        seen = _varies(var_a, a) & _varies(var_b, b)
        length = torch.where(seen, var_a * var_b, 1.0).sqrt()
        unlike = torch.where(seen, 1 - both / length, 0.0).flatten(1)
        mean = unlike.sum(1) / seen.expand(unlike.shape[0], *seen.shape[1:]).flatten(1).sum(1).clamp(min=1)
        known = a.isfinite().flatten(1).all(1) & b.isfinite().flatten(1).all(1)
        return torch.where(known, mean, torch.nan)


def _moved(transform: TransformLike, theta: Any, size: Any, align_corners: bool, least: int) -> Tensor:
    """Where each pixel is sampled from less where it lies, in pixels, [N, *size, D]."""
    mapping, theta, size = _mapping(transform, theta, size, align_corners)
    require(min(size) >= least, "size", expected=f"at least {least} pixels along each axis", given=list(size))
    with tracing.no_autocast(leaves(theta)[0].device):
        return _in_pixels(mapping.shifts(theta, size, align_corners), size, align_corners)


def _mapping(
    transform: TransformLike, theta: Any, size: Any, align_corners: bool
) -> tuple[Transform, Any, tuple[int, ...]]:
    """The transform, its θ and the output's size."""
    size = check_size(size, dimensions_of(transform, theta, size))
    device = next((t.device for t in leaves(theta) if isinstance(t, Tensor)), torch.device("cpu"))
    mapping = transforms.shared(transform, device, ndim=len(size), align_corners=align_corners)
    if mapping.ndim != len(size):
        raise InputError("size", expected=f"{mapping.ndim} axes, as {type(mapping).__name__} has", given=list(size))
    return mapping, mapping.as_theta(theta), size


def _in_pixels(shifts: Tensor, size: tuple[int, ...], align_corners: bool) -> Tensor:
    return shifts * shifts.new_tensor([half_extent(n, align_corners) for n in reversed(size)])


def _mean_square(vectors: Float[Tensor, "N *T D"]) -> Float[Tensor, " N"]:
    """The mean of squared lengths over those that are finite; NaN where none is, which is not perfect but unknown."""
    finite = vectors.isfinite().all(-1, keepdim=True)
    squares = torch.where(finite, vectors, 0.0).square().flatten(1).sum(1)  # a NaN would pass on a gradient of 0 · NaN
    return squares / finite.flatten(1).sum(1)


def _simplices(u: Float[Tensor, "N *size D"]) -> tuple[list[Float[Tensor, "N *cells"]], Bool[Tensor, "N *cells"]]:
    """The determinants of each cell's corner triangles (tetrahedra), and in 3-D of the two in its middle.

    Also whether all of a cell's corners go somewhere.
    """
    d = u.shape[-1]
    places = torch.meshgrid(*(torch.arange(n, device=u.device) for n in u.shape[1:-1]), indexing="ij")
    finite = u.isfinite().all(-1, keepdim=True)
    at = torch.where(finite, u, 0.0) + torch.stack(places[::-1], -1)

    def corner(bits: Sequence[int], chosen: Tensor = at) -> Tensor:  # of each cell; x first
        for axis, bit in enumerate(reversed(bits), 1):
            chosen = chosen.narrow(axis, bit, u.shape[axis] - 1)
        return chosen

    found = []
    for bits in itertools.product((0, 1), repeat=d):
        here = corner(bits)
        edges = []
        for axis in range(d):
            other = [1 - bit if axis == i else bit for i, bit in enumerate(bits)]
            sign = 1 - 2 * bits[axis]
            edges.append(sign * (corner(other) - here))
        found.append(_determinant(edges))
    if d == 3:
        for first in (0, 1):
            # Every other corner of the cube; 2 is what the determinant is where nothing moves.
            a, b, c, e = (corner(bits) for bits in itertools.product((0, 1), repeat=3) if sum(bits) % 2 == first)
            volume = _determinant([b - a, c - a, e - a]) / 2
            found.append(-volume if first else volume)
    each = itertools.product((0, 1), repeat=d)
    return found, functools.reduce(torch.logical_and, (corner(bits, finite)[..., 0] for bits in each))


def _determinant(edges: Sequence[Float[Tensor, "*S D"]]) -> Float[Tensor, "*S"]:
    if len(edges) == 1:
        return edges[0][..., 0]
    if len(edges) == 2:
        (ax, ay), (bx, by) = (edge.unbind(-1) for edge in edges)
        return ax * by - ay * bx
    volume: Tensor = (edges[0] * torch.linalg.cross(edges[1], edges[2])).sum(-1)
    return volume


def _windowed(image: Float[Tensor, "N C *S"], window: int | None) -> Float[Tensor, "N C *W"]:
    """The mean of each window, axis by axis."""
    d = image.ndim - 2
    for axis in range(d):
        n = image.shape[2 + axis]
        wide = [1] * d
        wide[axis] = n if window is None else min(window, n)
        image = _POOLS[d - 1](image, wide, stride=1)
    return image


def _varies(variance: Tensor, image: Tensor) -> Tensor:
    """Where a window is not flat, but for rounding."""
    size = image.detach().square().flatten(1).mean(1).reshape(-1, *[1] * (variance.ndim - 1))
    return variance.detach() > 64 * torch.finfo(variance.dtype).eps * size
