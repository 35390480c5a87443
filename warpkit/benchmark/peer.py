"""The interface of a peer: a way from an image and a matrix to pixels, in its own layout and convention."""

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from warpkit.benchmark.workloads import Workload

FORWARD, BOTH, POINTS = DIRECTIONS = ("forward", "forward+backward", "gradient of points")
_FLOAT = (torch.float32,)


class Peer(ABC):
    """One way to warp, or to sample at points. `kernels` maps our kernels' names to the peer's."""

    name: str
    module: str
    distributions: tuple[str, ...]
    kernels: dict[str, Any]
    dimensions: tuple[int, ...] = (2,)
    dtypes: tuple[torch.dtype, ...] = _FLOAT
    takes_matrices, takes_points = True, False
    has_gradients = True
    same_formula = True  # or it stands for another kernel, and is not compared
    coordinate_error = 0.0  # pixels, beyond what float32 coordinates lose
    leaves_edges = False  # whether an output pixel with a tap outside stays zero

    def lacks(self, workload: "Workload", kernel: str, direction: str) -> str | None:
        """The reason why the peer cannot do this work, or None."""
        axes = len(workload.shape) - 2
        if kernel not in self.kernels:
            return f"has no {kernel}"
        if axes not in self.dimensions or (axes == 3 and self.kernels[kernel] == "bicubic"):
            return f"has no {kernel} in {axes}-D"
        if workload.dtype not in self.dtypes:
            return f"takes no {workload.dtype}"
        if not (self.takes_points if workload.points else self.takes_matrices):
            return f"takes no {'points' if workload.points else 'matrices'}"
        if direction != FORWARD and not self.has_gradients:
            return "has no gradients"
        return None

    @cached_property
    def library(self) -> Any:
        """The peer's module, imported when it is first used."""
        return importlib.import_module(self.module)

    def installed(self) -> bool:
        """Whether the peer's module can be imported."""
        return importlib.util.find_spec(self.module) is not None

    def version(self) -> str:
        """The version of the distribution that brings the peer."""
        for name in self.distributions:
            try:
                return version(name)
            except PackageNotFoundError:
                continue
        return "unknown version"

    def image(self, image: Tensor) -> Any:
        """The image [N, C, *S] in the peer's own layout."""
        return image

    def where(self, theta: Tensor, size: tuple[int, ...]) -> Tensor:
        """The peer's own kind of matrix for θ [N, D, D + 1], differentiable."""
        return theta

    def points(self, points: Tensor, size: tuple[int, ...]) -> Any:
        """The peer's own kind of points for normalised ones [N, *T, D]; differentiable where the peer is."""
        return points

    @abstractmethod
    def forward(self, kernel: str) -> Callable[[Any, Any], Any]:
        """The function that is timed: it takes what `image` and `where` return, and returns the warped image."""

    def sampling(self, kernel: str) -> Callable[[Any, Any], Any]:
        """The same for a peer that takes points: it takes what `image` and `points` return."""
        raise NotImplementedError

    def result(self, given: Any) -> Tensor:
        """The output of `forward`'s function as a tensor [N, C, *S]."""
        tensor: Tensor = given
        return tensor


def in_pixels(theta: Tensor, size: tuple[int, ...]) -> Tensor:
    """The matrix [N, D + 1, D + 1] in float64 from output pixels to input pixels, S θ S⁻¹, for θ [N, D, D + 1].

    S takes normalised coordinates to pixels, ((x + 1) · n − 1) / 2 along each axis.
    """
    n = torch.tensor([*reversed(size), 1], dtype=torch.float64)
    scale = torch.diag(n / 2)
    scale[:-1, -1], scale[-1, -1] = (n[:-1] - 1) / 2, 1
    last = torch.eye(len(size) + 1, dtype=torch.float64)[-1:].expand(len(theta), 1, -1)
    inner: Tensor = torch.linalg.inv(scale)
    return scale @ torch.cat([theta.double(), last], 1) @ inner
