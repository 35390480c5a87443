"""What a kernel is compiled for: all of a problem but its numbers and sizes. Another one is another compilation."""

from typing import NamedTuple

import torch

from warpkit.boundary import PADDING_MODES
from warpkit.precision import working
from warpkit.sampling.problem import KINDS, Problem

# Their numbers in the kernels, which compare words at compile time alone, and numbers are quicker to hash.
ZEROS, BORDER, REFLECTION, WRAP, NONE = range(5)
POINTS, SHIFTS, AFFINE, PROJECTIVE = range(4)
BLOCK = 1024  # the most points of a program: its last may lie so far beyond those that there are
assert PADDING_MODES == ("zeros", "border", "reflection", "wrap", "none")
assert KINDS == ("points", "shifts", "affine", "projective")


class How(NamedTuple):
    """Constants of a compilation. Tuples go x, y, z and always have three entries: an axis that is not there has one
    pixel and one tap of weight one. No property can be read in a kernel.
    """

    dims: int
    kind: int
    align: bool
    padding: tuple[int, ...]
    taps: tuple[int, ...]
    pieces: tuple[int, ...]
    width: tuple[int, ...]  # degree + 1
    start: tuple[int, ...]  # of the axis's table among all coefficients
    unity: tuple[bool, ...]
    order: tuple[int, ...]
    numbers: int  # coefficients; behind them the table has a flag for each axis: whether its weights jump
    eps: float  # ε, of one pixel
    long: bool  # indices need 64 bits
    zeros: bool  # taps outside are not read on some axis
    total: float  # the sum of all weights where every tap is read


def how_of(problem: Problem, elements: int) -> How:
    """The constants of a problem whose largest tensor spans that many elements."""
    d = len(problem.size)
    pieces, taps, degree, unity, order, start = (problem.kernels[k::6] for k in range(6))

    def three(given: tuple[int, ...], missing: int) -> tuple[int, ...]:
        return (*map(int, given), *[missing] * (3 - d))

    return How(
        dims=d,
        kind=KINDS.index(problem.kind),
        align=problem.align_corners,
        padding=three(tuple(map(PADDING_MODES.index, problem.padding)), BORDER),
        taps=three(taps, 1),
        pieces=three(pieces, 1),
        width=three(tuple(k + 1 for k in degree), 1),
        start=three(start, 0),
        unity=tuple(map(bool, three(unity, 1))),
        order=three(order, 0),
        numbers=problem.table.numel(),
        eps=2 * torch.finfo(working(problem.where.dtype)).eps,
        zeros="zeros" in problem.padding,
        total=problem.total,
        long=elements > 2**31 - BLOCK or max(*problem.size, *problem.extent) >= 2**29,
    )
