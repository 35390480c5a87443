"""`warpkit warp` of Zarr stores: larger than memory, tile by tile, with progress, and on again where it was stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from warpkit.cli.placing import Placing
from warpkit.errors import require

if TYPE_CHECKING:
    from torch import Tensor

    from warpkit.transforms.base import Transform


def is_store(path: Path) -> bool:
    """Whether a path is that of a Zarr array or group, which is a folder, or of a level of one."""
    return path.suffix == ".zarr" or any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def warp_store(
    source: Path,
    target: Path,
    component: "Transform",
    numbers: "Tensor | None",
    placing: Placing,
    size: tuple[int, int] | None,
    **how: Any,
) -> None:
    """Warp the array at `source`, or the finest level of an OME-Zarr image, to one like it at `target`.

    `numbers`: θ [P]; what `placing` says unless given.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from warpkit import chunked
    from warpkit.chunked.axes import layout_of
    from warpkit.chunked.sources import levels_of, opened, source_of
    from warpkit.pixels import bounds

    require(target.suffix == ".zarr", f"{target}: a Zarr store is warped to one, a folder named .zarr")
    there = opened(source, "IN")
    read = source_of(there, what="IN")
    layout = layout_of(read.axes, read.array.shape)
    require(
        layout.space == "YX", f"{source}: this command warps images in 2-D, not {layout.space}: see wk.chunked.warp"
    )
    rows, columns = layout.size_of("YX")
    own = rows, columns
    out: tuple[int, ...] = size or own
    theta = placing.theta(component, own, size or own, how["align_corners"]) if numbers is None else numbers
    if placing.expand:
        out, wide = bounds(component, theta[None], own, align_corners=how["align_corners"])
        theta = wide[0]
    lazy = chunked.warp(there, component, theta[None], size=out, **how)
    levels = len(levels_of(there)) if hasattr(there, "array_keys") else None
    shown = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("tiles", total=None)

        def told(done: int, whole: int) -> None:
            progress.update(task, completed=done, total=whole)

        chunked.save(lazy, target, axes=layout.axes, levels=levels, progress=told)
    typer.echo(f"{target}: {out[1]} × {out[0]} pixels" + (f", {levels} levels" if levels else ""))
