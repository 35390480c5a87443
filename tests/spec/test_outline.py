"""`outline` and `diagram`: what a module is made of, as a tree and as a picture."""

import copy

import pytest
import torch
from torch import nn

import warpkit as wk
from warpkit.component import inputs_of
from warpkit.modules.base import modules
from warpkit.spec.diagram import diagram
from warpkit.spec.outline import Node, outline

ST = {"type": "spatial_transformer", "localization": "conv_localization"}
CONV = [{"type": "Conv2d", "out_channels": 8, "kernel_size": 5}, "ReLU", {"type": "MaxPool2d", "kernel_size": 2}]
END = ["Flatten", {"type": "Linear", "out_features": 10}]
FEATURES = {"type": "sequential", "id": "features", "layers": ["BatchNorm2d", *CONV]}
SHARING = {"type": "sequential", "layers": [FEATURES, "Flatten", {"type": "Linear", "out_features": 16}]}
LOOKS = {"theta_from": ["warped", "fixed"]}
TWO = {"moving": [1, 28, 28], "fixed": [1, 28, 28]}


def eyes(*transforms: str) -> dict:
    first, *others = transforms
    seeing = ST | {"transform": first, "localization": {"type": "conv_localization", "id": "eyes"}}
    return {"type": "parallel", "transformers": [seeing, *(
        ST | {"transform": name, "localization": {"use": "eyes"}} for name in others
    )]}  # fmt: skip


SPECS = {
    "one": {"input": [1, 28, 28], "layers": [ST, *CONV, *END]},
    "three": {"input": [3, 40, 40], "layers": [ST, *CONV, ST | {"transform": "thin_plate_spline"}, *CONV, ST, *END]},
    "parallel": {"input": [1, 28, 28], "layers": [eyes("affine", "projective", "attention"), *CONV, *END]},
    "steps": {"input": [1, 28, 28], "layers": [ST | {"steps": 3}, *END]},
    "two": {"inputs": TWO, "layers": [ST | LOOKS | {"steps": 2}, ST | {"theta_from": ["moving", "fixed"]}]},
    "two, parallel": {"inputs": TWO, "layers": [eyes("affine", "attention") | LOOKS]},
    "features": {"input": [1, 28, 28], "layers": [ST | {"localization": SHARING}, {"use": "features"}, *END]},
    "compose": {
        "input": [1, 28, 28],
        "layers": [ST | {"transform": {"type": "compose", "of": ["affine", "thin_plate_spline"]}}],
    },
    "kernels": {"input": [1, 28, 28], "layers": [ST | {"kernel": [{"type": "bicubic", "a": -0.5}, "bilinear"]}]},
    "volume": {"input": [1, 8, 8, 8], "layers": [ST, "ReLU"]},
    "no shapes": {"layers": [ST, "ReLU"]},
    "one module": {"input": [1, 28, 28], **ST},
}


def outlined(spec: dict) -> Node:
    module = wk.build(spec)
    return outline(module, inputs_of(module))


def at(root: Node, name: str) -> Node:
    """The node of this path."""
    if root.name == name:
        return root
    return at(next(part for part in root.children if name.startswith(part.name)), name)


@pytest.mark.parametrize("name", sorted(SPECS.keys() - {"no shapes"}))
def test_every_parameter_is_counted_once(name):
    module = wk.build(SPECS[name])
    root = outline(module, inputs_of(module))
    assert root.parameters == sum(p.numel() for p in module.parameters())


def test_names_are_the_paths_of_error_messages():
    root = outlined(SPECS["kernels"])
    assert [part.name for part in root.children[0].children] == [
        f"layers[0].{part}" for part in ("localization", "regression", "transform", "kernel[0]", "kernel[1]")
    ]
    assert at(root, "layers[0].kernel[0]").summary == "bicubic a=-0.5"
    assert at(root, "layers[0].localization").label == "conv_localization"


def test_shapes_are_those_of_a_real_pass():
    module = wk.build(SPECS["three"])
    root = outline(module, inputs_of(module))
    image = torch.rand(1, 3, 40, 40)
    for layer, node in zip(module.eval(), root.children, strict=True):
        image = layer(image)
        assert node.shape == tuple(image.shape[1:])
    assert at(root, "layers[0].localization").shape == (64,)
    assert at(root, "layers[0].transform").shape is None


def test_what_is_used_twice_names_its_first_use():
    root = outlined(SPECS["features"])
    first = "layers[0].localization.layers[0]"
    assert at(root, "layers[1]").shared == first
    assert at(root, "layers[1]").parameters == 0
    assert at(root, first).shared is None
    assert at(root, first).id == "features"
    assert at(root, "layers[1]").shape == at(root, first).shape == (8, 12, 12)


