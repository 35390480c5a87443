"""How images are stored: their layout in memory, and parts of larger ones, compared with the reference backend."""

import torch
from hypothesis import assume
from hypothesis import strategies as st

from warpkit.boundary import PADDING_MODES
from warpkit.sampling.backend import Backend, refusal
from warpkit.testing.backends.case import REFERENCE, TOLERANCES, Case, check_same
from warpkit.testing.backends.cases import DOORS, cases
from warpkit.testing.backends.kernels import SMOOTH
from warpkit.testing.check import Checks, expect_close

checks = Checks("backend")


@checks.add(
    "agrees_on_shared_batches",
    case=cases(axes=(2, 3), images=(2,), sets=(2,), channels=(3,), outs=[(4,), (2, 3)]),
    layout=lambda _: st.sampled_from(("channels last", "transposed", "expanded", "sliced")),
)
def agrees_on_layouts(backend: Backend, case: Case, layout: str) -> None:
    """Images, coordinates and matrices of any strides give the same values.

    Why:
        Networks run channels-last, and crops and flips are views.
    How:
        Channels-last, transposed, expanded and sliced tensors.
    Mend:
        Read strides, or call `.contiguous()` first.
    """
    image, where = case.image(), case.where()
    if layout == "channels last":
        image = image.to(memory_format=torch.channels_last if image.ndim == 4 else torch.channels_last_3d)
    elif layout == "transposed":
        image, where = image.mT.contiguous().mT, where.mT.contiguous().mT
    elif layout == "expanded":
        image, where = image[:1].expand_as(image), where[:1].expand_as(where)
    else:
        image, where = image.repeat_interleave(2, -1)[..., ::2], where.repeat_interleave(2, 1)[:, ::2]
    check_same(case, backend, image, where)


@checks.add(
    "agrees_on_padding",
    case=cases(DOORS[:3], kernels=SMOOTH, paddings=PADDING_MODES, aligned=(False, True)),
    begin=lambda _: st.integers(-2, 2),
)
def agrees_on_parts(backend: Backend, case: Case, begin: int) -> None:
    """A part of an output, sampled from a part of an image, has the reference's values; what is pushed too.

    Why:
        Arrays larger than memory are warped tile by tile, and no seam may show.
    How:
        Outputs that begin one pixel into a larger whole, images that begin up to two pixels beside their extent.
    Mend:
        −1 … 1 spans `extent` and `whole`; an output's index is counted from −`origin`, a tap's from `begin`, both in
        whole numbers. Or refuse (`refuses`) where `whole` is not `target`, or `extent` not the stored size.
    """
    image, where, d = case.image(), case.where(), len(case.size)
    problem = case.problem(image, where)._replace(extent=tuple(n + 2 for n in case.size), begin=(begin,) * d)
    if case.door != "points":
        problem = problem._replace(whole=tuple(n + 3 for n in case.out), origin=(1,) * d)
    assume(refusal(backend, problem) is None)
    close = TOLERANCES.get(case.dtype, 1e-9)
    expect_close(backend.pull(image, problem), REFERENCE.pull(image, problem), close, "a value")
    given = case.values(), problem, case.images
    expect_close(backend.push(*given), REFERENCE.push(*given), 10 * close, "a pushed value")
