"""`wk.build`: data → module; every mistake is named by its path."""

import enum
import json
from typing import Literal

import pytest
import torch
from torch import nn

import warpkit as wk
from warpkit.spec.build import planned

DESIGN = """
version = 1
input = [1, 28, 28]

[[layers]]
type = "spatial_transformer"
transform = { type = "thin_plate_spline", grid = [4, 4] }
kernel = "bicubic"
localization = { type = "conv_localization", id = "eyes" }

[[layers]]
type = "Conv2d"
out_channels = 32
kernel_size = 9
"""
ST = {"type": "spatial_transformer", "localization": "conv_localization"}


def lazy(module: nn.Module) -> list[str]:
    return [name for name, p in module.named_parameters() if isinstance(p, nn.UninitializedParameter)]


def test_the_spec_of_the_design(tmp_path):
    path = tmp_path / "net.toml"
    path.write_text(DESIGN, encoding="utf-8")
    made = wk.build(path)
    assert isinstance(made[0], wk.SpatialTransformer)
    assert made[0].transform.num_params == 32
    assert made[1].in_channels == 1
    assert lazy(made) == []
    image = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(made(image), made[1](image), rtol=0, atol=1e-4)
    assert made(image).shape == (2, 32, 20, 20)
    assert wk.build(str(path))[0].transform.num_params == 32


def test_json_and_yaml_hold_the_same(tmp_path):
    spec = {"version": 1, "input": [1, 8, 8], "layers": [ST, "Flatten", {"type": "Linear", "out_features": 3}]}
    for suffix in (".json", ".yaml", ".yml"):  # JSON is YAML
        path = tmp_path / f"net{suffix}"
        path.write_text(json.dumps(spec))
        assert wk.build(path)(torch.rand(2, 1, 8, 8)).shape == (2, 3)


def test_without_an_input_widths_are_found_on_first_use():
    made = wk.build({"layers": [ST]})
    assert lazy(made)
    assert made(torch.rand(2, 3, 9, 9)).shape == (2, 3, 9, 9)


def test_names_take_the_dimension_of_the_input():
    made = wk.build({"input": [2, 5, 6, 7], "layers": [ST | {"transform": "affine"}]})
    assert made[0].transform.ndim == 3
    image = torch.rand(1, 2, 5, 6, 7)
    torch.testing.assert_close(made(image), image, rtol=0, atol=1e-6)


def test_a_network_that_is_used_twice_is_the_same_network():
    spec = {"input": [1, 12, 12], "layers": [
        ST | {"localization": {"type": "conv_localization", "id": "eyes"}},
        ST | {"localization": {"use": "eyes"}, "transform": "attention"},
    ]}  # fmt: skip
    made = wk.build(spec)
    assert made[0].localization is made[1].localization
    assert made[1].transform.num_params == 3


def test_a_spec_of_one_module_needs_no_layers():
    assert isinstance(wk.build(ST), wk.SpatialTransformer)


def test_a_spec_is_left_as_it_was():
    spec = {"version": 1, "input": [1, 8, 8], "layers": [ST | {"transform": {"type": "affine"}}]}
    before = json.dumps(spec)
    wk.build(spec)
    assert json.dumps(spec) == before


def test_every_option_reaches_the_transformer():
    options = {
        "kernel": ["bicubic", {"type": "nearest"}],
        "padding_mode": ["wrap", "zeros"],
        "size": [5, 6],
        "fill": 0.5,
    }
    options |= {"align_corners": True, "limits": 0.3, "init": [1, 0, 0.1, 0, 1, 0], "steps": 2}
    made = wk.build({"input": [1, 8, 8], "layers": [ST | options]})[0]
    assert [type(k).__name__ for k in made.kernels] == ["Bicubic", "Nearest"]
    assert tuple(made.padding_mode) == ("wrap", "zeros")
    assert (tuple(made.size), made.fill, made.align_corners, made.steps) == ((5, 6), 0.5, True, 2)
    assert made(torch.rand(2, 1, 8, 8)).shape == (2, 1, 5, 6)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (ST | {"transform": {"type": "thin_plate_spline", "grid": [1, 4]}}, r"layers\[0\]\.transform\.grid"),
        (ST | {"transform": {"type": "thin_plate_spline", "grid": "4x4"}}, r"layers\[0\]\.transform\.grid.*4x4"),
        (ST | {"transform": {"type": "thin_plate_spline", "gird": [4, 4]}}, r"layers\[0\]\.transform\.gird.*'grid'"),
        (ST | {"transform": "afine"}, r"layers\[0\]\.transform.*'afine'.*'affine'"),
        (ST | {"kernel": ["bicubic", "bicubik"]}, r"layers\[0\]\.kernel\[1\].*'bicubik'.*'bicubic'"),
        (ST | {"kernel": {"type": "bicubic", "a": "steep"}}, r"layers\[0\]\.kernel\.a"),
        (ST | {"padding_mode": "zero"}, r"layers\[0\]\.padding_mode.*'zero'.*'zeros'"),
        (ST | {"size": [0, 4]}, r"layers\[0\]\.size"),
        (ST | {"steps": "two"}, r"layers\[0\]\.steps"),
        (ST | {"limit": 1.0}, r"layers\[0\]\.limit\b.*'limits'"),
        (ST | {"localization": {"use": "eyes"}}, r"layers\[0\]\.localization.*'eyes'"),
        (ST | {"localization": {"type": "conv_localisation"}}, r"layers\[0\]\.localization.*'conv_localization'"),
        ({"type": "spatial_transfomer"}, r"layers\[0\].*'spatial_transfomer'.*'spatial_transformer'"),
        ({"type": "spatial_transformer"}, r"layers\[0\].*localization"),
        ({"type": "Conv2d", "out_channels": 3}, r"layers\[0\].*kernel_size"),
        ({"type": "Conv2d", "out_channels": 3, "kernel_size": 99}, r"layers\[0\]"),
        ({"kernel": "bicubic"}, r"layers\[0\].*type"),
        (7, r"layers\[0\].*7"),
    ],
)
def test_a_mistake_is_named_by_its_path(unchecked, layer, words):
    with pytest.raises(wk.InputError, match=f"(?s){words}"):
        wk.build({"input": [1, 12, 12], "layers": [layer]})


