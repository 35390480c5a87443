import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.pictures import png, tiff
from warpkit.cli.photo import Photo, read, read_frames, write_frames
from warpkit.errors import InputError

RNG = np.random.default_rng(0)
ORIENTATION = 0x0112


def random(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "picture.bin"  # the bytes say what it is


def pixels_of(file) -> np.ndarray:
    pixels = read(file).pixels.numpy()
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)


def same(file, expected: np.ndarray) -> bool:
    got = pixels_of(file)
    return (
        got.dtype == expected.dtype.newbyteorder("=") and got.shape == expected.shape and bool((got == expected).all())
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_tiff_is_read_whether_channels_lie_together_or_apart(file, channels, dtype, planar, deflate, order):
    pixels = random(5, 7, channels, dtype=dtype)
    extra = 2 if channels == 4 else None
    file.write_bytes(tiff(pixels, order=order, planar=planar, deflate=deflate, extra=extra))
    assert same(file, pixels)


@pytest.mark.parametrize("deflate", [False, True])
def test_grey_and_alpha_that_lie_apart_are_read(file, deflate):
    pixels = random(5, 7, 2, dtype="uint8")
    file.write_bytes(tiff(pixels, planar=True, deflate=deflate, extra=2))
    assert same(file, pixels)


@pytest.mark.parametrize("planar", [False, True])
def test_colours_that_are_multiplied_by_alpha_are_divided_by_it(file, planar):
    stored = np.array([[[1000, 2000, 0, 4000], [7, 0, 5, 65535], [0, 0, 0, 0]]], np.uint16)
    file.write_bytes(tiff(stored, planar=planar, extra=1))
    full = [[16384, 32768, 0, 4000], [7, 0, 5, 65535], [0, 0, 0, 0]]  # 1000/4000 and 2000/4000 of 65535, rounded
    assert pixels_of(file).tolist() == [full]


def test_grey_that_is_multiplied_by_alpha_is_divided_by_it(file):
    file.write_bytes(tiff(np.array([[[60, 120], [50, 255], [0, 0]]], np.uint8), extra=1))
    (row,) = pixels_of(file)
    assert row[:, 1].tolist() == [120, 255, 0]
    assert abs(int(row[0, 0]) - 127.5) <= 0.5
    assert row[1, 0] == 50


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("deflate", [False, True])
def test_floats_are_read_in_either_order_of_bytes(file, order, deflate):
    pixels = RNG.standard_normal((5, 7)).astype(np.float32)
    file.write_bytes(tiff(pixels, order=order, deflate=deflate))
    assert same(file, pixels)


def test_grey_tiff_whose_zero_is_white_is_turned_round(file):
    pixels = random(5, 7)
    file.write_bytes(tiff(pixels, photometric=0))
    assert same(file, 65535 - pixels)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_numbers_with_a_sign_are_refused_for_that_and_the_file_is_named_once(file, dtype):
    file.write_bytes(tiff(np.zeros((2, 2), dtype)))
    with pytest.raises(InputError, match="whole numbers with a sign are not supported") as error:
        read(file)
    assert str(error.value).count(file.name) == 1


def test_32_bit_integers_are_refused(file):
    file.write_bytes(tiff(np.zeros((2, 2), np.uint32)))
    with pytest.raises(InputError, match="32-bit integers are not supported") as error:
        read(file)
    assert str(error.value).count(file.name) == 1


def test_16_bits_that_would_be_cut_to_8_are_refused(file):
    head = struct.pack(">HBBHHHH", 474, 0, 2, 3, 4, 2, 3)  # SGI: not packed, two bytes a channel, 4 × 2 pixels, RGB
    file.write_bytes(head.ljust(512, b"\0") + random(3, 2, 4).tobytes())
    with pytest.raises(InputError, match="16 bits a channel are read from grey, RGB and RGBA only"):
        read(file)
    cmyk = tiff(random(2, 2, 4), photometric=5)
    file.write_bytes(cmyk)
    with pytest.raises(InputError, match="16 bits a channel are read from grey, RGB and RGBA only, not from CMYK"):
        read(file)


def test_16_bit_colour_of_jpeg_2000_is_refused_and_its_grey_is_read(tmp_path):
    cv2 = pytest.importorskip("cv2")
    if not cv2.haveImageWriter(str(tmp_path / "a.jp2")):
        pytest.skip("OpenCV was built without JPEG 2000")
    assert cv2.imwrite(str(tmp_path / "a.jp2"), random(64, 64, 3))
    with pytest.raises(InputError, match="16 bits a channel"):
        read(tmp_path / "a.jp2")
    assert cv2.imwrite(str(tmp_path / "b.jp2"), random(64, 64, 3, dtype="uint8"))
    assert read(tmp_path / "b.jp2").pixels.dtype == torch.uint8
    grey = random(16, 16)
    Image.fromarray(grey).save(tmp_path / "c.jp2")
    assert same(tmp_path / "c.jp2", grey)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("most", [256, 4095, 65535])
def test_portable_maps_of_more_than_8_bits_reach_to_65535(file, channels, most):
    pixels = (random(4, 6, channels).astype(int) % (most + 1)).squeeze()
    pixels[0, 0], pixels[0, 1] = 0, most
    magic = b"P5" if channels == 1 else b"P6"
    file.write_bytes(magic + b"\n# a comment\n6 4\n%d\n" % most + pixels.astype(">u2").tobytes())
    assert same(file, np.array([round(int(v) * 65535 / most) for v in pixels.flat], np.uint16).reshape(pixels.shape))


def test_portable_maps_as_text_and_of_8_bits_are_read_too(file):
    file.write_bytes(b"P2\n2 1\n1000\n0 1000\n")
    assert same(file, np.array([[0, 65535]], np.uint16))
    file.write_bytes(b"P6\n1 1\n255\n\x01\x02\x03")
    assert same(file, np.array([[[1, 2, 3]]], np.uint8))
    file.write_bytes(b"P3\n1 1\n65535\n1 2 3\n")
    with pytest.raises(InputError, match="as text is not supported"):
        read(file)


def test_16_bit_grey_with_alpha_is_read(file):
    pixels = random(4, 6, 2)
    file.write_bytes(png(pixels, 4))
    assert same(file, pixels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("colour", [0, 2])
def test_the_colour_that_a_png_makes_transparent_becomes_alpha(file, colour, dtype):
    full = np.iinfo(dtype).max
    pixels = random(4, 6, 1 if colour == 0 else 3, dtype=dtype)
    pixels[1, 2], pixels[3, 3] = 77, 77
    pixels[0, 0] = 77
    pixels[0, 0, -1] = 78  # nearly
    file.write_bytes(png(pixels, colour, (b"tRNS", struct.pack(">H", 77) * pixels.shape[2])))
    alpha = np.full((4, 6, 1), full, dtype)
    alpha[1, 2], alpha[3, 3] = 0, 0
    alpha[(pixels == 77).all(-1)] = 0
    assert same(file, np.concatenate([pixels, alpha], -1))


@pytest.mark.parametrize(("bits", "byte", "greys"), [(1, 0b01000000, [0, 255]), (2, 0b00100000, [0, 170])])
def test_transparency_of_few_bits_counts_in_the_steps_of_the_file(file, bits, byte, greys):
    packed = np.array([[byte]], np.uint8)  # two pixels: 0, and the one that is meant
    data = bytearray(png(packed, 0, (b"tRNS", struct.pack(">H", 1 if bits == 1 else 2)), bits=bits))
    data[16:20] = struct.pack(">I", 2)  # the width
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    file.write_bytes(data)
    assert pixels_of(file).tolist() == [[[greys[0], 255], [greys[1], 0]]]


def test_a_png_with_damaged_exif_data_is_read_as_it_stands(file):
    pixels = random(3, 5, 3, dtype="uint8")
    for damaged in (b"", b"nonsense", b"MM\0*\0\0\xff\xff", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03"):
        file.write_bytes(png(pixels, 2, (b"eXIf", damaged)))
        assert same(file, pixels)


@pytest.mark.parametrize(
    ("turn", "upright"),
    [
        (1, [[1, 2, 3], [4, 5, 6]]),
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[4, 5, 6], [1, 2, 3]]),
        (5, [[1, 4], [2, 5], [3, 6]]),
        (6, [[4, 1], [5, 2], [6, 3]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
        (8, [[3, 6], [2, 5], [1, 4]]),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "deep"])
def test_every_turn_of_exif_is_made_once(file, turn, upright, kind):
    stored = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    if kind == "deep":
        deep = np.stack([stored] * 3, -1).astype(np.uint16) * 300
        file.write_bytes(png(deep, 2, (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))))
        assert (pixels_of(file)[..., 0] // 300).tolist() == upright
    else:
        Image.fromarray(stored).save(file, kind, exif=exif)
        assert pixels_of(file).tolist() == upright


def test_a_tiff_that_claims_more_rows_than_it_has_is_refused(file):
    whole = tiff(random(4, 6, dtype="uint8"))
    height = struct.pack("<HHII", 257, 4, 1, 4)
    assert height in whole
    file.write_bytes(whole.replace(height, struct.pack("<HHII", 257, 4, 1, 8_000_000)))
    with pytest.raises(InputError, match="it is damaged: its parts do not cover the picture"):
        read(file)


def test_every_page_of_a_tiff_is_read_and_written(tmp_path):
    for pages in (random(3, 1, 4, 6, dtype="uint8"), random(2, 3, 4, 6, dtype="uint8"), random(2, 1, 4, 6)):
        photos = [Photo(torch.from_numpy(page)) for page in pages]
        write_frames(photos, tmp_path / "stack.tif")
        back = read_frames(tmp_path / "stack.tif")
        assert len(back) == len(pages)
        assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(photos, back, strict=True))
    with pytest.raises(InputError, match="holds 2 pictures, where one is expected"):
        read(tmp_path / "stack.tif")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_refused(file, kind):
    first, *others = (Image.fromarray(random(16, 16, 3, dtype="uint8")) for _ in range(3))
    first.save(file, kind, save_all=True, append_images=others)
    with pytest.raises(InputError, match=f"it is a {kind} with 3 frames: an animation cannot be warped"):
        read(file)


def test_what_a_camera_adds_to_a_photograph_does_not_count_and_two_views_do(file):
    first, preview = (Image.fromarray(random(16, 16, 3, dtype="uint8")) for _ in range(2))
    first.save(file, "MPO", save_all=True, append_images=[preview])
    data = file.read_bytes()
    assert read(file).pixels.shape == (3, 16, 16)
    entry = struct.pack("<II", 0x030000, data.index(b"\xff\xd8", 2))  # of the first picture: its kind, and its length
    place = data.index(entry)
    stereo = struct.pack("<I", 0x020002)
    file.write_bytes(data[:place] + stereo + data[place + 4 :])
    with pytest.raises(InputError, match="it holds 2 pictures of one scene"):
        read(file)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "PPM", "WEBP", "AVIF"])
def test_a_damaged_picture_is_read_or_refused(file, kind):
    from PIL import features

    if kind in ("WEBP", "AVIF") and not features.check(kind.lower()):
        pytest.skip(f"Pillow was built without {kind}")
    Image.fromarray(random(16, 16, 3, dtype="uint8")).save(file, kind)
    whole, refused = file.read_bytes(), 0
    for trial in range(200):
        data = bytearray(whole)
        if trial % 2:
            data[RNG.integers(min(len(data), 100))] ^= 1 << int(RNG.integers(8))
        else:
            del data[RNG.integers(len(data)) :]
        file.write_bytes(data)
        try:
            read(file)
        except InputError:
            refused += 1
    assert refused > 20
