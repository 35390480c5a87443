"""One call of a backend, as plain data: the image, where it is sampled, and how."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from warpkit.boundary import check_fill
from warpkit.geometry import lattice
from warpkit.kernels.base import Kernel
from warpkit.precision import wide
from warpkit.sampling import operators
from warpkit.sampling.backend import Backend, refusal
from warpkit.sampling.problem import Problem
from warpkit.sampling.reference import Reference
from warpkit.sampling.rule import Rule
from warpkit.sampling.sampler import resample
from warpkit.testing import inputs
from warpkit.testing.backends.kernels import STANDARD
from warpkit.testing.check import expect, expect_close

REFERENCE = Reference()
MATRICES = ("affine", "projective")
# Of a value, relative to the largest. A backend computes in the image's type, float32 at least.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
_HORIZON = 0.05  # |w| of every output point: nearer, a coordinate's rounding is larger than the tolerance


@dataclass(frozen=True)
class Case:
    """One call of a backend. `size` and `out` go rows first, `kernels` and `padding` x, y, z."""

    door: str = "points"
    images: int = 1
    sets: int = 1  # of points, or matrices
    channels: int = 1
    size: tuple[int, ...] = (4, 5)
    out: tuple[int, ...] = (3,)
    kernels: tuple[Kernel, ...] = (STANDARD[0],) * 2
    padding: tuple[str, ...] = ("zeros",) * 2
    fill: Any = 0.0  # or as many numbers as there are channels
    aligned: bool = False
    dtype: torch.dtype = torch.float64
    device: str = "cpu"
    seed: int = 0

    def __str__(self) -> str:
        where = {"points": "points", "shifts": "shifts of outputs"}.get(self.door, f"{self.door} matrices for outputs")
        return (
            f"{self.sets} × {where} {list(self.out)}, images {[self.images, self.channels, *self.size]} of {self.dtype}"
            f" (seed {self.seed}), {' '.join(type(k).__name__ for k in self.kernels)}, {' '.join(self.padding)},"
            f" fill {self.fill}, align_corners {self.aligned}"
        )

    def rule(self) -> Rule:
        """The kernels, paddings, fill and alignment by which the image is read."""
        # a number that the type does not hold is not meant here
        fill = torch.zeros(0, dtype=torch.float64) if self.fill == 0.0 else check_fill(self.fill)
        return Rule(self.kernels, self.padding, fill.to(self.device), self.aligned)

    def problem(self, image: Tensor, where: Tensor) -> Problem:
        """The problem that a backend gets: this image, sampled at `where`."""
        return self.rule().problem(image, where, self.door, image.shape[2:], self.out)

    def values(self) -> Tensor:
        """Values [N, C, *T] that are to be pushed to the places `where()`."""
        return inputs.uniform(self.seed + 2, max(self.images, self.sets), self.channels, *self.out).to(
            self.device, self.dtype
        )

    def image(self) -> Tensor:
        """The image [N, C, *S] that is sampled: random numbers, for integer types between −100 and 100."""
        drawn = inputs.uniform(self.seed, self.images, self.channels, *self.size)
        drawn = drawn if self.dtype.is_floating_point else 100 * drawn
        return (drawn.abs() if self.dtype == torch.uint8 else drawn).to(self.dtype).to(self.device)

    def where(self) -> Tensor:
        """Points [B, *T, D], shifts [B, *T, D] or matrices [B, D + 1, D + 1]; in float64 where the device has it."""
        made = self._matrices() if self.door in MATRICES else self._points()
        if self.door == "shifts":
            made = made - lattice(self.out, align_corners=self.aligned, dtype=torch.float64)
        return made.to(self.device, wide(torch.device(self.device)))

    def _points(self) -> Tensor:
        """Points in and around the image, each a twentieth of a pixel or more away from every quarter of a pixel."""
        u = (inputs.uniform(self.seed + 1, self.sets, *self.out, len(self.size), 2) + 1) / 2
        n = torch.tensor(self.size[::-1], dtype=torch.float64)
        pixels = ((u[..., 0] * (n + 4)).mul(4).floor() + 0.2 + 0.6 * u[..., 1]) / 4 - 2.5
        return 2 * pixels / (n - 1).clamp(min=1) - 1 if self.aligned else (2 * pixels + 1) / n - 1

    def _matrices(self) -> Tensor:
        """Matrices near the identity, off whole pixels; the projective ones of an odd seed have a horizon in view."""
        d = len(self.size)
        moved = inputs.uniform(self.seed + 1, self.sets, d + 1, d + 1)
        matrix = torch.eye(d + 1, dtype=torch.float64) + 0.13 * moved
        matrix[:, d, :d] = 0.0 if self.door == "affine" else moved[:, d, :d] * (1.5 if self.seed % 2 else 0.1)
        matrix[:, d, d] = 1.0
        return matrix

    def is_clear_of_the_horizon(self) -> bool:
        """Whether every output point is so far from the horizon that rounding cannot take it across."""
        if self.door != "projective":
            return True
        axes = [((2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1).tolist() for n in self.out]
        if self.aligned:
            axes = [torch.linspace(-1, 1, n, dtype=torch.float64).tolist() if n > 1 else [0.0] for n in self.out]
        points = torch.tensor([[*reversed(p), 1.0] for p in itertools.product(*axes)], dtype=torch.float64)
        return bool(((self._matrices()[:, -1] @ points.T).abs() > _HORIZON).all())

    def sample(self, backend: Backend, image: Tensor, where: Tensor) -> Tensor:
        """The image sampled at `where` by this backend, [N, C, *T]."""
        return resample(image, where, self.door, self.out, self.rule(), backend)

    def push(self, backend: Backend, values: Tensor, where: Tensor) -> Tensor:
        """The values pushed to `where` by this backend: [N, C, *S]."""
        problem = self.rule().problem(values, where, self.door, self.size, self.out)
        return operators.push(backend, values, problem, self.images)

    def is_refused(self, backend: Backend) -> bool:
        """Whether the backend refuses this call, or its device has no such type."""
        try:
            return self.refusal(backend) is not None
        except (RuntimeError, TypeError):
            return True

    def refusal(self, backend: Backend) -> str | None:
        """The backend's reason to refuse this call; None where it takes it."""
        return refusal(backend, self.problem(self.image(), self.where()))


def gradient_tolerance(dtype: torch.dtype) -> float:
    """The largest error that is allowed to a gradient in an image of this type, relative to the largest gradient."""
    return 1e-8 if dtype == torch.float64 else 1e-3


def check_same(
    case: Case, backend: Backend, image: Tensor | None = None, where: Tensor | None = None, at: Any = None
) -> None:
    """Raise `Broken` unless shape, type and values are the reference's."""
    image, where = case.image() if image is None else image, case.where() if where is None else where
    found, expected = case.sample(backend, image, where), case.sample(REFERENCE, image, where)
    expect(found.dtype == image.dtype, f"a result in {found.dtype}", f"{image.dtype}, as the image")
    expect(found.device == image.device, f"a result on {found.device}", f"on {image.device}, as the image")
    rounded = 0.0 if where.dtype == torch.float64 else TOLERANCES[torch.float32]
    expect_close(found, expected, max(TOLERANCES.get(image.dtype, 1e-9), rounded), "a value", at)


@contextlib.contextmanager
def deterministic(asked: bool) -> Iterator[None]:
    """Ask PyTorch for deterministic algorithms, or leave it as it is."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(asked or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
