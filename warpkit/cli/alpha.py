"""Photographs with alpha, warped so that what is transparent gives no colour to what is seen."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from warpkit.cli.photo import Photo
    from warpkit.transforms.base import Transform


def warp_pixels(photo: "Photo", transform: "Transform", theta: "Tensor", fill: list[float], **how: Any) -> "Tensor":
    """The pixels [C, H, W], warped to [C, *size] of the same type.

    With alpha, colours are multiplied by it before they are sampled and divided by it afterwards: the colour of a
    transparent pixel means nothing, is often black, and at full weight would put a dark seam around what is seen.
    """
    import torch

    from warpkit.warping import warp as warp_image

    pixels = photo.pixels[None]
    if not photo.has_alpha:
        return warp_image(pixels, transform, theta, fill=fill, **how)[0]
    full = torch.iinfo(pixels.dtype).max
    outside = _times_alpha(torch.tensor(fill).reshape(1, -1, 1, 1) / full)
    warped = warp_image(_times_alpha(pixels.float() / full), transform, theta, fill=outside.flatten().tolist(), **how)
    alpha = warped[:, -1:]  # a kernel that overshoots takes it above 1, and the colours with it
    colour = torch.where(alpha > 0, warped[:, :-1] / alpha, 0.0)
    return (torch.cat([colour, alpha], 1) * full).round().clamp(0, full).to(pixels.dtype)[0]


def _times_alpha(pixels: "Tensor") -> "Tensor":
    import torch

    return torch.cat([pixels[:, :-1] * pixels[:, -1:], pixels[:, -1:]], 1)
