"""Checks the Triton backend on the GPU at hand, then measures it: python docs/tools/device.py --json FILE > TABLE.md

Agreement with the reference backend on the same device comes first, with gradients, halves and the deterministic way
back; nothing is measured where it fails. Then each cell is timed beside `grid_sample` (after `affine_grid` for
matrices; it has no lanczos, and no bicubic in 3-D) and beside a copy of the image. The most telling cells come first,
and after --minutes (4, agreement and all) the rest is left out. Compiling takes most of that time: all processors do it
before anything is timed, and a second run finds the kernels compiled. FILE is written again after each cell, and the
table is printed whatever stops the script.

Runs are timed many in a row, so that the GPU does not wait for Python between them. `host` is what Python takes to
start one: where it is as long as the run, no kernel can be quicker.

--quick tries everything with tiny sizes, on the CPU too: TRITON_INTERPRET=1 python docs/tools/device.py --quick
"""

import argparse
import concurrent.futures
import contextlib
import functools
import itertools
import json
import math
import multiprocessing
import os
import platform
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import warpkit as wk
from warpkit.boundary import PaddingMode
from warpkit.files import written_whole
from warpkit.sampling.backend import choose
from warpkit.testing.backends.case import Case

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SIZES = {"1080p": (1080, 1920), "224²": (224, 224), "28²": (28, 28), "128³": (128, 128, 128)}
TINY = {"1080p": (6, 9), "224²": (5, 5), "28²": (3, 3), "128³": (3, 4, 3)}
BATCHES = {"1080p": 1, "224²": 16, "28²": 256, "128³": 1}
MOST = 6 * 2**30  # bytes of an image: larger cells are left out
BESIDE = 6e8  # bytes of an image up to which several processes have one each, and what they need for its gradients
PEERS = {2: ("bilinear", "bicubic"), 3: ("bilinear",)}  # what grid_sample has in that many dimensions
RUNS, LONG = 20, 0.1  # times that a row of runs is timed at most, and seconds after which it is not timed again
ROW, IN_ROW = 0.01, 100  # seconds that a row takes, about, and the most runs in it
Row = dict[str, object]


class Cell(NamedTuple):
    """One thing that is timed. `way`: forward, both (and all gradients), or coordinates (gradients in these)."""

    size: str
    channels: int
    kernel: str
    way: str
    where: str
    dtype: str


def cells() -> Iterator[Cell]:
    """All of them, the most telling first."""
    kernels, ways = ("bilinear", "bicubic", "lanczos"), ("forward", "both", "coordinates")
    for count, kernel, dtype, size in itertools.product((64, 3, 256, 1), kernels, ("float32", "float16"), SIZES):
        for way, where in itertools.product(ways, ("matrix", "points")):
            yield Cell(size, count, kernel, way, where, dtype)


class Inputs(NamedTuple):
    """The image, θ of a turn by 20°, and the points where it takes the output's pixels."""

    image: Tensor
    theta: Tensor
    points: Tensor


@functools.lru_cache(maxsize=1)
def inputs(size: tuple[int, ...], batch: int, channels: int, dtype: torch.dtype) -> Inputs:
    made = torch.Generator(DEVICE).manual_seed(0)
    image = torch.randn(batch, channels, *size, generator=made, device=DEVICE, dtype=dtype)
    d, c, s = len(size), math.cos(0.35), math.sin(0.35)
    matrix = torch.eye(d, d + 1)
    matrix[0, :2], matrix[1, :2] = torch.tensor([c, -s]), torch.tensor([s, c])
    matrix[:, -1] = 0.03
    theta = matrix.flatten()[None].repeat(batch, 1).to(DEVICE)
    points = wk.get_transform("affine", ndim=d)(theta, wk.lattice(size, device=DEVICE)[None])
    return Inputs(image, theta, points)


def ours(kernel: str, where: str, given: Inputs, padding: PaddingMode = "zeros") -> Tensor:
    if where == "matrix":
        return wk.warp(given.image, "affine", given.theta, kernel=kernel, padding_mode=padding)
    return wk.sample(given.image, given.points, kernel=kernel, padding_mode=padding)


