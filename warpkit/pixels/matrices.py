"""Matrices of pixels: turns, moves and cuts as other libraries say them."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.errors import require
from warpkit.geometry import check_size
from warpkit.pixels.given import ArrayLike, numbers, together, vectors
from warpkit.transforms.matrix import with_last_row


def rotation(center: ArrayLike, degrees: ArrayLike, scale: ArrayLike = 1.0) -> Float[Tensor, "N 3 3"]:
    """Turn the picture counter-clockwise about a point and scale it: the numbers of `cv2.getRotationMatrix2D`.

    Input pixels to output pixels, the first pixel's centre at 0, 0.

    Args:
        center: x, y of the point that stays, in pixels, or `[N, 2]`; the middle of an image is (W − 1) / 2,
            (H − 1) / 2.
        degrees: a number, or one for each image.
        scale: how many times as large the picture becomes; a number, or one for each image.

    Returns:
        `[N, 3, 3]`, differentiable in what are tensors; in float64 unless all of these are narrower.

    Raises:
        InputError: for other shapes, and batches that do not go together.

    >>> rotation((1.0, 1.0), 90).round(decimals=6).tolist()
    [[[0.0, 1.0, 0.0], [-1.0, 0.0, 2.0], [0.0, 0.0, 1.0]]]
    """
    center, degrees, scale = together(center=center, degrees=degrees, scale=scale)
    center, scale = vectors("center", center, 2), numbers("scale", scale)
    angle = torch.deg2rad(numbers("degrees", degrees))
    a, b = scale * angle.cos(), scale * angle.sin()
    return _about(center, torch.zeros_like(center), a, b, -b, a)


def affine(
    center: ArrayLike,
    *,
    degrees: ArrayLike = 0.0,
    translate: ArrayLike = (0.0, 0.0),
    scale: ArrayLike = 1.0,
    shear: ArrayLike = (0.0, 0.0),
) -> Float[Tensor, "N 3 3"]:
    """Turn clockwise, shear, scale and move, as `torchvision.transforms.functional.affine` moves the picture.

    Input pixels to output pixels, the first pixel's centre at 0, 0. (torchvision counts its `center` from the corner of
    that pixel: add half a pixel to ours to have its own.)

    Args:
        center: x, y of the point that turning, shearing and scaling leave where it is, in pixels, or `[N, 2]`.
        degrees: clockwise, other than in `rotation`; a number, or one for each image, as all that follow.
        translate: x, y in pixels, or `[N, 2]`.
        scale: how many times as large the picture becomes.
        shear: the angles in degrees along x and along y, or `[N, 2]`.

    Returns:
        `[N, 3, 3]`, differentiable in what are tensors; in float64 unless all of these are narrower.

    Raises:
        InputError: for other shapes, and batches that do not go together.

    >>> affine((1.0, 1.0), degrees=90, translate=(5, 0)).round(decimals=6).tolist()
    [[[0.0, -1.0, 7.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]
    """
    center, degrees, translate, scale, shear = together(
        center=center, degrees=degrees, translate=translate, scale=scale, shear=shear
    )
    center, translate = vectors("center", center, 2), vectors("translate", translate, 2)
    angle, scale = torch.deg2rad(numbers("degrees", degrees)), numbers("scale", scale)
    along_x, along_y = torch.deg2rad(vectors("shear", shear, 2)).unbind(-1)
    cos, sin = (angle - along_y).cos() / along_y.cos(), (angle - along_y).sin() / along_y.cos()
    a, b = scale * cos, scale * (-cos * along_x.tan() - angle.sin())
    c, d = scale * sin, scale * (-sin * along_x.tan() + angle.cos())
    return _about(center, translate, a, b, c, d)


def crop(box: ArrayLike, out_size: object) -> Float[Tensor, "N E E"]:
    """Cut a box out of the image and resize it to an output of `out_size`.

    Input pixels to output pixels, the first pixel's centre at 0, 0; the box is counted in the edges of pixels, so that
    0, 0, W, H is the whole image.

    Args:
        box: x0, y0, x1, y1 (x0, y0, z0, x1, y1, z1 in 3-D), or one for each image, `[N, 2·D]`.
        out_size: of the output, rows first.

    Returns:
        `[N, D + 1, D + 1]`, differentiable in the box.

    Raises:
        InputError: for another shape, a size that does not fit, and a box without extent.

    >>> crop((10, 20, 14, 28), out_size=(4, 2)).tolist()
    [[[0.5, 0.0, -5.25], [0.0, 0.5, -10.25], [0.0, 0.0, 1.0]]]
    """
    (boxes,) = together(box=box)
    d = boxes.shape[-1] // 2 if boxes.ndim else 0
    boxes = vectors("box", boxes, 2 * max(1, min(3, d)))
    low, high = boxes[:, :d], boxes[:, d:]
    nonzero = bool((high != low).all())
    require(nonzero, "box", expected="a box with an extent along each axis", given=boxes.tolist())
    size = check_size(out_size, d)
    scale = boxes.new_tensor(size[::-1]) / (high - low)
    # Edges count half a pixel more than centres do.
    shift = scale * (0.5 - low) - 0.5
    return with_last_row(torch.cat([torch.diag_embed(scale), shift[..., None]], dim=-1))


def _about(center: Tensor, translate: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Float[Tensor, "N 3 3"]:
    """The map of a, b, c, d about a centre, then the translation."""
    batches = {len(t) for t in (center, translate, a, b, c, d)} - {1}
    require(len(batches) <= 1, "batches", expected="one size, or 1", given=sorted(batches))
    (cx, cy), (tx, ty) = center.unbind(-1), translate.unbind(-1)
    entries = (a, b, cx - a * cx - b * cy + tx, c, d, cy - c * cx - d * cy + ty)
    n = max(map(len, entries))
    return with_last_row(torch.stack([entry.expand(n) for entry in entries], dim=-1).reshape(-1, 2, 3))
