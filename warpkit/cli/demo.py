"""`warpkit demo`: a spatial transformer learns to straighten real handwritten digits."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from warpkit.cli.completing import among
from warpkit.cli.terminal import Terminal
from warpkit.errors import quoted, require
from warpkit.files import check_writable, written_whole

if TYPE_CHECKING:
    from torch import Tensor, nn

    from warpkit.datasets import Distortion, Labelled

_SHOWN = 10  # digits in the picture
_STEPS = {"r": 2000, "rts": 1000}  # what fits into two minutes on two cores; the canvas of rts is larger


@dataclass(frozen=True)
class Trained:
    """A trained model; `error` is the share of wrong answers, 0 … 1."""

    model: "nn.Module"
    error: float
    seconds: float

    @property
    def parameters(self) -> int:
        """The number of numbers that the model has learnt."""
        return sum(p.numel() for p in self.model.parameters())


def demo(
    distortion: Annotated[
        str,
        typer.Option(
            help="r: digits turned by up to ±90°; rts: turned, scaled and moved.", autocompletion=among(*_STEPS)
        ),
    ] = "r",
    seed: Annotated[int, typer.Option(help="Decides the first weights, and which images are drawn.")] = 0,
    steps: Annotated[
        int | None, typer.Option(help="Training steps of each model; what fits into two minutes if left out.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the picture goes: a folder, or a .png file.")] = Path("warpkit-demo"),
) -> None:
    """Train a CNN, and the same CNN with a spatial transformer in front, on distorted digits.

    Ends, within two minutes on two cores, with both test errors and a picture of what the transformer does.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from warpkit.datasets import digits, get_distortion
    from warpkit.training import digit_classifiers, distorted_test
    from warpkit.training.pictures import before_and_after
    from warpkit.watching.transformers import transformers_in

    distort, console = get_distortion(distortion), Terminal()
    steps = _STEPS[distortion] if steps is None else steps
    require(steps >= 1, "--steps", expected="1 or more", given=steps)
    picture = out / f"{distortion}.png" if out.is_dir() or not out.suffix else out
    require(picture.suffix.lower() == ".png", "--out", expected="a folder or a .png file", given=quoted(str(out), 300))

    check_writable(picture)

    train, test = digits()
    images, labels = distorted_test(test, distort)
    console.print(f"{len(train.labels):,} handwritten digits to train with, {len(test.labels):,} others to test on")
    trained = {}
    columns = [BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}"), TimeRemainingColumn()]
    with Progress(TextColumn("{task.description:<6}"), *columns, console=console) as progress:
        for name, spec in digit_classifiers(images.shape[1:]).items():
            bar = progress.add_task(name, total=steps, loss="")

            def show(step: int, loss: float, bar: Any = bar) -> None:
                progress.update(bar, completed=step, loss=f"{loss:.3f}")

            with _one_thread():
                trained[name] = _train(spec, train, distort, steps, seed, show, images, labels)
    console.print(_table(trained))

    some = [int((labels == digit).nonzero()[0]) for digit in range(_SHOWN)]
    transformer = next(iter(transformers_in(trained["ST-CNN"].model).values()))
    figure = before_and_after(transformer, images[some], [str(digit) for digit in range(_SHOWN)])
    with written_whole(picture) as draft:
        figure.savefig(draft)
    console.print(f"What the transformer does: {picture}", soft_wrap=True)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: batches this small gain little from more, which wait for each other where cores are shared.

    It also makes the result the same for any number of cores.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _train(
    spec: dict[str, Any],
    data: "Labelled",
    distort: "Distortion",
    steps: int,
    seed: int,
    show: Callable[[int, float], None],
    images: "Tensor",
    labels: "Tensor",
) -> Trained:
    import torch

    from warpkit.spec.build import build
    from warpkit.training import error_rate, train

    start = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(spec)
    train(model, data, distort, steps=steps, seed=seed, progress=show)
    return Trained(model, error_rate(model, images, labels), time.perf_counter() - start)


def _table(trained: dict[str, Trained]) -> Table:
    table = Table("model", title="Error on the test digits", title_justify="left")
    for heading in ("test error", "change", "parameters", "seconds"):
        table.add_column(heading, justify="right")
    first = next(iter(trained.values())).error
    for name, it in trained.items():
        change = f"{it.error / first - 1:+.0%}" if first and it.error != first else ""
        table.add_row(name, f"{it.error:.2%}", change, f"{it.parameters:,}", f"{it.seconds:.0f}")
    return table
