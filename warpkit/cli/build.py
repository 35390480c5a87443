"""`warpkit build`: a spec becomes a program that torch alone, or an ONNX runtime, can run."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from warpkit.cli.completing import ending
from warpkit.cli.terminal import say_json
from warpkit.cli.values import parse_options
from warpkit.errors import InputError, quoted, require
from warpkit.files import check_writable, written_whole
from warpkit.quoting import reason, shown

_SUFFIXES = (".pt2", ".onnx")
_TORCHS = ("torch._dynamo.", "torch._export.", "torch.fx.", "torch.onnx.")  # where its errors about graphs are from


def build(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", help="A TOML, YAML or JSON file, or what warpkit.save wrote.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Where it is written: .pt2 or .onnx.", autocompletion=ending(*_SUFFIXES)
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Like layers.0.transform.type=projective; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="For the weights of a spec.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: what was written, as an object.")] = False,
) -> None:
    """Build the module of a spec and export it, for batches of any size: FILE.pt2 for torch, FILE.onnx for ONNX.

    warpkit is not needed where it runs: the sampler is in it as operators of torch, or of ONNX (the reference backend).
    Weights are new ones, or those of a file that warpkit.save wrote.
    """
    suffix = out.suffix.lower()
    require(suffix in _SUFFIXES, "--out", expected="a file that ends in .pt2 or .onnx", given=quoted(str(out), 300))
    check_writable(out)
    import torch

    from warpkit.spec import export
    from warpkit.spec.build import build as build_module
    from warpkit.spec.build import inputs_of
    from warpkit.spec.files import load
    from warpkit.spec.read import SUFFIXES

    if suffix == ".onnx":
        export.check_packages()
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
    with _told(spec):
        data = export.as_pt2(module, shapes) if suffix == ".pt2" else export.as_onnx(module, shapes)
    with written_whole(out) as draft:
        draft.write_bytes(data)
    size = sum(p.numel() for p in module.parameters())
    if as_json:
        say_json({"file": str(out), "bytes": len(data), "parameters": size, "inputs": shapes})
    typer.echo(f"Written: {out} ({size:,} parameters)", err=as_json)


@contextlib.contextmanager
def _told(spec: Path) -> Iterator[None]:
    """What torch cannot keep in a graph becomes one sentence, unless it stands in a plugin, whose line is told."""
    try:
        yield
    except Exception as error:
        from warpkit.cli.theirs import plugin_packages, told

        if not type(error).__module__.startswith(_TORCHS) or told(error, plugin_packages()):
            raise
        first: BaseException = error
        while first.__cause__ is not None:  # what happened; the others say where
            first = first.__cause__
        raise InputError(f"{spec}: cannot be exported: {shown(type(first).__name__)}: {reason(first)}") from error