def theirs(kernel: str, where: str, given: Inputs) -> Tensor:
    points = given.points
    if where == "matrix":
        d = given.image.ndim - 2
        points = torch.nn.functional.affine_grid(
            given.theta.reshape(-1, d, d + 1), list(given.image.shape), align_corners=False
        )
    return torch.nn.functional.grid_sample(
        given.image, points.to(given.image.dtype), mode=kernel, padding_mode="zeros", align_corners=False
    )


def step(call: Callable[[str, str, Inputs], Tensor], cell: Cell, given: Inputs) -> Callable[[], object]:
    """What is timed: the call and, unless it goes forward alone, its way back."""
    if cell.way == "forward":
        return lambda: call(cell.kernel, cell.where, given)
    image = given.image.detach().requires_grad_(cell.way == "both")
    theta, points = (x.detach().requires_grad_() for x in (given.theta, given.points))
    learning = Inputs(image, theta, points)
    wanted = [theta if cell.where == "matrix" else points, *([image] if cell.way == "both" else [])]
    grad = torch.ones_like(given.image)
    return lambda: torch.autograd.grad(call(cell.kernel, cell.where, learning), wanted, grad)


class Took(NamedTuple):
    """Seconds that a run takes, and those in which Python starts it."""

    run: float
    host: float


def timed(work: Callable[[], object], count: int) -> Took:
    """Each of `count` runs in a row."""
    start = time.perf_counter()
    if DEVICE.type != "cuda":
        for _ in range(count):
            work()
        each = (time.perf_counter() - start) / count
        return Took(each, each)
    begin, finish = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    for _ in range(count):
        work()
    finish.record()
    host = (time.perf_counter() - start) / count
    finish.synchronize()
    return Took(begin.elapsed_time(finish) / 1000 / count, host)


def seconds(work: Callable[[], object]) -> Took:
    """The medians of what comes after the first run, which compiles, and the second, which says how many make a row."""
    work()
    count = min(IN_ROW, max(1, int(ROW / timed(work, 1).run)))
    found: list[Took] = []
    end = time.perf_counter() + LONG
    while not found or (len(found) < RUNS and time.perf_counter() < end):
        found.append(timed(work, count))
    return Took(*map(statistics.median, zip(*found, strict=True)))


def processes() -> int:
    """As many as there are processors, and as the device has memory for; 1 on the CPU."""
    if DEVICE.type != "cuda":
        return 1
    return min(os.cpu_count() or 1, max(1, int(torch.cuda.get_device_properties(DEVICE).total_memory / 12 / BESIDE)))


def side_by_side(
    call: Callable[..., list[str]], each: Iterable[tuple[object, ...]], count: int, end: float
) -> list[str]:
    """All that is wrong, from processes that compile at the same time; what has not begun at `end` is left.

    One that writes where it should not stops no other. A single one is this one, and knows no end.
    """
    if count == 1:
        return [wrong for given in each for wrong in call(*given)]
    found: list[str] = []
    with concurrent.futures.ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(call, *given): given for given in each}
        for future, given in futures.items():
            try:
                found += future.result(max(0.0, end - time.monotonic()))
            except concurrent.futures.TimeoutError:
                pool.shutdown(cancel_futures=True)  # and waits for what has begun
                return [*found, f"{given}: not done in time"]
            except Exception as error:  # a process that died
                found.append(f"{given}: {type(error).__name__}: {error}")
    return found


def check(quick: bool, count: int, end: float) -> list[str]:
    """What is not chosen, does not agree with the reference backend, or is not the same twice where it has to be."""
    case = Case(device=DEVICE.type, dtype=torch.float32)
    if DEVICE.type == "cuda" and (chosen := choose(case.problem(case.image(), case.where()))[0]) != "triton":
        return [f"on a GPU {chosen} is chosen"]
    sizes = ((5, 6), (2, 3, 2)) if quick else ((40, 33), (9, 8, 7))
    each = itertools.product(sizes, ("bilinear", "lanczos"), ("matrix", "points"), ("zeros", "border"))
    given = [
        (size, kernel, where, padding)
        for size, kernel, where, padding in each
        if not (len(size) == 3 and kernel == "lanczos") and (where, padding) != ("matrix", "border")
    ]
    return side_by_side(checked, given, count, end)


