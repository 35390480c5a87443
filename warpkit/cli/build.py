"""`warpkit build`: a spec becomes a program that torch alone can run."""

import io
import warnings
from pathlib import Path
from typing import Annotated

import typer

from warpkit.cli.values import parse_options
from warpkit.errors import InputError, quoted, require
from warpkit.files import check_writable, written_whole


def build(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", help="A TOML, YAML or JSON file, or what warpkit.save wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.pt2", help="Where the program is written.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Like layers.0.transform.type=projective; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="For the weights of a spec.")] = 0,
) -> None:
    """Build the module of a spec and export it (torch.export), for batches of any size.

    `torch.export.load(FILE)` reads it, and torch alone runs it: the sampler is in it as operators of torch (the
    reference backend). Weights are new ones, or those of a file that warpkit.save wrote.
    """
    require(out.suffix == ".pt2", "--out", expected="a file that ends in .pt2", given=quoted(str(out), 300))
    check_writable(out)
    import torch

    from warpkit.sampling.backend import use_backend
    from warpkit.spec.build import build as build_module
    from warpkit.spec.build import inputs_of
    from warpkit.spec.files import load
    from warpkit.spec.read import SUFFIXES

    torch.manual_seed(seed)
    changes = parse_options("--set", overrides or [])
    if spec.suffix.lower() in SUFFIXES:
        module = build_module(spec, changes)
    else:
        require(not changes, f"--set: {spec} holds weights, which belong to its spec as it is")
        module = load(spec)
    shapes = inputs_of(module)
    if shapes is None:
        raise InputError(f"{spec}: needs `input`, the shape [C, *S] of one image, to be exported")
    images = tuple(torch.rand(2, *shape) for shape in shapes.values())
    batch = torch.export.Dim("batch")
    names = {"images": tuple({0: batch} for _ in images)} if len(images) > 1 else ({0: batch},)
    with use_backend("reference"), torch.no_grad():  # a region with another grad mode could not be read again
        program = torch.export.export(module.eval(), images, dynamic_shapes=names)
    file = io.BytesIO()  # written by torch itself, a full disk would end the process
    with warnings.catch_warnings(action="ignore"):
        torch.export.save(program, file)
    with written_whole(out) as draft:
        draft.write_bytes(file.getbuffer())
    size = sum(p.numel() for p in module.parameters())
    typer.echo(f"Written: {out} ({size:,} parameters)")
