"""What a backend is tried with: generated calls, by points and by matrices, such as it does not refuse."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor, nn

from warpkit.geometry import lattice
from warpkit.kernels.base import Kernel
from warpkit.kernels.bicubic import Bicubic
from warpkit.kernels.bilinear import Bilinear
from warpkit.kernels.nearest import Nearest
from warpkit.precision import wide
from warpkit.sampling import operators
from warpkit.sampling.backend import Backend, refusal
from warpkit.sampling.boundary import PADDING_MODES, check_fill
from warpkit.sampling.problem import Problem
from warpkit.sampling.reference import Reference
from warpkit.sampling.sampler import Rule, resample
from warpkit.testing import inputs
from warpkit.testing.check import Broken, NotApplicable, expect, expect_close

REFERENCE = Reference()
MATRICES = ("affine", "projective")
DOORS = ("points", "shifts", *MATRICES)
# Of a value, relative to the largest. A backend computes in the image's type, float32 at least.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
_DEVICES = ("cpu", "cuda", "xpu", "mps")
_HORIZON = 0.05  # |w| of every output point: nearer, a coordinate's rounding is larger than the tolerance


class Lopsided(Kernel):
    """Not symmetric, and its weights do not sum to one."""

    radius = 1.5
    interpolating = partition_of_unity = False

    def forward(self, distance: Tensor) -> Tensor:
        """A slope and a bend."""
        return 0.4 + 0.3 * distance - 0.2 * distance**2


class Tent(Kernel):
    """Joints at −1.5, 0 and 1.5: two pieces."""

    radius = 1.5
    pieces = 2
    interpolating = partition_of_unity = False

    def forward(self, distance: Tensor) -> Tensor:
        """A triangle three pixels wide."""
        return (1 - distance.abs() / 1.5) / 1.5


class Learned(Kernel):
    """Keys' cubic convolution with a as a parameter."""

    radius = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(-0.6, dtype=torch.float64))

    def forward(self, distance: Tensor) -> Tensor:
        """Keys' two cubics."""
        d, a = distance.abs(), self.a
        near = ((a + 2) * d - (a + 3)) * d**2 + 1
        return torch.where(d < 1, near, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a)


