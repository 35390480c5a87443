"""Checks the Triton backend on the GPU at hand, then measures it: python docs/tools/device.py --json FILE > TABLE.md

Agreement with the reference backend on the same device comes first, with gradients and the deterministic way back;
nothing is measured where it fails. Then each cell is timed beside `grid_sample` (after `affine_grid` for matrices; it
has no lanczos, and no bicubic in 3-D) and beside a copy of the image. The most telling cells come first,
and after --minutes (4) the rest is left out: the first run compiles each kernel, a second one finds them compiled.

--quick tries everything with tiny sizes, on the CPU too: TRITON_INTERPRET=1 python docs/tools/device.py --quick
"""

import argparse
import itertools
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import warpkit as wk

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SIZES = {"1080p": (1080, 1920), "224²": (224, 224), "28²": (28, 28), "128³": (128, 128, 128)}
TINY = {"1080p": (6, 9), "224²": (5, 5), "28²": (3, 3), "128³": (3, 4, 3)}
BATCHES = {"1080p": 1, "224²": 16, "28²": 256, "128³": 1}
MOST = 6 * 2**30  # bytes of an image: larger cells are left out
PEERS = {2: ("bilinear", "bicubic"), 3: ("bilinear",)}  # what grid_sample has in that many dimensions


class Cell(NamedTuple):
    """One thing that is timed. `way`: forward, both (and all gradients), or coordinates (gradients in these)."""

    size: str
    channels: int
    kernel: str
    way: str
    where: str
    dtype: str


def cells(quick: bool) -> Iterator[Cell]:
    """All of them, the most telling first."""
    channels = (64, 3) if quick else (64, 3, 256, 1)
    dtypes = ("float32",) if quick else ("float32", "float16")
    kernels, ways = ("bilinear", "bicubic", "lanczos"), ("forward", "both", "coordinates")
    for dtype, size, kernel, count in itertools.product(dtypes, SIZES, kernels, channels):
        for way, where in itertools.product(ways, ("matrix", "points")):
            yield Cell(size, count, kernel, way, where, dtype)


class Inputs(NamedTuple):
    """The image, θ of a turn by 20°, and the points where it takes the output's pixels."""

    image: Tensor
    theta: Tensor
    points: Tensor


def inputs(size: tuple[int, ...], batch: int, channels: int, dtype: torch.dtype) -> Inputs:
    made = torch.Generator().manual_seed(0)
    image = torch.randn(batch, channels, *size, generator=made, dtype=torch.float32).to(DEVICE, dtype)
    d, c, s = len(size), math.cos(0.35), math.sin(0.35)
    matrix = torch.eye(d, d + 1)
    matrix[0, :2], matrix[1, :2] = torch.tensor([c, -s]), torch.tensor([s, c])
    matrix[:, -1] = 0.03
    theta = matrix.flatten()[None].repeat(batch, 1).to(DEVICE)
    points = wk.get_transform("affine", ndim=d)(theta, wk.lattice(size, device=DEVICE)[None])
    return Inputs(image, theta, points)


def ours(kernel: str, where: str, given: Inputs) -> Tensor:
    if where == "matrix":
        return wk.warp(given.image, "affine", given.theta, kernel=kernel)
    return wk.sample(given.image, given.points, kernel=kernel)


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


def seconds(work: Callable[[], object], quick: bool) -> float:
    """The median of up to 30 runs, or of as many as fit into a fifth of a second, after three to warm up."""
    for _ in range(1 if quick else 3):
        work()
    found: list[float] = []
    end = time.perf_counter() + (0.0 if quick else 0.2)
    while not found or (len(found) < 30 and time.perf_counter() < end):
        if DEVICE.type == "cuda":
            begin, finish = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            work()
            finish.record()
            finish.synchronize()
            found.append(begin.elapsed_time(finish) / 1000)
        else:
            start = time.perf_counter()
            work()
            found.append(time.perf_counter() - start)
    return statistics.median(found)


