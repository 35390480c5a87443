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


def opened_store(path: Path, axes: str | None, level: int) -> Store:
    """The array at a path, or the level of the OME-Zarr image there."""
    from warpkit.chunked.axes import layout_of
    from warpkit.chunked.sources import levels_of, opened, source_of

    there = opened(path, "IN")
    read = source_of(there, level, what="IN")
    with at(str(path)):
        layout = layout_of(axes or read.axes, read.array.shape)
    has_levels = hasattr(there, "array_keys")
    require(has_levels or level == 0, f"--level {level}: {path} is one array, without levels")
    return Store(read.array, layout, len(levels_of(there)) - level if has_levels else None)


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

        chunked.save(lazy, target, axes=store.layout.axes, levels=levels, progress=told)
    pixels = " × ".join(map(str, reversed(out)))
    typer.echo(f"{target}: {pixels} pixels" + (f", {levels} levels" if levels else ""))
