"""`warpkit align`: bring one photograph onto another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from warpkit.cli.alpha import warp_pixels
from warpkit.cli.completing import among, names
from warpkit.cli.terminal import say_json
from warpkit.cli.values import parse_options
from warpkit.cli.warp import theta_of, transform_of
from warpkit.errors import quoted, require
from warpkit.files import check_writable, written_whole

if TYPE_CHECKING:
    from torch import Tensor

    from warpkit.cli.photo import Photo
    from warpkit.transforms.base import Transform

_SUSPECT = 0.5  # correlation: what agrees less may be no match at all


def align(
    moving: Annotated[Path, typer.Argument(metavar="MOVING", help="The photograph that is warped.")],
    fixed: Annotated[Path, typer.Argument(metavar="FIXED", help="The photograph that it is brought onto.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write MOVING as FIXED sees it.")],
    transform: Annotated[
        str,
        typer.Option(
            help="affine, projective, displacement, velocity …; `warpkit list` shows them.",
            autocompletion=names("transform"),
        ),
    ] = "affine",
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the transform, like grid=[3,3]; repeatable."),
    ] = None,
    theta: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBERS", help="θ to start from, where it is known roughly; searched for if left out."),
    ] = None,
    loss: Annotated[
        str,
        typer.Option(
            help="mse, or ncc where the photographs differ in brightness or contrast.",
            autocompletion=among("mse", "ncc"),
        ),
    ] = "mse",
    kernel: Annotated[
        str,
        typer.Option(
            help="Name of the kernel that MOVING is sampled with, to compare and for OUT.",
            autocompletion=names("kernel"),
        ),
    ] = "bicubic",
    regularization: Annotated[
        str,
        typer.Option(
            help="What keeps a field, or free_form, smooth: bending or diffusion.",
            autocompletion=among("bending", "diffusion"),
        ),
    ] = "bending",
    weight: Annotated[float, typer.Option(help="How much that counts.")] = 2.0,
    field: Annotated[
        Path | None, typer.Option(metavar="FILE.npy", help="Keep θ of a field, [2, H, W], as --theta takes it.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw both photographs over each other, before and after.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: θ and how well the photographs agree, as an object.")
    ] = False,
) -> None:
    """Find the θ that brings MOVING onto FIXED, and warp MOVING with it.

    Prints θ, which `warpkit warp --theta` takes, and how well the photographs agree before and after.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from warpkit.alignment import align as find
    from warpkit.alignment.agreement import agreement
    from warpkit.cli import photo
    from warpkit.cli.memory import check_memory

    photo.check_suffix(out)
    extra = parse_options("--set", options or [])
    component = transform_of(transform, extra)
    start = theta_of(component, theta or [])
    require(field is None or component.is_field, f"--field: θ of {transform} is a few numbers, which are printed")
    require(field is None or field.suffix == ".npy", "--field", expected="a .npy file", given=quoted(str(field), 300))
    for path in filter(None, (out, picture, field)):
        check_writable(path)
    if picture is not None:
        photo.check_suffix(picture)
    written = [path.resolve() for path in (out, picture, field) if path is not None]
    require(len(set(written)) == len(written), "one file would be written twice", given=[str(path) for path in written])
    source, target = photo.read(moving), photo.read(fixed)
    size = (target.pixels.shape[1], target.pixels.shape[2])
    check_memory([source], [size], component)
    photo.check_holds(out, source, size)
    pair = _comparable(source, target)
    if picture is not None:
        photo.check_holds(picture, photo.Photo(pair[1][0].byte().expand(3, -1, -1)), (size[0], 2 * size[1]))
    console = Console(stderr=True)
    columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("aligning", total=1.0)

        def show(done: float, value: float) -> None:
            progress.update(bar, completed=done, description=f"{loss} {value:.4f}")

        ways: dict[str, Any] = {"loss": loss, "kernel": kernel, "regularization": regularization, "weight": weight}
        found = find(*pair, component, **ways, init=start if theta else None, progress=show)
    agreements = [agreement(*pair, component, t) for t in (start[None], found)]
    pixels = warp_pixels(source, component, found, [0.0] * len(source.pixels), size=size, kernel=kernel)
    photo.write(photo.Photo(pixels, source.profile), out)
    if picture is not None:
        photo.write(photo.Photo(_overlaid(*pair, component, [start[None], found])), picture)
    if field is not None:
        import numpy as np

        with written_whole(field) as draft, draft.open("wb") as file:
            np.save(file, found[0].numpy())
    numbers = [] if component.is_field else [float(number) for number in found[0]]
    if as_json:
        kept = (
            {"theta": numbers} if numbers else {"field": str(field) if field else None, "size": list(found.shape[1:])}
        )
        words = {"transform": {"type": transform, **extra}, **ways, **kept}
        before, after = (it._asdict() for it in agreements)
        say_json(words | {"before": before, "after": after})
    typer.echo(f"θ {' '.join(f'{n:.6g}' for n in numbers)}" if numbers else _told(component, found, size), err=as_json)
    for when, it in zip(("before", "after"), agreements, strict=True):
        typer.echo(
            f"{when:<6}  difference {it.difference:.2f} of 255, correlation {it.correlation:.3f}, "
            f"on {it.overlap:.0%} of FIXED",
            err=as_json,
        )
    if not agreements[1].correlation > _SUSPECT:
        console.print("The photographs still differ much: this may be no match.", style="yellow")
    typer.echo(f"{out}: {size[1]} × {size[0]} pixels", err=as_json)