def check() -> list[str]:
    """What does not agree with the reference backend, or is not the same twice where it has to be."""
    wrong = []
    for size, kernel, where in itertools.product(((9, 8), (4, 5, 6)), ("bilinear", "lanczos"), ("matrix", "points")):
        if len(size) == 3 and (kernel, where) == ("lanczos", "points"):
            continue
        cell = Cell(str(size), 5, kernel, "both", where, "float32")
        given = inputs(size, 2, 5, torch.float32)
        results = {}
        for name, fixed in (("reference", False), ("triton", False), ("fixed", True), ("again", True)):
            with wk.use_backend("reference" if name == "reference" else "triton"):
                torch.use_deterministic_algorithms(fixed)
                results[name] = [ours(kernel, where, given), *step(ours, cell, given)()]  # type: ignore[misc]
                torch.use_deterministic_algorithms(False)
        for name in ("triton", "fixed"):
            for what, a, b in zip(
                ("values", "gradient in place", "in image"), results[name], results["reference"], strict=True
            ):
                error = ((a - b).abs().max() / (1 + b.abs().max())).item()
                if not error < 2e-4:
                    wrong.append(f"{where}, {kernel}, {size}, {name}: {what} differ by {error:.1e}")
        if not all(torch.equal(a, b) for a, b in zip(results["fixed"], results["again"], strict=True)):
            wrong.append(f"{where}, {kernel}, {size}: not the same bits twice")
    return wrong


def measure(cell: Cell, quick: bool) -> dict[str, object]:
    size = (TINY if quick else SIZES)[cell.size]
    batch = 1 if quick else BATCHES[cell.size]
    given = inputs(size, batch, cell.channels, getattr(torch, cell.dtype))
    row: dict[str, object] = {**cell._asdict(), "batch": batch}
    with wk.use_backend("triton"):
        row["warpkit"] = seconds(step(ours, cell, given), quick)
        if cell.way == "both":
            torch.use_deterministic_algorithms(True)
            row["deterministic"] = seconds(step(ours, cell, given), quick)
            torch.use_deterministic_algorithms(False)
    if cell.kernel in PEERS[len(size)]:
        row["grid_sample"] = seconds(step(theirs, cell, given), quick)
    target = torch.empty_like(given.image)
    row["copy"] = seconds(lambda: target.copy_(given.image), quick)
    return row


def table(rows: list[dict[str, object]]) -> str:
    """One line for each cell, in milliseconds; × is grid_sample's time over ours."""
    head = ["size", "batch", "channels", "kernel", "way", "where", "dtype"]
    columns = ["warpkit", "deterministic", "grid_sample", "copy"]
    lines = ["| " + " | ".join([*head, *columns, "×"]) + " |", "|" + "---|" * (len(head) + len(columns) + 1)]
    for row in rows:
        times = [f"{1000 * float(row[c]):.3f}" if c in row else "" for c in columns]  # type: ignore[arg-type]
        ratio = f"{float(row['grid_sample']) / float(row['warpkit']):.1f}" if "grid_sample" in row else ""  # type: ignore[arg-type]
        lines.append("| " + " | ".join([*(str(row[h]) for h in head), *times, ratio]) + " |")
    return "\n".join(lines)


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--quick", action="store_true")
    asked.add_argument("--json", type=Path)
    asked.add_argument("--minutes", type=float, default=4.0)
    given = asked.parse_args()
    end = math.inf if given.quick else time.monotonic() + 60 * given.minutes
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"the CPU ({platform.machine()}), interpreted"
    wrong = check()
    print("\n".join(wrong) or f"agrees with the reference on {name}", file=sys.stderr)
    if wrong:
        return 1
    rows, left, spent = [], 0, 0.0
    for cell in list(cells(given.quick))[: 6 if given.quick else None]:
        began = time.monotonic()
        pixels = math.prod((TINY if given.quick else SIZES)[cell.size]) * BATCHES[cell.size]
        bytes_held = pixels * cell.channels * getattr(torch, cell.dtype).itemsize
        if began + spent > end or bytes_held > MOST:
            left += 1
            continue
        rows.append(measure(cell, given.quick))
        spent = max(0.8 * spent, time.monotonic() - began)  # what the next one may take
    about = {"device": name, "torch": torch.__version__, "warpkit": wk.__version__, "left_out": left}
    if given.json:
        given.json.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    print(f"On {name}, torch {torch.__version__}; milliseconds, medians; {left} cells left out.\n\n{table(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
