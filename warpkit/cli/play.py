"""`warpkit play`: a page in the browser to bend a picture by hand."""

from pathlib import Path
from typing import Annotated

import typer

from warpkit.cli.completing import names
from warpkit.cli.terminal import say
from warpkit.cli.values import parse_options
from warpkit.errors import InputError


def play(
    image: Annotated[
        Path | None, typer.Argument(metavar="[IMAGE]", help="The picture to begin with; a portrait if left out.")
    ] = None,
    transform: Annotated[
        str,
        typer.Option(
            help="Name of the transform to begin with; the page has all that are installed.",
            autocompletion=names("transform"),
        ),
    ] = "thin_plate_spline",
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the transform, like grid=[3,3]; repeatable."),
    ] = None,
    port: Annotated[int, typer.Option(help="The port on this machine; a free one if left out.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Bend a picture by hand: a page with handles to drag, and sliders for θ.

    The page is served to this machine alone, until Ctrl-C.
    """
    import starlette  # noqa: F401  # the extra that is missing is named before the picture is read
    import uvicorn  # noqa: F401

    from warpkit.play.pictures import read, sample
    from warpkit.play.server import Server
    from warpkit.transforms.base import transforms

    transforms.load(transform)
    given = options or []
    parse_options("--set", given)
    texts = {key.strip(): value.strip() for key, _, value in (text.partition("=") for text in given)}
    try:
        picture = sample() if image is None else read(image.read_bytes(), str(image))
    except OSError as error:
        raise InputError(f"{image} cannot be read: {error.strerror or error}") from None
    server = Server(picture, transform, texts, port)
    say(f"{server.url} shows the page, until Ctrl-C")
    if not no_browser:
        server.open_browser()
    server.run()