def checked(size: tuple[int, ...], kernel: str, where: str, padding: PaddingMode) -> list[str]:
    found = []
    for dtype in (torch.float32, torch.float16):
        what = f"{where}, {kernel}, {padding}, {list(size)}, {dtype}"
        try:
            found += [f"{what}: {wrong}" for wrong in compared(size, kernel, where, padding, dtype)]
        except Exception as error:  # whatever a compiler or a driver says
            found.append(f"{what}: {type(error).__name__}: {error}")
    return found


def compared(size: tuple[int, ...], kernel: str, where: str, padding: PaddingMode, dtype: torch.dtype) -> Iterator[str]:
    given = inputs(size, 2, 5, dtype)
    if padding == "border":  # most look outside, so that a few cells get most of the points
        given = given._replace(points=6 * given.points)
    call = functools.partial(ours, padding=padding)
    cell = Cell(str(size), 5, kernel, "both", where, str(dtype))
    results = {}
    for name, fixed in (("reference", False), ("triton", False), ("fixed", True), ("again", True)):
        with wk.use_backend("reference" if name == "reference" else "triton"):
            torch.use_deterministic_algorithms(fixed)
            try:
                results[name] = [call(kernel, where, given), *step(call, cell, given)()]  # type: ignore[misc]
            finally:
                torch.use_deterministic_algorithms(False)
    close = 2e-4 if dtype == torch.float32 else 4e-3
    for name in ("triton", "fixed"):
        each = zip(("values", "gradient in place", "in image"), results[name], results["reference"], strict=True)
        for what, a, b in each:
            error = ((a.double() - b.double()).abs().max() / (1 + b.double().abs().max())).item()
            if not error < close:
                yield f"{name}: {what} differ by {error:.1e}"
    if not all(torch.equal(a, b) for a, b in zip(results["fixed"], results["again"], strict=True)):
        yield "not the same bits twice"


def compiled(cell: Cell) -> list[str]:
    """All kernels of a cell, on disk for whoever starts them next. What is wrong is told when it is measured."""
    given = inputs(SIZES[cell.size], BATCHES[cell.size], cell.channels, getattr(torch, cell.dtype))
    # The ways back of halves are those of float32.
    ways = (
        (("forward", False),) if cell.dtype == "float16" else (("both", False), ("both", True), ("coordinates", False))
    )
    with wk.use_backend("triton"), contextlib.suppress(Exception):
        for way, fixed in ways:
            torch.use_deterministic_algorithms(fixed)
            step(ours, cell._replace(way=way), given)()
    return []


def measure(cell: Cell, size: tuple[int, ...], batch: int) -> Row:
    row: Row = {**cell._asdict(), "batch": batch}
    try:
        given = inputs(size, batch, cell.channels, getattr(torch, cell.dtype))
        with wk.use_backend("triton"):
            row["warpkit"], row["host"] = seconds(step(ours, cell, given))
            if cell.way == "both":
                torch.use_deterministic_algorithms(True)
                row["deterministic"] = seconds(step(ours, cell, given)).run
        torch.use_deterministic_algorithms(False)
        if cell.kernel in PEERS[len(size)]:
            row["grid_sample"] = seconds(step(theirs, cell, given)).run
        row["copy"] = copied(size, batch, cell.channels, getattr(torch, cell.dtype))
    except Exception as error:  # of this cell: too little memory, or whatever a compiler says
        row["error"] = f"{type(error).__name__}: {error}".partition("\n")[0]
    finally:
        torch.use_deterministic_algorithms(False)
    return row


@functools.lru_cache(maxsize=1)
def copied(*of: Any) -> float:
    image = inputs(*of).image
    target = torch.empty_like(image)
    return seconds(lambda: target.copy_(image)).run


def ratio(row: Row, of: str, to: str) -> float | None:
    """How many times as long as `to` something took; None where one of them was not measured."""
    return float(row[of]) / float(row[to]) if of in row and to in row else None  # type: ignore[arg-type]