def test_every_mistake_is_told_at_once(unchecked):
    spec = {"input": [1, 12, 12], "layers": [ST | {"kernel": "bicubik", "limit": 1.0}, ST | {"transform": "afine"}]}
    with pytest.raises(wk.InputError) as told:
        wk.build(spec)
    for path in ("layers[0].kernel", "layers[0].limit", "layers[1].transform"):
        assert path in str(told.value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"version": 2, "layers": []}, "version.*2"),
        ({"input": [1, -3], "layers": []}, "input"),
        ({"input": "28x28", "layers": []}, "input"),
        ({"version": 1}, "layers"),
        ({"layers": "Conv2d"}, "layers"),
        ({"layers": [], "optimiser": "adam"}, "optimiser"),
        (3, "dict or a path"),
        ("no_such_file.toml", "no such file.*no_such_file.toml"),
    ],
)
def test_a_spec_that_is_none_is_told(unchecked, spec, words):
    with pytest.raises(wk.InputError, match=words):
        wk.build(spec)


@pytest.mark.parametrize(
    ("name", "text"), [("a.toml", "layers = ["), ("a.json", "{"), ("a.yaml", "a: [1"), ("a.txt", "")]
)
def test_a_file_that_cannot_be_read_is_told(unchecked, tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(wk.InputError, match=name):
        wk.build(path)


@pytest.mark.parametrize("name", ["os.system", "builtins:eval", "torch.nn.Conv2d", "__import__"])
def test_a_spec_runs_registered_names_only(unchecked, name):
    with pytest.raises(wk.InputError, match=r"layers\[0\].*unknown module"):
        wk.build({"layers": [{"type": name}]})


# ----------------------------------------------------------------------------------- sizes, without memory for them


def test_sizes_that_do_not_fit_are_found_before_the_weights_are_made(unchecked):
    layers = ["Flatten", {"type": "Linear", "out_features": 10**6}, {"type": "Linear", "out_features": 10**6}]
    wrong = {"type": "Linear", "in_features": 3, "out_features": 1}
    with pytest.raises(wk.InputError, match=r"layers\[3\].in_features: expected 1000000, which comes in, got 3"):
        wk.build({"input": [1, 28, 28], "layers": [*layers, wrong]})
    with pytest.raises(wk.InputError, match="its weights need 4003 GB"):
        wk.build({"input": [1, 28, 28], "layers": layers})


def test_trying_a_spec_leaves_random_numbers_as_they_were(unchecked):
    torch.manual_seed(0)
    made = wk.build({"input": [1, 6, 6], "layers": ["Flatten", {"type": "Linear", "out_features": 3}]})
    torch.manual_seed(0)
    assert torch.equal(made[1].weight, nn.Linear(36, 3).weight)


def test_a_module_that_needs_numbers_is_tried_with_them(unchecked):
    @wk.register_module("counting")
    class Counting(nn.Module):
        def forward(self, x):
            return x.repeat(1, 2 + int(x.sum()))  # on meta there is no sum

    made = wk.build({"input": [4], "layers": ["counting", {"type": "Linear", "out_features": 3}]})
    assert made[1].in_features == 8


def test_what_is_shared_has_to_fit_at_every_use(unchecked):
    layers = [{"type": "Conv2d", "out_channels": 2, "kernel_size": 1, "id": "mix"}, {"use": "mix"}]
    with pytest.raises(wk.InputError, match=r"layers\[1\].* expected input.* to have 1 channels"):
        wk.build({"input": [1, 6, 6], "layers": layers})


# -------------------------------------------------------------------------------------------------- several images


def test_a_network_of_two_images(unchecked):
    transformer = ST | {"theta_from": ["warped", "fixed"], "steps": 2}
    spec = {"inputs": {"moving": [1, 9, 9], "fixed": [2, 9, 9]}, "layers": [transformer]}
    made = wk.build(spec)
    assert made[0].localization.layers[0].in_channels == 3
    moving, fixed = torch.rand(2, 1, 9, 9), torch.rand(2, 2, 9, 9)
    torch.testing.assert_close(made(moving, fixed), moving, rtol=0, atol=1e-6)
    with pytest.raises(wk.InputError, match="images: expected moving, fixed, got 1"):
        made(moving)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers.0.theta_from": ["fixt"]}, r"layers\[0\].theta_from\[0\]: unknown input 'fixt'. Did you mean 'fixed'"),
        ({"layers.0.theta_from": "fixed"}, r"layers\[0\].theta_from: expected a list of names, got 'fixed'"),
        ({"inputs.fixed": [1, 5, 5]}, r"layers\[0\].theta_from: images of one size are joined, got warped \[1, 9, 9\]"),
        ({"inputs.warped": [1, 9, 9]}, "inputs.warped"),
        ({"input": [1, 9, 9]}, "input: beside `inputs`"),
        ({"inputs": [1, 9, 9]}, "inputs: expected a table.* got"),
    ],
)
def test_a_mistake_about_two_images_is_told(unchecked, changes, words):
    layers = [ST | {"theta_from": ["warped", "fixed"]}]
    spec = {"inputs": {"moving": [1, 9, 9], "fixed": [1, 9, 9]}, "layers": layers}
    with pytest.raises(wk.InputError, match=words):
        wk.build(spec, changes)


