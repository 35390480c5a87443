"""What a stranger's spec can take: no more than it takes to say that it is wrong."""

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

import warpkit as wk
from warpkit.component import inputs_of
from warpkit.spec.build import planned
from warpkit.spec.cost import Bounded, Cost
from warpkit.spec.outline import outline
from warpkit.spec.read import overridden, read

pytestmark = pytest.mark.usefixtures("unchecked")

ST = {"type": "spatial_transformer", "localization": "conv_localization"}


def aliases(join):
    """Each line stands for nine of the one before."""
    lines = [f"a{i}: &a{i} {join(f'*a{i - 1}')}" for i in range(1, 50)]
    return "\n".join(["a0: &a0 {type: ReLU}", *lines, "layers: [*a49]"])


FILES = {
    "aliases.yaml": (aliases(lambda one: f"[{', '.join([one] * 9)}]"), "more than 30,000 values"),
    "merged.yaml": (aliases(lambda one: f"{{<<: [{', '.join([one] * 9)}]}}"), "more than 30,000 values"),
    "itself.yaml": ("layers: &a [*a]", "an alias stands inside of what it stands for"),
    "deep.yaml": (f"layers: {'[' * 250}{']' * 250}", "nested (more than 200|too)"),
    "deeper.yaml": (f"layers: {'[' * 5000}{']' * 5000}", "nested too deeply"),
    "digits.yaml": (f"layers: {'9' * 40_000}", "layers: expected a list, got '999"),
    "sixty.yaml": (f"layers: !!int {':'.join(['59'] * 20_000)}", "layers: expected a list, got '59:59"),
    "letters.yaml": (f'layers: "{"x" * 2_000_000}"', "more than 524,288 letters"),
    "tag.yaml": (f"layers: !{'x' * 100_000} a", "cannot be parsed"),
    "keys.json": (json.dumps(dict.fromkeys(map(str, range(31_000)), 0)), "more than 30,000 values"),
    "deep.json": ('{"layers": ' + "[" * 10_000 + "]" * 10_000 + "}", "nested too deeply"),
    "twice.json": ('{"a\\u001b[2J": 1, "a\\u001b[2J": 2}', "is given twice in one table"),
    "dots.toml": (f"{'.'.join('a' * 20_000)} = 1", "a key of more than 20 parts"),
    "quoted.toml": (f"[{'.'.join([chr(34) + 'a b' + chr(34)] * 20_000)}]", "a key of more than 20 parts"),
    "deep.toml": (f"layers = {'[' * 5000}", "nested too deeply"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_would_stop_its_reader_is_one_short_error(tmp_path, name):
    text, words = FILES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(wk.InputError, match=words) as error:
        wk.build(tmp_path / name)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("text", ["1e5abc", "0x_", "2020-99-99", "1e", "._"])
def test_a_name_that_begins_like_a_number_is_a_name(tmp_path, text):
    (tmp_path / "net.yaml").write_text(f"layers: [{{type: ReLU, id: {text}}}]")
    assert read(tmp_path / "net.yaml")["layers"][0]["id"] == text


@pytest.mark.parametrize(("text", "number"), [("1e5", 1e5), ("-1.5e-3", -1.5e-3), (".5E+2", 50.0), ("2.e1", 20.0)])
def test_a_number_is_a_number(tmp_path, text, number):
    (tmp_path / "net.yaml").write_text(f"layers: [{text}]")
    assert read(tmp_path / "net.yaml")["layers"] == [number]


def test_data_that_contains_itself_or_repeats_itself_is_told():
    layers = []
    layers.append({"type": "sequential", "layers": layers})
    with pytest.raises(wk.InputError, match="nested more than 200 deep"):
        wk.build({"layers": layers})
    many = "ReLU"
    for _ in range(50):
        many = [many] * 9
    with pytest.raises(wk.InputError, match="more than 30,000 values"):
        wk.build({"layers": many})
    with pytest.raises(wk.InputError, match="more than 1,000 components"):
        wk.build({"layers": ["ReLU"] * 1001})


@pytest.mark.parametrize("path", [".".join("a" * 300), "a" * 20_000])
def test_an_override_of_many_parts_is_told(path):
    with pytest.raises(wk.InputError, match="longer than any path"):
        overridden({"layers": []}, {path: 1})


def test_of_many_mistakes_the_first_fifty_are_told():
    with pytest.raises(wk.InputError) as error:
        wk.build({"layers": [f"Relu{i}" for i in range(900)]})
    lines = str(error.value).splitlines()
    assert len(lines) == 51
    assert lines[-1].strip() == "there are more mistakes"


def test_what_a_spec_says_is_quoted_short_and_escaped():
    odd = "\x1b[2J\u202e" * 10**5
    layers = [odd, {"type": "ReLU", odd: odd}, {"type": "Dropout", "p": odd}, {"use": odd}, {"type": "ReLU", "id": 3}]
    layers += [{"type": "Upsample", "scale_factor": 2, "mode": odd}, {"type": "ReLU", "id": odd}, {odd: odd}]
    with pytest.raises(wk.InputError) as error:
        wk.build({"input": [1, 8, 8], "layers": layers, odd: odd})
    assert str(error.value).replace("\n", "").isprintable()
    assert len(str(error.value)) < 10_000


# ------------------------------------------------------------------------------------------ memory, by arithmetic

LARGE = {
    "layers[0]: does not fit": [
        ([1, 8, 8], {"type": "Upsample", "scale_factor": 4000}),
        ([1, 8, 8], {"type": "AdaptiveAvgPool2d", "output_size": 40_000}),
        ([1, 8, 8], {"type": "Conv2d", "out_channels": 1, "kernel_size": 1, "padding": 20_000}),
        ([1, 8, 8], {"type": "ConvTranspose2d", "out_channels": 1, "kernel_size": 1, "stride": 5000}),
        ([1, 8, 8], ST | {"size": [60_000, 60_000]}),
        ([1, 8, 8], ST | {"localization": {"type": "conv_localization", "channels": [10**8]}}),
        ([1, 8, 8], ST | {"localization": {"type": "dense_localization", "hidden": [10**9]}}),
    ],
    "right": [
        ([1, 8, 8], {"type": "Upsample", "scale_factor": 2000}),
        ([1, 8, 8], {"type": "AdaptiveAvgPool2d", "output_size": 20_000}),
        ([1, 8, 8], {"type": "Conv2d", "out_channels": 1, "kernel_size": 1000, "padding": 1000}),
        ([1, 30, 30, 30], {"type": "Conv3d", "out_channels": 1, "kernel_size": 29, "padding": 15}),
        ([1, 300, 300], {"type": "AvgPool2d", "kernel_size": 300, "padding": 150, "stride": 1}),
        ([1, 8, 8], ST | {"size": [5000, 5000], "transform": "thin_plate_spline", "steps": 1}),
    ],
    "its weights need": [([2**18], {"type": "Linear", "out_features": 2**18})],
    "at most 1e+09 numbers": [([1, 10**5, 10**5], "ReLU")],
}
PROGRAM = """
import resource, sys
import warpkit as wk
from warpkit.component import inputs_of
from warpkit.spec.build import planned
from warpkit.spec.outline import outline
from test_bounds import LARGE, ST
wk.build({"input": [1, 8, 8], "layers": [ST]})
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 300 * 2**20,) * 2)
for words, specs in LARGE.items():
    for shape, layer in specs:
        try:
            plan = planned({"input": shape, "layers": [layer]})
            outline(plan.module, inputs_of(plan.module))
            told = "right"
        except wk.InputError as error:
            told = str(error)
        assert words in told, (words, layer, told)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc/self/statm")
def test_a_spec_is_tried_and_outlined_in_little_memory(request):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], cwd=request.path.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_numbers_and_work_are_those_of_the_shapes():
    with Cost() as cost:
        nn.Conv2d(3, 5, 3, device="meta")(torch.zeros(2, 3, 8, 8, device="meta").requires_grad_(False))
    patches = 2 * 3 * 9 * 36
    weights = 5 * 3 * 9 + 5
    assert cost.numbers == weights + 2 * 3 * 64 + 2 * 5 * 36 + patches
    assert cost.work == 2 * 2 * 5 * 36 * 27


def test_an_operator_with_numbers_is_refused_before_it_runs():
    with Bounded():
        assert torch.ones(3, 4, 5).sum() == 60
        with pytest.raises(wk.InputError, match="can only be tried with numbers"):
            torch.zeros(2**29)


class NeedsNumbers(nn.Module):
    """As a plugin that looks at its input."""

    def forward(self, image):
        return image if image.sum().item() >= 0 else -image


def test_what_needs_numbers_is_tried_with_few_of_them():
    wk.register_module("needs_numbers")(NeedsNumbers)
    small = wk.build({"input": [1, 8, 8], "layers": ["needs_numbers", {"type": "Upsample", "scale_factor": 2}]})
    assert outline(small, inputs_of(small)).children[1].shape == (1, 16, 16)
    with pytest.raises(wk.InputError, match=r"layers\[1\]: .*can only be tried with numbers"):
        planned({"input": [1, 8, 8], "layers": ["needs_numbers", {"type": "Upsample", "scale_factor": 3000}]})
    with pytest.raises(wk.InputError, match=r"layers\[0\]: .*can only be tried with numbers"):
        planned({"input": [2**15], "layers": [{"type": "Linear", "out_features": 2**15}, "needs_numbers"]})


def test_many_steps_are_outlined_as_two():
    module = planned({"input": [1, 8, 8], "layers": [ST | {"steps": 1000}]}).module
    root = outline(module, inputs_of(module))
    assert root.children[0].options["steps"] == 1000


def test_a_network_of_hundreds_of_millions_of_parameters_is_planned():
    plan = planned({"input": [2**14], "layers": [{"type": "Linear", "out_features": 2**15}]})
    assert sum(p.numel() for p in plan.module.parameters()) == 2**29 + 2**15


def test_lazy_weights_are_known_before_they_are_made():
    plan = planned(
        {"input": [1, 8, 8], "layers": [ST | {"localization": {"type": "dense_localization", "hidden": [9]}}]}
    )
    shapes = {name: list(p.shape) for name, p in plan.whole.named_parameters()}
    assert shapes["0.localization.layers.1.weight"] == [9, 64]
    assert shapes["0.regression.weight"] == [6, 9]


# ------------------------------------------------------------------------------------------------------- depth


def nested(depth):
    module = nn.Sequential(nn.ReLU())
    for _ in range(depth):
        module = nn.Sequential(module)
    return module


@pytest.mark.parametrize("use", [wk.to_spec, wk.save, outline])
def test_what_is_nested_too_deeply_is_told(tmp_path, use):
    more = [tmp_path / "net.safetensors"] if use is wk.save else []
    with pytest.raises(wk.InputError, match="nested"):
        use(nested(400), *more)
