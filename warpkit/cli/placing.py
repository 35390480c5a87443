"""Where a photograph goes, in pixels and degrees as they are typed: a turn, a scale, a shift, or a matrix."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warpkit.cli.values import parse_numbers
from warpkit.errors import InputError, require, unknown

if TYPE_CHECKING:
    from torch import Tensor

    from warpkit.transforms.base import Transform

_FILES = (".npy", ".txt", ".csv")
CONVENTIONS = {
    "opencv": "input to output, as cv2.warpAffine and kornia take it",
    "inverse": "output to input, as scikit-image's warp, and OpenCV with WARP_INVERSE_MAP",
    "scipy": "output to input, rows first, as affine_transform",
    "pillow": "output to input, corners at whole numbers, as Image.transform",
}


@dataclass(frozen=True)
class Placing:
    """What the flags say; None where one is not given."""

    rotate: float | None = None
    scale: float | None = None
    shift: list[float] | None = None
    center: list[float] | None = None
    matrix: list[str] | None = None
    convention: str | None = None
    expand: bool = False
    ndim: int = 2

    def __post_init__(self) -> None:
        for flag, given in (("--shift", self.shift), ("--center", self.center)):
            expected = f"{self.ndim} numbers, {' '.join('xyz'[: self.ndim])} in pixels"
            require(given is None or len(given) == self.ndim, flag, expected=expected, given=given)
        require(self.rotate is None or self.ndim == 2, "--rotate turns images in 2-D: give --theta or --matrix")
        require(self.scale is None or self.scale > 0, "--scale", expected="a number above 0", given=self.scale)
        if self.convention not in (None, *CONVENTIONS):
            raise unknown("--convention", self.convention, CONVENTIONS)
        turned = (self.rotate, self.scale, self.shift, self.center)
        told = "--matrix says all: leave out --rotate, --scale, --shift and --center"
        require(self.matrix is None or all(flag is None for flag in turned), told)
        require(self.matrix is not None or self.convention is None, "--convention says whose --matrix it is: give one")
        whole = "--expand: the result holds the whole photograph wherever it is moved, so --shift would change nothing"
        require(self.shift is None or not self.expand, whole)

    @property
    def moves(self) -> bool:
        """Whether any flag says where the photograph goes."""
        return any(flag is not None for flag in (self.rotate, self.scale, self.shift, self.center, self.matrix))

    def theta(self, transform: "Transform", in_size: tuple[int, ...], size: tuple[int, ...], aligned: bool) -> "Tensor":
        """θ [P] of what the flags say, for an output of this size."""
        from warpkit.pixels import to_theta

        return to_theta(self._matrix(in_size), transform, in_size=in_size, out_size=size, align_corners=aligned)[0]

    def _matrix(self, in_size: tuple[int, ...]) -> "Tensor":
        """The matrix that takes input pixels to output pixels, [1, D + 1, D + 1]."""
        import torch

        from warpkit.pixels import affine

        if self.matrix is not None:
            return _in_opencv_s_words(_numbers(self.matrix, self.ndim), self.convention or "opencv", self.ndim)
        middle = [(n - 1) / 2 for n in reversed(in_size)]
        center = torch.tensor(self.center or middle, dtype=torch.float64)
        if self.ndim != 2:
            moved = torch.eye(self.ndim + 1, dtype=torch.float64)[None] * (self.scale or 1.0)
            shift = center.new_tensor(self.shift or [0.0] * self.ndim)
            moved[0, :, -1] = torch.cat([center * (1 - (self.scale or 1.0)) + shift, center.new_ones(1)])
            return moved
        # --rotate goes counter-clockwise, and `affine` does not.
        turn = -(self.rotate or 0.0)
        return affine(center, degrees=turn, translate=self.shift or (0.0, 0.0), scale=self.scale or 1.0)


def _numbers(given: list[str], ndim: int) -> list[float]:
    """Six or nine numbers, 12 or 16 in 3-D, as they are typed or from a file of NumPy's or of text."""
    import numpy as np

    if len(given) == 1 and Path(given[0]).suffix.lower() in _FILES:
        path = Path(given[0])
        try:
            held = (
                np.load(path, allow_pickle=False)
                if path.suffix == ".npy"
                else np.loadtxt(path, delimiter="," if path.suffix == ".csv" else None)
            )
            numbers = [float(x) for x in np.asarray(held, dtype=np.float64).ravel()]
        except (OSError, ValueError, TypeError, EOFError) as error:
            raise InputError(f"--matrix: {path} cannot be read: {error}") from None
    else:
        numbers = parse_numbers("--matrix", given)
    few, all_of = ndim * (ndim + 1), (ndim + 1) ** 2
    expected = f"{few} or {all_of} numbers, row by row"
    require(len(numbers) in (few, all_of), "--matrix", expected=expected, given=len(numbers))
    return numbers


def _in_opencv_s_words(numbers: list[float], convention: str, ndim: int) -> "Tensor":
    import torch

    last = [0.0] * ndim + [1.0]
    whole = [*numbers, *last][: (ndim + 1) ** 2]
    matrix = torch.tensor(whole, dtype=torch.float64).reshape(1, ndim + 1, ndim + 1)
    if convention == "scipy":
        turned = [*reversed(range(ndim)), ndim]
        matrix = matrix[:, turned][:, :, turned]
    if convention == "pillow":
        half = torch.eye(ndim + 1, dtype=torch.float64)
        half[:ndim, ndim] = 0.5
        matrix = torch.linalg.inv(half) @ matrix @ half
    if convention == "opencv":
        return matrix
    inverse: Tensor
    inverse, singular = torch.linalg.inv_ex(matrix)
    require(not bool(singular), "--matrix", expected="one that has an inverse", given=numbers)
    return inverse
