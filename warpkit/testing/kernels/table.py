"""The sampler's table of polynomials, compared with the formula that it was made from."""

import torch
from hypothesis import assume
from hypothesis import strategies as st

from warpkit.kernels.base import Kernel
from warpkit.kernels.table import Table
from warpkit.testing import inputs, joints
from warpkit.testing.check import Checks, Doubtful, NotApplicable, expect, expect_close
from warpkit.testing.differences import slope_after
from warpkit.testing.kernels.contract import BASICS

checks = Checks("kernel")

_ACCURACY = {torch.float32: 3e-6, torch.float64: 1e-11}
_SHIFT = 1e-9  # to the right: at a jump the weights are those of the right side


@checks.add(*BASICS, fraction=inputs.fraction, phi=inputs.phi, dtype=lambda _: st.sampled_from(tuple(_ACCURACY)))
def table_agrees_with_formula(kernel: Kernel, fraction: float, phi: int, dtype: torch.dtype) -> None:
    """The table of polynomials gives the formula's weights, to the precision of the data type.

    Why:
        The sampler reads the table. A formula without one is evaluated itself, point by point: slowly, and by the
        reference backend alone.
    How:
        The weights of all taps at generated fractions of a pixel, by the table and by the formula.
    Mend:
        `pieces`, if the formula has joints between the table's. A formula that is not smooth between its joints (√d, a
        very narrow peak) has no table; it works all the same.
    """
    moved = inputs.at_phi(kernel, phi)
    table = moved.table(dtype)
    if table is None and dtype == torch.float32 and not joints.unnamed(kernel):
        raise Doubtful("no polynomial of degree 15 a piece carries the formula: it is sampled without a table, slowly")
    if table is None:
        raise NotApplicable("it has no table")
    f = torch.tensor([fraction], dtype=torch.float64)
    distance = f[:, None] + moved.radius - 1 - torch.arange(moved.taps)
    smooth = (joints.extended(moved, distance + _SHIFT) - joints.extended(moved, distance - _SHIFT)).abs() < 1e-6
    assume(bool(smooth.all()))
    found = torch.stack(Table(table.detach().cpu(), unity=True).weights(f, 0.0), dim=1)
    expected = joints.extended(moved, distance)
    expect_close(
        found,
        expected,
        _ACCURACY[dtype],
        f"by the table for {dtype} k",
        at={"distance": distance, "fraction": fraction},
    )


@checks.add(*BASICS, "table_agrees_with_formula")
def table_at_joints(kernel: Kernel) -> None:
    """Where a piece begins, the table's weights and slopes are the formula's limits from the right.

    Why:
        An identity warp lies on joints: what the table says there is where training starts.
    How:
        The table's value and derivative at the start of each piece, beside the formula's values and forward
        differences just behind it.
    Mend:
        Leave `table` to the framework, or give right-hand limits.
    """
    table = kernel.table(torch.float64)
    if table is None:
        raise NotApplicable("it has no table")
    pieces, taps, width = table.shape
    expect(
        (pieces, taps) == (kernel.pieces, kernel.taps),
        f"a table {list(table.shape)}",
        f"[{kernel.pieces}, {kernel.taps}, K]",
    )
    start = torch.arange(pieces, dtype=torch.float64)[:, None] / pieces
    distance = start + kernel.radius - 1 - torch.arange(taps)
    expect_close(
        table[..., 0].cpu(),
        joints.extended(kernel, distance + 1e-10),
        1e-6,
        "k by the table",
        at={"distance": distance},
    )
    slopes = table[..., 1].cpu() * pieces if width > 1 else torch.zeros(pieces, taps, dtype=torch.float64)
    expected = slope_after(lambda steps: torch.stack([joints.extended(kernel, distance + h) for h in steps]))
    expect_close(slopes, expected, 1e-3, "dk/dd by the table", at={"distance": distance})
