"""From formula to table: between joints the weight of each tap is a polynomial in the fraction.

It is interpolated at Chebyshev nodes, which is linear in the formula's values: gradients reach Φ through it. The way
goes over Chebyshev coefficients, whose conversion to powers is exact integers; the powers' own linear system is so
ill-conditioned that it costs three digits.
"""

import functools
import math
import warnings
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit import tracing
from warpkit.component import edits_of
from warpkit.errors import InputError, require
from warpkit.kernels.base import Kernel
from warpkit.kernels.table import Table
from warpkit.precision import wide, working

TOLERANCE = {torch.float32: 1e-7, torch.float64: 1e-13}
MAX_DEGREE = 15
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
Numbers = tuple[tuple[tuple[float, ...], ...], ...]

# Per kernel and dtype: (state, degree, table). Beside the module, so that no copy, pickle or state_dict holds it.
_plans: weakref.WeakKeyDictionary[Kernel, dict[torch.dtype, tuple[Any, int | None, Numbers | None]]]
_plans = weakref.WeakKeyDictionary()


def table(kernel: Kernel, dtype: torch.dtype = torch.float32) -> Float[Tensor, "pieces taps K"] | None:
    """The kernel's table as `Kernel.table` promises it: a copy, which the caller may change."""
    require(dtype in _FLOATS, "dtype", expected="a floating-point type", given=dtype)
    kept = fitted(kernel, working(dtype))
    return None if kept is None else kept.coefficients.clone()


def fitted(kernel: Kernel, dtype: torch.dtype) -> Table | None:
    """The table for numbers of this type. Without Φ it is shared: it must not be changed."""
    degree, numbers = plan(kernel, dtype)
    if degree is None:
        return None
    if numbers is None:
        coefficients = _exact(kernel, degree)
    else:
        coefficients = torch.tensor(numbers, dtype=torch.float64) if tracing.is_recording() else _as_tensor(numbers)
    return Table(coefficients, kernel.partition_of_unity)


def weighing(kernel: Kernel, dtype: torch.dtype) -> "Table | Formula":
    """The source of the weights for numbers of this type: the table, or the formula where no table carries it."""
    return fitted(kernel, dtype) or Formula(kernel)


class Formula(NamedTuple):
    """A kernel that no table carries, evaluated from its formula. Like a `Table`, but without derivatives."""

    kernel: Kernel

    @property
    def unity(self) -> bool:
        """Whether the weights sum to one."""
        return self.kernel.partition_of_unity

    @property
    def taps(self) -> int:
        """The number of pixels that the kernel touches along an axis."""
        return self.kernel.taps

    @property
    def pieces(self) -> int:
        """The number of parts into which the kernel cuts the fraction's range."""
        return self.kernel.pieces

    @property
    def order(self) -> int:
        """The number of times that it was differentiated, which is always 0."""
        return 0

    def weights(self, fraction: Float[Tensor, "*S"], eps: float) -> list[Float[Tensor, "*S"]]:
        """The weight of each tap at fractions 0 ≤ f < 1, in their dtype; at a joint, that of the piece to the right."""
        kernel = self.kernel
        # A hair inside the cell, so that the formula and its derivative are those of this cell.
        hair = 8 * kernel.radius * torch.finfo(fraction.dtype).eps
        inner = fraction + (fraction.clamp(hair, 1 - hair) - fraction).detach()
        return [kernel(inner + (kernel.radius - 1 - t)).to(fraction.dtype) for t in range(kernel.taps)]


@functools.lru_cache(maxsize=256)
def _as_tensor(numbers: Numbers) -> Float[Tensor, "pieces taps K"]:
    with tracing.constants():
        return torch.tensor(numbers, dtype=torch.float64)


def plan(kernel: Kernel, dtype: torch.dtype) -> tuple[int | None, Numbers | None]:
    """The degree that carries the formula and its derivative in each Φ (None where there is none), and the table.

    Without Φ the table is kept, as numbers. With Φ it is made at each use, and only the degree is kept.
    """
    # Read here, in what torch.compile sees, so that a graph does not outlive a change of the kernel's options.
    found: tuple[int | None, Numbers | None] = _plan(kernel, dtype, edits_of(kernel), torch.compiler.is_compiling())
    return found


@tracing.constant
def _plan(kernel: Kernel, dtype: torch.dtype, edits: Any, compiling: bool) -> tuple[int | None, Numbers | None]:
    known = _plans.setdefault(kernel, {})
    learns = False
    state: tuple[Any, ...] = (edits,)
    if kernel._parameters or kernel._buffers or kernel._modules:  # else there is nothing to look for
        learns = any(True for _ in kernel.parameters())
        # What cannot be checked, or moves on after a trace, is evaluated from the formula: right for every Φ.
        if (compiling and learns) or any(map(tracing.is_traced, tracing.tensors(kernel))):
            return None, None
        state = (edits, *(t.tolist() for t in tracing.tensors(kernel)))
    if dtype not in known or known[dtype][0] != state:
        with tracing.constants():
            before = known[dtype][1] if dtype in known else 0
            degree = _degree(kernel, dtype, first=MAX_DEGREE if before is None else before)
            numbers = None if degree is None or learns else _tuples(_exact(kernel, degree).tolist())
        known[dtype] = (state, degree, numbers)
    return known[dtype][1:]


def _exact(kernel: Kernel, degree: int) -> Float[Tensor, "pieces taps K"]:
    values = _values(kernel, _nodes(degree))  # [pieces, nodes, taps]
    coefficients = _powers_through(values, degree).transpose(1, 2)
    # Rounding is taken back where the number that was meant is plain. At a joint (u = 0) an interpolating kernel's
    # weights are 0 and 1 to the last bit, so that an identity warp changes nothing.
    start, rest = coefficients[..., :1], coefficients[..., 1:]
    return torch.cat([_snapped(start, 1.0, within=1e-12), _snapped(rest, 2.0**-10, within=1e-14)], dim=-1)


