"""The JSON Schema of specs: what `build` takes passes, and a mistake is told where it stands."""

import json
import tomllib
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from typing import Literal

import pytest
import typer
from docs_tools import ROOT, tool
from torch import Tensor, nn
from typer.testing import CliRunner

import warpkit as wk
from warpkit.cli.schema import schema as command
from warpkit.kernels.base import kernels
from warpkit.modules.base import modules
from warpkit.spec.schema import meanings, schema
from warpkit.transforms.base import transforms

jsonschema = pytest.importorskip("jsonschema")

ST = {"type": "spatial_transformer", "localization": "conv_localization"}
LINEAR = {"type": "Linear", "out_features": 3}
TWO = {"moving": [1, 28, 28], "fixed": [1, 28, 28]}


def mistakes(spec: dict) -> list[str]:
    """The path of each mistake and the rule that it breaks."""
    errors = jsonschema.Draft202012Validator(schema()).iter_errors(json.loads(json.dumps(spec)))
    return [f"{error.json_path.removeprefix('$').lstrip('.')} {error.validator}" for error in errors]


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())
    json.dumps(schema(), allow_nan=False)


RIGHT = [
    {"version": 1, "input": [1, 28, 28], "layers": ["Flatten", {"type": "Linear", "out_features": 10}]},
    {"version": 1, "input": [1, 8, 8], "layers": [ST, "Flatten", LINEAR]},
    {"layers": [ST]},
    {"input": [2, 5, 6, 7], "layers": [ST | {"transform": "affine"}]},
    {
        "input": [1, 12, 12],
        "layers": [
            ST | {"localization": {"type": "conv_localization", "id": "eyes"}},
            ST | {"localization": {"use": "eyes"}, "transform": "attention"},
        ],
    },
    ST,
    {"input": [1, 8, 8], "layers": [ST | {"transform": {"type": "affine"}}]},
    {
        "input": [1, 8, 8],
        "layers": [
            ST
            | {"kernel": ["bicubic", {"type": "nearest"}], "padding_mode": ["wrap", "zeros"], "size": [5, 6]}
            | {"fill": 0.5, "align_corners": True, "limits": 0.3, "init": [1, 0, 0.1, 0, 1, 0], "steps": 2}
        ],
    },
    {"$schema": "warpkit.json", "type": "sequential", "input": [4], "id": "all", "layers": ["ReLU", LINEAR]},
    {"input": [1, 8, 8], "layers": [{"type": "Conv2d", "out_channels": 3, "kernel_size": [3, 3]}, "BatchNorm2d"]},
    {"input": [1, 8, 8], "layers": [ST | {"transform": {"type": "compose", "of": ["affine", "thin_plate_spline"]}}]},
    {
        "input": [1, 8, 8],
        "layers": [{"type": "parallel", "transformers": [ST, ST]}, {"type": "ReLU", "id": "a"}, {"use": "a"}],
    },
    {"inputs": TWO, "layers": [ST | {"theta_from": ["warped", "fixed"]}]},
    {
        "inputs": TWO,
        "layers": [ST | {"id": "a", "theta_from": ["fixed"]}, {"use": "a", "theta_from": ["fixed"]}, "ReLU"],
    },
]


@pytest.mark.parametrize("spec", RIGHT, ids=str)
def test_a_right_spec_passes_and_is_built(spec):
    assert mistakes(spec) == []
    wk.build(spec)