def _told(component: "Transform", theta: "Tensor", size: tuple[int, int]) -> str:
    """A line about a field: its size, how far it moves and whether it folds."""
    from warpkit.losses import folding

    shifts = component.shifts(theta, size, False) * theta.new_tensor([size[1] / 2, size[0] / 2])
    most, folds = float(shifts.square().sum(-1).sqrt().max()), float(folding(component, theta, size))
    shape = " × ".join(map(str, theta.shape[1:]))
    return f"θ is a field of {shape} numbers: it moves pixels by up to {most:.1f}, and folds {folds:.2%} of the cells"


def _comparable(moving: "Photo", fixed: "Photo") -> tuple["Tensor", "Tensor"]:
    """Both photographs as [1, C, H, W] in 0 … 255: colours without alpha, or grey where one of them is grey."""
    import torch

    pair = []
    for photo in (moving, fixed):
        colours = photo.pixels[: len(photo.pixels) - photo.has_alpha]
        full = 1.0 if colours.is_floating_point() else torch.iinfo(colours.dtype).max
        pair.append(colours[None].float() * (255 / full))
    if len({image.shape[1] for image in pair}) > 1:
        pair = [image.mean(1, keepdim=True) for image in pair]
    return pair[0], pair[1]


def _overlaid(moving: "Tensor", fixed: "Tensor", transform: "Transform", thetas: list["Tensor"]) -> "Tensor":
    """A panel for each θ, [3, H, K · W]: FIXED in red and MOVING in cyan, which are grey where they agree."""
    import torch

    from warpkit.warping import warp

    size = fixed.shape[2:]
    panels = []
    for theta in thetas:
        red, cyan = fixed.mean(1), warp(moving.mean(1, keepdim=True), transform, theta, size=size)[:, 0]
        seen = warp(torch.ones_like(moving[:, :1]), transform, theta, size=size)[:, 0]
        # One of another brightness and contrast would tint the whole.
        matched = (cyan - cyan[seen > 0].mean()) / cyan[seen > 0].std() * red.std() + red.mean()
        panels.append(torch.cat([red, matched * seen, matched * seen]))
    return torch.cat(panels, dim=2).nan_to_num().round().clamp(0, 255).to(torch.uint8)
