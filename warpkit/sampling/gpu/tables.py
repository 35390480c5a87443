"""A problem's tables as kernels read them: in the type that is summed, on the device, with what is asked of them."""

import torch
from torch import Tensor

from warpkit.sampling.problem import Problem

_MOST = 256
# Of tables that stay as they are: by their address, device, type and layout. The first of each is what was packed.
_packed: dict[tuple[object, ...], tuple[Tensor, Tensor]] = {}


def packed(problem: Problem, number: torch.dtype) -> Tensor:
    """All coefficients, and behind them for each of x, y, z a flag, 0 or 1: whether the weights jump at a joint.

    It is made without waiting for the device. That of a kernel without parameters is kept.
    """
    table, device = problem.table.detach(), problem.where.device
    stays = not (problem.table.requires_grad or problem.table.is_inference())
    key = (id(problem.table), problem.kernels, device, number)
    if stays and key in _packed and _packed[key][0] is problem.table:
        return _packed[key][1]
    d = len(problem.size)
    flags: dict[tuple[int, ...], Tensor] = {}
    for a in range(d):
        kind = problem.kernels[6 * a : 6 * a + 6]
        if kind not in flags:
            flags[kind] = _jumps(problem.axes[a].kernel.coefficients.detach())  # type: ignore[union-attr]
    each = [flags[problem.kernels[6 * a : 6 * a + 6]] for a in range(d)]
    made = torch.cat([table, torch.stack(each).to(table)]).to(device, number)
    if stays and table.device.type == "cpu":
        if len(_packed) >= _MOST:
            _packed.clear()
        _packed[key] = problem.table, made
    return made


def _jumps(coefficients: Tensor) -> Tensor:
    """Whether a weight jumps where a tap passes from one cell, or piece of one, to the next."""
    begins, ends = coefficients[..., 0], coefficients.sum(-1)  # [pieces, taps]
    pad = torch.nn.functional.pad
    gaps = [(pad(ends[-1], (0, 1)) - pad(begins[0], (1, 0))).abs().amax()]
    if coefficients.shape[0] > 1:
        gaps.append((ends[:-1] - begins[1:]).abs().amax())
    return ~(torch.stack(gaps).amax() < 1e-9)
