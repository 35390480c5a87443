"""The Triton backend: pull, push and all first derivatives on a GPU, for any kernel that has a table.

NOTE: how an image is sampled on a GPU, file by file.

Triton compiles Python to a GPU's code when a kernel is first started, and nothing when warpkit is installed. What a
problem is but for numbers and sizes (dimensions, paddings, taps, degree, pieces) is a constant of a compilation:

    gpu/how.py       these constants.
    gpu/launch.py    tensors and a `Problem` → a kernel's arguments. Image, output and coordinates are read and written
                     by their strides: planes, channels last and views alike, without a copy.
    gpu/tables.py    the kernels' tables on the device.
    gpu/points.py    output index → pixel coordinates, in float64 for matrices; no grid is stored.
    gpu/taps.py      pixel coordinate → cell → taps: which pixels, what weights, what lies outside.
    gpu/pull.py      eq. 3, and eq. 4 for kernels that copy.
    gpu/push.py      eq. 6, by atomic additions.
    gpu/slopes.py    eq. 7, along all axes in one pass; gpu/weights.py: the gradient of the tables.
    gpu/gather.py    eq. 6 without atomic additions, by an affine matrix; gpu/cells.py: of any points, sorted.
    gpu/maps.py, gpu/derivatives.py, gpu/ordered.py start these kernels.

A program takes a block of output points and a block of channels: coordinates and weights are computed once for all of
its channels. Nothing is read or written but under a mask: a tap outside, a dead point (see `csrc/problem.h`) and what
is left of a last block are not touched.

With TRITON_INTERPRET=1 in the environment Triton runs the same kernels on the CPU, with NumPy: slow, and the way in
which they are tested where there is no GPU.
"""

import importlib
import importlib.util
import warnings
from typing import Any

from jaxtyping import Float, Shaped
from torch import Tensor

from warpkit import tracing
from warpkit.quoting import reason
from warpkit.sampling.backend import Backend, not_in_place
from warpkit.sampling.gpu import INTERPRETED
from warpkit.sampling.problem import Problem

_is_there = importlib.util.find_spec("triton") is not None


class Triton(Backend):
    """Kernels in Triton, on NVIDIA's and AMD's GPUs, for any kernel with a table of up to 16 taps.

    It is chosen by itself for images on a GPU where Triton can be imported, and on the CPU never: there Triton's
    interpreter serves those who name it, with TRITON_INTERPRET=1 in the environment.
    """

    reads_halves = True

    def __init__(self) -> None:
        # Below the reference, which refuses nothing: an interpreter is used where it is asked for.
        self.priority = -1 if INTERPRETED else 20

    def refuses(self, problem: Problem) -> str | None:
        """Why this is another backend's work: no Triton, no GPU, another type, or too many taps."""
        device = problem.where.device
        if not _is_there:
            _tell(device.type)
            return "needs Triton, which comes with PyTorch for CUDA and ROCm: pip install triton"
        if device.type == "cpu" and not INTERPRETED:
            return (
                "samples on a GPU, the image is on the CPU: TRITON_INTERPRET=1 in the environment runs it there, slowly"
            )
        if device.type not in ("cpu", "cuda"):
            return f"samples on CUDA and ROCm devices, the image is on {device}"
        if _damage():
            return f"cannot load Triton: {_damage()}"
        if problem.copies and problem.stored.itemsize > 8:
            return f"copies numbers of up to 8 bytes, not {problem.stored}"
        return not_in_place(problem)

    def describe(self) -> str:
        """The version of Triton, and whether it is interpreted."""
        if not _is_there:
            return ""
        version = importlib.import_module("triton").__version__
        return f"Triton {version}" + (", interpreted on the CPU" if INTERPRETED else "")

    def pull(self, image: Shaped[Tensor, "N C *S"], problem: Problem) -> Shaped[Tensor, "NB C *target"]:
        """Eq. 3, a block of output points and channels at a time."""
        found: Tensor = _gpu("maps").pull(image, problem)
        return found

    def push(
        self, values: Float[Tensor, "NB C *target"], problem: Problem, images: int
    ) -> Float[Tensor, "images C *S"]:
        """Eq. 6, by atomic additions; in a fixed order where PyTorch is asked for deterministic algorithms."""
        found: Tensor = _gpu("maps").push(values, problem, images)
        return found

    def gradients(
        self,
        grad: Float[Tensor, "NB C *target"],
        image: Float[Tensor, "N C *S"],
        problem: Problem,
        wants: tuple[bool, bool, bool],
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Eq. 6 and eq. 7; what is not the image's gradient is the same each time, in whatever mode."""
        found: tuple[Tensor | None, Tensor | None, Tensor | None]
        found = _gpu("derivatives").gradients(grad, image, problem, wants)
        return found


_known: dict[str, str] = {}  # no functools.cache: torch.compile looks behind one


@tracing.constant
def _tell(device: str) -> None:
    """One notice to those whose GPU waits for Triton."""
    if device == "cuda" and "told" not in _known:
        _known["told"] = "warpkit's Triton backend needs Triton, which is not installed."
        warnings.warn(f"{_known['told']} Until then the slower reference backend serves images on a GPU.", stacklevel=2)


@tracing.constant
def _damage() -> str:
    """Why Triton cannot be loaded although it is installed; empty where it can."""
    if "damage" not in _known:
        try:
            importlib.import_module("warpkit.sampling.gpu.maps")
            _known["damage"] = ""
        except Exception as error:  # whatever a damaged installation, or one without a driver, does
            _known["damage"] = f"{type(error).__name__}: {reason(error)}"
    return _known["damage"]


def _gpu(module: str) -> Any:
    """A module with kernels, which is loaded when it is first needed: Triton takes its time."""
    return importlib.import_module(f"warpkit.sampling.gpu.{module}")
