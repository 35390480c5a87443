"""Specs with mistakes: an `InputError` that says where, or a module that works; never anything else."""

import copy
import random

import pytest
import torch

import warpkit as wk
from warpkit.spec.build import inputs_of

pytestmark = [pytest.mark.usefixtures("unchecked"), pytest.mark.filterwarnings("ignore")]

ST = {"type": "spatial_transformer", "localization": {"type": "conv_localization", "channels": [2], "features": 4}}
SPECS = [
    {"version": 1, "input": [1, 12, 12], "layers": [
        {**ST, "transform": {"type": "thin_plate_spline", "grid": [3, 3]}, "kernel": ["bilinear", "bicubic"]},
        {"type": "Conv2d", "out_channels": 3, "kernel_size": 3}, "ReLU", {"type": "MaxPool2d", "kernel_size": 2},
        "Flatten", {"type": "Linear", "out_features": 4},
    ]},
    {"version": 1, "input": [2, 9, 9], "type": "parallel", "transformers": [
        {**ST, "localization": {"type": "dense_localization", "hidden": [4], "id": "eyes"}, "steps": 2},
        {**ST, "localization": {"use": "eyes"}, "transform": {"type": "attention", "scale": 0.5},
         "size": [9, 9], "init": [0, 0]},
    ]},
    {"version": 1, "inputs": {"moving": [1, 8, 8], "fixed": [1, 8, 8]}, "layers": [
        {**ST, "theta_from": ["warped", "fixed"], "padding_mode": "border", "limits": 0.5},
        {**ST, "transform": {"type": "compose", "of": ["affine", {"type": "projective"}]}, "theta_from": ["fixed"]},
    ]},
    {"layers": [{"type": "Linear", "in_features": 3, "out_features": 2}, {"type": "Dropout", "p": 0.5}]},
]  # fmt: skip
JUNK = [
    None, True, False, 0, -1, 1, 2, 3, 7, 5000, 10**12, 10**30, 0.0, -0.5, 1.5, 1e300, float("nan"), float("inf"), "",
    "x", "affine", "bilinear", "ReLU", "spatial_transformer", "use", "zeros", [], [1], [0, 0], [2, 2, 2], [[1]], {},
    {"type": "affine"}, {"use": "eyes"}, {"type": 3}, {"type": "sequential", "layers": []}, {"type": "Linear"},
    ["affine", "affine"], b"x", object(), (1, 2), {1: 2}, "é" * 200, torch.nn.ReLU, torch.ones(2),
]  # fmt: skip


def places(value, path=()):
    """Every place in a spec."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from places(part, (*path, key))


def mutated(spec, dice):
    """A spec with one to three changes."""
    spec = copy.deepcopy(spec)
    for _ in range(dice.choice([1, 1, 2, 3])):
        *path, key = dice.choice([p for p in places(spec) if p])
        holder = spec
        for step in path:
            holder = holder[step]
        match dice.randrange(6):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                name = str(key)
                holder[name[:-1] + dice.choice("aeiou_")] = holder.pop(key)
            case 2 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case 3:
                holder[key] = [holder[key]]
            case 4 if isinstance(holder, dict):
                holder[dice.choice(["id", "use", "type", "ndim", "init", "device", "steps", "x"])] = copy.deepcopy(
                    dice.choice(JUNK)
                )
            case _:
                holder[key] = copy.deepcopy(dice.choice(JUNK))
        if not spec:
            break
    return spec


def outcome(spec):
    """What was wrong, or None for a spec that builds a module that works."""
    try:
        made = wk.build(spec)
    except wk.InputError as error:
        return str(error)
    shapes = inputs_of(made)
    if shapes is not None:
        result = made.eval()(*(torch.rand(2, *shape) for shape in shapes.values()))
        assert result.shape[0] == 2
    assert wk.to_spec(made) == wk.normalize_spec(spec)
    return None


@pytest.mark.parametrize("seed", range(8))
def test_a_mutated_spec_is_right_or_told(seed):
    dice = random.Random(seed)
    told = [outcome(mutated(dice.choice(SPECS), dice)) for _ in range(25)]
    assert any(told)


@pytest.mark.parametrize("spec", SPECS)
def test_what_is_mutated_is_right(spec):
    assert outcome(spec) is None
