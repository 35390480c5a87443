"""Pictures of every kind that are opened: those that `warpkit warp` reads, by the same code."""

import zlib
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from play_pages import client, complaint, file, noise, opened, warped

from warpkit.cli.photo import Photo, read_bytes, write
from warpkit.play.pictures import fitted, sample

FLAT = {"transform": "translation", "theta": [0, 0]}
RGB = noise(8, 12, 3).numpy()


@pytest.fixture
def page():
    return client()


def shown(page, data: bytes) -> np.ndarray:
    return warped(page, picture=opened(page, data)["key"], **FLAT)[2]


def with_turn(turn: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    return file(RGB, "PNG", exif=exif)


@pytest.mark.parametrize(
    "data",
    [
        file(RGB),
        file(RGB[..., 0]),
        file(noise(8, 12, 4).numpy() | 1),
        file(RGB, "WEBP", lossless=True),
        file(RGB, "BMP"),
        file(RGB, "TIFF"),
        file(Image.fromarray(RGB).quantize(16)),
        file(Image.fromarray(RGB).quantize(16), "GIF"),
        file(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
        file(Image.fromarray(RGB).convert("1")),
        file(Image.fromarray(RGB).convert("YCbCr"), "JPEG"),
        with_turn(6),
        with_turn(3),
    ],
    ids=[
        "rgb",
        "grey",
        "rgba",
        "webp",
        "bmp",
        "tiff",
        "palette",
        "gif",
        "cmyk",
        "bit",
        "ycbcr",
        "turned",
        "upside-down",
    ],
)
def test_every_kind_is_shown_as_the_reader_reads_it(page, data):
    read = read_bytes(data, "it")[0].pixels
    pixels = shown(page, data)
    assert pixels.shape[:2] == read.shape[1:]
    alpha = read[-1] if len(read) in (2, 4) else torch.full_like(read[0], 255)
    colours = (read[:-1] if len(read) in (2, 4) else read).expand(3, -1, -1)
    assert (pixels[..., 3] == alpha.numpy()).all()
    seen = alpha.numpy() > 0
    assert (pixels[..., :3][seen] == colours.permute(1, 2, 0).numpy()[seen]).all()


def test_sixteen_bits_are_shown_with_eight(page, tmp_path):
    deep = (torch.arange(96).reshape(1, 8, 12) * 680).to(torch.uint16).expand(3, -1, -1).clone()
    write(Photo(deep), tmp_path / "deep.png")
    data = (tmp_path / "deep.png").read_bytes()
    assert "8 bits" in opened(page, data)["note"]
    expected = (deep[0].double() / 65535 * 255).round().numpy()
    assert (shown(page, data)[..., 0] == expected).all()


def test_floating_point_numbers_are_shown_from_zero_to_one():
    pixels = torch.tensor([[[0.0, 0.5, 1.0]]])
    assert fitted(Photo(pixels), "it").photo.pixels.tolist() == [[[0, 128, 255]]]
    assert fitted(Photo(pixels * torch.nan), "it").photo.pixels.tolist() == [[[0, 0, 0]]]
    assert fitted(Photo(pixels * 4 - 2), "it").photo.pixels.tolist() == [[[0, 128, 255]]]


def test_a_large_picture_is_made_smaller_and_says_so(page):
    told = opened(page, file(np.full((900, 3000, 3), 200, np.uint8)))
    assert (told["width"], told["height"]) == (1024, 307)
    assert "3000 × 900" in told["note"]
    assert opened(page, file(np.full((1, 3000), 200, np.uint8)))["height"] == 1


def test_of_several_pages_the_first_is_shown(page):
    pages = file(Image.fromarray(RGB), "TIFF", save_all=True, append_images=[Image.fromarray(RGB[::-1].copy())])
    assert opened(page, pages)["note"] == "the first of 2 pages"
    assert (shown(page, pages)[..., :3] == RGB).all()


def bomb() -> bytes:
    """A PNG of few bytes that says it is 60,000 × 60,000."""
    data = bytearray(file(np.zeros((1, 1), np.uint8)))
    data[16:24] = (60000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no picture that Pillow can read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture that Pillow can read"),
        (b"just a text", "no picture that Pillow can read"),
        (b"%PDF-1.7", "no picture that Pillow can read"),
        (file(RGB)[:60], "cannot be read"),
        (file(noise(64, 64, 3).numpy(), "JPEG")[:700], "cannot be read"),
        (bomb(), "exceeds limit"),
        (file(Image.fromarray(RGB), "GIF", save_all=True, append_images=[Image.fromarray(255 - RGB)]), "animation"),
        (file(np.arange(96, dtype=np.int32).reshape(8, 12) * 9999, "TIFF"), "not supported"),
    ],
    ids=["nothing", "svg", "text", "pdf", "truncated-png", "truncated-jpeg", "bomb", "animation", "32-bit"],
)
def test_what_is_no_picture_is_refused(page, data, message):
    error = complaint(page, "/pictures?name=x.png", content=data)
    assert error.startswith("x.png")
    assert message in error


def test_the_picture_itself_is_given_too(page):
    key = opened(page, file(RGB))["key"]
    assert (np.array(Image.open(BytesIO(page.get(f"/pictures/{key}").content))) == RGB).all()


def test_without_a_picture_there_is_one_with_and_without_matplotlib(monkeypatch):
    assert min(sample().size) >= 400
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert sample().name == "pattern.png"
    assert sample().size == (512, 512)