def test_a_shared_network_has_the_shape_of_each_use():
    eye = {"type": "AdaptiveAvgPool2d", "output_size": 4}
    layers = [{"type": "Conv2d", "out_channels": 1, "kernel_size": 3, "id": "same"}, {"use": "same"}, eye]
    root = outlined({"input": [1, 9, 9], "layers": layers})
    assert [part.shape for part in root.children] == [(1, 7, 7), (1, 5, 5), (1, 4, 4)]


def test_options_are_those_that_differ_from_the_default():
    spec = ST | {"padding_mode": "zeros", "size": [14, 14], "steps": 1, "transform": {"type": "attention", "ndim": 2}}
    root = outlined({"input": [1, 28, 28], "layers": [spec]})
    assert root.children[0].options == {"size": [14, 14]}
    assert at(root, "layers[0].transform").options == {}


def test_theta_from_is_an_option_of_its_layer():
    root = outlined(SPECS["two"])
    assert root.children[1].options["theta_from"] == ["moving", "fixed"]


def test_without_an_input_lazy_layers_have_no_number_yet():
    root = outlined(SPECS["no shapes"])
    assert (root.parameters, root.shape) == (None, None)
    assert at(root, "layers[1]").parameters == 0


def test_the_module_stays_as_it_was():
    module = wk.build(SPECS["features"]).train()
    before = copy.deepcopy(module.state_dict())
    outline(module, inputs_of(module))
    assert module.training
    assert all(torch.equal(after, before[name]) for name, after in module.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


class Careful(nn.Module):
    """Looks at numbers, which the meta device has not."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, image):
        return self.part(image) if float(image.sum()) < 1e9 else image


def test_a_plugin_that_needs_numbers_is_run_with_numbers(monkeypatch):
    monkeypatch.setattr(modules, "_registered", dict(modules._registered))
    wk.register_module("careful")(Careful)
    root = outlined({"input": [3, 8, 8], "layers": [{"type": "careful", "part": CONV[0]}]})
    assert root.children[0].label == "careful"
    assert at(root, "layers[0].part").shape == (8, 4, 4)


def test_a_python_module_is_shown_as_well():
    module = nn.Sequential(wk.SpatialTransformer("conv_localization"), nn.Conv2d(1, 4, 3), Careful(nn.Flatten()))
    root = outline(module, {"image": (1, 8, 8)})
    assert [part.shape for part in root.children] == [(1, 8, 8), (4, 6, 6), (144,)]
    assert root.children[2].label == "Careful"


def test_images_that_do_not_fit_are_an_error():
    with pytest.raises(wk.InputError, match=r"inputs: images of \[2, 8, 8\] do not fit"):
        outline(nn.Conv2d(1, 4, 3), {"image": (2, 8, 8)})


def words(spec: dict, title: str = "") -> list[str]:
    module = wk.build(spec)
    return [text.get_text() for text in diagram(module, inputs_of(module), title).axes[0].texts]


@pytest.mark.parametrize("name", SPECS)
def test_no_word_of_a_diagram_meets_another_or_leaves_the_picture(name):
    module = wk.build(SPECS[name])
    figure = diagram(module, inputs_of(module), title=f"A network: {name}")
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text().strip()]
    width, height = figure.canvas.get_width_height()
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
        small = [other.padded(-2) for other in boxes[:i]]  # lines of text may touch
        assert not any(box.overlaps(other) for other in small)


def test_a_diagram_tells_parts_options_and_shapes():
    told = words(SPECS["kernels"], title="Kernels")
    assert {"Kernels", "localization network", "grid generator", "sampler", "x: ", "y: ", "bicubic", "  a = −0.5"} <= {
        *told
    }
    assert told.count("1 × 28 × 28") == 2
    assert r"$\theta\in\mathbb{R}^{6}$" in told


def test_a_network_that_all_branches_share_is_drawn_once():
    assert words(SPECS["parallel"]).count("conv_localization") == 1
    assert words(SPECS["parallel"]).count("grid generator") == 3


def test_what_is_shared_elsewhere_has_the_same_number():
    told = words(SPECS["features"])
    assert told.count("1") == 2
    assert "the same weights" in told


def test_steps_are_a_loop_and_composed_transforms_a_list():
    assert {"× 3", "warped so far"} <= {*words(SPECS["steps"])}
    assert {"1. ", "2. ", "affine", "thin_plate_spline"} <= {*words(SPECS["compose"])}


def test_inputs_have_their_names():
    assert {"moving", "fixed", "output"} <= {*words(SPECS["two"])}
