import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from statistics import median

import pytest
from typer.testing import CliRunner

from warpkit.cli import app
from warpkit.cli.completing import shipped

SPEC = """
version = 1
title = "A moment"
data = {{ type = "digits", distortion = "r", folder = {folder!r} }}
training = {{ epochs = 1, batch = 32 }}

[models.first]
spec = {{ layers = ["Flatten", {{ type = "Linear", out_features = 10 }}] }}
label = "First"

[models.second]
spec = {{ layers = [{{ type = "AvgPool2d", kernel_size = 2 }}, "Flatten", {{ type = "Linear", out_features = 10 }}] }}
label = "Second"
beside = "first"
"""


@pytest.fixture
def spec(tmp_path, mnist):
    file = tmp_path / "moment.toml"
    file.write_text(SPEC.format(folder=str(mnist)))
    return file


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)])


def train(spec, out, *more):
    return run("train", spec, "--out", out, "--accelerator", "cpu", "--no-progress", *more)


def test_train_trains_each_model_with_each_seed_and_ends_in_a_table(spec, tmp_path):
    result = train(spec, tmp_path / "runs", "--seed", 0, "--seed", 3)
    assert result.exit_code == 0, result.output
    for label in ("First", "Second"):
        (row,) = (line for line in result.stdout.splitlines() if label in line)
        assert "%" in row
        assert "│     2 │" in row
    found = {str(file.parent.relative_to(tmp_path / "runs")) for file in (tmp_path / "runs").rglob("result.json")}
    assert found == {f"moment/{model}/{seed}" for model in ("first", "second") for seed in (0, 3)}


def test_train_takes_one_model_and_other_values(spec, tmp_path):
    result = train(spec, tmp_path / "runs", "--model", "second", "--set", "training.epochs=2")
    assert result.exit_code == 0, result.output
    (file,) = (tmp_path / "runs").rglob("run.json")
    assert file.parent.parent.name == "second"
    assert json.loads(file.read_text())["training"]["epochs"] == 2


def test_evaluate_tests_what_was_trained_again_on_the_same_or_on_other_data(spec, tmp_path, mnist):
    train(spec, tmp_path / "runs", "--model", "first")
    (ended,) = (tmp_path / "runs").rglob("result.json")
    (again,) = json.loads(run("evaluate", tmp_path / "runs", "--json").stdout)
    trained = json.loads(ended.read_text())
    assert again["error"] == pytest.approx(trained["error"], abs=1e-6)
    assert again["loss"] == pytest.approx(trained["loss"], abs=1e-5)
    (more,) = json.loads(run("evaluate", tmp_path / "runs", "--json", "--set", "data.ways=3").stdout)
    assert more["test_images"] == 3 * again["test_images"]
    result = run("evaluate", tmp_path / "runs", "--set", "data.distortion=rts")
    assert result.exit_code == 2
    assert "trained on {'input': [1, 28, 28]}, the data have {'input': [1, 42, 42]}" in result.stderr


def test_the_experiments_that_come_with_warpkit_are_listed_with_titles_data_and_minutes():
    lines = [re.split("  +", line) for line in run("train", "--list").stdout.splitlines()]
    listed = {name: rest for name, *rest in lines}
    assert {"r", "rts", "p", "e", "tc"} <= set(listed)
    assert listed["rts"] == ["2 to 34", "digits", "Distorted digits, RTS: turned, scaled and moved"]
    assert listed["birds"][:2] == ["not measured", "birds: CUB_200_2011"]


def test_the_minutes_are_those_that_were_measured():
    seconds = defaultdict(lambda: defaultdict(list))
    results = Path(__file__).parents[2] / "docs" / "results"
    for name in shipped():
        for file in (results / name).rglob("result.json"):
            seconds[name][file.parent.parent.name].append(json.loads(file.read_text())["seconds"])
    for name, file in shipped().items():
        measured = [max(1, round(median(runs) / 60)) for runs in seconds[name].values()]
        assert tomllib.loads(file.read_text()).get("minutes") == ([min(measured), max(measured)] if measured else None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train"], "EXPERIMENT: expected a file or a name: --list shows the names"),
        (["train", "rtx"], "unknown experiment 'rtx'. Did you mean 'rts'"),
        (["train", "r", "--model", "cn"], "unknown model 'cn'. Did you mean"),
        (["train", "r", "--set", "training.epoch=3"], "training.epoch: unknown option 'epoch'. Did you mean 'epochs'"),
        (["train", "gone.toml"], "no such file: 'gone.toml'"),
        (["evaluate", "nowhere"], "'nowhere' is no folder"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(words, said):
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_without_lightning_the_extra_is_named(spec):
    program = f"import sys; sys.modules['lightning'] = None; sys.argv = ['warpkit', 'train', {str(spec)!r}]; "
    program += "from warpkit.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "this needs Lightning: in a clone of warpkit, pip install '.[train]'" in done.stderr
