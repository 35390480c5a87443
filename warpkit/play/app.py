"""The addresses of the page. No path that is asked for is ever one in the file system: each is written here."""

import logging
import time
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from warpkit.cli.photo.writer import encode
from warpkit.errors import InputError, require
from warpkit.play import asked, offer
from warpkit.play.guard import Guard
from warpkit.play.pictures import Picture, Pictures, read
from warpkit.play.scene import scene
from warpkit.quoting import reason

_LARGEST = 64 * 2**20  # bytes of a file that is opened
_STATIC = {
    "/": ("index.html", "text/html"),
    "/play.css": ("play.css", "text/css"),
    "/play.js": ("play.js", "text/javascript"),
    "/stage.js": ("stage.js", "text/javascript"),
    "/controls.js": ("controls.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}

Answer = Callable[[Request, bytes], Response]


def application(first: Picture, transform: str, options: dict[str, str], port: int) -> Starlette:
    """The application: it begins with this picture and transform, and answers on this port alone."""
    pictures = Pictures(first)

    def begin(_: Request, body: bytes) -> Response:
        begun = {"picture": _told(pictures.first, first), "transform": transform, "options": options}
        return JSONResponse({**offer.everything(), **begun})

    def options_of(_: Request, body: bytes) -> Response:
        chosen = asked.read(asked.Chosen, body)
        return JSONResponse(offer.options(chosen.transform, pictures.get(chosen.picture)))

    def parameters_of(_: Request, body: bytes) -> Response:
        return JSONResponse(offer.parameters(asked.read(asked.Chosen, body)))

    def warp(_: Request, body: bytes) -> Response:
        began = time.perf_counter()
        wanted = asked.read(asked.Asked, body)
        made = scene(wanted, pictures.get(wanted.picture)).encoded()
        took = {"Server-Timing": f"warp;dur={1000 * (time.perf_counter() - began):.1f}"}
        return Response(made, media_type="application/octet-stream", headers=took)

    def png(_: Request, body: bytes) -> Response:
        wanted = asked.read(asked.Asked, body)
        photo = scene(wanted, pictures.get(wanted.picture)).photo
        return Response(encode([photo], ".png"), media_type="image/png")

    def opened(request: Request, body: bytes) -> Response:
        picture = read(body, request.query_params.get("name", "picture"))
        return JSONResponse(_told(pictures.add(picture), picture))

    def picture(request: Request, body: bytes) -> Response:
        photo = pictures.get(request.path_params["key"]).photo
        return Response(encode([photo], ".png"), media_type="image/png")

    return Starlette(
        routes=[
            *(Route(path, _file(*held)) for path, held in _STATIC.items()),
            Route("/begin", _answering(begin), methods=["POST"]),
            Route("/options", _answering(options_of), methods=["POST"]),
            Route("/parameters", _answering(parameters_of), methods=["POST"]),
            Route("/warp", _answering(warp), methods=["POST"]),
            Route("/png", _answering(png), methods=["POST"]),
            Route("/pictures", _answering(opened), methods=["POST"]),
            Route("/pictures/{key}", _answering(picture)),
        ],
        middleware=[Middleware(Guard, port=port)],
    )


def _told(key: str, picture: Picture) -> dict[str, Any]:
    height, width = picture.size
    return {"key": key, "name": picture.name, "height": height, "width": width, "note": picture.note}


def _file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    held = files("warpkit.play").joinpath("static", name).read_bytes()

    async def give(_: Request) -> Response:
        return Response(held, media_type=kind)

    return give


def _answering(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of an answer, computed in a thread; whatever is raised becomes one line for the page."""

    async def respond(request: Request) -> Response:
        try:
            return await run_in_threadpool(answer, request, await _body(request))
        except InputError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except Exception as error:  # a plugin's, or ours: all of it goes to whoever runs the command
            logging.getLogger("uvicorn.error").exception("no answer to the page")
            return JSONResponse({"error": f"{type(error).__name__}: {reason(error)}"}, status_code=500)

    return respond


async def _body(request: Request) -> bytes:
    """The body; `InputError` as soon as it is too large, before the rest has come."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        require(len(body) <= _LARGEST, f"a file of at most {_LARGEST // 2**20} MiB is expected")
    return bytes(body)