# ------------------------------------------------------------------------------------------------------- overrides


def test_overrides_reach_into_names_tables_and_lists(unchecked):
    spec = {"input": [1, 9, 9], "layers": [ST | {"transform": {"type": "thin_plate_spline", "grid": [3, 3]}}]}
    changes = {
        "layers.0.transform.type": "projective",  # which has no grid
        "layers[0].localization.features": 7,
        "layers.0.kernel.type": "bicubic",
        "layers.0.kernel.a": -0.5,
        "input": [1, 8, 8],
    }
    assert wk.normalize_spec(spec, changes) == {"version": 1, "input": [1, 8, 8], "layers": [
        {"type": "spatial_transformer", "localization": {"type": "conv_localization", "features": 7},
         "transform": "projective", "kernel": {"type": "bicubic", "a": -0.5}}
    ]}  # fmt: skip
    assert spec["layers"][0]["transform"]["grid"] == [3, 3]


@pytest.mark.parametrize("path", ["layers.3.x", "layers.first", "version.x", "layers.0.localization.channels.0.x"])
def test_an_override_that_leads_nowhere_is_told(unchecked, path):
    with pytest.raises(wk.InputError, match="override"):
        wk.build(
            {"version": 1, "layers": [ST | {"localization": {"type": "conv_localization", "channels": [1]}}]}, {path: 1}
        )


# ------------------------------------------------------------------------------------ what one image would not show


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (
            [{"type": "Flatten", "start_dim": 0}],
            r"layers\[0\].* gives for 2 images: expected \[2, …\], got \[128\]",
        ),
        ([{"type": "Conv2d", "out_channels": 2, "kernel_size": 3, "padding": -1}], r"layers\[0\].*negative padding"),
        (["Flatten", {"type": "Softmax", "dim": 9}], r"layers\[1\].*Dimension out of range"),
        (["Flatten", {"type": "MaxPool1d", "kernel_size": 2}], r"layers\[1\].*MaxPool1d takes images of 1 axes"),
    ],
)
def test_what_would_fail_on_the_first_batch_is_told(unchecked, layers, words):
    with pytest.raises(wk.InputError, match=words):
        wk.build({"input": [1, 8, 8], "layers": layers})


def test_a_volume_of_depth_one_is_asked_about():
    spec = {"version": 1, "input": [2, 1, 28, 28], "layers": ["Flatten"]}
    with pytest.warns(UserWarning, match=r"of depth 1. A batch .*: did you mean \[1, 28, 28\]\?") as told:
        wk.build(spec)
    assert len(told) == 1


