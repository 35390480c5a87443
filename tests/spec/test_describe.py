"""`to_spec`, `normalize_spec`: a module and its spec say the same."""

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import warpkit as wk

pytestmark = pytest.mark.usefixtures("unchecked")

ST = {"type": "spatial_transformer", "localization": "conv_localization"}

# ------------------------------------------------------------------------------------------------- generated specs

KERNEL = st.sampled_from(
    ["bilinear", "bicubic", "nearest", {"type": "bicubic", "a": -0.5}, {"type": "bicubic", "learnable": True}]
)
TRANSFORM = st.sampled_from(
    [
        "affine", "projective", {"type": "attention", "scale": 0.5}, "thin_plate_spline",
        {"type": "thin_plate_spline", "grid": [3, 2]}, {"type": "compose", "of": ["affine", "thin_plate_spline"]},
        {"type": "compose", "of": [{"type": "attention", "scale": 0.25}, "projective"]}, {"type": "affine", "ndim": 2},
    ]
)  # fmt: skip
LOCALIZATION = st.sampled_from(
    [
        "conv_localization", "dense_localization", {"type": "conv_localization", "channels": [2], "features": 3},
        {"type": "sequential", "layers": ["Flatten", {"type": "Linear", "out_features": 4}, "ReLU"]},
    ]
)  # fmt: skip
TRANSFORMER = st.fixed_dictionaries(
    {"type": st.just("spatial_transformer"), "localization": LOCALIZATION},
    optional={
        "transform": TRANSFORM, "kernel": KERNEL | st.lists(KERNEL, min_size=2, max_size=2),
        "padding_mode": st.sampled_from(["zeros", "border", ["wrap", "zeros"]]), "align_corners": st.booleans(),
        "fill": st.sampled_from([0, 0.0, 1.5]), "limits": st.sampled_from([0.5, 2]),
    },
)  # fmt: skip
LAYER = TRANSFORMER | st.sampled_from(
    [
        "ReLU", {"type": "Conv2d", "out_channels": 2, "kernel_size": 3, "padding": 1}, "BatchNorm2d",
        {"type": "Dropout", "p": 0.25}, {"type": "Conv2d", "in_channels": 1, "out_channels": 1, "kernel_size": [1, 1]},
        {"type": "sequential", "layers": ["ReLU", {"type": "LeakyReLU", "negative_slope": 0.2}]},
        {"type": "parallel", "transformers": [ST, {**ST, "transform": "projective"}]},
    ]
)  # fmt: skip


@st.composite
def specs(draw):
    """Networks on images of 6×6, some with shared parts; not all of them fit."""
    layers = draw(st.lists(LAYER, min_size=1, max_size=4))
    if draw(st.booleans()):
        layers = [*layers, {**ST, "localization": {"type": "conv_localization", "id": "eyes"}},
                  {**ST, "transform": draw(TRANSFORM), "localization": {"use": "eyes"}}]  # fmt: skip
    if draw(st.booleans()):
        layers = [{"type": "Conv2d", "out_channels": 1, "kernel_size": 1, "id": "mix"}, {"use": "mix"}, *layers]
    return {"version": 1, "input": [1, 6, 6], "layers": copy.deepcopy(layers)}


@settings(max_examples=10, deadline=None)
@given(spec=specs())
def test_a_spec_goes_round(spec):
    goes_round(spec)


@pytest.mark.exhaustive
@settings(max_examples=60, deadline=None)
@given(spec=specs())
def test_every_spec_goes_round(spec):
    goes_round(spec)


def goes_round(spec):
    try:
        made = wk.build(spec)
    except wk.InputError:
        with pytest.raises(wk.InputError):
            wk.normalize_spec(spec)
        return
    normal = wk.normalize_spec(spec)
    assert wk.to_spec(made) == normal
    assert wk.normalize_spec(normal) == normal
    again = wk.build(normal)
    assert [(k, v.shape) for k, v in again.state_dict().items()] == [(k, v.shape) for k, v in made.state_dict().items()]
    again.load_state_dict(made.state_dict())
    image = torch.rand(2, 1, 6, 6)
    torch.testing.assert_close(again.eval()(image), made.eval()(image), equal_nan=True)


# ------------------------------------------------------------------------------------------------------- by hand


def test_what_equals_its_default_or_follows_is_left_out():
    spec = {"input": [1, 8, 8], "layers": [
        {**ST, "transform": {"type": "affine", "ndim": 2}, "kernel": {"type": "bilinear"}, "steps": 1, "size": None},
        {"type": "Conv2d", "in_channels": 1, "out_channels": 3, "kernel_size": 3, "stride": 1, "bias": True},
    ]}  # fmt: skip
    assert wk.normalize_spec(spec) == {
        "version": 1, "input": [1, 8, 8], "layers": [ST, {"type": "Conv2d", "out_channels": 3, "kernel_size": 3}]
    }  # fmt: skip


def test_without_an_input_widths_are_kept():
    spec = {"layers": [{"type": "Linear", "in_features": 3, "out_features": 4}]}
    assert wk.normalize_spec(spec) == {"version": 1, **spec}


