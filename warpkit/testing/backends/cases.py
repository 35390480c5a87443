"""Generated calls of a backend, by points, by shifts and by matrices, of those that it does not refuse."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from hypothesis import assume
from hypothesis import strategies as st

from warpkit.boundary import PADDING_MODES
from warpkit.kernels.base import Kernel
from warpkit.sampling.backend import Backend
from warpkit.testing import inputs
from warpkit.testing.backends.case import MATRICES, TOLERANCES, Case
from warpkit.testing.backends.kernels import EVERY
from warpkit.testing.check import Broken, NotApplicable

DOORS = ("points", "shifts", *MATRICES)
FILLS: tuple[Any, ...] = (0.0, -1.5, (0.5, -2.0, 7.0))
_DEVICES = ("cpu", "cuda", "xpu", "mps")


def simplest(backend: Backend) -> Case:
    """The simplest call that the backend takes: in 2-D, bilinear, float64 and on the CPU, as far as it takes these."""
    sizes = ((4, 5), (5,), (3, 4, 5))
    devices = [d for d in _DEVICES if d == "cpu" or _is_there(d)]
    for device, size, dtype, kernel, mode in itertools.product(devices, sizes, TOLERANCES, EVERY, PADDING_MODES):
        d = len(size)
        case = Case(size=size, kernels=(kernel,) * d, padding=(mode,) * d, dtype=dtype, device=device)
        if not case.is_refused(backend):
            return case
    why = Case().refusal(backend)
    raise Broken(f"it refuses everything: it {why}", "some image that it samples")


def _is_there(device: str) -> bool:
    return bool(getattr(torch, device).is_available()) if device != "mps" else torch.backends.mps.is_available()


def cases(
    doors: Sequence[str] = DOORS,
    *,
    images: Sequence[int] = (1,),
    sets: Sequence[int] = (1,),
    channels: Sequence[int] = (2,),
    sizes: Iterable[tuple[int, ...]] = (),
    outs: Iterable[tuple[int, ...]] = (),
    axes: Sequence[int] = (1, 2, 3),
    kernels: Sequence[Kernel] = (),
    paddings: Sequence[str] = (),
    fills: Sequence[Any] = (0.0,),
    aligned: Sequence[bool] = (False,),
    dtypes: Sequence[torch.dtype] = (),
    mixed: bool = False,
) -> Callable[[Backend], st.SearchStrategy[Case]]:
    """A strategy for calls with such options that the backend does not refuse.

    Unless given, sizes have one to five pixels along each axis, and kernel, padding and dtype are the simplest that the
    backend takes.
    `mixed`: kernels and paddings differ from axis to axis.
    """

    def strategy(backend: Backend) -> st.SearchStrategy[Case]:
        base = simplest(backend)
        one = len(base.size)

        def taken(name: str, options: Iterable[Any], **also: Any) -> list[Any]:
            """The options that the backend does not refuse when nothing else is changed."""
            tried = [(o, dataclasses.replace(base, **{name: o}, **also)) for o in options]
            found = [o for o, case in tried if not case.is_refused(backend)]
            if not found:
                raise NotApplicable(f"it refuses this: {name}")
            return found

        chosen = {
            "kernel": [k for (k, *_) in taken("kernels", [(k,) * one for k in kernels or base.kernels[:1]])],
            "padding": [p for (p, *_) in taken("padding", [(p,) * one for p in paddings or base.padding[:1]])],
            "fill": taken("fill", fills, channels=3),
            "aligned": taken("aligned", aligned),
            "dtype": taken("dtype", dtypes or [base.dtype]),
        }
        every = [
            s for s in sizes or [(3,) * d for d in axes]
            if not _on_axes(base, s).is_refused(backend)
        ]  # fmt: skip
        if not every:
            raise NotApplicable("it refuses images of such sizes")
        return _cases(backend, base, doors, (images, sets, channels), (every, bool(sizes)), list(outs), chosen, mixed)

    return strategy


def _on_axes(base: Case, size: tuple[int, ...]) -> Case:
    d = len(size)
    return dataclasses.replace(base, size=size, kernels=base.kernels[:1] * d, padding=base.padding[:1] * d)


@st.composite
def _cases(
    draw: Any, backend: Backend, base: Case, doors: Sequence[str], counts: Any, sizes: Any, outs: list[Any],
    chosen: dict[str, list[Any]], mixed: bool,
) -> Case:  # fmt: skip
    given, is_fixed = sizes
    size = draw(st.sampled_from(given))
    d = len(size)
    if not is_fixed:
        size = tuple(draw(st.integers(1, 5)) for _ in range(d))
    door = draw(st.sampled_from(doors))
    if door == "points":
        out = draw(st.sampled_from(outs)) if outs else (draw(st.integers(0, 6)),)
    else:
        fitting = [o for o in outs if len(o) == d]
        out = draw(st.sampled_from(fitting)) if fitting else tuple(draw(st.integers(1, 4)) for _ in range(d))

    def along_axes(name: str) -> tuple[Any, ...]:
        one = st.sampled_from(chosen[name])
        return tuple(draw(one) for _ in range(d)) if mixed else (draw(one),) * d

    images, sets, channels = (draw(st.sampled_from(c)) for c in counts)
    fill = draw(st.sampled_from(chosen["fill"]))
    case = dataclasses.replace(
        base,
        door=door,
        images=images,
        sets=sets,
        channels=3 if isinstance(fill, tuple) else channels,
        size=size,
        out=out,
        kernels=along_axes("kernel"),
        padding=along_axes("padding"),
        fill=fill,
        aligned=draw(st.sampled_from(chosen["aligned"])),
        dtype=draw(st.sampled_from(chosen["dtype"])),
        seed=draw(inputs.seeds),
    )
    assume(images == sets or 1 in (images, sets))
    assume(case.is_clear_of_the_horizon() and not case.is_refused(backend))
    return case