@pytest.mark.parametrize(
    "layers",
    [
        [{"type": "Conv2d", "out_channels": 4, "kernel_size": 3}, "ReLU"],
        [ST, {"type": "MaxPool2d", "kernel_size": 2}],
        [ST | {"transform": "thin_plate_spline"}],
    ],
)
def test_a_batch_that_is_written_into_the_input_is_told(unchecked, layers):
    with pytest.raises(
        wk.InputError, match=r"images of 2 axes.* A batch axis is not written: did you mean \[1, 28, 28\]"
    ):
        wk.build({"input": [8, 1, 28, 28], "layers": layers})
    with pytest.raises(wk.InputError, match=r"images of 2 axes, \[C, \*S\]$"):
        wk.build({"input": [8, 64], "layers": [{"type": "MaxPool2d", "kernel_size": 2}]})


def test_wrong_widths_are_told_together_and_hide_nothing_else(unchecked):
    first, second = ({"type": "Conv2d", "in_channels": n, "out_channels": 4, "kernel_size": 3} for n in (3, 7))
    with pytest.raises(wk.InputError) as error:
        wk.build({"input": [1, 9, 9], "layers": [first, "ReLU", second, {"type": "Linear", "out_features": "x"}]})
    assert str(error.value).splitlines() == [
        "spec: layers[0].in_channels: expected 1, which comes in, got 3",
        "      layers[2].in_channels: expected 4, which comes in, got 7",
        "      layers[3].out_features: expected int, got 'x'",
    ]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"inptu": [4], "layers": [{"type": "Linear", "out_features": 1}]}, "inptu: unknown key .*inp"),
        ({"inputs": {"a": [1, 4, 4]}, "layer": ["ReLU"]}, "layer: unknown key .* Did you mean 'layers'"),
        ({"input": {"a": [1, 4, 4]}, "layers": ["ReLU"]}, "several images are `inputs`"),
        ({"layers": "ReLU"}, "layers: expected a list, got 'ReLU'"),
        ({"layers": ["relu"]}, "Did you mean 'ReLU'"),
        ({"layers": [{"type": "Dropout", "p": None}]}, r"layers\[0\].p: got None: leave it out"),
        ({"layers": [{"p": 0.5}]}, r"layers\[0\].type: missing"),
    ],
)  # fmt: skip
def test_one_mistake_is_told_once(unchecked, spec, words):
    with pytest.raises(wk.InputError, match=words) as error:
        wk.build(spec)
    assert len(str(error.value).splitlines()) == 1


def test_many_steps_and_many_layers_take_no_time_to_try(unchecked):
    spec = {"input": [1, 8, 8], "layers": [ST | {"steps": 1000}]}
    assert planned(spec).module[0].steps == 1000


@pytest.mark.parametrize("name", ["net.yaml", "net.json"])
def test_a_key_that_stands_twice_is_told(unchecked, tmp_path, name):
    (tmp_path / name).write_text('{"layers": [], "layers": ["ReLU"]}')
    with pytest.raises(wk.InputError, match="'layers' is given twice"):
        wk.build(tmp_path / name)


def test_yaml_reads_numbers_as_people_write_them(unchecked, tmp_path):
    (tmp_path / "net.yaml").write_text("layers: [{type: BatchNorm2d, num_features: 2, eps: 1e-4}]")
    assert wk.build(tmp_path / "net.yaml")[0].eps == 1e-4


# --------------------------------------------------------------------------------------------- a stranger's hints


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def test_a_plugins_hints_are_understood(unchecked):
    @wk.register_module("branches")
    class Branches(nn.Module):
        def __init__(
            self, of: list[nn.Module], colour: Colour = Colour.RED, mode: Literal["sum", "mean"] = "sum", **more: float
        ) -> None:
            super().__init__()
            self.of, self.colour, self.mode, self.more = nn.ModuleList(of), colour, mode, more

        def forward(self, x):
            return sum(branch(x) for branch in self.of)

    spec = {"version": 1, "layers": [
        {"type": "branches", "of": ["ReLU", {"type": "Dropout", "p": 0.25}], "colour": "blue", "mode": "mean", "x": 2.0}
    ]}  # fmt: skip
    made = wk.build(spec)
    assert made[0].colour is Colour.BLUE
    assert wk.to_spec(made) == spec == wk.normalize_spec(spec)
    for changes, words in (
        ({"layers.0.colour": "blu"}, r"layers\[0\].colour: .*Did you mean 'blue'"),
        ({"layers.0.mode": 3}, r"layers\[0\].mode: expected one of mean, sum, got 3"),
        ({"layers.0.mode": "max"}, r"layers\[0\].mode: unknown mode 'max'. Known: mean, sum"),
        ({"layers.0.of.0": "Rel"}, r"layers\[0\].of\[0\]: .*Did you mean 'ReLU'"),
    ):
        with pytest.raises(wk.InputError, match=words):
            wk.build(spec, changes)
