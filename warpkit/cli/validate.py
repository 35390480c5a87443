"""`warpkit validate`: tell every mistake in a spec."""

from pathlib import Path
from typing import Annotated

import typer

from warpkit.cli.terminal import say
from warpkit.cli.values import parse_options
from warpkit.errors import InputError, require


def validate(
    specs: Annotated[list[Path], typer.Argument(metavar="SPEC…", help="TOML, YAML or JSON files.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Like layers.0.transform.type=projective; repeatable."),
    ] = None,
) -> None:
    """Check specs: names, options and sizes, without making the weights.

    Exit code 2 if one is wrong; every mistake is told with its place.
    """
    from warpkit.spec.build import planned

    changes, wrong = parse_options("--set", overrides or []), False
    for path in specs:
        try:
            told = "a spec is read from a file, whose suffix says its format, and not from stdin"
            require(str(path) != "-", told)
            planned(path, changes)
        except InputError as error:
            wrong = True
            say(f"{path}: {error}", err=True, red=True)
        else:
            say(f"{path}: right")
    if wrong:
        raise typer.Exit(2)
