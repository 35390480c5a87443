from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from warpkit.cli import app
from warpkit.cli.photo import Photo, read, write

FLIP = ["--theta", "-1", "0", "0", "0", "1", "0"]
RNG = np.random.default_rng(0)


def run(*arguments: object):
    return CliRunner().invoke(app, ["warp", *map(str, arguments)])


def ok(*arguments: object) -> None:
    result = run(*arguments)
    assert result.exit_code == 0, result.output


def complaint(*arguments: object) -> str:
    """What is said on stderr, in one line, where the arguments are wrong."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("warpkit: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def random(*shape: int, deep: bool = False) -> np.ndarray:
    return RNG.integers(0, 65536 if deep else 256, shape, dtype=np.uint16 if deep else np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    """[H, W] or [H, W, C], 8 or 16 bits."""
    import torch

    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    write(Photo(torch.from_numpy(planes.copy())), path)
    return path


def load(path: Path) -> np.ndarray:
    pixels = read(path).pixels.numpy()
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)


@pytest.fixture
def grey(tmp_path):
    return save(tmp_path / "grey.png", random(5, 7))


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_grey_rgb_and_rgba_of_8_and_16_bits_come_back_mirrored_to_the_last_bit(tmp_path, channels, deep):
    pixels = random(5, 7, *channels, deep=deep)
    pixels[..., -1] |= 1  # an alpha of 0 has no colour to give back
    source, target = save(tmp_path / "in.png", pixels), tmp_path / "out.png"
    ok(source, target, *FLIP)
    assert load(target).dtype == pixels.dtype
    if channels == (4,):  # colour is known as exactly as alpha is
        assert (load(target)[..., 3] == pixels[:, ::-1, 3]).all()
        seen = pixels[:, ::-1, 3] > 0
        assert (load(target)[seen] == pixels[:, ::-1][seen]).all()
    else:
        assert (load(target) == pixels[:, ::-1]).all()


@pytest.mark.parametrize(("name", "channels"), [("a.png", 1), ("a.png", 3), ("a.png", 4), ("a.tif", 3)])
def test_16_bit_files_of_other_programs_are_read_to_the_last_bit(tmp_path, name, channels):
    cv2 = pytest.importorskip("cv2")
    pixels = random(4, 6, channels, deep=True)
    bgr = pixels[..., [2, 1, 0, 3][:channels] if channels > 1 else [0]]
    assert cv2.imwrite(str(tmp_path / name), bgr)
    assert (load(tmp_path / name) == pixels.squeeze()).all()


def test_16_bit_colour_is_written_so_that_pillow_reads_it(tmp_path):
    pixels = random(4, 6, 4, deep=True)
    with Image.open(save(tmp_path / "a.png", pixels)) as image:
        image.load()  # checks each chunk's sum
        assert (np.asarray(image) == pixels >> 8).all()


def test_a_transparent_pixel_gives_no_colour_to_its_neighbours(tmp_path):
    pixels = np.zeros((4, 8, 4), np.uint8)
    pixels[:, :4] = (200, 100, 50, 255)  # and black, transparent, beside it
    source, target = save(tmp_path / "in.png", pixels), tmp_path / "out.png"
    ok(source, target, "--theta", "0.3 0 0 0 0.3 0", "--padding", "border", "--kernel", "bicubic")
    out = load(target)
    assert len(np.unique(out[..., 3])) > 2
    assert np.abs(out[out[..., 3] > 20][:, :3].astype(int) - (200, 100, 50)).max() <= 4


def test_bicubic_overshoots_but_stays_in_the_type(tmp_path):
    pixels = np.zeros((4, 8), np.uint8)
    pixels[:, 4:] = 255
    ok(
        save(tmp_path / "in.png", pixels),
        tmp_path / "out.png",
        *["--kernel", "bicubic", "--padding", "border", "--size", "8", "32"],
    )
    row = load(tmp_path / "out.png")[4].astype(int)
    assert (np.diff(row) >= 0).all()  # a wrapped value would fall
    assert (row[0], row[-1]) == (0, 255)


@pytest.mark.parametrize(
    "typed",
    ["--theta 0.9 -0.2 0 0.2 0.9 -.1", "--theta=0.9,-0.2,0,0.2,0.9,-0.1", "--theta 0.9,-0.2,0 --theta 0.2,0.9,-0.1"],
)
def test_theta_may_be_typed_in_many_ways(tmp_path, grey, typed):
    ok(grey, tmp_path / "quoted.png", "--theta", "0.9 -0.2 0 0.2 0.9 -0.1")
    ok(*typed.split(), grey, tmp_path / "typed.png")
    assert (load(tmp_path / "typed.png") == load(tmp_path / "quoted.png")).all()
    assert (load(tmp_path / "typed.png") != load(grey)).any()


def test_a_homography_may_be_given_whole_and_of_any_scale(tmp_path, grey):
    flip = ["--transform", "projective", "--theta"]
    ok(grey, tmp_path / "whole.png", *flip, "[[-2, 0, 0], [0, 2, 0], [0, 0.2, 2]]")
    ok(grey, tmp_path / "eight.png", *flip, "-1 0 0 0 1 0 0 0.1")
    assert (load(tmp_path / "whole.png") == load(tmp_path / "eight.png")).all()
    out = tmp_path / "out.png"
    assert "--theta: the centre is on the horizon" in complaint(grey, out, *flip, "1 0 0 0 1 0 0 0 0")
    told = complaint(grey, out, "--theta", "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]")
    assert "got 9: 9 numbers are a whole matrix, which projective takes" in told


def test_without_theta_nothing_moves(tmp_path, grey):
    for transform in ("affine", "projective", "thin_plate_spline"):
        ok(grey, tmp_path / "out.png", "--transform", transform)
        assert (load(tmp_path / "out.png") == load(grey)).all()


def test_size_padding_fill_alignment_and_options_reach_the_sampler(tmp_path, grey):
    import torch

    import warpkit as wk

    image, out = torch.from_numpy(load(grey))[None, None], tmp_path / "out.png"
    theta = torch.tensor([[0.2, -0.3]])
    window = wk.get_transform("attention", scale=1.5)
    for flags, how in (
        ("--size 4 9", {"size": (4, 9)}),
        ("--padding wrap,border", {"padding_mode": ("wrap", "border")}),
        ("--padding reflection --align-corners", {"padding_mode": "reflection", "align_corners": True}),
        ("--fill 90", {"fill": 90.0}),
        ("--kernel bicubic --kernel-set a=-0.5", {"kernel": {"type": "bicubic", "a": -0.5}}),
        ("--kernel bicubic,nearest", {"kernel": ("bicubic", "nearest")}),
    ):
        ok(grey, out, "--transform", "attention", "--set", "scale=1.5", "--theta", 0.2, -0.3, *flags.split())
        assert (load(out) == wk.warp(image, window, theta, **how)[0, 0].numpy()).all(), flags


def test_antialias_takes_the_mean_of_as_many_samples_as_are_asked_for(tmp_path):
    pixels = random(40, 40)
    photo, small = save(tmp_path / "large.png", pixels), tmp_path / "small.png"
    ok(photo, small, "--size", "8", "--antialias", "--sub-points", "5")
    mean = pixels.reshape(8, 5, 8, 5).mean((1, 3))
    assert np.abs(load(small) - mean).max() <= 0.51
    ok(photo, small, "--size", "8", "--antialias")
    assert 1 < np.abs(load(small) - mean).max() < 60
    assert "--sub-points belongs to --antialias" in complaint(photo, small, "--sub-points", "5")


def test_fill_may_name_a_colour(tmp_path):
    source, out = save(tmp_path / "in.png", random(4, 4, 3)), tmp_path / "out.png"
    ok(source, out, "--theta", "9 0 0 0 9 0", "--fill", 10, 20, 30)
    assert load(out)[0, 0].tolist() == [10, 20, 30]
    assert "expected one number, or 3, one for each channel, got 2" in complaint(source, out, "--fill", 1, 2)


def test_a_photograph_is_turned_as_its_exif_data_says(tmp_path):
    pixels = random(4, 6)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    Image.fromarray(pixels).save(tmp_path / "in.png", exif=exif)
    ok(tmp_path / "in.png", tmp_path / "out.png")
    assert (load(tmp_path / "out.png") == np.rot90(pixels, -1)).all()
    with Image.open(tmp_path / "out.png") as image:
        assert 0x0112 not in image.getexif()


@pytest.mark.parametrize(
    ("mode", "becomes"), [("P", "RGB"), ("1", "L"), ("CMYK", "RGB"), ("LA", "LA"), ("YCbCr", "RGB")]
)
def test_other_kinds_of_picture_are_read_as_the_nearest_of_grey_and_rgb(tmp_path, mode, becomes):
    image = Image.fromarray(random(4, 6, 3)).convert(mode)
    image.save(tmp_path / "in.tif")
    ok(tmp_path / "in.tif", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as out:
        assert out.mode == becomes
        assert (np.asarray(out)[..., 0] == np.asarray(image.convert(becomes))[..., 0]).all()


def test_a_palette_with_a_transparent_colour_gives_alpha(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "in.png", transparency=1)
    assert load(tmp_path / "in.png").tolist() == [[[10, 20, 30, 255], [40, 50, 60, 0]]]


def test_the_colour_profile_is_kept(tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(random(4, 6, 3)).save(tmp_path / "in.png", icc_profile=profile)
    for target in ("out.png", "out.jpg"):
        ok(tmp_path / "in.png", tmp_path / target)
        assert read(tmp_path / target).profile == profile


def test_numbers_that_are_too_few_are_counted_and_explained(tmp_path, grey):
    said = complaint(grey, tmp_path / "out.png", "--theta", 1, 0, 0)
    assert "--theta: expected 6 numbers for Affine (θ11 θ12 θ13 θ21 θ22 θ23), got 3" in said
    said = complaint(grey, tmp_path / "out.png", "--transform", "attention", "--set", "scale=0.5")
    assert "no identity: give --theta, 2 numbers: t_x t_y" in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--transform afine", "unknown transform 'afine'. Did you mean 'affine'"),
        ("--set sclae=2 --transform attention", "Did you mean 'scale'"),
        ("--kernel bicubical", "Did you mean 'bicubic'"),
        ("--kernel-set a=1", "unknown option of kernel 'bilinear' 'a'"),
        ("--padding edge", "unknown padding_mode 'edge'"),
        ("--set ndim=3", "needs a transform in 2-D, this one is in 3-D"),
        ("--size 3 4 5", "--size: expected rows and columns"),
        ("--size 0 3", "--size: expected rows and columns"),
        ("--theta a", "--theta: expected numbers, got 'a'"),
    ],
)
def test_a_wrong_value_is_one_line_on_stderr_and_leaves_no_file(tmp_path, grey, flags, said):
    assert said in complaint(grey, tmp_path / "out.png", *flags.split())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["grey.png"]


def test_files_that_cannot_be_are_named(tmp_path, grey):
    text = tmp_path / "text.png"
    text.write_text("hello")
    assert "cannot be read: No such file" in complaint(tmp_path / "missing.png", tmp_path / "out.png")
    assert "is no picture that Pillow can read" in complaint(text, tmp_path / "out.png")
    assert "cannot write a picture with '.xyz': try .png" in complaint(grey, tmp_path / "out.xyz")
    assert "with no suffix" in complaint(grey, tmp_path / "out")
    assert "cannot be written" in complaint(grey, text / "out.png")
    deep = save(tmp_path / "deep.png", random(4, 4, 3, deep=True))
    assert ".jpg cannot hold RGB of 16 bits: try .png" in complaint(deep, tmp_path / "out.jpg")
    clear = save(tmp_path / "clear.png", random(4, 4, 4))
    assert ".jpg cannot hold RGB with alpha of 8 bits: try .png, .tif, .webp" in complaint(clear, tmp_path / "out.jpg")
    assert not [file for file in tmp_path.iterdir() if "out" in file.name]


def test_a_failed_write_leaves_the_old_file_as_it_was(tmp_path):
    clear = save(tmp_path / "clear.png", random(4, 4, 4))
    old = tmp_path / "old.jpg"
    Image.new("L", (3, 3)).save(old)
    before = old.read_bytes()
    complaint(clear, old)
    assert old.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_photograph_can_be_warped_in_place(tmp_path, grey):
    pixels = load(grey)
    ok(grey, grey, *FLIP)
    assert (load(grey) == pixels[:, ::-1]).all()


def test_a_size_that_a_format_or_the_machine_has_no_room_for_is_refused(tmp_path, grey):
    wide = complaint(grey, tmp_path / "out.webp", "--size", 3, 20000)
    assert ".webp cannot hold 20000 × 3 pixels: try .png, .jpg, .tif" in wide
    huge = complaint(grey, tmp_path / "out.png", "--size", 1000000, 1000000)
    assert "1000000 × 1000000 pixels need some" in huge
    assert "GiB of memory" in huge
    assert "expected rows and columns" in complaint(grey, tmp_path / "out.png", "--size", "9" * 5000, 3)


def test_a_place_that_cannot_be_written_is_noticed_before_anything_is_read(tmp_path):
    (tmp_path / "folder.png").mkdir()
    assert "cannot be written: it is a folder" in complaint(tmp_path / "missing.png", tmp_path / "folder.png")


def test_a_minus_sign_as_it_is_printed_is_one(tmp_path, grey):
    ok(grey, tmp_path / "out.png", "--theta", "−1", "0", "0", "0", "1", "−0")
    assert (load(tmp_path / "out.png") == load(grey)[:, ::-1]).all()


def test_a_field_comes_from_a_file_or_is_two_numbers(tmp_path):
    source = save(tmp_path / "in.png", random(6, 8, 1))
    u = np.zeros((2, 6, 8))
    u[0] = 1.0
    np.save(tmp_path / "u.npy", u)
    run_it = (source, tmp_path / "out.png", "--transform", "displacement", "--set", "units=pixels")
    ok(*run_it, "--theta", tmp_path / "u.npy")
    np.testing.assert_array_equal(load(tmp_path / "out.png")[:, :-1], load(source)[:, 1:])
    ok(*run_it[:-2], "--theta", "0.25", "0")
    np.testing.assert_array_equal(load(tmp_path / "out.png")[:, :-1], load(source)[:, 1:])
    np.save(tmp_path / "rows.npy", np.zeros((6, 8, 2)))
    assert "Are the components last" in complaint(*run_it, "--theta", tmp_path / "rows.npy")
    assert "cannot be read" in complaint(*run_it, "--theta", tmp_path / "none.npy")
    parts = 'of=["affine","displacement"]'
    assert "several" in complaint(source, tmp_path / "out.png", "--transform", "compose", "--set", parts)


def test_a_quarter_turn_that_expands_is_the_picture_turned(tmp_path):
    pixels = random(5, 8, 3)
    save(tmp_path / "in.png", pixels)
    ok(tmp_path / "in.png", tmp_path / "out.png", "--rotate", "90", "--expand")
    assert np.array_equal(load(tmp_path / "out.png"), np.rot90(pixels))
    ok(tmp_path / "in.png", tmp_path / "out.png", "--rotate", "-90", "--expand")
    assert np.array_equal(load(tmp_path / "out.png"), np.rot90(pixels, -1))


def test_shifts_scales_and_centres_are_in_pixels(tmp_path, grey):
    pixels = load(grey)
    ok(grey, tmp_path / "out.png", "--shift", "2", "-1")
    expected = np.zeros_like(pixels)
    expected[:-1, 2:] = pixels[1:, :-2]
    assert np.array_equal(load(tmp_path / "out.png"), expected)
    ok(grey, tmp_path / "out.png", "--scale", "3", "--center", "1", "2", "--kernel", "nearest")
    assert np.array_equal(load(tmp_path / "out.png"), pixels[[1, 2, 2, 2, 3]][:, [1, 1, 1, 2, 2, 2, 3]])
    ok(grey, tmp_path / "whole.png", "--scale", "2", "--expand")
    assert load(tmp_path / "whole.png").shape == (10, 14)


@pytest.mark.parametrize(
    ("convention", "numbers"),
    [
        ("opencv", [1, 0, 2, 0, 1, -1]),
        ("inverse", [1, 0, -2, 0, 1, 1, 0, 0, 1]),
        ("scipy", [1, 0, 1, 0, 1, -2]),
        ("pillow", [1, 0, -2, 0, 1, 1]),
    ],
)
def test_a_matrix_is_read_as_its_library_means_it(tmp_path, grey, convention, numbers):
    pixels = load(grey)
    expected = np.zeros_like(pixels)
    expected[:-1, 2:] = pixels[1:, :-2]
    np.save(tmp_path / "m.npy", np.reshape(numbers, (-1, 3)))
    np.savetxt(tmp_path / "m.txt", np.reshape(numbers, (-1, 3)))
    for given in (map(str, numbers), [tmp_path / "m.npy"], [tmp_path / "m.txt"]):
        ok(grey, tmp_path / "out.png", "--matrix", *given, "--convention", convention)
        assert np.array_equal(load(tmp_path / "out.png"), expected)


def test_a_homography_needs_the_transform_of_that_name(tmp_path, grey):
    numbers = "1 0 0 0 1 0 0.01 0 1"
    ok(grey, tmp_path / "out.png", "--transform", "projective", "--matrix", numbers)
    assert "not an affine matrix" in complaint(grey, tmp_path / "out.png", "--matrix", numbers)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--rotate", "30", "--theta", "1 0 0 0 1 0"], "--theta says all"),
        (["--rotate", "30", "--matrix", "1 0 0 0 1 0"], "--matrix says all"),
        (["--rotate", "30 40"], "--rotate: expected a number"),
        (["--scale", "0"], "--scale: expected a number above 0"),
        (["--shift", "3"], "--shift: expected 2 numbers"),
        (["--matrix", "1 2 3"], "--matrix: expected 6 or 9 numbers"),
        (["--matrix", "none.txt"], "--matrix: none.txt cannot be read"),
        (["--matrix", "1 0 0 2 0 0", "--convention", "inverse"], "--matrix: expected one that has an inverse"),
        (["--matrix", "1 0 0 0 1 0", "--convention", "opencw"], "Did you mean 'opencv'"),
        (["--rotate", "30", "--convention", "inverse"], "--convention says whose --matrix it is"),
        (["--expand", "--size", "3 4"], "one size"),
        (["--expand", "--rotate", "30", "--shift", "3 4"], "--shift would change nothing"),
        (["--expand", "--transform", "thin_plate_spline"], "one that is a matrix"),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path, grey, flags, said):
    assert said in complaint(grey, tmp_path / "out.png", *flags)
    assert not (tmp_path / "out.png").exists()
