"""`warpkit check`: run the conformance kit on a plugin."""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand

from warpkit.cli.completing import checks, targets
from warpkit.cli.terminal import Terminal, say, say_json
from warpkit.cli.theirs import plugin_packages, told
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
            metavar="NAME|FILE.py|FILE.py:CLASS|MODULE:CLASS",
            help="What to check: a name of `warpkit list`, a class, or all of a file.",
            autocompletion=targets,
        ),
    ],
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of its constructor, like a=-0.5; repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="CHECK", help="Only this check; repeatable.", autocompletion=checks)
    ] = None,
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
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: the report as an object; of FILE.py, a list of them.")
    ] = False,
) -> None:
    """Check a kernel, transform or backend: everything that it claims, with generated inputs.

    Exit code 1 if a check fails; a failure shows the smallest input that was found, and what would mend it.
    """
    from warpkit.testing import run

    if plot is not None:
        _check_plot(plot)
    given, numbers = parse_options("--set", options or []), parse_numbers("--theta", theta) if theta else None
    found = _found(target)
    one = "--set, --theta and --plot are for one component"
    require(len(found) == 1 or not (given or theta or plot), one, hint=f"try {shown(target)}:{next(iter(found))}")
    reports: list[Report] = []
    for create in found.values():
        made = create(**given)
        kind = run.kind_of(made)
        require(theta is None or kind == "transform", f"--theta: {target} is a {kind}, which has none")
        require(plot is None or kind != "backend", "--plot: a backend has no picture")
        session = run.session_for(kind, made, seed=seed, thorough=thorough, theta=numbers)
        with Terminal(stderr=True).status("") as status:
            reports.append(run.run(session, only, begins=lambda name: status.update(Text(f"{name} …"))))
        if len(reports) > 1 and not as_json:
            say("")
        if not as_json:
            _show(reports[-1], Terminal())
        if plot is not None:
            _draw(made, numbers, plot)
    if as_json:
        say_json([it.to_dict() for it in reports] if target.endswith(".py") else reports[0].to_dict())
    if not all(report.passed for report in reports):
        raise typer.Exit(1)


def _found(target: str) -> dict[str, Callable[..., Any]]:
    """What makes each component that is meant, by its name: one of that name, one class, or all classes of a file."""
    from warpkit.testing import run

    if target.endswith(".py"):
        module = _module(target)
        own = {name: cls for name, cls in vars(module).items() if getattr(cls, "__module__", "") == module.__name__}
        found: dict[str, Callable[..., Any]] = {
            name: functools.partial(_made, f"{target}:{name}", cls)
            for name, cls in own.items()
            if isinstance(cls, type) and issubclass(cls, run.Component) and name == cls.__name__ and name[0] != "_"
        }
        require(len(found) > 0, shown(target), expected="a file that defines a kernel, transform or backend")
        return found
    if ":" not in target:
        return {target: functools.partial(run.registry_of(target).create, target)}
    place, _, name = target.rpartition(":")
    cls = _module(place)
    for part in name.split("."):
        require(hasattr(cls, part), f"{shown(target)}: {shown(place)} has no {quoted(part)}")
        cls = getattr(cls, part)
    require(isinstance(cls, type), shown(target), expected="a class", given=cls)
    return {name: functools.partial(_made, target, cls)}


def _made(target: str, cls: type, **options: Any) -> Any:
    """An object of the class; an error of its constructor is told with the last line of its file."""
    try:
        return cls(**options)
    except InputError:
        raise
    except Exception as error:  # whatever a stranger's constructor does
        given = quoted(options) if options else "no options"
        theirs = told(error, plugin_packages() | {cls.__module__.partition(".")[0]})
        how = theirs or f"{shown(type(error).__name__)}: {reason(error)}"
        raise InputError(f"{shown(target)} with {given}: {how}") from error


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
        theirs = (
            told(error, {path.stem if is_file else place.partition(".")[0]}) if isinstance(error, Exception) else ""
        )
        how = theirs or f"{shown(type(error).__name__)}: {reason(error)}"
        raise InputError(f"{shown(place)} cannot be imported: {how}") from error


def _executed(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # a pickle looks there
    spec.loader.exec_module(module)
    return module


def _show(report: "Report", console: Terminal) -> None:
    """Print all about the checks that are not as they should be, then a row for each check that was run."""
    for result in sorted(report.told, key=lambda result: result not in report.failures):
        console.print(Text(f"{result.check.name}: {result.status}", _COLOURS[result.status]))
        rows = Table(show_header=False, box=None, padding=(0, 1, 0, 1))
        for label, text in result.lines():
            rows.add_row(Text(label, "dim"), Text(text))
        console.print(rows)
        console.print()
    left = [result for result in report.results if result.status in ("not run", "not applicable")]
    table = Table("check", "result", "", box=None, pad_edge=False)
    for result in [*report.told, *(it for it in report.results if it not in report.told)]:
        if result not in left:
            table.add_row(result.check.name, Text(result.status, _COLOURS[result.status]), _short(result))
    console.print(table)
    if left:
        names = ", ".join(result.check.name for result in left)
        console.print(Text(f"\n{len(left)} not run: {names}", "dim"), soft_wrap=True)
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
    from warpkit.pictures import kernel_figure, transform_figure
    from warpkit.testing.flattened import Flattened

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
