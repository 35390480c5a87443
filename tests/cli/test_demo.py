import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from warpkit.cli import app


def run(*arguments: object):
    return CliRunner().invoke(app, ["demo", *map(str, arguments)])


@pytest.mark.parametrize("distortion", ["r", "rts"])
def test_the_demo_ends_in_a_table_of_both_errors_and_a_picture(tmp_path, distortion):
    result = run("--steps", 5, "--distortion", distortion, "--out", tmp_path / "new")
    assert result.exit_code == 0, result.output
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")] for line in result.stdout.splitlines() if "CNN" in line
    ]
    table = {row[0]: row for row in rows if len(row) == 5}
    assert list(table) == ["CNN", "ST-CNN"]
    for _, error, _, parameters, _ in table.values():
        assert 0 < float(error.rstrip("%")) < 100
        assert int(parameters.replace(",", "")) > 10_000
    with Image.open(tmp_path / "new" / f"{distortion}.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape[1] > pixels.shape[0] > 300
    assert ((pixels[..., 0] > 200) & (pixels[..., 2] < 100)).any()  # the grid, in its colour


def test_the_same_seed_gives_the_same_errors_and_the_same_picture(tmp_path):
    def errors_and_picture(file: str):
        lines = run("--steps", 2, "--seed", 3, "--out", tmp_path / file).stdout.splitlines()
        return [line.split("│")[2] for line in lines if line.startswith("│")], (tmp_path / file).read_bytes()

    assert errors_and_picture("a.png") == errors_and_picture("b.png")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--distortion", "rst"], "unknown distortion 'rst'. Did you mean 'rts'"),
        (["--steps", 0], "--steps: expected 1 or more, got 0"),
        (["--out", "picture.jpg"], "--out: expected a folder or a .png file, got 'picture.jpg'"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(flags, said):
    result = run(*flags)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_a_folder_with_a_dot_in_its_name_is_a_folder(tmp_path):
    folder = tmp_path / "tmp.x1"
    folder.mkdir()
    assert run("--steps", 1, "--out", folder).exit_code == 0
    assert (folder / "r.png").is_file()


def test_where_nothing_can_be_written_is_told_before_the_training(tmp_path):
    (tmp_path / "file").write_text("no folder")
    result = run("--steps", 1, "--out", tmp_path / "file" / "x.png")
    assert result.exit_code == 2
    assert "cannot be written" in result.output
    assert "digits to train with" not in result.output
