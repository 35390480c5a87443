"""`warpkit bench`: how fast warpkit is beside others on the same work."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warpkit.cli.completing import among, names, peers, workloads
from warpkit.cli.terminal import Terminal
from warpkit.errors import InputError, quoted, require
from warpkit.files import check_writable, written_whole

if TYPE_CHECKING:
    from warpkit.benchmark.peer import Peer
    from warpkit.benchmark.results import Results
    from warpkit.benchmark.run import Plan

_SECONDS, _QUICK_SECONDS = 1.0, 0.02
_INTERRUPTED = 130


def bench(
    workload: Annotated[
        list[str] | None, typer.Option(help="Only this one; repeatable.", autocompletion=workloads)
    ] = None,
    kernel: Annotated[
        list[str] | None,
        typer.Option(help="Only this one, a plugin's too; repeatable.", autocompletion=names("kernel")),
    ] = None,
    peer: Annotated[list[str] | None, typer.Option(help="Only this one; repeatable.", autocompletion=peers)] = None,
    direction: Annotated[
        str,
        typer.Option(help="forward, or both: forward, and with gradients.", autocompletion=among("forward", "both")),
    ] = "both",
    threads: Annotated[int | None, typer.Option(help="Of warpkit and every peer; torch's number if left out.")] = None,
    seconds: Annotated[float | None, typer.Option(help="For each row, but five pairs at least. 1 if left out.")] = None,
    repeats: Annotated[int | None, typer.Option(help="Pairs of calls for each row, instead of seconds.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small images, a moment each: does everything run?")] = False,
    memory: Annotated[bool, typer.Option(help="Measure peak memory too, on Linux.")] = True,
    kept: Annotated[
        Path | None,
        typer.Option("--results", metavar="FILE.json", help="Keep the results, each row when it is finished."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what the --results file holds already.")] = False,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Take these results, measure nothing.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the ratios.")] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="Write the page; its pictures go to img/ beside it.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 where a floor is missed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: the results as an object.")] = False,
) -> None:
    """Time warpkit beside torch, kornia, torch-interpol and OpenCV, as far as they are installed, on the same work.

    A ratio above 1: warpkit is faster. A peer's result is compared with ours before it is timed.
    """
    from warpkit.benchmark.results import from_json, to_json
    from warpkit.benchmark.table import show

    console = Terminal(stderr=as_json)
    _check_outputs(kept, plot, page)
    require(
        resume or kept is None or source is not None or not kept.exists(),
        f"--results: {kept} exists",
        hint="--resume goes on with it, another name begins anew",
    )
    require(not resume or kept is not None, "--resume", expected="--results FILE, the results to go on with")
    require(not (check and quick), "--check: floors are for the real sizes, not for --quick")
    if source is not None:
        asked = (workload, kernel, peer, threads, seconds, repeats, resume or None, quick or None)
        require(
            all(it is None for it in asked),
            "--from: nothing is measured, so it goes with --results, --json, --plot, --page, --check",
        )
        results, whole = from_json(source), True
        require(
            not (check and results.quick), f"--check: {source} was measured with --quick, floors are for real sizes"
        )
    else:
        plan = _plan(workload, kernel, peer, direction, threads, seconds, repeats, quick, memory, console)
        compares = any(row[-1] is not None for row in plan.rows())
        require(compares or (plot is None and page is None), "--plot and --page: no peer can do this, nothing to draw")
        results, whole = _measure(plan, kept, resume, console)
    show(results, console)
    if not whole:
        kept_in = f", and are kept in {kept}; --resume goes on from there" if kept and results.rows else ""
        console.print(f"Interrupted: {len(results.rows)} rows were measured{kept_in}.", style="red", soft_wrap=True)
        raise typer.Exit(_INTERRUPTED)
    _write(results, kept, plot, page, console)
    if as_json:
        sys.stdout.write(to_json(results))
    if check and not _reached(results, console):
        raise typer.Exit(1)


def _check_outputs(kept: Path | None, plot: Path | None, page: Path | None) -> None:
    """Raise `InputError` for files that cannot be written, before anything is measured that could be lost."""
    if plot is not None or page is not None:
        import matplotlib.backend_bases

        known = matplotlib.backend_bases.FigureCanvasBase.get_supported_filetypes()
        if plot is not None and plot.suffix.lower().lstrip(".") not in known:
            raise InputError(f"--plot: cannot draw {quoted(plot.name)}", hint="try .png, .svg or .pdf")
    require(page is None or page.suffix == ".md", "--page", expected="a .md file", given=quoted(str(page), 300))
    for path in (kept, plot, page, page and page.parent / "img" / "benchmarks.png"):
        if path is not None:
            check_writable(path)


def _plan(
    workload: list[str] | None,
    kernel: list[str] | None,
    peer: list[str] | None,
    direction: str,
    threads: int | None,
    seconds: float | None,
    repeats: int | None,
    quick: bool,
    memory: bool,
    console: Terminal,
) -> "Plan":
    import torch

    from warpkit.benchmark import peers as all_peers
    from warpkit.benchmark import workloads as work
    from warpkit.benchmark.peer import DIRECTIONS, FORWARD
    from warpkit.benchmark.run import Plan

    directions = {"forward": (FORWARD,), "both": DIRECTIONS}
    require(direction in directions, "--direction", expected="forward or both", given=direction)
    require(threads is None or threads >= 1, "--threads", expected="1 or more", given=threads)
    require(seconds is None or seconds > 0, "--seconds", expected="more than 0", given=seconds)
    require(repeats is None or repeats >= 1, "--repeats", expected="1 or more", given=repeats)
    require(seconds is None or repeats is None, "--seconds and --repeats", expected="one of them")
    for name in kernel or ():
        work.get_kernel(name)
    plan = Plan(
        workloads=[work.get_workload(name) for name in workload or work.WORKLOADS],
        kernels=kernel or None,
        directions=directions[direction],
        peers=[all_peers.get_peer(name) for name in peer] if peer else _installed(console),
        threads=threads or torch.get_num_threads(),
        seconds=seconds or (_QUICK_SECONDS if quick else _SECONDS),
        repeats=repeats,
        quick=quick,
        memory=memory,
    )
    require(bool(plan.rows()), "nothing to measure: no such workload is for such a kernel")
    return plan


def _installed(console: Terminal) -> "list[Peer]":
    """The peers that are installed; a line names those that are not."""
    from warpkit.benchmark.peers import PEERS, pip_line

    missing = [it for it in PEERS.values() if not it.installed()]
    if missing:
        names = ", ".join(it.name for it in missing)
        console.print(f"Not installed: {names}. {pip_line(missing)}", soft_wrap=True)
    return [it for it in PEERS.values() if it not in missing]


def _measure(plan: "Plan", kept: Path | None, resume: bool, console: Terminal) -> "tuple[Results, bool]":
    """The results, and whether they are whole; each finished row is written to `kept`."""
    from datetime import UTC, datetime

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from warpkit.benchmark.accuracy import WIDTHS, accuracy
    from warpkit.benchmark.machine import copy_bandwidth, describe
    from warpkit.benchmark.peers import set_threads
    from warpkit.benchmark.results import Results, from_json
    from warpkit.benchmark.run import measure

    set_threads(plan.threads)
    results = Results(describe(list(plan.peers)), f"{datetime.now(UTC):%Y-%m-%d}", plan.quick, 0.0, [], [])
    if resume and kept is not None and kept.exists():
        before = from_json(kept)
        same = (before.machine, before.quick) == (results.machine, results.quick)
        require(same, f"--resume: {kept} was measured on another machine, with other versions or other sizes")
        results = before
    known = {row.key for row in results.rows}
    steps = sum((w.name, k, d, p and p.name) not in known for w, k, d, p in plan.rows())
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("bandwidth", total=steps)
            results = replace(results, bandwidth=copy_bandwidth(plan.quick))
            progress.update(bar, description="accuracy")
            if not results.accuracy:
                results = replace(results, accuracy=[accuracy(width) for width in WIDTHS])
            for row in measure(plan, known):
                results = replace(results, rows=[*results.rows, row])
                progress.update(bar, advance=1, description=f"{row.workload}, {row.kernel}")
                if kept is not None:
                    _keep(results, kept)
    except KeyboardInterrupt:
        return results, False
    return results, True


def _keep(results: "Results", path: Path) -> None:
    from warpkit.benchmark.results import to_json

    with written_whole(path) as draft:
        draft.write_text(to_json(results), encoding="utf-8")


def _write(results: "Results", kept: Path | None, plot: Path | None, page: Path | None, console: Terminal) -> None:
    if kept is not None:
        _keep(results, kept)
    if plot is None and page is None:
        return
    from warpkit.benchmark import pictures

    if plot is not None:
        _draw(pictures.ratio_bars, results, plot)
    if page is not None:
        from warpkit.benchmark import page as pages

        links = ("img/benchmarks.png", "img/accuracy.png")
        for link, draw in zip(links, (pictures.ratio_bars, pictures.accuracy_curve), strict=True):
            _draw(draw, results, page.parent / link)
        with written_whole(page) as draft:
            draft.write_text(pages.page(results, links), encoding="utf-8")
    for path in filter(None, (kept, plot, page)):
        console.print(f"Written: {path}", soft_wrap=True)


def _draw(draw: "Callable[[Results], Any]", results: "Results", path: Path) -> None:
    with written_whole(path) as draft:
        draw(results).savefig(draft)


def _reached(results: "Results", console: Terminal) -> bool:
    """Print each floor that is missed, and by how much; return whether all are reached."""
    from warpkit.benchmark.floors import floors

    every = floors(results)
    missed = [floor for floor in every if floor.met is False]
    measured = sum(floor.met is not None for floor in every)
    for floor in missed:
        console.print(f"missed: {floor}", style="red", soft_wrap=True)
    console.print(
        f"{measured - len(missed)} of {measured} measured floors are reached, {len(every) - measured} not measured"
    )
    require(measured > 0, "--check: no floor is for what was measured")
    return not missed
