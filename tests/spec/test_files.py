"""`save` and `load`: one file, and nothing in it is executed."""

import json

import pytest
import torch
from torch import nn

import warpkit as wk

safetensors = pytest.importorskip("safetensors.torch")
pytestmark = pytest.mark.usefixtures("unchecked")

SPEC = {"version": 1, "input": [1, 9, 9], "layers": [
    {"type": "spatial_transformer", "localization": {"type": "conv_localization", "id": "eyes"},
     "kernel": {"type": "bicubic", "learnable": True}},
    {"type": "spatial_transformer", "localization": {"use": "eyes"}, "transform": "projective"},
    "BatchNorm2d", "Flatten", {"type": "Linear", "out_features": 3},
]}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def head_of(path):
    with safetensors.safe_open(path, "pt") as file:
        return json.loads(file.metadata()["warpkit"])


def rewrite(path, **changes):
    """The same file with another head."""
    head = head_of(path)
    path.write_bytes(safetensors.save(safetensors.load_file(path), {"warpkit": json.dumps(head | changes)}))


def test_what_is_saved_comes_back(path):
    made = wk.build(SPEC)
    made(torch.rand(4, 1, 9, 9))  # moves the running means
    with torch.no_grad():
        made[0].regression.weight.normal_()
    wk.save(made, path)
    again = wk.load(path)
    assert wk.to_spec(again) == SPEC
    assert again[0].localization is again[1].localization
    image = torch.rand(2, 1, 9, 9)
    torch.testing.assert_close(again.eval()(image), made.eval()(image), rtol=0, atol=0)


def test_the_type_of_the_weights_is_kept(path):
    made = wk.build(SPEC).double()
    wk.save(made, path)
    assert wk.load(path)[-1].weight.dtype == torch.float64


def test_what_was_loaded_trains(path):
    wk.save(wk.build(SPEC), path)
    made = wk.load(path)
    made(torch.rand(2, 1, 9, 9)).square().sum().backward()
    assert made[-1].weight.grad is not None


def test_lazy_layers_are_told(path):
    with pytest.raises(wk.InputError, match="has not seen an input"):
        wk.save(wk.SpatialTransformer("conv_localization"), path)
    assert not path.exists()


def test_a_missing_plugin_is_named_with_its_distribution(path):
    wk.save(wk.build(SPEC), path)
    missing = {"kind": "kernel", "name": "sharp", "distribution": "sharp-kernels", "version": "2.1", "origin": ""}
    rewrite(path, plugins=[missing])
    with pytest.raises(wk.InputError, match=r"if you trust .*: pip install 'sharp-kernels==2.1'$"):
        wk.load(path)


@pytest.mark.parametrize("name", ["warpkit", "Torch.Warpkit"])
def test_a_component_of_a_newer_warpkit_is_no_reason_to_fetch_a_package(path, name):
    """On the index the name may be anybody's."""
    wk.save(wk.build(SPEC), path)
    rewrite(path, plugins=[{"kind": "kernel", "name": "sharp", "distribution": name, "version": "2.1"}])
    with pytest.raises(wk.InputError, match=f"it is in {name} 2.1: git pull in the clone") as error:
        wk.load(path)
    assert "pip install" not in str(error.value)


def test_a_component_registered_in_this_process_is_noted(path):
    @wk.register_module("doubled")
    class Doubled(nn.Module):
        def forward(self, x):
            return 2 * x

    wk.save(wk.build({"input": [1, 3, 3], "layers": ["doubled"]}), path)
    assert head_of(path)["plugins"][0]["name"] == "doubled"
    assert isinstance(wk.load(path)[0], Doubled)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spec": None}, "its spec is missing"),
        ({"format": 2}, "git pull in the clone of warpkit"),
        ({"spec": {"layers": ["os.system"]}}, "unknown module 'os.system'"),
        ({"spec": {"layers": [{"type": "Linear", "in_features": 2, "out_features": 2}]}}, "lacks 0.bias"),
        ({"spec": SPEC | {"layers": [*SPEC["layers"][:-1], {"type": "Linear", "out_features": 4}]}}, "expected"),
        ({"plugins": [3]}, "no file of warpkit.save"),
    ],
)
def test_another_head_is_told(path, changes, words):
    wk.save(wk.build(SPEC), path)
    rewrite(path, **changes)
    with pytest.raises(wk.InputError, match=words):
        wk.load(path)


@pytest.mark.parametrize("content", [b"", b"not at all", b"\x80\x04." * 40])
def test_another_file_is_told(path, content):
    path.write_bytes(content)
    with pytest.raises(wk.InputError, match="no file of"):
        wk.load(path)
    with pytest.raises(wk.InputError, match="no such file"):
        wk.load(path.with_name("nowhere"))


def tied():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    return nn.Sequential(first, second)


def with_a_buffer():
    made = wk.build({"layers": ["ReLU"]})
    made.register_buffer("mean", torch.ones(3))
    return made


def with_a_layer_put_in():
    made = wk.build({"input": [1, 8, 8], "layers": ["Flatten", {"type": "Linear", "out_features": 2}]})
    made.insert(0, nn.MaxPool2d(2))
    return made


@pytest.mark.parametrize("make", [tied, with_a_buffer, with_a_layer_put_in])
def test_what_its_spec_would_not_bring_back_is_not_saved(path, make):
    with pytest.raises(wk.InputError, match="no spec describes this module"):
        wk.save(make(), path)
    assert not path.exists()


