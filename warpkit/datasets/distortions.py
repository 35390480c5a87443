"""Distorted digits as in the paper's section 4.1, made with warpkit itself.

A distortion takes images [N, C, H, W] and a generator, and gives distorted ones, maybe on a larger canvas; the
generator alone decides how each is distorted.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from warpkit.errors import unknown
from warpkit.sampling.sampler import warp

Images = Float[Tensor, "N C H W"]
Placed = Float[Tensor, "N C rows columns"]
Distortion = Callable[[Tensor, Generator], Tensor]


def place(
    images: Images,
    angle: Float[Tensor, " N"],
    scale: Float[Tensor, " N"],
    centre: Float[Tensor, "N 2"],
    canvas: tuple[int, int],
) -> Placed:
    """Each image turned by `angle` (radians, clockwise as seen), scaled, and put with its middle at `centre`.

    `centre` is in the canvas's normalised coordinates x, y; `canvas` is (rows, columns) in pixels. A transformer maps
    the canvas to the image, so θ undoes what is wanted. With p on the canvas and q in the image, both normalised, and
    their sides in pixels:

        image_side · scale · R(angle) q = canvas_side · (p − centre)
        q = R(−angle) · canvas_side / scale · (p − centre) / image_side
    """
    cos, sin = angle.cos() / scale, angle.sin() / scale
    back = torch.stack([cos, sin, -sin, cos], 1).reshape(-1, 2, 2)  # R(−angle) / scale
    from_pixels = images.new_tensor([1 / images.shape[3], 1 / images.shape[2]])  # x, y
    matrix = from_pixels[:, None] * back * images.new_tensor([canvas[1], canvas[0]])
    theta = torch.cat([matrix, -matrix @ centre[:, :, None]], 2)
    return warp(images, "affine", theta.flatten(1), size=canvas)


def rotate(images: Images, generator: Generator) -> Images:
    """R: turned by an angle uniform in ±90°."""
    n = len(images)
    angle = _uniform(images, generator, -math.pi / 2, math.pi / 2)
    return place(images, angle, images.new_ones(n), images.new_zeros(n, 2), (images.shape[2], images.shape[3]))


def rotate_scale_translate(images: Images, generator: Generator) -> Placed:
    """RTS: turned by ±45°, scaled by 0.7 … 1.2 and placed on a canvas half as large again (28 → 42), all uniform.

    The place is such that the scaled image, before it is turned, lies wholly on the canvas.
    """
    canvas = (images.shape[2] * 3 // 2, images.shape[3] * 3 // 2)
    angle = _uniform(images, generator, -math.pi / 4, math.pi / 4)
    scale = _uniform(images, generator, 0.7, 1.2)
    room = torch.stack([1 - scale * images.shape[3] / canvas[1], 1 - scale * images.shape[2] / canvas[0]], 1)
    centre = room * torch.stack([_uniform(images, generator, -1.0, 1.0), _uniform(images, generator, -1.0, 1.0)], 1)
    return place(images, angle, scale, centre, canvas)


distortions: dict[str, Distortion] = {"r": rotate, "rts": rotate_scale_translate}


def get_distortion(name: str) -> Distortion:
    """The distortion of this name, "r" or "rts"; `InputError` for another."""
    if name not in distortions:
        raise unknown("distortion", name, distortions)
    return distortions[name]


def _uniform(images: Images, generator: Generator, low: float, high: float) -> Float[Tensor, " N"]:
    """One number for each image, drawn where the generator lives: the same on every device the images may be on."""
    drawn = torch.rand(len(images), generator=generator, device=generator.device)
    return (low + (high - low) * drawn).to(images)
