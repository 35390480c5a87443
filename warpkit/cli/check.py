"""`warpkit check`: run the conformance kit on a plugin."""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from warpkit.cli.terminal import Terminal, say, say_json
from warpkit.cli.values import join_numbers, parse_numbers, parse_options
from warpkit.errors import InputError, quoted, require
from warpkit.files import check_writable, written_whole
from warpkit.quoting import reason, shown

if TYPE_CHECKING:
    from warpkit.testing.report import Report, Result

_COLOURS = {
    "passed": "green",
    "failed": "bold red",
    "warning": "yellow",
    "expected failure": "yellow",
    "unexpected pass": "yellow",
    "not run": "dim",
    "not applicable": "dim",
}


class CheckCommand(TyperCommand):
    """A command that takes several numbers after --theta."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join the numbers that belong to one flag, before they are read as words of their own."""
        return super().parse_args(ctx, join_numbers(args, ("--theta",)))


def check(
    target: Annotated[
        str,
        typer.Argument(
            metavar="NAME|MODULE:CLASS|FILE.py:CLASS", help="What to check: a name of `warpkit list`, or a class."
        ),
    ],
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of its constructor, like a=-0.5; repeatable."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="CHECK", help="Only this check; repeatable.")] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="1,000 generated inputs for each check instead of 30.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same inputs.")] = 0,
    theta: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBERS", help="θ around which a transform is tried; its identity if left out."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the kernel, or a grid bent by the transform.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: the report as an object.")] = False,
) -> None:
    """Check a kernel, transform or backend: everything that it claims, with generated inputs.

    Exit code 1 if a check fails; a failure shows the smallest input that was found, and what would mend it.
    """
    from warpkit.testing import run

    if plot is not None:
        _check_plot(plot)
    made = _made(target, parse_options("--set", options or []))
    kind = run.kind_of(made)
    require(theta is None or kind == "transform", f"--theta: {target} is a {kind}, which has none")
    require(plot is None or kind != "backend", "--plot: a backend has no picture")
    numbers = parse_numbers("--theta", theta) if theta else None
    session = run.session_for(kind, made, seed=seed, thorough=thorough, theta=numbers)
    with Terminal(stderr=True).status("") as status:
        report = run.run(session, only, begins=lambda name: status.update(Text(f"{name} …")))
    if as_json:
        say_json(report.to_dict())
    else:
        _show(report, Terminal())
    if plot is not None:
        _draw(made, numbers, plot)
    if not report.passed:
        raise typer.Exit(1)


def _made(target: str, options: dict[str, Any]) -> Any:
    """The component that a name, or a class given by its module or file, stands for."""
    from warpkit.testing import run

    if ":" not in target:
        return run.registry_of(target).create(target, **options)
    place, _, name = target.rpartition(":")
    cls = _module(place)
    for part in name.split("."):
        require(hasattr(cls, part), f"{shown(target)}: {shown(place)} has no {quoted(part)}")
        cls = getattr(cls, part)
    require(isinstance(cls, type), shown(target), expected="a class", given=cls)
    try:
        return cls(**options)
    except TypeError as error:
        given = quoted(options) if options else "no options"
        raise InputError(f"{shown(target)} with {given}: {reason(error)}") from error


def _module(place: str) -> Any:
    """A module, by its dotted name, which is looked for in the current folder too, or by its file."""
    path = Path(place)
    is_file = path.suffix == ".py"
    require(not is_file or path.is_file(), f"{shown(place)}: no such file")
    sys.path.insert(0, str(path.parent.resolve()) if is_file else "")  # what lies beside it can be imported, too
    try:
        return _executed(path) if is_file else importlib.import_module(place)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's module does
        raise InputError(f"{shown(place)} cannot be imported: {type(error).__name__}: {reason(error)}") from error


def _executed(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # a pickle looks there
    spec.loader.exec_module(module)
    return module


def _show(report: "Report", console: Terminal) -> None:
    """Print a row for each check, then all about those that are not as they should be."""
    table = Table("check", "result", "", box=None, pad_edge=False)
    for result in report.results:
        table.add_row(result.check.name, Text(result.status, _COLOURS[result.status]), _short(result))
    console.print(table)
    for result in report.told:
        console.print(Text(f"\n{result.check.name}: {result.status}", _COLOURS[result.status]))
        rows = Table(show_header=False, box=None, padding=(0, 1, 0, 1))
        for label, text in result.lines():
            rows.add_row(Text(label, "dim"), Text(text))
        console.print(rows)
    console.print(Text(f"\n{report.summary()}", "green" if report.passed else "red"))
    if report.suggestions:
        console.print(f"Not stated, and found to hold: {', '.join(report.suggestions)}")


def _short(result: "Result") -> str:
    return f"{result.found}; expected {result.expected}" if result.found else result.reason


def _check_plot(plot: Path) -> None:
    """Raise `InputError` for a picture that cannot be written, before anything is checked that could be lost."""
    import matplotlib.backend_bases

    known = matplotlib.backend_bases.FigureCanvasBase.get_supported_filetypes()
    can = plot.suffix.lower().lstrip(".") in known
    require(can, f"--plot: cannot draw {quoted(plot.name)}", hint="try .png, .svg or .pdf")
    check_writable(plot)


def _draw(made: Any, theta: list[float] | None, path: Path) -> None:
    import torch
    from torch.utils._pytree import tree_map

    from warpkit.kernels.base import Kernel
    from warpkit.testing.flattened import Flattened
    from warpkit.testing.pictures import kernel_figure, transform_figure

    if isinstance(made, Kernel):
        figure = kernel_figure(made)
    else:
        at = None if theta is None else torch.tensor(theta)
        if at is not None and made.is_field:
            at = tree_map(lambda t: t[0], Flattened(made).apart(at[None]))
        figure = transform_figure(made, at)
    with written_whole(path) as draft:
        figure.savefig(draft)
    say(f"Written: {path}", err=True)