@pytest.mark.parametrize(
    "path", [*ROOT.glob("docs/specs/*.toml"), *ROOT.glob("warpkit/*/specs/*.toml")], ids=lambda path: path.stem
)
def test_the_specs_that_warpkit_brings_pass(path):
    assert mistakes(tomllib.loads(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"layers": [ST | {"limit": 1.0}]}, "layers[0] additionalProperties"),
        ({"layers": [ST | {"steps": "two"}]}, "layers[0].steps type"),
        ({"layers": [ST | {"align_corners": 1}]}, "layers[0].align_corners type"),
        ({"layers": [ST | {"size": 2.5}]}, "layers[0].size anyOf"),
        ({"layers": [ST | {"transform": "afine"}]}, "layers[0].transform enum"),
        ({"layers": [ST | {"transform": "compose"}]}, "layers[0].transform enum"),
        ({"layers": [ST | {"transform": {"type": "afine"}}]}, "layers[0].transform.type enum"),
        ({"layers": [ST | {"transform": {"type": "bicubic"}}]}, "layers[0].transform.type enum"),
        (
            {"layers": [ST | {"transform": {"type": "thin_plate_spline", "gird": [4, 4]}}]},
            "layers[0].transform additionalProperties",
        ),
        (
            {"layers": [ST | {"transform": {"type": "thin_plate_spline", "grid": [4, "4"]}}]},
            "layers[0].transform.grid anyOf",
        ),
        (
            {
                "layers": [
                    ST | {"transform": {"type": "compose", "of": ["affine", {"type": "attention", "scale": "x"}]}}
                ]
            },
            "layers[0].transform.of[1].scale anyOf",
        ),
        ({"layers": [ST | {"transform": {"type": "compose", "of": "affine"}}]}, "layers[0].transform.of type"),
        ({"layers": [ST | {"kernel": ["bicubic", "bicubik"]}]}, "layers[0].kernel[1] enum"),
        ({"layers": [ST | {"kernel": ["bilinear", {"type": "bicubic", "a": "x"}]}]}, "layers[0].kernel[1].a type"),
        ({"layers": [ST | {"localization": {"type": "Linear"}}]}, "layers[0].localization required"),
        (
            {"layers": [ST | {"localization": {"type": "conv_localization", "features": "many"}}]},
            "layers[0].localization.features type",
        ),
        ({"layers": [ST | {"localization": {"use": 3}}]}, "layers[0].localization.use type"),
        ({"layers": [ST | {"localization": {"use": "a", "id": "b"}}]}, "layers[0].localization additionalProperties"),
        ({"layers": [ST | {"id": 3}]}, "layers[0].id type"),
        ({"layers": [{"type": "spatial_transformer"}]}, "layers[0] required"),
        ({"layers": ["Flatten", "Linear"]}, "layers[1] enum"),
        ({"layers": [{"type": "Conv2d", "out_channels": 3, "kernel_size": [3, 3, 3]}]}, "layers[0].kernel_size anyOf"),
        ({"layers": [{"type": "Linear", "out_features": 3, "dtype": "float64"}]}, "layers[0] additionalProperties"),
        ({"layers": [{"kernel": "bicubic"}]}, "layers[0] required"),
        ({"layers": [7]}, "layers[0] type"),
        ({"layers": "Conv2d"}, "layers type"),
        ({"version": 2, "layers": []}, "version const"),
        ({"version": 1}, " required"),
        ({"layers": [], "optimiser": "adam"}, " additionalProperties"),
        ({"input": [1, -3], "layers": []}, "input[1] minimum"),
        ({"input": "28x28", "layers": []}, "input type"),
        ({"type": "affine"}, "type enum"),
        (ST | {"kernle": "bicubic"}, " additionalProperties"),
        ({"input": [1, 8, 8], "layers": [ST | {"theta_from": ["warped"]}]}, "layers[0] additionalProperties"),
        ({"inputs": TWO, "layers": [ST | {"theta_from": "fixed"}]}, "layers[0].theta_from type"),
        ({"inputs": TWO, "layers": [LINEAR | {"theta_from": ["fixed"]}]}, "layers[0] additionalProperties"),
        ({"inputs": {"moving": 28}, "layers": []}, "inputs.moving type"),
        ({"inputs": TWO | {"warped": [1, 28, 28]}, "layers": []}, "inputs None"),
        ({"inputs": TWO, "input": [1, 28, 28], "layers": []}, " additionalProperties"),
    ],
    ids=str,
)
def test_a_mistake_is_told_where_it_stands(unchecked, spec, told):
    assert mistakes(spec) == [told]
    with pytest.raises(wk.InputError):
        wk.build(spec if {"input", "inputs"} & spec.keys() else {"input": [1, 12, 12]} | spec)


def test_every_component_that_is_installed_is_in_it():
    known = schema()["$defs"]
    for registry in (transforms, kernels, modules):
        assert {f"{registry.kind}.{name}" for name in registry.names()} <= known.keys()


