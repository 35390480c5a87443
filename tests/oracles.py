"""What is right, from other hands: the paper's eq. 3 as a literal sum, SciPy, and the names of its modes."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import scipy.ndimage

Weight = Callable[[float, int], float]  # k(x − m), given x and m


def nearest(x: float, m: int) -> float:
    """The weight of pixel m at coordinate x, by eq. 4."""
    return float(math.floor(x + 0.5) == m)


def bilinear(x: float, m: int) -> float:
    """The weight of pixel m at coordinate x, by eq. 5."""
    return max(0.0, 1 - abs(x - m))


def bicubic(x: float, m: int, a: float = -0.75) -> float:
    """The weight of pixel m at coordinate x, by Keys 1981, eq. 15."""
    d = abs(x - m)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


WEIGHTS: dict[str, Weight] = {"nearest": nearest, "bilinear": bilinear, "bicubic": bicubic}


def place(i: int, n: int, mode: str, align_corners: bool) -> int | None:
    """The pixel that tap `i` of an axis of `n` pixels reads; None: outside."""
    if mode == "wrap":
        return i % n
    if mode == "border":
        return min(max(i, 0), n - 1)
    if mode == "reflection" and n == 1:
        return 0
    while mode == "reflection" and not 0 <= i < n:  # bounce off one edge, then off the other
        low, high = (0, 2 * n - 2) if align_corners else (-1, 2 * n - 1)
        i = low - i if i < 0 else high - i
    return i if 0 <= i < n else None


def eq3(
    image: np.ndarray,
    pixels: np.ndarray,
    weights: Sequence[Weight],
    modes: Sequence[str],
    align_corners: bool,
    fill: float = 0.0,
    reach: int = 4,
) -> np.ndarray:
    """V[c, i] = Σ U[c, n, m] k_x(x_i − m) k_y(y_i − n): image [C, *S], pixels [M, D] (x, y, z) → [C, M]."""
    size = image.shape[1:]
    out = np.zeros((image.shape[0], len(pixels)))
    for j, point in enumerate(pixels):
        taps = [range(math.floor(x) - reach, math.floor(x) + reach + 1) for x in point]
        for index in itertools.product(*taps):
            weight = math.prod(k(x, m) for k, x, m in zip(weights, point, index, strict=True))
            if weight == 0:
                continue
            at = [place(m, n, mode, align_corners) for m, n, mode in zip(index, size[::-1], modes, strict=True)]
            out[:, j] += weight * (fill if None in at else image[(slice(None), *at[::-1])])
    return out


def scipy_sample(image: np.ndarray, pixels: np.ndarray, order: int, mode: str, align_corners: bool) -> np.ndarray:
    """`scipy.ndimage.map_coordinates` in the mode that design and manual name alike; shapes as in `eq3`."""
    reflection = "mirror" if align_corners else "reflect"
    name = {"zeros": "grid-constant", "border": "nearest", "reflection": reflection, "wrap": "grid-wrap"}[mode]
    rows_first = np.ascontiguousarray(pixels[:, ::-1].T)
    return np.stack([scipy.ndimage.map_coordinates(c, rows_first, order=order, mode=name) for c in image])
