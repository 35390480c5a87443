"""Measures what the page on arrays larger than memory says: docs/tools/larger.py FOLDER [GIGABYTES]

A scan of random bytes is warped by the command; beside it stand a plain copy by Dask, which is what the disk allows,
and a warp of a part in memory, which is what the processor does. Then a mosaic of photographs is warped by a known
affine map, and the map is found again. Each runs in a process of its own, whose memory is the most that it held. FOLDER
needs twice the room of the scan, which is of 20 gigabytes unless another number is given.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import zarr
from alignment import photographs

import warpkit as wk

CHUNK = 2048
MOSAIC = 30_000  # pixels along each axis
KNOWN = torch.tensor([[0.97, -0.08, 0.03, 0.07, 1.02, -0.02]], dtype=torch.float64)
PART = 8192  # pixels along each axis that are warped in memory
TURN = 2  # degrees


def run(*words: object) -> dict[str, float]:
    """Run a step in a process of its own: the seconds it took, those of a processor, the gigabytes it held."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, words)])
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{words} failed")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "processor": used.ru_utime + used.ru_stime, "GB": used.ru_maxrss * 1024 / 1e9}


def show(what: str, **numbers: float) -> None:
    """A line of what was measured."""
    print(what, json.dumps({name: round(number, 4) for name, number in numbers.items()}), flush=True)


def make_scan(path: Path, gigabytes: float) -> None:
    """Random bytes, uncompressed, each chunk another: nothing about them is easy."""
    rows = max(1, round(math.sqrt(gigabytes * 1e9) / CHUNK))
    columns = max(1, round(gigabytes * 1e9 / (rows * CHUNK**2)))
    shape, random = (rows * CHUNK, columns * CHUNK), np.random.default_rng(0)
    some = random.integers(0, 256, (16, CHUNK, CHUNK), dtype=np.uint8)
    names = ("y", "x")
    array = zarr.create_array(
        path, shape=shape, chunks=(CHUNK,) * 2, dtype="uint8", compressors=None, dimension_names=names
    )
    for row in range(rows):
        for column in range(columns):
            there = slice(row * CHUNK, (row + 1) * CHUNK), slice(column * CHUNK, (column + 1) * CHUNK)
            array[there] = some[random.integers(16)] ^ random.integers(256, dtype=np.uint8)


def copy(source: Path, target: Path) -> None:
    """The same bytes once more, by Dask alone, compressed as a warped array is."""
    import dask.array as da

    da.from_zarr(source).to_zarr(target)


def in_memory(source: Path) -> None:
    """A part of the scan, warped in memory: seconds for each pixel."""
    pixels = torch.from_numpy(zarr.open_array(source, mode="r")[:PART, :PART])[None, None]
    theta = wk.pixels.to_theta(
        wk.pixels.rotation(torch.tensor([pixels.shape[-1] / 2, pixels.shape[-2] / 2]), TURN), in_size=pixels.shape[2:]
    )
    wk.warp(pixels[..., :64, :64], "affine", theta)
    start = time.perf_counter()
    wk.warp(pixels, "affine", theta)
    show("in memory", nanoseconds_a_pixel=(time.perf_counter() - start) * 1e9 / pixels.numel())


def make_mosaic(path: Path) -> None:
    """Parts of photographs beside each other: mirrored, enlarged, brighter or darker."""
    photos = [photo.mean(1, keepdim=True) * 255 for photo in photographs()]
    random = np.random.default_rng(0)
    array = zarr.create_array(path, shape=(MOSAIC, MOSAIC), chunks=(CHUNK,) * 2, dtype="uint8")
    for row in range(0, MOSAIC, CHUNK):
        for column in range(0, MOSAIC, CHUNK):
            photo = photos[random.integers(len(photos))]
            side = int(random.integers(200, min(photo.shape[2:])))
            top, left = (int(random.integers(0, n - side + 1)) for n in photo.shape[2:])
            part = photo[:, :, top : top + side, left : left + side] * random.uniform(0.6, 1.0)
            part = part.flip(3) if random.integers(2) else part
            size = min(CHUNK, MOSAIC - row), min(CHUNK, MOSAIC - column)
            still = torch.tensor([[1.0, 0, 0, 0, 1, 0]])
            large = wk.warp(part, "affine", still, size=size, kernel="bicubic", padding_mode="reflection")
            array[row : row + size[0], column : column + size[1]] = large[0, 0].round().clamp(0, 255).byte().numpy()


def warp_mosaic(source: Path, target: Path) -> None:
    """The mosaic as the known map shows it."""
    wk.chunked.save(
        wk.chunked.warp(source, "affine", KNOWN, kernel="bicubic", padding_mode="reflection"), target, axes="YX"
    )


def find(moving: Path, fixed: Path) -> None:
    """The map again, from both mosaics: how far it is from the known one at the corners, in pixels."""
    found = wk.align(moving, fixed, "affine")
    corners = torch.tensor([[[-1.0, -1], [1, -1], [-1, 1], [1, 1]]], dtype=torch.float64)
    affine = wk.get_transform("affine")
    seen = affine(KNOWN, corners)
    moved, apart = ((seen - other).norm(dim=-1).max() * MOSAIC / 2 for other in (corners, affine(found, corners)))
    show("found", pixels_moved=float(moved), pixels_apart=float(apart))


def measure(folder: Path, gigabytes: float) -> None:
    """All of it; what takes room is removed at once."""
    scan, out, me = folder / "scan.zarr", folder / "out.zarr", __file__
    if not scan.exists():
        make_scan(folder / "part.zarr", gigabytes)
        (folder / "part.zarr").rename(scan)
    size = math.prod(zarr.open_array(scan, mode="r").shape)
    warped = run("-c", "from warpkit.cli import app; app()", "warp", scan, out, "--rotate", TURN)
    show("warpkit warp --rotate", GB_in=size / 1e9, **warped)
    shutil.rmtree(out)
    copied = run(me, "copy", scan, out)
    show("copy by Dask", **copied, times=warped["seconds"] / copied["seconds"])
    shutil.rmtree(out)
    run(me, "in_memory", scan)
    shutil.rmtree(scan)
    moving, fixed = folder / "moving.zarr", folder / "fixed.zarr"
    make_mosaic(moving)
    show("mosaic, warped", **run(me, "warp_mosaic", moving, fixed))
    show("mosaic, found", **run(me, "find", moving, fixed))
    shutil.rmtree(moving)
    shutil.rmtree(fixed)


STEPS = {"copy": copy, "in_memory": in_memory, "warp_mosaic": warp_mosaic, "find": find}

if __name__ == "__main__":
    if sys.argv[1] in STEPS:
        STEPS[sys.argv[1]](*map(Path, sys.argv[2:]))
    else:
        measure(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 20.0)
