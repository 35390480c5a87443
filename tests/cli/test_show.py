"""`warpkit show`: a tree with shapes and parameters, and a diagram."""

import json

import pytest
import typer
from typer.testing import CliRunner

import warpkit as wk
from warpkit.cli import _Friendly
from warpkit.cli.show import show

SPEC = """
version = 1
input = [1, 28, 28]

[[layers]]
type = "parallel"
transformers = [
    { type = "spatial_transformer", localization = { type = "conv_localization", id = "eyes" } },
    { type = "spatial_transformer", localization = { use = "eyes" }, transform = "attention" },
]

[[layers]]
type = "Conv2d"
out_channels = 8
kernel_size = 5
"""

app = typer.Typer(cls=_Friendly)
app.command("show")(show)
app.callback()(lambda: None)


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "net.toml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def run(*words, width="100"):
    return CliRunner().invoke(app, ["show", *map(str, words)], env={"COLUMNS": width})


def test_every_layer_has_a_line_with_its_shape_and_parameters(spec):
    result = run(spec)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert any("layers[1] Conv2d out_channels=8 kernel_size=5" in line and "8 × 24 × 24" in line for line in lines)
    count = sum(p.numel() for p in wk.build(spec).parameters())
    assert lines[-1].split() == ["total", f"{count:,}"]


def test_a_shared_network_points_to_its_first_use(spec):
    assert "the same as layers[0].transformers[0].localization" in run(spec, width="120").stdout


def test_a_narrow_terminal_keeps_the_columns(spec):
    lines = run(spec, width="64").stdout.splitlines()
    assert max(map(len, lines)) <= 64
    assert all(line[0] in " │├└ilst" for line in lines[1:])


def test_json_is_the_same_tree(spec):
    tree = json.loads(run(spec, "--json").stdout)
    assert tree["shape"] == [8, 24, 24]
    second = tree["children"][0]["children"][1]
    assert second["label"] == "spatial_transformer"
    assert second["children"][0]["shared"] == "layers[0].transformers[0].localization"
    assert tree["parameters"] == sum(p.numel() for p in wk.build(spec).parameters())


def test_an_override_is_shown(spec):
    result = run(spec, "--set", "layers.1.kernel_size=9", "--set", "layers.0.transformers.1.transform.type=projective")
    assert "kernel_size=9" in result.stdout
    assert "projective" in result.stdout


@pytest.mark.parametrize(("suffix", "begins"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_a_diagram_is_written(spec, tmp_path, suffix, begins):
    picture = tmp_path / "pictures" / f"net{suffix}"
    result = run(spec, "-d", picture)
    assert result.exit_code == 0, result.output
    assert picture.read_bytes().startswith(begins)
    assert f"Written: {picture}" in result.stderr


def test_bad_input_is_one_line(spec, tmp_path):
    for words, message in (
        ([tmp_path / "none.toml"], "no such file"),
        ([spec, "-d", tmp_path / "net.gif"], "expected .svg, .png or .pdf"),
        ([spec, "--set", "layers.1.kernel_size=99"], "layers[1]"),
        ([spec, "--set", "kernel_size"], "expected key=value"),
    ):
        result = run(*words)
        assert result.exit_code == 2
        assert message in result.stderr
        assert "Traceback" not in result.output
