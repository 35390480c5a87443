import numpy as np
import pytest
import torch
from PIL import Image, features

from warpkit.cli.photo import Palette, Photo, holds, read, read_frames, write

RNG = np.random.default_rng(0)


def test_indices_and_their_palette_are_kept_where_that_is_asked_for(tmp_path):
    colours = bytes(RNG.integers(0, 256, 3 * 21, dtype=np.uint8))
    indices = torch.from_numpy(RNG.integers(0, 21, (1, 9, 11), dtype=np.uint8))
    for end, transparency in ((".png", None), (".png", 3), (".png", bytes(range(21))), (".gif", 3), (".tif", None)):
        given = Photo(indices, None, Palette(colours, transparency))
        assert holds(end, given, (9, 11))
        write(given, tmp_path / f"mask{end}")
        (back,) = read_frames(tmp_path / f"mask{end}", indexed=True)
        assert torch.equal(back.pixels, indices)
        assert back.palette is not None
        assert given.palette.begins(back.palette)
    assert len(read(tmp_path / "mask.gif").pixels) == 4
    assert len(read(tmp_path / "mask.tif").pixels) == 3


def test_an_index_behind_the_palette_is_written_as_it_is(tmp_path):
    pixels = torch.tensor([[[0, 1, 255]]], dtype=torch.uint8)
    write(Photo(pixels, None, Palette(bytes(6))), tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as image:
        assert np.asarray(image).tolist() == pixels[0].tolist()


KINDS = {
    "grey": Photo(torch.zeros(1, 2, 2, dtype=torch.uint8)),
    "grey with alpha": Photo(torch.zeros(2, 2, 2, dtype=torch.uint8)),
    "RGB": Photo(torch.zeros(3, 2, 2, dtype=torch.uint8)),
    "RGBA": Photo(torch.zeros(4, 2, 2, dtype=torch.uint8)),
    "deep grey": Photo(torch.zeros(1, 2, 2, dtype=torch.uint16)),
    "deep RGB": Photo(torch.zeros(3, 2, 2, dtype=torch.uint16)),
    "float": Photo(torch.zeros(1, 2, 2)),
}


@pytest.mark.parametrize(
    ("end", "held"),
    [
        (".png", ["grey", "grey with alpha", "RGB", "RGBA", "deep grey", "deep RGB"]),
        (".tif", ["grey", "grey with alpha", "RGB", "RGBA", "deep grey", "float"]),
        (".jpg", ["grey", "RGB"]),
        (".webp", ["grey", "grey with alpha", "RGB", "RGBA"]),
        (".gif", ["grey", "RGB"]),
        (".bmp", ["grey", "RGB"]),
        (".ppm", ["grey", "RGB", "deep grey", "float"]),
        (".jp2", ["grey", "grey with alpha", "RGB", "RGBA", "deep grey"]),
        (".pdf", ["grey", "RGB"]),
    ],
)
def test_a_format_holds_what_its_specification_and_pillow_can(end, held):
    if not all(features.check(need) for need in {".webp": ["webp"], ".jp2": ["jpg_2000"]}.get(end, [])):
        pytest.skip(f"Pillow was built without {end}")
    assert [name for name, photo in KINDS.items() if holds(end, photo, (300, 400))] == held


def test_the_longest_side_of_a_format_is_known_to_it():
    rgb = KINDS["RGB"]
    assert holds(".jpg", rgb, (10, 65500))
    assert not holds(".jpg", rgb, (10, 65536))
    assert not holds(".jpg", rgb, (65536, 10))
    assert holds(".png", rgb, (10, 300_000))
    assert not holds(".ico", rgb, (300, 300))  # it would be written smaller
