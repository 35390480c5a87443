"""`warpkit warp` of Zarr stores: larger than memory, tile by tile, with progress, and on again where it was stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from warpkit.cli.placing import Placing
from warpkit.errors import at, require

if TYPE_CHECKING:
    from torch import Tensor

    from warpkit.chunked.axes import Layout
    from warpkit.transforms.base import Transform


def is_store(path: Path) -> bool:
    """Whether a path is that of a Zarr array or group, which is a folder, or of a level of one."""
    return path.suffix == ".zarr" or any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


class Store(NamedTuple):
    """What is warped: an array, which axis is which, and how many levels there are from this one on."""

    array: Any
    layout: "Layout"
    levels: int | None
    pixels: tuple[list[float], list[float], list[str | None]] | None  # their sizes, where the first is, units


def opened_store(path: Path, axes: str | None, level: int) -> Store:
    """The array at a path, or the level of the OME-Zarr image there."""
    from warpkit.chunked.axes import layout_of
    from warpkit.chunked.sources import levels_of, opened, pixels_of, source_of

    there = opened(path, "IN")
    read = source_of(there, level, what="IN")
    with at(str(path)):
        layout = layout_of(axes or read.axes, read.array.shape)
    has_levels = hasattr(there, "array_keys")
    require(has_levels or level == 0, f"--level {level}: {path} is one array, without levels")
    if not has_levels:
        return Store(read.array, layout, None, None)
    return Store(read.array, layout, len(levels_of(there)) - level, pixels_of(there, level))


def warp_store(
    store: Store,
    target: Path,
    component: "Transform",
    numbers: "Tensor | None",
    placing: Placing,
    size: tuple[int, ...] | None,
    levels: int | None,
    **how: Any,
) -> None:
    """Warp an array to one like it at `target`, or to an OME-Zarr image of so many levels.

    `numbers`: θ [P]; what `placing` says unless given.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from warpkit import chunked
    from warpkit.pixels import bounds

    require(target.suffix == ".zarr", f"{target}: a Zarr store is warped to one, a folder named .zarr")
    own, levels = store.layout.size_of(store.layout.space), levels or store.levels
    out = size or own
    theta = placing.theta(component, own, out, how["align_corners"]) if numbers is None else numbers
    if placing.expand:
        out, wide = bounds(component, theta[None], own, align_corners=how["align_corners"])
        theta = wide[0]
    lazy = chunked.warp(store.array, component, theta[None], size=out, axes=store.layout.axes, **how)
    shown = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("tiles", total=None)

        def told(done: int, whole: int) -> None:
            progress.update(task, completed=done, total=whole)

        place = _place(store, out, how["align_corners"], placing.expand) if levels else {}
        chunked.save(lazy, target, axes=store.layout.axes, levels=levels, progress=told, **place)
    pixels = " × ".join(map(str, reversed(out)))
    typer.echo(f"{target}: {pixels} pixels" + (f", {levels} levels" if levels else ""))


def _place(store: Store, out: tuple[int, ...], aligned: bool, expand: bool) -> dict[str, Any]:
    """OUT's pixels: over as much of space as IN; with `expand` of the same size."""
    if store.pixels is None or len(store.pixels[0]) != len(store.layout.axes):
        return {}
    scale, origin, units = store.pixels
    sizes = dict(zip(store.layout.space, out, strict=True))
    less = 1 if aligned else 0
    for axis, (letter, n) in enumerate(zip(store.layout.axes, store.layout.shape, strict=True)):
        if letter in sizes and not expand:
            ratio = (n - less) / (sizes[letter] - less) if sizes[letter] > less and n > less else 1.0
            origin[axis] += 0.0 if aligned else scale[axis] * (ratio - 1) / 2
            scale[axis] *= ratio
    return {"scale": scale, "origin": origin, "units": units}