def test_options_that_were_set_later_are_saved(path):
    made = wk.build(SPEC)
    made[0].padding_mode, made[0].fill = "border", 0.5
    wk.save(made, path)
    assert (wk.load(path)[0].padding_mode, wk.load(path)[0].fill) == ("border", 0.5)


def test_weights_of_another_kind_are_told(path):
    wk.save(wk.build(SPEC), path)
    head, weights = head_of(path), safetensors.load_file(path)
    weights["4.bias"] = weights["4.bias"].long()
    path.write_bytes(safetensors.save(weights, {"warpkit": json.dumps(head)}))
    with pytest.raises(wk.InputError, match=r"4\.bias: expected torch\.float32, got torch\.int64"):
        wk.load(path)


def test_a_strangers_words_become_no_command(path):
    wk.save(wk.build(SPEC), path)
    odd = {"kind": "kernel", "name": "x", "distribution": "y'; rm z #", "version": "1", "origin": "somewhere"}
    rewrite(path, plugins=[odd])
    with pytest.raises(wk.InputError, match="kernel 'x' is missing: the file says that it was 'somewhere'") as error:
        wk.load(path)
    assert "rm z" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "dtype", "words"),
    [
        ("4.weight", torch.float8_e4m3fn, r"4\.weight is F8_E4M3, which cannot run"),
        ("4.weight", torch.float64, r"4\.weight is torch\.float64 and .* torch\.float32: such a mixture cannot run"),
        ("4.weight", torch.complex64, r"4\.weight is C64, which cannot run"),
    ],
)
def test_weights_that_could_not_run_are_not_loaded(path, name, dtype, words):
    wk.save(wk.build(SPEC), path)
    head, weights = head_of(path), safetensors.load_file(path)
    weights[name] = weights[name].to(dtype)
    path.write_bytes(safetensors.save(weights, {"warpkit": json.dumps(head)}))
    with pytest.raises(wk.InputError, match=words):
        wk.load(path)


@pytest.mark.parametrize(
    ("dtype", "words"), [(torch.float8_e4m3fn, "which cannot run"), (torch.float64, "such a mixture cannot run")]
)
def test_what_could_not_be_loaded_is_not_saved(path, dtype, words):
    made = wk.build(SPEC)
    made[-1].weight.data = made[-1].weight.data.to(dtype)
    with pytest.raises(wk.InputError, match=f"save: .*{words}"):
        wk.save(made, path)
    assert not path.exists()


LARGE = {"type": "Linear", "out_features": 2**15}


@pytest.mark.parametrize(
    "spec",
    [
        {"input": [2**15], "layers": [LARGE]},
        {"input": [1, 181, 181], "layers": [
            {"type": "spatial_transformer", "localization": {"type": "dense_localization", "hidden": [2**15]}}
        ]},
        {"input": [1, 8, 8], "layers": [{"type": "Upsample", "scale_factor": 4000}]},
    ],
)  # fmt: skip
def test_a_small_file_makes_nothing_large(path, spec, monkeypatch):
    wk.save(wk.build(SPEC), path)
    rewrite(path, spec=spec)
    monkeypatch.setattr("warpkit.spec.files.build", lambda _: pytest.fail("its weights were made"))
    with pytest.raises(wk.InputError, match=r"lacks|has besides|more than 2e"):
        wk.load(path)


def test_shapes_are_compared_before_weights_are_read(path, monkeypatch):
    wk.save(wk.build(SPEC), path)
    wider = [*SPEC["layers"][:-1], {"type": "Linear", "out_features": 4}]
    rewrite(path, spec=SPEC | {"layers": wider})
    monkeypatch.setattr("warpkit.spec.files.build", lambda _: pytest.fail("its weights were made"))
    with pytest.raises(wk.InputError, match=r"4\.(weight|bias): expected \[4.*, got \[3"):
        wk.load(path)


def test_a_head_that_is_too_long_is_not_read(path):
    path.write_bytes((2**40).to_bytes(8, "little"))
    with pytest.raises(wk.InputError, match=r"no file of warpkit\.save: its head is too long"):
        wk.load(path)


@pytest.mark.parametrize(
    "item",
    [
        {"kind": "kernel", "name": "x\x1b[2J", "distribution": "y\x1b[2J", "version": "\x9b1", "origin": "z\u202e"},
        {"kind": "kernel", "name": "x" * 200, "distribution": "-rhttp", "version": "1", "origin": {"a": "b" * 200}},
        {"kind": "kernel", "name": "x", "distribution": "é", "version": "1"},
        {"kind": "kernel", "name": "x", "distribution": "y", "version": "1; rm"},
    ],
)
def test_only_what_is_a_name_and_a_version_becomes_advice(path, item):
    wk.save(wk.build(SPEC), path)
    rewrite(path, plugins=[item] * 1000, warpkit="\x1b[2J")
    with pytest.raises(wk.InputError, match=r"is missing: the file says that it was .*, if you trust it") as error:
        wk.load(path)
    assert "pip install" not in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 2000


@pytest.mark.parametrize(
    "item", [{}, {"kind": 3}, {"name": "affine", "version": [1]}, {"kind": "kernel", "name": "bilinear"}]
)
def test_a_plugin_of_which_the_file_says_little_is_passed_over(path, item):
    wk.save(wk.build(SPEC), path)
    rewrite(path, plugins=[item])
    assert wk.to_spec(wk.load(path)) == SPEC
