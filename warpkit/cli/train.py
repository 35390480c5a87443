"""`warpkit train`: run an experiment, from its file to its results."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from warpkit.cli.completing import among, experiments, shipped
from warpkit.cli.completing import models as models_of
from warpkit.cli.terminal import Terminal, say_rows
from warpkit.cli.values import parse_options
from warpkit.errors import require


def train(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="EXPERIMENT",
            help="A TOML, YAML or JSON file, or one that comes with warpkit.",
            autocompletion=experiments,
        ),
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="All of them if left out.", autocompletion=models_of)
    ] = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", "-s", min=0, max=2**31 - 1, help="0 if left out; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Runs go to OUT/EXPERIMENT/MODEL/SEED.")] = Path("runs"),
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Like training.epochs=10; repeatable."),
    ] = None,
    accelerator: Annotated[
        str, typer.Option(help="cpu, gpu … or auto.", autocompletion=among("auto", "cpu", "gpu"))
    ] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="How many; each gets its share of every batch.")] = 1,
    strategy: Annotated[
        str, typer.Option(help="ddp for several devices or processes.", autocompletion=among("auto", "ddp"))
    ] = "auto",
    precision: Annotated[
        str | None,
        typer.Option(
            help="32-true, bf16-mixed, 16-mixed; mixed where the hardware has it if left out.",
            autocompletion=among("32-true", "bf16-mixed", "16-mixed"),
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of each process, on the CPU.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read data.")] = 0,
    progress: Annotated[bool, typer.Option(help="A progress bar.")] = True,
    listed: Annotated[
        bool, typer.Option("--list", help="Show which experiments come with warpkit: titles, data, minutes.")
    ] = False,
) -> None:
    """Train the models of an experiment, each with each seed, and test them.

    Stop it whenever you like: the same command goes on where it was, and passes over runs that have ended.
    `warpkit report OUT` makes a page of the results.
    """
    console = Terminal(soft_wrap=True, quiet=os.environ.get("LOCAL_RANK", "0") != "0")  # one process speaks
    if listed:
        _list(Terminal())
        return
    from warpkit.training.experiment import plans

    require(spec is not None, "EXPERIMENT", expected="a file or a name", hint="--list shows the names")
    wanted = plans(str(spec), models, parse_options("--set", overrides or []))

    import torch

    from warpkit.training.fit import Fitting

    if threads is not None:
        torch.set_num_threads(threads)
    fit = Fitting(
        accelerator=accelerator,
        devices=devices,
        strategy=strategy,
        precision=precision,
        workers=workers,
        progress=progress,
    )
    results: dict[str, list[dict[str, Any]]] = {}
    for seed in seeds or [0]:
        for plan in wanted:
            console.print(Text(f"{plan.experiment}/{plan.model}/{seed}", "bold"))
            try:
                result = fit(plan, seed, out)
            except KeyboardInterrupt:
                console.print("Stopped. The same command goes on after the last epoch that was finished.")
                raise typer.Exit(130) from None
            results.setdefault(plan.entry.label or plan.model, []).append(result)
    console.print(_table(wanted[0].title, results))
    console.print(f"Everything is in {out}; a page of it: warpkit report {out}")


def _list(console: Terminal) -> None:
    """Print what each experiment that comes with warpkit is, which data it takes and how long."""
    rows = []
    for name, file in sorted(shipped().items()):
        held = tomllib.loads(file.read_text(encoding="utf-8"))
        needs = [held["data"][key] for key in ("folder", "encoder") if key in held["data"]]
        minutes = " to ".join(map(str, dict.fromkeys(held["minutes"]))) if "minutes" in held else "not measured"
        rows.append((name, minutes, ": ".join([held["data"]["type"], *needs]), held["title"]))
    if not console.is_terminal:
        say_rows(rows)
        return
    table = Table("experiment", "minutes a model", "data", "title", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    table.columns[0].min_width = max(len(row[0]) for row in rows)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _table(title: str, results: dict[str, list[dict[str, Any]]]) -> Table:
    table = Table("model", title=Text(title), title_justify="left")
    for heading in ("test error", "seeds", "seconds", "images/s"):
        table.add_column(heading, justify="right")
    for label, runs in results.items():
        table.add_row(
            Text(label),
            _mean(runs, "error", ".2%"),
            str(len(runs)),
            _mean(runs, "seconds", ".0f"),
            _mean(runs, "images_per_second", ",.0f"),
        )
    return table


def _mean(runs: list[dict[str, Any]], name: str, form: str) -> str:
    from warpkit.training.runs import number

    known = [value for run in runs if (value := number(run.get(name))) is not None]
    return format(sum(known) / len(known), form) if known else "–"
