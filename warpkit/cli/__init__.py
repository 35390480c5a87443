"""The command line: one file a command, which is imported when it is asked for, heavy imports inside it."""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from warpkit.distribution import our_version, to_install
from warpkit.errors import InputError

_GROUPS = {
    "Pictures": ("warp", "align", "play"),
    "Plugins": ("list", "info", "new", "check", "bench"),
    "Networks": ("validate", "show", "schema", "build"),
    "Experiments": ("demo", "train", "evaluate", "report"),
}
_PANELS = {command: group for group, commands in _GROUPS.items() for command in commands}
_FILES = {"list": "catalogue"}  # the others are called as their command
_CLASSES = {"warp": "warp:WarpCommand", "align": "warp:WarpCommand", "check": "check:CheckCommand"}

_EXTRAS = {  # module: what it is called, and which extra brings it
    "matplotlib": ("Matplotlib", "demo"),
    "PIL": ("Pillow", "image"),
    "hypothesis": ("hypothesis", "testing"),
    "pytest": ("pytest", "testing"),
    "yaml": ("PyYAML", "spec"),
    "lightning": ("Lightning", "train"),
    "tensorboard": ("TensorBoard", "train"),
    "dask": ("Dask", "chunked"),
    "zarr": ("Zarr", "chunked"),
    "starlette": ("Starlette", "play"),
    "uvicorn": ("uvicorn", "play"),
    "onnx": ("onnx", "onnx"),
    "onnxscript": ("ONNX Script", "onnx"),
}


class _Friendly(TyperGroup):
    """Commands whose wrong input becomes one red line and exit code 2, and so does an error in a plugin's code.

    Any other error is ours, with its traceback.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands, group by group."""
        return list(_PANELS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, from its file; None where there is none."""
        for name in [cmd_name] if cmd_name in _PANELS else _PANELS:  # all of them, for the nearest to be suggested
            if name not in self.commands:
                self.commands[name] = _load(name)
        return self.commands.get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            message = str(error)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in _EXTRAS:
                title, extra = _EXTRAS[package]
                message = f"this needs {title}: {to_install(extra)}"
            else:
                message = _plugin_error(error)
        except Exception as error:
            message = _plugin_error(error)
        from warpkit.cli.terminal import say

        say(f"warpkit: {message}", err=True, red=True)
        raise typer.Exit(2)


def _plugin_error(error: Exception) -> str:
    """The message for an error that passed a plugin's code; any other is raised again."""
    from warpkit.cli.theirs import plugin_packages, told

    message = told(error, plugin_packages())
    if not message:
        raise error
    return f"error in a plugin: {message}"


def _load(name: str) -> Any:
    file = _FILES.get(name, name)
    place, _, attribute = _CLASSES.get(name, "").partition(":")
    cls = getattr(import_module(f"warpkit.cli.{place}"), attribute) if place else None
    one = typer.Typer(add_completion=False, rich_markup_mode=app.rich_markup_mode)
    one.command(name, cls=cls, rich_help_panel=_PANELS[name])(getattr(import_module(f"warpkit.cli.{file}"), file))
    return get_command(one)


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


def main() -> None:
    """Run the console command `warpkit`."""
    app()