class Twirl(wk.Transform):
    """Turns the middle.

    Args:
        strength (float): radians at the middle,
            fading outwards.
        way: to which side.

    The `centre` is x, y. It is not θ.
    """

    ndim, num_params = 2, 1

    def __init__(
        self,
        kernel: wk.Kernel | str,
        strength: float = 1.0,
        way: Literal["left", "right"] = "left",
        centre: Sequence[float] = (0.0, 0.0),
        mask: Tensor | None = None,
    ) -> None:
        super().__init__()


def test_a_plugin_s_options_have_their_types_and_docs(monkeypatch):
    monkeypatch.setattr(transforms, "_registered", {"twirl/2 ~": Twirl})
    table = schema()["$defs"]["transform.twirl/2 ~"]
    assert table["description"] == "Turns the middle."
    assert table["required"] == ["type", "kernel"]
    options = table["properties"]
    assert options["kernel"] == {"$ref": "#/$defs/kernel"}
    assert options["strength"] == {
        "type": "number",
        "description": "radians at the middle, fading outwards.",
        "default": 1.0,
    }
    assert options["way"]["enum"] == ["left", "right"]
    assert options["centre"] == {
        "type": "array",
        "items": {"type": "number"},
        "description": "The `centre` is x, y.",
        "default": [0.0, 0.0],
    }
    assert "default" not in options["mask"]
    given = {"type": "twirl/2 ~", "kernel": "nearest", "way": "right"}
    assert mistakes({"layers": [ST | {"transform": given}]}) == []
    assert mistakes({"layers": [ST | {"transform": given | {"way": "up"}}]}) == ["layers[0].transform.way enum"]
    assert mistakes({"layers": [ST | {"transform": "twirl/2 ~"}]}) == ["layers[0].transform enum"]


def test_a_hint_that_cannot_be_resolved_allows_anything(monkeypatch):
    class Odd(wk.Kernel):
        def __init__(self, depth: "NoSuchName" = 2) -> None:
            super().__init__()

    monkeypatch.setattr(kernels, "_registered", {"odd": Odd})
    assert schema()["$defs"]["kernel.odd"]["properties"]["depth"] == {"default": 2}


def test_a_module_that_takes_any_option_is_open(monkeypatch):
    class Anything(nn.Module):
        def __init__(self, **options: int) -> None:
            super().__init__()

    monkeypatch.setattr(modules, "_registered", {"anything": Anything})
    assert mistakes({"layers": [{"type": "anything", "depth": 3}, "anything"]}) == []


def test_a_plugin_that_cannot_be_imported_is_left_out(monkeypatch):
    broken = EntryPoint("broken", "no_such_package:Kernel", "warpkit.kernels")
    others = kernels._entry_points()
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [broken])
    monkeypatch.setattr(kernels, "_declared", None)
    assert "broken" in kernels.names()
    monkeypatch.setattr(kernels, "_declared", others | kernels._entry_points())
    known = schema()["$defs"]
    assert "kernel.broken" not in known
    assert "kernel.bicubic" in known


def test_meanings_are_read_from_torch_s_docstrings_too():
    assert meanings(nn.Conv2d, ["kernel_size"]) == {"kernel_size": "Size of the convolving kernel"}
    assert meanings(nn.Identity, ["other"]) == {}


def test_the_command_prints_it_or_writes_it(tmp_path):
    app = typer.Typer()
    app.command()(command)
    printed = CliRunner().invoke(app, [])
    assert json.loads(printed.stdout) == schema()
    path = tmp_path / "new" / "spec.json"
    assert CliRunner().invoke(app, ["--out", str(path)]).exit_code == 0
    assert json.loads(path.read_text(encoding="utf-8")) == schema()
    assert list(path.parent.iterdir()) == [path]
    path.write_text("mine")
    refused = CliRunner().invoke(app, ["-o", str(path / "below")])
    assert isinstance(refused.exception, wk.InputError)


def test_the_page_of_all_components_is_what_its_tool_writes():
    components = tool("components")
    assert components.PAGE.read_text(encoding="utf-8") == components.page(), "run docs/tools/components.py"
