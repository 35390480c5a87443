"""The command line: one file a command, heavy imports inside the commands."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from warpkit.cli import (
    align,
    bench,
    build,
    catalogue,
    check,
    demo,
    evaluate,
    info,
    new,
    report,
    schema,
    show,
    train,
    validate,
    warp,
)
from warpkit.cli.terminal import say
from warpkit.distribution import our_version, to_install
from warpkit.errors import InputError

_EXTRAS = {  # module: what it is called, and which extra brings it
    "matplotlib": ("Matplotlib", "demo"),
    "PIL": ("Pillow", "image"),
    "hypothesis": ("hypothesis", "testing"),
    "pytest": ("pytest", "testing"),
    "yaml": ("PyYAML", "spec"),
    "lightning": ("Lightning", "train"),
    "tensorboard": ("TensorBoard", "train"),
}


class _Friendly(TyperGroup):
    """Commands whose wrong input becomes one red line and exit code 2; any other error is ours, with its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            message = str(error)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in _EXTRAS:
                raise
            title, extra = _EXTRAS[package]
            message = f"this needs {title}: {to_install(extra)}"
        say(f"warpkit: {message}", err=True, red=True)
        raise typer.Exit(2)


app = typer.Typer(
    name="warpkit",
    cls=_Friendly,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"warpkit {our_version()}")
        raise typer.Exit
    return wanted


@app.callback()
def _warpkit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Differentiable image warping for PyTorch: any transform, any kernel, one sampler, open to plugins."""


app.command("demo")(demo.demo)
app.command("list")(catalogue.catalogue)
app.command("warp", cls=warp.WarpCommand)(warp.warp)
app.command("align", cls=warp.WarpCommand)(align.align)
app.command("info")(info.info)
app.command("bench")(bench.bench)
app.command("check", cls=check.CheckCommand)(check.check)
app.command("new")(new.new)
app.command("show")(show.show)
app.command("schema")(schema.schema)
app.command("validate")(validate.validate)
app.command("build")(build.build)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("report")(report.report)


def main() -> None:
    """Run the console command `warpkit`."""
    app()