def missed(row: Row) -> list[str]:
    """The aims that a cell falls short of."""
    gain, fixed = ratio(row, "grid_sample", "warpkit"), ratio(row, "deterministic", "warpkit")
    copied = (row["channels"], row["kernel"], row["way"], row["where"]) == (64, "bilinear", "forward", "matrix")
    share = ratio(row, "copy", "warpkit") if copied else None
    aim = 4.0 if int(row["channels"]) >= 64 else 1.5  # type: ignore[call-overload]
    return [
        *([f"{gain:.1f} × grid_sample, {aim} wanted"] if gain is not None and gain < aim else []),
        *([f"deterministic takes {fixed:.1f} ×, 2 allowed"] if fixed is not None and fixed > 2 else []),
        *([f"{share:.0%} of a copy's bandwidth, 80% wanted"] if share is not None and share < 0.8 else []),
        *([str(row["error"])] if "error" in row else []),
    ]


def table(rows: list[Row]) -> str:
    """One line for each cell, in milliseconds; × is grid_sample's time over ours."""
    head = ["size", "batch", "channels", "kernel", "way", "where", "dtype"]
    columns = ["warpkit", "host", "deterministic", "grid_sample", "copy"]
    lines = ["| " + " | ".join([*head, *columns, "×", "missed"]) + " |", "|" + "---|" * (len(head) + len(columns) + 2)]
    for row in rows:
        times = [f"{1000 * float(row[c]):.3f}" if c in row else "" for c in columns]  # type: ignore[arg-type]
        gain = ratio(row, "grid_sample", "warpkit")
        each = [*(str(row[h]) for h in head), *times, "" if gain is None else f"{gain:.1f}", "; ".join(missed(row))]
        lines.append("| " + " | ".join(each) + " |")
    return "\n".join(lines)


def held(cell: Cell, sizes: dict[str, tuple[int, ...]], batch: int) -> int:
    """Bytes of a cell's image."""
    dtype: torch.dtype = getattr(torch, cell.dtype)
    return math.prod(sizes[cell.size]) * batch * cell.channels * dtype.itemsize


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--quick", action="store_true")
    asked.add_argument("--json", type=Path)
    asked.add_argument("--minutes", type=float, default=4.0)
    asked.add_argument(
        "--processes", type=int, help="that compile side by side; 1 where the GPU takes no more than one"
    )
    given = asked.parse_args()
    begun = time.monotonic()
    end = begun + 60 * given.minutes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(124))  # as if it were interrupted: what it has is printed
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"the CPU ({platform.machine()}), interpreted"
    count = given.processes or processes()
    wrong = check(given.quick, count, end)
    print("\n".join(wrong) or f"agrees with the reference on {name}", file=sys.stderr)
    sizes = TINY if given.quick else SIZES
    rows: list[Row] = []
    about: Row = {"device": name, "torch": torch.__version__, "warpkit": wk.__version__, "cells": 0, "left_out": 0}
    about |= {"agreement_seconds": round(time.monotonic() - begun, 1), "wrong": wrong}

    def keep() -> None:
        if given.json:
            with written_whole(given.json) as file:
                file.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n", encoding="utf-8")

    keep()
    if wrong:
        return 1
    chosen = list(cells())[: 6 if given.quick else None]
    if count > 1:
        each = [cell for cell in chosen if cell.way == "forward" and held(cell, sizes, BATCHES[cell.size]) <= BESIDE]
        side_by_side(compiled, zip(each), count, begun + 24 * given.minutes)  # two fifths of the time
        about["compiled_seconds"] = round(time.monotonic() - begun, 1)
    spent = 0.0
    try:
        for cell in chosen:
            began = time.monotonic()
            batch = 1 if given.quick else BATCHES[cell.size]
            if (began + spent <= end or given.quick) and held(cell, sizes, batch) <= MOST:
                rows.append(measure(cell, sizes[cell.size], batch))
                spent = max(0.8 * spent, time.monotonic() - began)  # what the next one may take
                about |= {"cells": len(rows), "left_out": len(chosen) - len(rows)}
                keep()
    finally:
        left = len(chosen) - len(rows)
        print(f"On {name}, torch {torch.__version__}; milliseconds, medians; {left} cells left out.\n\n{table(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