def _snapped(values: Float[Tensor, "*S"], unit: float, within: float) -> Float[Tensor, "*S"]:
    """The values, of which those within `within` of a multiple of `unit` become it."""
    change = (values / unit).round() * unit - values
    return values + torch.where(change.abs() < within, change, 0.0).detach()


def _degree(kernel: Kernel, dtype: torch.dtype, first: int) -> int | None:
    """A degree within the tolerance: `first` if it is, else the lowest; None where there is none."""
    probes = [(i + 0.5) / 61 for i in range(61)] + [1e-7, 1 - 1e-7]
    truth = _with_derivatives(kernel, probes)
    scale = truth.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-30)
    u = torch.tensor(probes, dtype=torch.float64)
    degrees: list[int] = [first, *range(MAX_DEGREE + 1)]
    for degree in degrees:
        fitted = _powers_through(_with_derivatives(kernel, _nodes(degree)), degree)
        powers = torch.stack([u**k for k in range(degree + 1)], dim=-1)
        error = ((powers @ fitted - truth).abs() / scale).max()
        if error < TOLERANCE[dtype]:
            return degree
        if degree == MAX_DEGREE:
            break
    warnings.warn(
        f"{type(kernel).__name__}: no polynomial of degree {MAX_DEGREE} a piece comes within {TOLERANCE[dtype]:.0e} of "
        f"the formula, so it is evaluated itself, which is slower. Has it joints that are no multiple of "
        f"1/{kernel.pieces} from -radius? `pieces` names them.",
        stacklevel=2,
    )
    return None


def _with_derivatives(kernel: Kernel, u: list[float]) -> Float[Tensor, "columns pieces u taps"]:
    """The weights and their derivative in each Φ, on the CPU."""
    values = _values(kernel, u)[None].double().cpu()
    phi = {name: p.detach().to(wide(p.device)) for name, p in kernel.named_parameters()}
    if not phi:
        return values
    slopes = _slopes(lambda phi: _values(kernel, u, phi), phi).double().cpu()
    return torch.cat([values, slopes]).detach()


def _slopes(function: Callable[[dict[str, Tensor]], Tensor], phi: dict[str, Tensor]) -> Tensor:
    """∂ of all that the function gives in each number of Φ: [numbers, *S].

    By reverse mode twice, since forward mode may be active already: what goes back is linear in the weights of the
    outputs, and the derivative of that in the weights goes forward. Numbers are few, outputs are thousands.
    """

    def back(weights: Tensor) -> Tensor:
        gradients = torch.func.vjp(function, phi)[1](weights)[0]
        return torch.cat([gradients[name].flatten() for name in phi])

    gradient, forth, *_ = torch.func.vjp(back, torch.zeros_like(function(phi)))
    each = torch.eye(len(gradient), dtype=gradient.dtype, device=gradient.device)
    return torch.stack([forth(one)[0] for one in each])


def _values(kernel: Kernel, u: list[float], phi: dict[str, Tensor] | None = None) -> Float[Tensor, "pieces u taps"]:
    """The weight k at each tap's distance, for every piece and each u inside it."""
    taps = torch.arange(kernel.taps)
    device = next((t.device for t in tracing.tensors(kernel)), torch.device("cpu"))
    dtype = wide(device)
    piece = torch.arange(kernel.pieces, dtype=dtype, device=device)
    fraction = (piece[:, None] + torch.tensor(u, dtype=dtype, device=device)) / kernel.pieces
    distance = fraction[..., None] + (kernel.radius - 1) - taps.to(device, dtype)
    values = kernel(distance) if phi is None else torch.func.functional_call(kernel, phi, (distance,))
    if not isinstance(values, Tensor) or values.shape != distance.shape:
        given = list(values.shape) if isinstance(values, Tensor) else values
        raise InputError(
            f"{type(kernel).__name__}", expected=f"a weight for each of {list(distance.shape)}", given=given
        )
    return values.to(dtype)


def _nodes(degree: int) -> list[float]:
    """The Chebyshev nodes of this degree in 0 … 1; all lie inside the piece."""
    return [(math.cos(math.pi * (2 * j + 1) / (2 * degree + 2)) + 1) / 2 for j in range(degree + 1)]


def _powers_through(values: Float[Tensor, "*B nodes taps"], degree: int) -> Float[Tensor, "*B K taps"]:
    """The coefficients, in ascending powers of u, of the polynomials through these values at the nodes."""
    n = degree + 1
    cosines = [[(1 + (k > 0)) / n * math.cos(math.pi * k * (2 * j + 1) / (2 * n)) for j in range(n)] for k in range(n)]
    chebyshev = values.new_tensor(cosines) @ values
    return values.new_tensor(_chebyshev_in_powers(degree)).T @ chebyshev


def _chebyshev_in_powers(degree: int) -> list[list[float]]:
    """T_k(2u − 1) in ascending powers of u, row k, by T_k+1 = 2 (2u − 1) T_k − T_k−1: exact integers."""
    rows = [[1], [-1, 2]]
    while len(rows) <= degree:
        two, one = rows[-2] + [0, 0], rows[-1] + [0]
        rows.append([4 * below - 2 * here - before for below, here, before in zip([0, *one], one, two, strict=False)])
    return [[float(c) for c in row + [0] * (degree + 1 - len(row))] for row in rows[: degree + 1]]


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
