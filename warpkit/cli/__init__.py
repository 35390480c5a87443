"""The command line: one file a command, heavy imports inside the commands."""

from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from warpkit.cli import bench, catalogue, demo, info, warp
from warpkit.errors import InputError

_EXTRAS = {"matplotlib": "Matplotlib", "PIL": "Pillow"}  # what the extra "demo" brings


class _Friendly(TyperGroup):
    """What was given wrongly becomes one red line and exit code 2; any other error is ours, and shows where it is."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            message = str(error)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in _EXTRAS:
                raise
            message = f"this needs {_EXTRAS[package]}: pip install warpkit[demo]"
        Console(stderr=True, soft_wrap=True).print(f"warpkit: {message}", style="red", markup=False, highlight=False)
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
        from importlib.metadata import version

        typer.echo(f"warpkit {version('warpkit')}")
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
app.command("info")(info.info)
app.command("bench")(bench.bench)


def main() -> None:
    """The console command `warpkit`."""
    app()
