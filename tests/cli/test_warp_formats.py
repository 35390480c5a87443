"""`warpkit warp` and what files can hold: depth, pages, palettes."""

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_warp import FLIP, RNG, complaint, load, ok, random, save
from warpkit.cli.photo import read


@pytest.mark.parametrize("end", [".webp", ".gif", ".avif", ".jpg", ".bmp", ".tga", ".pdf"])
@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_a_format_that_cannot_hold_the_depth_is_refused_before_the_work(tmp_path, monkeypatch, end, kind):
    from warpkit.cli import warp

    monkeypatch.setattr(warp, "warp_pixels", lambda *_, **__: pytest.fail("it was warped first"))
    source = tmp_path / "depth.tif"
    Image.fromarray(np.full((4, 6), 3000, kind)).save(source)
    assert f"{end} cannot hold grey of" in complaint(source, tmp_path / f"out{end}")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["depth.tif"]


def test_every_page_is_warped(tmp_path):
    pages = random(3, 5, 7)
    first, *others = map(Image.fromarray, pages)
    first.save(tmp_path / "in.tif", save_all=True, append_images=others)
    ok(tmp_path / "in.tif", tmp_path / "out.tif", *FLIP)
    with Image.open(tmp_path / "out.tif") as image:
        assert image.n_frames == 3
        for i, page in enumerate(pages):
            image.seek(i)
            assert (np.asarray(image) == page[:, ::-1]).all()
    assert ".png cannot hold 3 pictures, grey of 8 bits: try .tif" in complaint(
        tmp_path / "in.tif", tmp_path / "out.png"
    )
    first.save(tmp_path / "in.gif", save_all=True, append_images=others)
    assert "an animation cannot be warped" in complaint(tmp_path / "in.gif", tmp_path / "out.gif")


@pytest.fixture
def mask(tmp_path):
    """Indices as label maps are stored: a palette of 4 colours, of which the last is transparent."""
    image = Image.fromarray(RNG.integers(0, 4, (6, 8), dtype=np.uint8))
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 9, 9, 9])
    image.save(tmp_path / "mask.png", transparency=3)
    return tmp_path / "mask.png"


@pytest.mark.parametrize("end", [".png", ".gif"])
def test_nearest_keeps_the_indices_of_a_mask_and_its_palette(tmp_path, mask, end):
    out = tmp_path / f"out{end}"
    ok(mask, out, "--theta", "-1 0 0.5 0 1 0", "--kernel", "nearest", "--fill", "2")
    with Image.open(mask) as before, Image.open(out) as after:
        assert after.mode == "P"
        expected = np.full((6, 8), 2)
        expected[:, 2:] = np.asarray(before)[:, :1:-1]  # x ↦ 0.5 - x: mirrored, then two of eight pixels to the right
        assert (np.asarray(after) == expected).all()
        assert after.getpalette()[:12] == before.getpalette()[:12]
        assert after.info["transparency"] == 3


def test_a_mask_becomes_colours_where_indices_would_be_mixed_or_cannot_be_held(tmp_path, mask):
    for target, how in (("out.png", "bilinear"), ("out.webp", "nearest"), ("out.png", "bilinear,nearest")):
        ok(mask, tmp_path / target, "--kernel", how)
        assert read(tmp_path / target).pixels.shape == (4, 6, 8)


def test_16_bit_grey_with_alpha_stays_so(tmp_path):
    pixels = random(5, 7, 2, deep=True)
    pixels[..., 1] = 65535
    ok(save(tmp_path / "in.png", pixels), tmp_path / "out.png", *FLIP)
    assert (load(tmp_path / "out.png") == pixels[:, ::-1]).all()
