"""What the page shows is what `wk.warp` computes, and a handle goes where it is dragged."""

import shlex
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from play_pages import client, file, key, noise, opened, warped
from typer.testing import CliRunner

import warpkit as wk
from warpkit.cli import app

THETAS = {
    "affine": [0.8, 0.3, 0.1, -0.2, 0.9, 0.05],
    "projective": [1, 0.1, 0, 0, 1, 0.2, 0.3, -0.1],
    "euclidean": [0.4, 0.1, -0.2],
    "polar": [0.1, -0.1],
    "free_form": np.linspace(-0.2, 0.2, 32).tolist(),
}


@pytest.fixture
def page():
    return client()


@pytest.mark.parametrize("name", THETAS)
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"kernel": "bicubic", "padding": "reflection"},
        {"kernel": "nearest", "size": [7, 50], "align_corners": True},
    ],
)
def test_the_picture_is_that_of_warp_bit_for_bit(page, name, how):
    told, _, pixels = warped(page, picture=key(page), transform=name, theta=THETAS[name], **how)
    given = {"padding_mode" if key == "padding" else key: value for key, value in how.items()}
    expected = wk.warp(noise(1, 3, 20, 30), name, torch.tensor([THETAS[name]]), **given)[0].permute(1, 2, 0)
    assert (pixels[..., :3] == expected.numpy()).all()
    assert (pixels[..., 3] == 255).all()
    assert told["size"] == list(expected.shape[:2])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("name", "options"), [("affine", {}), ("thin_plate_spline", {"grid": "[2, 3]"}), ("euclidean", {"aspect": "1.5"})]
)
def test_the_lines_to_copy_make_the_same_picture(tmp_path, monkeypatch, channels, name, options):
    monkeypatch.chdir(tmp_path)
    page, image = client(), noise(channels, 20, 30)
    data = file(image.permute(1, 2, 0).squeeze(-1).numpy())
    (tmp_path / "a picture.png").write_bytes(data)
    chosen = {"picture": opened(page, data, "a picture.png")["key"], "transform": name, "options": options}
    start = [param["start"] for param in page.post("/parameters", json=chosen).json()["params"]]
    bent = [x + 0.1 * (-1) ** i for i, x in enumerate(start)]
    asked = {**chosen, "theta": bent, "kernel": "bicubic", "padding": "border", "size": [15, 25], "align_corners": True}
    told, _, _ = warped(page, **asked)
    saved = np.array(Image.open(BytesIO(page.post("/png", json=asked).content)))

    line = shlex.split(told["command"])
    assert line[0] == "warpkit"
    done = CliRunner().invoke(app, line[1:])
    assert done.exit_code == 0, done.output
    assert (np.array(Image.open("warped.png")) == saved).all()

    if channels in (1, 3):  # alpha is a channel like any other to wk.warp
        names = {"torch": torch, "wk": wk, "image": image[None]}
        exec(told["python"], names)
        assert (names["warped"][0].permute(1, 2, 0).squeeze(-1).numpy() == saved).all()


def test_whole_numbers_are_copied_as_floating_point(page):
    told, _, _ = warped(page, picture=key(page), transform="affine", theta=[1, 0, 0, 0, 1, 0])
    assert told["python"].startswith("theta = torch.tensor([[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]])\n")
    assert told["command"].endswith("--theta 1 0 0 0 1 0")


def test_the_identity_has_its_grid_and_its_corners_on_the_picture_s_edges(page):
    told, grid, _ = warped(page, picture=key(page), transform="affine", theta=[1, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(told["handles"], [[0, 0], [1, 0], [0, 1], [1, 1]], atol=1e-6)
    np.testing.assert_allclose([grid.min(), grid.max()], [0, 1], atol=1e-6)


def test_aligned_corners_are_the_middles_of_the_border_pixels(page):
    told, _, _ = warped(page, picture=key(page), transform="affine", theta=[1, 0, 0, 0, 1, 0], align_corners=True)
    np.testing.assert_allclose(told["handles"][0], [0.5 / 30, 0.5 / 20], atol=1e-6)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("name", ["affine", "projective", "similarity", "thin_plate_spline", "free_form"])
def test_a_handle_goes_where_it_is_dragged(page, name, align_corners):
    start = wk.get_transform(name).identity().tolist()
    asked = {"picture": key(page), "transform": name, "theta": start, "align_corners": align_corners}
    handles = warped(page, **asked)[0]["handles"]
    handles[1] = [handles[1][0] - 0.2, handles[1][1] + 0.1]
    told, _, pixels = warped(page, **asked, handles=handles, moved=[1])
    np.testing.assert_allclose(told["handles"][1], handles[1], atol=2e-4)
    again = warped(page, **{**asked, "theta": told["theta"]})
    assert (again[2] == pixels).all()


def test_all_handles_together_move_the_picture(page):
    asked = {"picture": key(page), "transform": "affine", "theta": [1, 0, 0, 0, 1, 0]}
    moved = [[x + 0.25, y] for x, y in warped(page, **asked)[0]["handles"]]
    told, _, _ = warped(page, **asked, handles=moved, moved=[0, 1, 2, 3])
    np.testing.assert_allclose(told["theta"], [1, 0, 0.5, 0, 1, 0], atol=1e-5)


def test_a_handle_behind_the_horizon_has_no_place(page):
    told, grid, _ = warped(page, picture=key(page), transform="projective", theta=[1, 0, 0, 0, 1, 0, 0.7, 0.7])
    assert [place is None for place in told["handles"]] == [True, False, False, False]
    assert np.isnan(grid).any()


def test_two_tabs_do_not_disturb_each_other(page):
    ours, theirs = key(page), opened(page, file(noise(9, 11, 3).numpy()))["key"]
    first = warped(page, picture=ours, transform="affine", theta=THETAS["affine"])
    other = warped(page, picture=theirs, transform="polar", theta=[0, 0])
    again = warped(page, picture=ours, transform="affine", theta=THETAS["affine"])
    assert other[0]["size"] == [9, 11]
    assert first[0] == again[0]
    assert (first[2] == again[2]).all()
