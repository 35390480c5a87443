"""`warpkit warp`: warp a photograph."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from warpkit.cli.alpha import warp_pixels
from warpkit.cli.completing import among, names, several
from warpkit.cli.placing import CONVENTIONS, Placing
from warpkit.cli.values import join_numbers, parse_numbers, parse_options, parse_size
from warpkit.errors import InputError, at, require
from warpkit.files import check_writable

if TYPE_CHECKING:
    from torch import Tensor

    from warpkit.transforms.base import Transform


_NUMBERS = ("--theta", "--size", "--fill", "--shift", "--center", "--matrix", "--rotate")


class WarpCommand(TyperCommand):
    """A command that takes several numbers after one flag, negative ones too: `--theta 0.9 -0.2 0 0.2 0.9 0`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join the numbers that belong to one flag, before they are read as words of their own."""
        return super().parse_args(ctx, join_numbers(args, _NUMBERS))


def warp(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The photograph to warp, - is stdin; or a Zarr store.")],
    target: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="Where to write the result; its suffix names the format, and - is stdout."),
    ],
    transform: Annotated[
        str, typer.Option(help="Name of the transform; `warpkit list` shows them.", autocompletion=names("transform"))
    ] = "affine",
    theta: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBERS",
            help="θ, like --theta 0.9 -0.2 0 0.2 0.9 0, or a .npy file of it, of a field [2, H, W]; the identity if "
            "left out.",
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the transform, like grid=[3,3]; repeatable."),
    ] = None,
    rotate: Annotated[
        str | None, typer.Option(metavar="DEGREES", help="Turn it counter-clockwise, about the middle or --center.")
    ] = None,
    scale: Annotated[float | None, typer.Option(help="How many times as large it becomes.")] = None,
    shift: Annotated[
        list[str] | None, typer.Option(metavar="X Y", help="Move it by so many pixels, to the right and down.")
    ] = None,
    center: Annotated[
        list[str] | None,
        typer.Option(metavar="X Y", help="The pixel that turns and scales leave where it is; the middle if left out."),
    ] = None,
    matrix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBERS", help="A matrix of pixels, 6 or 9 numbers, or a .npy, .txt or .csv file of them."
        ),
    ] = None,
    convention: Annotated[
        str | None,
        typer.Option(
            help="Whose matrix that is: opencv (kornia too), inverse, scipy or pillow; opencv if left out.",
            autocompletion=among(*CONVENTIONS),
        ),
    ] = None,
    expand: Annotated[
        bool, typer.Option("--expand", help="Make the result as large as all that the photograph becomes.")
    ] = False,
    kernel: Annotated[
        str, typer.Option(help="Name of the kernel, or two, for x,y.", autocompletion=several(names("kernel")))
    ] = "bilinear",
    kernel_options: Annotated[
        list[str] | None,
        typer.Option("--kernel-set", metavar="KEY=VALUE", help="An option of the kernel, like a=-0.5; repeatable."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="H W", help="Rows and columns of the result, or one number; those of IN if left out."),
    ] = None,
    padding: Annotated[
        str,
        typer.Option(
            help="Outside of the photograph: zeros, border, reflection, wrap or none, or two of them, for x,y.",
            autocompletion=several(among("zeros", "border", "reflection", "wrap", "none")),
        ),
    ] = "zeros",
    fill: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBERS",
            help="What zeros puts outside: one number, 0 … 255 with 8 bits, or one for each channel; 0 if left out.",
        ),
    ] = None,
    align_corners: Annotated[
        bool, typer.Option("--align-corners", help="−1 and 1 are the border pixels' centres, not their outer edges.")
    ] = False,
    antialias: Annotated[
        bool, typer.Option("--antialias", help="Take means where a pixel of the result covers several of IN.")
    ] = False,
    sub_points: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="With --antialias: of so many a side of a pixel at most, 4 if left out."),
    ] = None,
    axes: Annotated[
        str | None,
        typer.Option(metavar="LETTERS", help="Of a Zarr array: what each axis is, like CZYX; as it says if left out."),
    ] = None,
    level: Annotated[
        int | None, typer.Option(min=0, help="Of an OME-Zarr image: which is warped; 0, the finest, if left out.")
    ] = None,
    levels: Annotated[
        int | None, typer.Option(min=1, help="Of OUT, an OME-Zarr image: how many; as IN has from its own on.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="SUFFIX", help="Of what goes to stdout, png say; that of IN if left out."),
    ] = None,
) -> None:
    """Warp a photograph: 8 or 16 bits a channel, grey or RGB, with or without alpha. Or a Zarr array of any size.

    θ maps the result to IN, both from −1 to 1: an affine 0.5 0 0 0 0.5 0 shows the middle half, twice as large.
    --rotate 30 --scale 1.2 --expand needs no θ.
    """
    import torch

    from warpkit.cli import photo, stores
    from warpkit.cli.memory import check_memory
    from warpkit.pixels import bounds

    piped, stored = target == photo.PIPE, stores.is_store(source)
    for flag, given in (("--axes", axes), ("--level", level), ("--levels", levels)):
        require(stored or given is None, f"{flag} is for Zarr stores, and {source} is none")
    require(piped or form is None, "--format: the suffix of OUT names the format")
    if not stored:
        given_in = photo.Source(source)
        target = photo.stdout_as(given_in, form) if piped else target
        photo.check_suffix(target)
        if not piped:
            check_writable(target)
    store = stores.opened_store(source, axes, level or 0) if stored else None
    ndim = 2 if store is None else len(store.layout.space)
    placing = Placing(
        rotate=_one("--rotate", rotate),
        scale=scale,
        shift=None if shift is None else parse_numbers("--shift", shift),
        center=None if center is None else parse_numbers("--center", center),
        matrix=matrix,
        convention=convention,
        expand=expand,
        ndim=ndim,
    )
    told = "--theta says all: leave out --rotate, --scale, --shift, --center and --matrix"
    require(not (theta and placing.moves), told)
    require(not (size and expand), "--size and --expand: the result has one size")
    component = transform_of(transform, parse_options("--set", options or []), ndim)
    numbers = None if placing.moves else theta_of(component, theta or [])
    kernels = [{"type": name, **parse_options("--kernel-set", kernel_options or [])} for name in _words(kernel)]
    outside = parse_numbers("--fill", fill or ["0"])
    require(antialias or sub_points is None, "--sub-points belongs to --antialias: give both")
    ways: dict[str, Any] = {
        "kernel": kernels[0] if len(kernels) == 1 else tuple(kernels),
        "padding_mode": padding if "," not in padding else tuple(_words(padding)),
        "align_corners": align_corners,
        "antialias": sub_points or antialias,
    }
    if store is not None:
        within = parse_size(size, ndim) if size else None
        stores.warp_store(store, target, component, numbers, placing, within, levels, fill=outside, **ways)
        return
    frames = given_in.frames(indexed={spec["type"] for spec in kernels} == {"nearest"})
    own = [(it.pixels.shape[1], it.pixels.shape[2]) for it in frames]
    sizes = [parse_size(size) if size else shape for shape in own]
    thetas = [
        placing.theta(component, start, end, align_corners) if numbers is None else numbers
        for start, end in zip(own, sizes, strict=True)
    ]
    if expand:
        held = [
            bounds(component, theta[None], start, align_corners=align_corners)
            for theta, start in zip(thetas, own, strict=True)
        ]
        sizes, thetas = [(it[0], it[1]) for it, _ in held], [theta[0] for _, theta in held]
    check_memory(frames, sizes, component)
    if any(it.palette and not photo.holds(target.suffix, it, shape) for it, shape in zip(frames, sizes, strict=True)):
        frames = given_in.frames()
    for it, shape in {(it.kind, shape): (it, shape) for it, shape in zip(frames, sizes, strict=True)}.values():
        photo.check_holds(target, it, shape, len(frames))
        channels = len(it.pixels)
        told = f"one number, or {channels}, one for each channel"
        require(len(outside) in (1, channels), "--fill", expected=told, given=len(outside))
    with torch.no_grad():
        warped = [
            warp_pixels(
                it,
                component,
                given[None],
                size=shape,
                fill=outside * (len(it.pixels) // len(outside)),
                **ways,
            )
            for it, shape, given in zip(frames, sizes, thetas, strict=True)
        ]
    write = photo.print_frames if piped else photo.write_frames
    write([replace(it, pixels=pixels) for it, pixels in zip(frames, warped, strict=True)], target)
    pages = f"{len(frames)} pages, the first " if len(frames) > 1 else ""
    typer.echo(f"{target}: {pages}{warped[0].shape[2]} × {warped[0].shape[1]} pixels", err=piped)


def _one(flag: str, given: str | None) -> float | None:
    numbers = [] if given is None else parse_numbers(flag, [given])
    require(given is None or len(numbers) == 1, flag, expected="a number", given=given)
    return numbers[0] if numbers else None


def transform_of(name: str, options: dict[str, Any], ndim: int = 2) -> "Transform":
    """The transform of this name; `InputError` unless it works on photographs, or on volumes."""
    from warpkit.transforms.base import transforms

    component = transforms.own({**options, "type": name}, **({} if ndim == 2 else {"ndim": ndim}))
    what = "a photograph" if ndim == 2 else "a volume" if ndim == 3 else "a line"
    told = f"{name}: {what} needs a transform in {ndim}-D, this one is in {component.ndim}-D"
    require(component.ndim == ndim, told)
    return component


def theta_of(transform: "Transform", given: list[str]) -> "Tensor":
    """θ [P] from the numbers after --theta, or a field [D, *F] from its file; the identity where nothing is given.

    A field that is given as numbers has them in every place.
    """
    import torch

    from warpkit.transforms.compose import Compose

    several = isinstance(transform, Compose) and transform.is_field
    require(not several, "--transform: a composition with a field takes several θ; give them to wk.warp in Python")
    if len(given) == 1 and given[0].endswith(".npy"):
        return _from_file(transform, Path(given[0]))
    numbers = parse_numbers("--theta", given)
    names = transform.param_names
    if not numbers:
        try:
            return transform.identity()
        except InputError as error:
            raise error.hinting(f"give --theta, {len(names)} numbers: {' '.join(names)}") from None
    whole = transform.theta_shape or (0,)
    if len(numbers) == math.prod(whole) != len(names):  # a homography with its last entry
        with at("--theta"):
            square: Tensor = transform.as_theta(torch.tensor(numbers).reshape(1, *whole))
            return square[0]
    expected = f"{len(names)} numbers for {type(transform).__name__} ({' '.join(names)})"
    hint = "9 numbers are a whole matrix, which projective takes" if transform.is_affine and len(numbers) == 9 else ""
    require(len(numbers) == len(names), "--theta", expected=expected, given=len(numbers), hint=hint)
    return torch.tensor(numbers).reshape(-1, *[1] * (transform.ndim if transform.is_field else 0))


def _from_file(transform: "Transform", path: Path) -> "Tensor":
    """θ as NumPy has saved it, without its batch or with one of one."""
    import numpy as np
    import torch

    try:
        held = np.load(path, allow_pickle=False)
        theta = torch.from_numpy(held.astype(np.result_type(held, np.float32)))
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise InputError(f"--theta: {path} cannot be read: {error}") from None
    axes = transform.ndim + 1 if transform.is_field else 1
    is_one = theta.ndim == axes or theta.shape == transform.theta_shape
    try:
        batch: Tensor = transform.as_theta(theta[None] if is_one else theta)
    except InputError as error:
        raise InputError(f"--theta: {path}: {error}") from None
    require(len(batch) == 1, f"--theta: {path}", expected="one θ", given=len(batch))
    return batch[0]


def _words(given: str) -> list[str]:
    return [word.strip() for word in given.split(",")]
