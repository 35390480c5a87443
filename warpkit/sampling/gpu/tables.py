"""A problem's tables as kernels read them: in the type that is summed, on the device, with what is asked of them."""

import torch
from torch import Tensor

from warpkit.sampling.problem import Problem

_MOST = 256
_packed: dict[tuple[object, ...], Tensor] = {}  # of tables on the CPU: by their numbers, layout, device and type


def packed(problem: Problem, number: torch.dtype) -> Tensor:
    """All coefficients, and behind them for each of x, y, z a flag, 0 or 1: whether the weights jump at a joint.

    A table on the CPU waits for the device once. It is known again by its numbers: a compiled graph, and each
    derivative, makes a new tensor of them.
    """
    table, device = problem.table.detach(), problem.where.device
    if table.device.type != "cpu":
        return _made(problem, table).to(device, number)
    key = (table.numpy().tobytes(), table.dtype, problem.kernels, device, number)
    if key not in _packed:
        if len(_packed) >= _MOST:
            _packed.clear()
        _packed[key] = _made(problem, table).to(device, number)
    return _packed[key]


def _made(problem: Problem, table: Tensor) -> Tensor:
    flags: dict[tuple[int, ...], Tensor] = {}
    each = []
    for a, axis in enumerate(problem.axes):
        kind = problem.kernels[6 * a : 6 * a + 6]
        if kind not in flags:
            flags[kind] = _jumps(axis.kernel.coefficients.detach())  # type: ignore[union-attr]
        each.append(flags[kind])
    return torch.cat([table, torch.stack(each).to(table)])


def _jumps(coefficients: Tensor) -> Tensor:
    """Whether a weight jumps where a tap passes from one cell, or piece of one, to the next."""
    begins, ends = coefficients[..., 0], coefficients.sum(-1)  # [pieces, taps]
    pad = torch.nn.functional.pad
    gaps = [(pad(ends[-1], (0, 1)) - pad(begins[0], (1, 0))).abs().amax()]
    if coefficients.shape[0] > 1:
        gaps.append((ends[:-1] - begins[1:]).abs().amax())
    return ~(torch.stack(gaps).amax() < 1e-9)
