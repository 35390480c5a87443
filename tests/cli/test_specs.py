"""`warpkit validate`, `build` and `schema`."""

import json
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

import warpkit as wk
from warpkit.cli import app
from warpkit.transforms.base import transforms

pytestmark = pytest.mark.usefixtures("unchecked")

NET = """
version = 1
input = [1, 12, 12]

[[layers]]
type = "spatial_transformer"
transform = { type = "thin_plate_spline", grid = [3, 3] }
localization = { type = "conv_localization", channels = [2], features = 4 }

[[layers]]
type = "Conv2d"
out_channels = 2
kernel_size = 3
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.toml").write_text(NET)
    return tmp_path / "net.toml"


def run(*words):
    result = CliRunner().invoke(app, [*map(str, words)])
    return result.exit_code, " ".join(result.output.split())


def test_a_right_spec_is_told(net):
    assert run("validate", "net.toml", "--set", "layers.0.transform.type=projective") == (0, "net.toml: right")


def test_every_mistake_of_every_spec_is_told(net):
    (net.parent / "other.json").write_text('{"layers": ["ReLU", "Relu"]}')
    code, output = run("validate", "net.toml", "other.json", "--set", "layers.1.kernel_size=x")
    assert code == 2
    assert "net.toml: spec: layers[1].kernel_size: expected Union[int, tuple[int, int]], got 'x'" in output
    assert "other.json: spec: layers[1]" in output


def test_an_override_that_leads_nowhere_is_told(net):
    code, output = run("validate", "net.toml", "--set", "layers.7.p=1")
    assert code == 2
    assert "override layers.7: expected a number from 0 to 1, got '7'" in output


@pytest.mark.parametrize("pair", [False, True])
def test_a_program_is_exported_that_torch_alone_runs(net, pair):
    spec = net
    if pair:
        spec = net.parent / "pair.toml"
        inputs, theta_from = "inputs = {a = [1, 12, 12], b = [1, 12, 12]}", 'theta_from = ["warped", "b"]\n[[layers]]'
        spec.write_text(NET.replace("input = [1, 12, 12]", inputs).replace("[[layers]]\ntype = \"Conv", f'{theta_from}\ntype = "Conv'))  # fmt: skip # noqa: E501
    code, output = run("build", spec, "-o", "net.pt2")
    assert code == 0, output
    program = torch.export.load("net.pt2")
    assert not [node for node in program.graph.nodes if "warpkit" in str(node.target)]
    images = [torch.rand(3, 1, 12, 12)] * (2 if pair else 1)
    torch.manual_seed(0)
    torch.testing.assert_close(program.module()(*images), wk.build(spec).eval()(*images), rtol=0, atol=1e-5)


def test_what_was_saved_is_exported_with_its_weights(net):
    pytest.importorskip("safetensors")
    made = wk.build(net)
    wk.save(made, "net.safetensors")
    assert run("build", "net.safetensors", "-o", "net.pt2")[0] == 0
    image = torch.rand(2, 1, 12, 12)
    torch.testing.assert_close(torch.export.load("net.pt2").module()(image), made.eval()(image), rtol=0, atol=1e-5)
    code, output = run("build", "net.safetensors", "-o", "net.pt2", "--set", "layers.1.kernel_size=1")
    assert code == 2
    assert "--set" in output


def test_a_spec_becomes_an_onnx_model_for_batches_of_any_size(net):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    done = CliRunner().invoke(app, ["build", "net.toml", "-o", "net.onnx", "--seed", "3", "--json"])
    assert done.exit_code == 0, done.output
    written = (net.parent / "net.onnx").read_bytes()
    assert json.loads(done.stdout) == {
        "file": "net.onnx",
        "bytes": len(written),
        "parameters": 262,
        "inputs": {"input": [1, 12, 12]},
    }
    assert done.stderr.split() == ["Written:", "net.onnx", "(262", "parameters)"]
    assert b".py" not in written  # nothing of where it was made
    session = onnxruntime.InferenceSession(written)
    (one,), (result,) = session.get_inputs(), session.get_outputs()
    assert (one.name, one.shape, result.name) == ("input", ["batch", 1, 12, 12], "output")
    image = torch.rand(3, 1, 12, 12)
    torch.manual_seed(3)
    expected = wk.build(net).eval()(image)
    found = torch.from_numpy(session.run(None, {"input": image.numpy()})[0])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_without_its_packages_an_onnx_model_is_refused_with_what_to_install(net, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert run("build", "net.toml", "-o", "net.onnx") == (
        2,
        "warpkit: this needs ONNX Script: in a clone of warpkit, pip install '.[onnx]'",
    )


class Peeking(wk.Transform):
    """A transform that looks at a number of θ, which a graph has not."""

    ndim, num_params = 2, 1

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return points * 2 if theta.sum() > 1 else points + theta[:, :, None]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["net.toml", "-o", "net.pth"], "ends in .pt2 or .onnx"),
        (["nothing.toml", "-o", "net.pt2"], "no such file"),
        (["open.toml", "-o", "net.pt2"], "needs `input`"),
        (["net.toml", "-o", "net.toml/net.onnx"], "cannot be written"),
        (["net.toml", "-o", "net.pt2", "--set", "layers.0.antialias=true"], "Export it with antialias=False"),
        (["net.toml", "-o", "net.pt2", "--set", "layers.0.transform={type='peeking'}"], "cannot be exported: "),
    ],
)
def test_what_cannot_be_built_is_told(net, words, told, monkeypatch):
    monkeypatch.setitem(transforms._registered, "peeking", Peeking)
    (net.parent / "open.toml").write_text('layers = ["ReLU"]')
    code, output = run("build", *words)
    assert code == 2
    assert told in output
    assert not (net.parent / "net.pt2").exists()


def test_a_program_that_the_disk_has_no_room_for_is_told_and_leaves_nothing(net):
    before = sorted(net.parent.iterdir())
    code = (
        "import resource, warpkit.cli\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"  # of every file: like a disk of that size
        "warpkit.cli.app(['build', 'net.toml', '-o', 'net.pt2'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=net.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "warpkit: net.pt2 cannot be written: File too large"
    assert sorted(net.parent.iterdir()) == before


def test_the_schema_is_printed_or_written(net):
    code, output = run("schema")
    assert code == 0
    assert "thin_plate_spline" in output
    assert run("schema", "-o", "warpkit.schema.json")[0] == 0
    assert json.loads((net.parent / "warpkit.schema.json").read_text())["$schema"].endswith("2020-12/schema")


def test_a_spec_from_stdin_is_refused_in_plain_words():
    code, output = run("validate", "-")
    assert code == 2
    assert "-: a spec is read from a file, whose suffix says its format, and not from stdin" in output