def test_a_module_made_by_hand_has_a_spec():
    spline = wk.get_transform("thin_plate_spline", grid=(3, 3))
    keys = wk.get_kernel("bicubic", a=-0.5)
    made = nn.Sequential(
        wk.SpatialTransformer(wk.ConvLocalization((4,)), spline, kernel=keys, fill=0.5),
        nn.Conv2d(1, 3, 5, padding=2, bias=False), nn.MaxPool2d(2), nn.LayerNorm((4, 4)), nn.Dropout(0.3),
    )  # fmt: skip
    assert wk.to_spec(made) == {"version": 1, "layers": [
        {"type": "spatial_transformer", "localization": {"type": "conv_localization", "channels": [4]},
         "transform": {"type": "thin_plate_spline", "grid": [3, 3]}, "kernel": {"type": "bicubic", "a": -0.5},
         "fill": 0.5},
        {"type": "Conv2d", "in_channels": 1, "out_channels": 3, "kernel_size": 5, "padding": 2, "bias": False},
        {"type": "MaxPool2d", "kernel_size": 2}, {"type": "LayerNorm", "normalized_shape": [4, 4]},
        {"type": "Dropout", "p": 0.3},
    ]}  # fmt: skip
    assert wk.to_spec(wk.build(wk.to_spec(made))) == wk.to_spec(made)


def test_a_part_that_was_replaced_is_described_as_it_is():
    made = wk.build({"layers": [ST, "ReLU"]})
    made[0].localization, made[0].transform = wk.DenseLocalization(), wk.get_transform("projective")
    made.append(nn.Tanh())
    assert wk.to_spec(made)["layers"] == [
        {"type": "spatial_transformer", "localization": "dense_localization", "transform": "projective"}, "ReLU", "Tanh"
    ]  # fmt: skip


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_have_the_same_spec(again):
    spec = {"version": 1, "input": [1, 9, 9], "layers": [{**ST, "kernel": {"type": "bicubic", "a": -0.5}}]}
    assert wk.to_spec(again(wk.build(spec))) == spec


def test_what_is_used_twice_gets_an_id():
    eyes, keys = wk.ConvLocalization(), wk.get_kernel("bicubic", learnable=True)
    made = wk.Parallel([wk.SpatialTransformer(eyes, kernel=keys), wk.SpatialTransformer(eyes, kernel=keys)])
    first, second = wk.to_spec(made)["transformers"]
    assert first["localization"] == {"type": "conv_localization", "id": "conv_localization"}
    assert first["kernel"] == {"type": "bicubic", "id": "bicubic", "learnable": True}
    assert (second["localization"], second["kernel"]) == ({"use": "conv_localization"}, {"use": "bicubic"})
    built = wk.build(wk.to_spec(made))
    assert built.transformers[0].localization is built.transformers[1].localization
    assert built.transformers[0].kernels[0] is built.transformers[1].kernels[0]


def test_an_id_that_nobody_uses_is_left_out():
    spec = {"layers": [{**ST, "localization": {"type": "conv_localization", "id": "eyes"}}]}
    assert wk.normalize_spec(spec) == {"version": 1, "layers": [ST]}


def test_what_no_spec_can_say_is_named():
    class Own(nn.Module):
        pass

    made = nn.Sequential(wk.SpatialTransformer(Own()), nn.Sequential(nn.ReLU(), Own()))
    with pytest.raises(wk.InputError) as error:
        wk.to_spec(made)
    assert "layers[0].localization: Own has no registered name" in str(error.value)
    assert "layers[1].layers[1]: Own has no registered name" in str(error.value)


def test_a_component_of_ones_own_goes_round():
    @wk.register_transform("slanted")
    class Slanted(wk.Transform):
        ndim, num_params = 2, 1

        def __init__(self, by: float = 0.5, names: tuple[str, ...] = ("a",)) -> None:
            super().__init__()
            self.by_half = by / 2  # no attribute tells `by`

        def identity(self):
            return torch.zeros(1)

        def forward(self, theta, points):
            return points + self.by_half * theta[:, :, None]

    spec = {"version": 1, "layers": [{**ST, "transform": {"type": "slanted", "by": 0.25, "names": ["b", "c"]}}]}
    assert wk.to_spec(wk.build(spec)) == spec == wk.normalize_spec(spec)


def test_two_images_go_round():
    spec = {"version": 1, "inputs": {"moving": [1, 9, 9], "fixed": [2, 9, 9]}, "layers": [
        {**ST, "theta_from": ["warped", "fixed"]}, "ReLU", {**ST, "steps": 2, "theta_from": ["fixed", "warped"]},
    ]}  # fmt: skip
    made = wk.build(spec)
    assert wk.to_spec(made) == spec == wk.normalize_spec(spec)
    moving, fixed = torch.rand(2, 1, 9, 9), torch.rand(2, 2, 9, 9)
    torch.testing.assert_close(made(moving, fixed), moving, rtol=0, atol=1e-6)
