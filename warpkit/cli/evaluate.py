"""`warpkit evaluate`: test trained models again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from warpkit.cli.completing import among
from warpkit.cli.terminal import Terminal, say, say_json
from warpkit.cli.values import parse_options
from warpkit.errors import InputError
from warpkit.quoting import reason, shown

if TYPE_CHECKING:
    import torch


def evaluate(
    folders: Annotated[list[Path], typer.Argument(metavar="RUNS…", help="Folders with runs in them.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Other data: data.test_folder=mnist; repeatable."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda …", autocompletion=among("cpu", "cuda", "mps"))] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="For programs: a list of objects.")] = False,
) -> None:
    """Test the models of runs that have ended, on their own test images or on other data. Nothing is written."""
    from warpkit.training.evaluate import evaluate as test
    from warpkit.training.runs import find_runs

    changes = parse_options("--set", overrides or [])
    where = _device(device)
    tested = []
    for run in find_runs(folders):
        try:
            tested.append({"run": str(run.folder), **test(run, changes, where)})
        except InputError as error:  # the others are tested all the same
            say(f"warpkit: {error}", err=True, red=True)
    if as_json:
        say_json(tested)
        _end(len(tested))
        return
    table = Table("run", "tested on")
    more = list(dict.fromkeys(name for each in tested for name in each.get("measured", {})))
    for heading in ("error", "loss", *more):
        table.add_column(heading, justify="right")
    for each in tested:
        has = each.get("measured", {})
        measured = [f"{has[name]:.2%}" if name in has else "–" for name in more]
        table.add_row(Text(each["run"]), each["tested_on"], f"{each['error']:.2%}", f"{each['loss']:.4f}", *measured)
    Terminal(soft_wrap=True).print(table)
    _end(len(tested))


def _end(tested: int) -> None:
    if not tested:
        raise typer.Exit(2)


def _device(name: str) -> "torch.device":
    import torch

    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {shown(name)}: {reason(error)}") from error
