"""The page's application for tests, and what it answers, taken apart."""

import json
from io import BytesIO

import numpy as np
import torch
from PIL import Image
from starlette.testclient import TestClient

from warpkit.cli.photo import Photo
from warpkit.play.app import application
from warpkit.play.pictures import Picture

PORT = 8000
HOME = f"http://127.0.0.1:{PORT}"


def noise(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def client(pixels: torch.Tensor | None = None, transform: str = "affine") -> TestClient:
    picture = Picture(Photo(noise(3, 20, 30) if pixels is None else pixels), "photo.png")
    return TestClient(application(picture, transform, {}, PORT), base_url=HOME)


def key(page: TestClient) -> str:
    """The name of the picture that a page begins with."""
    return page.post("/begin").json()["picture"]["key"]


def opened(page: TestClient, data: bytes, name: str = "some.png") -> dict:
    reply = page.post("/pictures", params={"name": name}, content=data)
    assert reply.status_code == 200, reply.text
    return reply.json()


def warped(page: TestClient, **asked) -> tuple[dict, np.ndarray, np.ndarray]:
    """What is told, the grid and the pixels [H, W, 4]."""
    reply = page.post("/warp", json=asked)
    assert reply.status_code == 200, reply.text
    data = reply.content
    length = int.from_bytes(data[:4], "little")
    told = json.loads(data[4 : 4 + length])
    grid = np.frombuffer(data, "<f4", int(np.prod(told["grid"])), 4 + length).reshape(told["grid"])
    pixels = np.frombuffer(data, np.uint8, offset=4 + length + grid.nbytes).reshape(*told["size"], 4)
    return told, grid, pixels


def complaint(page: TestClient, path: str, status: int = 400, **body) -> str:
    reply = page.post(path, **body)
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert "Traceback" not in error
    return error


def file(pixels: np.ndarray | Image.Image, kind: str = "PNG", **how) -> bytes:
    held = BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(held, kind, **how)
    return held.getvalue()
