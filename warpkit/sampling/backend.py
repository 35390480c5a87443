"""What a backend is, which ones there are, and which one is used."""

import contextlib
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Shaped
from torch import Tensor

from warpkit import tracing
from warpkit.errors import InputError, quoted, require
from warpkit.quoting import reason, shown
from warpkit.registry import Registry
from warpkit.sampling.problem import Problem

# What the backends that read an image where it lies can sum up, in one place for both.
MOST_TAPS = 16
SUMMED = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.uint16, torch.int16,
    torch.int32,
)  # fmt: skip


class Plan(ABC):
    """A backend's preparations for images and points of one shape and type: see `Backend.plan`."""

    @abstractmethod
    def pull(self, image: Tensor, where: Tensor) -> Tensor:
        """As `Backend.pull`, for the problem of the plan with these points, or matrices."""

    @abstractmethod
    def gradients(
        self, grad: Tensor, image: Tensor, where: Tensor, wants: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """As `Backend.gradients`, for the problem of the plan."""


class Backend(ABC):
    """One way to compute eq. 3, `pull`, and its adjoint, `push`. It knows no transform, no kernel and no autograd.

    Both get a `Problem`: for each axis (`problem.axes`, in the order x, y, z) a number of pixels, a padding mode and a
    table of weights; and the pixel coordinates of every point (`problem.pixels()`). All derivatives are made of these
    two: the derivative of `pull` in the image is `push`, in a coordinate it is `pull` with a table that was
    differentiated (`problem.derivative(axis)`), and so on at every order.

    Image and points lie on one device, and their batches are equal or one of them is 1. Floating-point images come in
    float32 or float64 (halves as they are, where `reads_halves`), integers and complex numbers as they are, unless
    `refuses` says no; the result has the image's type.

    A tap's cell is i₀ = ⌊x − r⌋ + 1 for a pixel coordinate x and a kernel of radius r; among the pixels that are stored
    it is i₀ − `problem.begin`, subtracted once i₀ is a whole number, and there the boundary's rule holds. Where a
    kernel, or a table that was differentiated, jumps at a joint, what lies up to `problem.rounding(n)` to its left
    counts as on its right: i₀ = ⌊x − r + ε⌋ + 1. Coordinates that are finite are limited to ±2³⁰ pixels, where every
    index is outside, and have no slope there.

    `priority`: of the backends that do not refuse, the one with the highest is used. One that cannot be made, or fails
    when it is asked, is passed over.
    """

    priority: int = 0
    is_differentiable: bool = False
    """Whether `pull` and `push` are differentiable PyTorch, so that autograd goes through them."""

    reads_halves: bool = False
    """Whether `pull` takes float16 and bfloat16 images as they are; else they come in float32."""

    def refuses(self, problem: Problem) -> str | None:
        """Why this backend cannot do such work, as in "cuda: it ...", or None."""
        return None

    def describe(self) -> str:
        """What a bug report should tell of it, such as the instruction set; may be empty."""
        return ""

    @abstractmethod
    def pull(self, image: Shaped[Tensor, "N C *S"], problem: Problem) -> Shaped[Tensor, "NB C *target"]:
        """The image at the problem's points: the sum over all taps of pixel · weight, and `fill` outside (eq. 3).

        An axis whose table was differentiated (`order` above 0) has weights that sum to zero: `fill` counts
        `problem.total` less the weights of the taps inside. A point that is not finite, or beyond an axis padded by
        "none", gives `fill · problem.total`.
        """

    @abstractmethod
    def push(
        self, values: Shaped[Tensor, "NB C *target"], problem: Problem, images: int
    ) -> Shaped[Tensor, "images C *S"]:
        """The adjoint of `pull` in the image, without `fill`: each value is spread over the taps of its point (eq. 6).

        `images`: as many as there are values, or 1, which takes the values of all.
        """

    def gradients(
        self,
        grad: Shaped[Tensor, "NB C *target"],
        image: Shaped[Tensor, "N C *S"],
        problem: Problem,
        wants: tuple[bool, bool, bool],
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None] | None:
        """All first derivatives of `pull` in one pass: in the image, in `problem.where` and in `problem.table`.

        Optional, for speed: None where it has none, and then they are made of `pull` and `push`. In `where`, each image
        may have a gradient of its own although its points are shared.
        """
        return None

    def plan(self, image: Shaped[Tensor, "N C *S"], problem: Problem) -> Plan | None:
        """What serves all images and points of the same shapes and types as these, on the CPU and contiguous.

        Optional, for small images, whose preparations take longer than their pixels: None where nothing is gained.
        """
        return None


backends: Registry[Backend] = Registry("backend", Backend)  # type: ignore[type-abstract]
_CPU = torch.device("cpu")


class _Choice(threading.local):
    """What `use_backend` named in this thread. No ContextVar: torch.compile cannot read one."""

    def __init__(self) -> None:
        self.name: str | None = None


_choice = _Choice()


def not_in_place(problem: Problem) -> str | None:
    """Why an image cannot be read where it lies, by a table: it is of another type, or a kernel has too many taps."""
    if problem.stored not in SUMMED and not problem.copies:
        return f"copies {problem.stored} images by nearest, and samples them in no other way"
    most = problem.most_taps
    return f"takes up to {MOST_TAPS} taps, one of the kernels has {most}" if most > MOST_TAPS else None


@contextlib.contextmanager
def use_backend(name: Literal["native", "triton", "reference"] | str) -> Iterator[None]:
    """Context manager: whatever samples uses this backend in this thread, and raises `InputError` where it cannot.

    >>> with use_backend("reference"):
    ...     pass
    """
    backends.shared(name, _CPU)
    before, _choice.name = _choice.name, name
    try:
        yield
    finally:
        _choice.name = before


def named() -> str | None:
    """The backend that `use_backend` named in this thread."""
    return _choice.name


def choose(problem: Problem) -> tuple[str, Backend]:
    """The backend for this work, with its name: the one that was named, else the first that does not refuse."""
    asked = named()
    reason = None
    for name in (asked,) if asked else _ranked(backends.revision):
        backend = backends.shared(name, _CPU)
        reason = refusal(backend, problem)
        if reason is None:
            return name, backend
    raise InputError(f"backend {quoted(asked)} {reason}")


def refusal(backend: Backend, problem: Problem) -> str | None:
    """Why this backend cannot do this work, for reasons of its own or of all that are no differentiable PyTorch."""
    if not backend.is_differentiable:
        if problem.formulas:
            without = next(f.kernel for f in problem.formulas)
            return f"needs a table, and {type(without).__name__} has none for {problem.stored}"
        if tracing.function_transforms_active():
            return "has no forward mode and no vmap: function transforms are the reference backend's"
        if tracing.is_scripting():
            return "is not seen by torch.jit.trace, which records the reference backend's operators"
        if tracing.is_written_as_onnx():
            return "has operators of its own, which ONNX does not know: what is exported is the reference backend's"
        if problem.fill.requires_grad:
            return "has no gradient for fill"
    try:
        return backend.refuses(problem)
    except Exception as error:  # a stranger's
        return f"fails: {type(error).__name__}: {reason(error)}"


_rankings: dict[int, tuple[str, ...]] = {}  # no lru_cache: torch.compile looks behind one


@tracing.constant
def _ranked(revision: int) -> tuple[str, ...]:
    """The names of the backends that can be loaded, the highest priority first."""
    if revision not in _rankings:
        found: dict[str, int] = {}
        for name in backends.names():
            try:
                priority = backends.shared(name, _CPU).priority
                require(type(priority) is int, "priority", expected="a whole number", given=priority)
                found[name] = priority
            except Exception as error:  # a stranger's that is broken stops nobody
                what = shown(type(error).__name__)
                warnings.warn(f"backend {quoted(name)} is not used: {what}: {reason(error)}", stacklevel=2)
        _rankings.clear()
        _rankings[revision] = tuple(sorted(found, key=lambda name: -found[name]))
    return _rankings[revision]
