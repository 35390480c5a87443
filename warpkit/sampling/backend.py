"""What a backend is, which ones there are, and which one is used."""

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from warpkit.errors import InputError
from warpkit.kernels.base import Kernel
from warpkit.registry import Registry


class Rule(NamedTuple):
    """How an image is read between its pixels and beyond its edge. Tuples go x, y, z."""

    kernels: tuple[Kernel, ...]
    padding: tuple[str, ...]
    fill: float | Tensor  # or one for each channel
    align_corners: bool


class Backend(ABC):
    """One way to evaluate eq. 3. It knows neither transforms nor kernels: it gets coordinates, tables and a boundary
    rule.

    Image and coordinates lie on one device, and their batches are equal or 1. The result has the image's dtype, and a
    gradient in the image, the coordinates (or the matrix) and the kernels' parameters.
    """

    def refuses(self, image: Shaped[Tensor, "N C *S"], rule: Rule) -> str | None:
        """Why this backend cannot sample such an image, or None."""
        return None

    def describe(self) -> str:
        """What a bug report should tell of it, such as the instruction set; may be empty."""
        return ""

    @abstractmethod
    def sample_points(
        self, image: Shaped[Tensor, "N C *S"], coords: Float[Tensor, "B *T D"], rule: Rule
    ) -> Shaped[Tensor, "NB C *T"]:
        """The image at normalised coordinates."""

    @abstractmethod
    def sample_matrix(
        self,
        image: Shaped[Tensor, "N C *S"],
        matrix: Float[Tensor, "B E E"],
        is_affine: bool,
        size: tuple[int, ...],
        rule: Rule,
    ) -> Shaped[Tensor, "NB C *size"]:
        """The image where a matrix takes the lattice of an output of this size; no grid need be stored.

        The matrix is float64 where the device has it; `is_affine` promises that its last row is 0 … 0 1.
        """


backends: Registry[Backend] = Registry("backend", Backend)  # type: ignore[type-abstract]
_CPU = torch.device("cpu")
_ORDER = ("native", "reference")  # the first that does not refuse


class _Choice(threading.local):
    """What `use_backend` named in this thread. No ContextVar: torch.compile cannot read one."""

    def __init__(self) -> None:
        self.name: str | None = None


_choice = _Choice()


@contextlib.contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Context manager: `warp` and `sample` use this backend in this thread, and raise `InputError` where it cannot.

    >>> with use_backend("reference"):
    ...     pass
    """
    backends.shared(name, _CPU)
    before, _choice.name = _choice.name, name
    try:
        yield
    finally:
        _choice.name = before


def choose(image: Tensor, rule: Rule) -> Backend:
    """The backend for this work: the one that was named, else the first that does not refuse."""
    named = _choice.name
    reason = None
    for name in (named,) if named else _ORDER:
        backend = backends.shared(name, _CPU)
        reason = backend.refuses(image, rule)
        if reason is None:
            return backend
    raise InputError(f"backend {named!r} {reason}")
