"""What is allowed and hardly ever meant, told once: pixels for normalised coordinates, channels last.

Nothing of it may cost anything: only calls that are checked anyway are looked at, the first ones and ever fewer of the
later ones, a few hundred of their points, on the CPU, where nobody traces them.
"""

import sys
import warnings
from collections.abc import Sequence

from torch import Tensor

from warpkit import tracing

_FIRST = 16  # calls that are looked at; of later ones the 32nd, the 64th, …
_ALONG = 8  # of each axis of the points, about so many
_LEAST = 4  # points: fewer may well lie outside
_SHARE = 0.95  # of the points
_FAR = 2.0  # beyond it along an axis, a normalised point is far outside
_PIXELS = 2.0**14  # what is larger is no pixel of anybody's
CHANNELS = (1, 3, 4)  # as a last axis has them that is none of space
_LARGE, _RATIO = 16, 3  # as axes of pixels have: the least, and the largest of them for one of the smallest

_told: set[str] = set()
_calls = 0


def look_at_points(coords: Tensor) -> None:
    """Warn, once, where nearly all of these finite normalised points `[N, *T, D]` are what pixels would be."""
    global _calls
    if not (tracing.is_plain() and coords.is_cpu):  # before all else: a compiler would guard what it meets
        return
    _calls += 1
    if "points" in _told or (_calls > _FIRST and _calls & (_calls - 1)):
        return
    few = coords.detach()[tuple(slice(None, None, max(1, n // _ALONG)) for n in coords.shape[:-1])]
    finite = few.isfinite().all(-1)
    # Pixels have hardly a negative coordinate: what zooms out far, about the middle, has many.
    alike = ((few >= -1) & (few < _PIXELS)).all(-1) & (few > _FAR).any(-1)
    if int(finite.sum()) >= _LEAST and int(alike.sum()) >= _SHARE * int(finite.sum()):
        corners = "with align_corners=True 2 · x / (n − 1) − 1"
        _tell(
            "points",
            "coords: nearly all points lie far outside of −1 … 1, as pixels would. Coordinates are normalised: of the "
            f"pixel x of n it is (2 · x + 1) / n − 1, {corners}. This is said once.",
        )


def is_channels_last(shape: Sequence[int]) -> bool:
    """Whether it looks like `[*S, C]`: C is one of `CHANNELS`, all others are 16 at least and alike, below 3 to 1.

    Maps of features over time, as `[N, 32, 100, 4]`, have channels that are no such length.
    """
    return shape[-1] in CHANNELS and min(shape[:-1]) >= _LARGE and max(shape[:-1]) < _RATIO * min(shape[:-1])


def look_at_image(image: Tensor) -> None:
    """Warn, once, where an image `[N, C, *S]`, whose last axis is one of `CHANNELS`, looks like `[N, *S, C]`."""
    if tracing.is_plain() and "image" not in _told and is_channels_last(image.shape[1:]):
        shape, axes = list(image.shape), ", ".join("DHW"[2 - image.ndim :])
        right = [shape[0], shape[-1], *shape[1:-1]]
        _tell(
            "image",
            f"image: {shape} looks like [N, {axes}, C], with its channels last. It is read as [N, C, {axes}]: "
            f"image.movedim(-1, 1) is {right}. This is said once.",
        )


def _tell(kind: str, text: str) -> None:
    """Warn of it where our caller's caller, outside of this package, has called."""
    _told.add(kind)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "warpkit":
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)
