import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import warpkit as wk
from warpkit.cli import app
from warpkit.cli.photo import Photo, read, write

THETA = torch.tensor([[0.95, -0.2, 0.06, 0.18, 1.05, -0.1]])


def run(*arguments: object):
    return CliRunner().invoke(app, ["align", *map(str, arguments)])


def said(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def fitted(*words) -> tuple[dict, str]:
    """What --json prints, and what is told beside it, on stderr."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), result.stderr


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path]:
    """MOVING, with an alpha that is full, and FIXED, which is MOVING warped with THETA; 16 bits and 8."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 9, 11, generator=rng)
    identity = wk.get_transform("affine").identity()[None]
    colours = wk.warp(coarse, "affine", identity, size=(48, 64), kernel="bicubic", padding_mode="border").clamp(0, 1)
    fixed = wk.warp(colours, "affine", THETA, kernel="bicubic", padding_mode="reflection").clamp(0, 1)
    moving = torch.cat([colours, torch.ones_like(colours[:, :1])], 1)
    write(Photo((moving[0] * 65535).round().to(torch.uint16)), tmp_path / "moving.png")
    write(Photo((fixed[0] * 255).round().byte()), tmp_path / "fixed.png")
    return tmp_path / "moving.png", tmp_path / "fixed.png"


def test_moving_is_written_as_fixed_sees_it_with_its_own_bits_and_channels(tmp_path, pair):
    fit, printed = fitted(*pair, "-o", tmp_path / "out.png")
    out, fixed = read(tmp_path / "out.png").pixels, read(pair[1]).pixels
    assert out.dtype == torch.uint16
    assert out.shape == (4, 48, 64)
    inside = (slice(None), slice(12, -12), slice(12, -12))
    assert (out[:3].float() / 257 - fixed.float())[inside].abs().mean() < 1.5
    assert fit["transform"] == {"type": "affine"}
    np.testing.assert_allclose(fit["theta"], THETA[0], atol=0.01)
    assert fit["after"]["difference"] < 2 < fit["before"]["difference"]
    assert fit["after"]["correlation"] > 0.99
    numbers = printed.splitlines()[0].removeprefix("θ ").split()
    np.testing.assert_allclose([float(n) for n in numbers], fit["theta"], rtol=1e-4, atol=1e-6)
    assert "before" in printed
    assert "64 × 48 pixels" in printed


def test_a_field_is_kept_and_warps_again(tmp_path, pair):
    field, again = tmp_path / "field.npy", tmp_path / "again.png"
    how = ("--transform", "displacement", "--set", "units=pixels")
    fit, printed = fitted(*pair, "-o", tmp_path / "out.png", *how, "--field", field)
    assert printed.startswith("θ is a field of 2 × 48 × 64 numbers: it moves pixels by up to ")
    assert np.load(field).shape == (2, 48, 64)
    assert (fit["field"], fit["size"], fit["weight"]) == (str(field), [2, 48, 64], 2.0)
    assert fit["after"]["difference"] < 4 < fit["before"]["difference"]
    warped = CliRunner().invoke(
        app, ["warp", str(pair[0]), str(again), *how, "--theta", str(field), "--kernel", "bicubic"]
    )
    assert warped.exit_code == 0, warped.output
    assert torch.equal(read(again).pixels, read(tmp_path / "out.png").pixels)
    for wrong in (("--field", tmp_path / "field.txt"), ("--transform", "affine", "--field", field)):
        assert run(*pair, "-o", tmp_path / "out.png", *how, *wrong).exit_code != 0


def test_the_picture_is_red_and_cyan_before_and_grey_after(tmp_path, pair):
    said(*pair, "-o", tmp_path / "out.png", "--picture", tmp_path / "both.png")
    with Image.open(tmp_path / "both.png") as image:
        pixels = np.asarray(image).astype(int)
    assert pixels.shape == (48, 128, 3)
    tint = np.abs(pixels[..., 0] - pixels[..., 1])[12:-12]
    assert tint[:, 76:116].mean() < 3 < tint[:, 12:52].mean()


def test_a_grey_photograph_is_brought_onto_a_coloured_one_of_other_brightness(tmp_path, pair):
    grey = 30 + 0.5 * read(pair[1]).pixels.float().mean(0)
    write(Photo(grey.round().byte()[None]), tmp_path / "grey.png")
    fit, _ = fitted(pair[0], tmp_path / "grey.png", "-o", tmp_path / "out.png", "--loss", "ncc")
    np.testing.assert_allclose(fit["theta"], THETA[0], atol=0.01)


def test_transform_options_kernel_and_start_are_given(tmp_path, pair):
    how = ["--transform", "thin_plate_spline", "--set", "grid=[2,2]", "--kernel", "nearest"]
    printed = said(*pair, "-o", tmp_path / "out.png", *how)
    assert len(printed.splitlines()[0].split()) == 1 + 8
    window = ["--transform", "attention", "--set", "scale=0.9", "--theta", "0.1", "-0.1"]
    assert len(said(*pair, "-o", tmp_path / "out.png", *window).splitlines()[0].split()) == 1 + 2


def test_the_kernel_that_made_fixed_finds_it_more_exactly(tmp_path, pair):
    moving = read(pair[0]).pixels[:3].float()[None] / 65535
    fixed = wk.warp(moving, "affine", THETA, kernel="bilinear", padding_mode="reflection")
    write(Photo((fixed[0] * 65535).round().to(torch.uint16)), tmp_path / "fixed.png")
    off = {}
    for kernel in ("bilinear", "bicubic"):
        fit, _ = fitted(pair[0], tmp_path / "fixed.png", "-o", tmp_path / "out.png", "--kernel", kernel)
        assert fit["kernel"] == kernel
        off[kernel] = float((torch.tensor([fit["theta"]]) - THETA).abs().max())
    assert off["bilinear"] < off["bicubic"] / 2


def test_photographs_that_do_not_match_are_said_to(tmp_path, pair):
    write(Photo(torch.randint(256, (3, 40, 40), generator=torch.Generator().manual_seed(1)).byte()), tmp_path / "b.png")
    result = run(pair[0], tmp_path / "b.png", "-o", tmp_path / "out.png")
    assert result.exit_code == 0
    assert "no match" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--loss", "nc"], "Did you mean 'ncc'"),
        (["--transform", "affin"], "Did you mean 'affine'"),
        (["--kernel", "bilinaer"], "Did you mean 'bilinear'"),
        (["--transform", "attention", "--set", "scale=0.5"], "has no identity: give --theta"),
        (["--picture", "a.xyz"], "cannot write a picture"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path, pair, arguments, message):
    result = run(*pair, "-o", tmp_path / "out.png", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_one_file_is_not_written_twice(tmp_path, pair):
    twice = tmp_path / "out.png"
    result = run(*pair, "-o", twice, "--picture", twice)
    assert result.exit_code != 0
    assert "one file would be written twice" in result.output
    assert not twice.exists()