SMOOTH: tuple[Kernel, ...] = (Bilinear(), Bicubic(), Lopsided())
STANDARD: tuple[Kernel, ...] = (Bilinear(), Bicubic(), Nearest())
EVERY: tuple[Kernel, ...] = (*STANDARD, Lopsided(), Tent(), Learned())
FILLS: tuple[Any, ...] = (0.0, -1.5, (0.5, -2.0, 7.0))


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
        """How the image is read."""
        # a number that the type does not hold is not meant here
        fill = torch.zeros(0, dtype=torch.float64) if self.fill == 0.0 else check_fill(self.fill)
        return Rule(self.kernels, self.padding, fill.to(self.device), self.aligned)

    def problem(self, image: Tensor, where: Tensor) -> Problem:
        """Sampling it there."""
        return self.rule().problem(image, where, self.door, image.shape[2:], self.out)

    def values(self) -> Tensor:
        """[N, C, *T], to be pushed."""
        return inputs.uniform(self.seed + 2, max(self.images, self.sets), self.channels, *self.out).to(
            self.device, self.dtype
        )

    def image(self) -> Tensor:
        """[N, C, *S]."""
        drawn = inputs.uniform(self.seed, self.images, self.channels, *self.size)
        drawn = drawn if self.dtype.is_floating_point else 100 * drawn
        return (drawn.abs() if self.dtype == torch.uint8 else drawn).to(self.dtype).to(self.device)

    def where(self) -> Tensor:
        """Points [B, *T, D] or matrices [B, D + 1, D + 1], in float64 where the device has it."""
        made = self._matrices() if self.door in MATRICES else self._points()
        if self.door == "shifts":
            made = made - lattice(self.out, align_corners=self.aligned, dtype=torch.float64)
        return made.to(self.device, wide(torch.device(self.device)))

    def _points(self) -> Tensor:
        """Normalised, in and around the image; in pixels a twentieth or more off every multiple of a quarter."""
        u = (inputs.uniform(self.seed + 1, self.sets, *self.out, len(self.size), 2) + 1) / 2
        n = torch.tensor(self.size[::-1], dtype=torch.float64)
        pixels = ((u[..., 0] * (n + 4)).mul(4).floor() + 0.2 + 0.6 * u[..., 1]) / 4 - 2.5
        return 2 * pixels / (n - 1).clamp(min=1) - 1 if self.aligned else (2 * pixels + 1) / n - 1

    def _matrices(self) -> Tensor:
        """Near the identity, and by no whole number of pixels; every other seed of a projective one has a horizon."""
        d = len(self.size)
        moved = inputs.uniform(self.seed + 1, self.sets, d + 1, d + 1)
        matrix = torch.eye(d + 1, dtype=torch.float64) + 0.13 * moved
        matrix[:, d, :d] = 0.0 if self.door == "affine" else moved[:, d, :d] * (1.5 if self.seed % 2 else 0.1)
        matrix[:, d, d] = 1.0
        return matrix

    def is_clear_of_the_horizon(self) -> bool:
        """Whether no point lies so near to it that rounding decides."""
        if self.door != "projective":
            return True
        axes = [((2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1).tolist() for n in self.out]
        if self.aligned:
            axes = [torch.linspace(-1, 1, n, dtype=torch.float64).tolist() if n > 1 else [0.0] for n in self.out]
        points = torch.tensor([[*reversed(p), 1.0] for p in itertools.product(*axes)], dtype=torch.float64)
        return bool(((self._matrices()[:, -1] @ points.T).abs() > _HORIZON).all())

    def sample(self, backend: Backend, image: Tensor, where: Tensor) -> Tensor:
        """What the backend gives for them."""
        return resample(image, where, self.door, self.out, self.rule(), backend)

    def push(self, backend: Backend, values: Tensor, where: Tensor) -> Tensor:
        """What becomes of values that are pushed to these places."""
        problem = self.rule().problem(values, where, self.door, self.size, self.out)
        return operators.push(backend, values, problem, self.images)

    def is_refused(self, backend: Backend) -> bool:
        """Whether the backend says that it cannot do this; a type that the device has not, counts too."""
        try:
            return self.refusal(backend) is not None
        except (RuntimeError, TypeError):
            return True

    def refusal(self, backend: Backend) -> str | None:
        """Why the backend cannot do this."""
        return refusal(backend, self.problem(self.image(), self.where()))


def simplest(backend: Backend) -> Case:
    """A call that the backend takes: two axes, bilinear, float64 and on the CPU, as far as these can be had."""
    sizes = ((4, 5), (5,), (3, 4, 5))
    devices = [d for d in _DEVICES if d == "cpu" or _is_there(d)]
    for device, size, dtype, kernel, mode in itertools.product(devices, sizes, TOLERANCES, EVERY, PADDING_MODES):
        d = len(size)
        case = Case(size=size, kernels=(kernel,) * d, padding=(mode,) * d, dtype=dtype, device=device)
        if not case.is_refused(backend):
            return case
    why = Case().refusal(backend)
    raise Broken(f"it refuses everything: it {why}", "some image that it samples")


def _is_there(device: str) -> bool:
    return bool(getattr(torch, device).is_available()) if device != "mps" else torch.backends.mps.is_available()


def cases(
    doors: Sequence[str] = DOORS,
    *,
    images: Sequence[int] = (1,),
    sets: Sequence[int] = (1,),
    channels: Sequence[int] = (2,),
    sizes: Iterable[tuple[int, ...]] = (),
    outs: Iterable[tuple[int, ...]] = (),
    axes: Sequence[int] = (1, 2, 3),
    kernels: Sequence[Kernel] = (),
    paddings: Sequence[str] = (),
    fills: Sequence[Any] = (0.0,),
    aligned: Sequence[bool] = (False,),
    dtypes: Sequence[torch.dtype] = (),
    mixed: bool = False,
) -> Callable[[Backend], st.SearchStrategy[Case]]:
    """A strategy for calls with such options, of those that the backend does not refuse.

    Unless given, sizes have one to five pixels along each axis, and kernel, padding and dtype are the simplest that the
    backend takes.
    `mixed`: kernels and paddings differ from axis to axis.
    """

    def strategy(backend: Backend) -> st.SearchStrategy[Case]:
        base = simplest(backend)
        one = len(base.size)

        def taken(name: str, options: Iterable[Any], **also: Any) -> list[Any]:
            """Those that it does not refuse, by themselves."""
            tried = [(o, dataclasses.replace(base, **{name: o}, **also)) for o in options]
            found = [o for o, case in tried if not case.is_refused(backend)]
            if not found:
                raise NotApplicable(f"it refuses this: {name}")
            return found

        chosen = {
            "kernel": [k for (k, *_) in taken("kernels", [(k,) * one for k in kernels or base.kernels[:1]])],
            "padding": [p for (p, *_) in taken("padding", [(p,) * one for p in paddings or base.padding[:1]])],
            "fill": taken("fill", fills, channels=3),
            "aligned": taken("aligned", aligned),
            "dtype": taken("dtype", dtypes or [base.dtype]),
        }
        every = [
            s for s in sizes or [(3,) * d for d in axes]
            if not _on_axes(base, s).is_refused(backend)
        ]  # fmt: skip
        if not every:
            raise NotApplicable("it refuses images of such sizes")
        return _cases(backend, base, doors, (images, sets, channels), (every, bool(sizes)), list(outs), chosen, mixed)

    return strategy


def _on_axes(base: Case, size: tuple[int, ...]) -> Case:
    d = len(size)
    return dataclasses.replace(base, size=size, kernels=base.kernels[:1] * d, padding=base.padding[:1] * d)


@st.composite
def _cases(
    draw: Any, backend: Backend, base: Case, doors: Sequence[str], counts: Any, sizes: Any, outs: list[Any],
    chosen: dict[str, list[Any]], mixed: bool,
) -> Case:  # fmt: skip
    given, is_fixed = sizes
    size = draw(st.sampled_from(given))
    d = len(size)
    if not is_fixed:
        size = tuple(draw(st.integers(1, 5)) for _ in range(d))
    door = draw(st.sampled_from(doors))
    if door == "points":
        out = draw(st.sampled_from(outs)) if outs else (draw(st.integers(0, 6)),)
    else:
        fitting = [o for o in outs if len(o) == d]
        out = draw(st.sampled_from(fitting)) if fitting else tuple(draw(st.integers(1, 4)) for _ in range(d))

    def along_axes(name: str) -> tuple[Any, ...]:
        one = st.sampled_from(chosen[name])
        return tuple(draw(one) for _ in range(d)) if mixed else (draw(one),) * d

    images, sets, channels = (draw(st.sampled_from(c)) for c in counts)
    fill = draw(st.sampled_from(chosen["fill"]))
    case = dataclasses.replace(
        base,
        door=door,
        images=images,
        sets=sets,
        channels=3 if isinstance(fill, tuple) else channels,
        size=size,
        out=out,
        kernels=along_axes("kernel"),
        padding=along_axes("padding"),
        fill=fill,
        aligned=draw(st.sampled_from(chosen["aligned"])),
        dtype=draw(st.sampled_from(chosen["dtype"])),
        seed=draw(inputs.seeds),
    )
    assume(images == sets or 1 in (images, sets))
    assume(case.is_clear_of_the_horizon() and not case.is_refused(backend))
    return case


def check_same(
    case: Case, backend: Backend, image: Tensor | None = None, where: Tensor | None = None, at: Any = None
) -> None:
    """`Broken` unless shape, type and values are the reference's; `at` where more than the case has to be told."""
    image, where = case.image() if image is None else image, case.where() if where is None else where
    found, expected = case.sample(backend, image, where), case.sample(REFERENCE, image, where)
    expect(found.dtype == image.dtype, f"a result in {found.dtype}", f"{image.dtype}, as the image")
    expect(found.device == image.device, f"a result on {found.device}", f"on {image.device}, as the image")
    rounded = 0.0 if where.dtype == torch.float64 else TOLERANCES[torch.float32]
    expect_close(found, expected, max(TOLERANCES.get(image.dtype, 1e-9), rounded), "a value", at)
