"""Localization networks learn slower, and nothing else does."""

import math

import pytest
import torch
from examples import Bending
from strategies import uniform
from torch import nn

import warpkit as wk

IMAGE = uniform(0, 2, 1, 12, 14, dtype=torch.float32)


def rates(model: nn.Module, **options) -> dict[str, float]:
    """The rate of each parameter by its path; each is in one group."""
    groups = wk.parameter_groups(model, lr=1.0, **options)
    torch.optim.SGD(groups)  # which refuses a parameter that is in two
    found = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(found) == len(list(model.parameters())) == sum(len(group["params"]) for group in groups)
    return {name: found[id(p)] for name, p in model.named_parameters()}


def test_localization_and_regression_are_slow_and_the_rest_is_not():
    transformer = wk.SpatialTransformer(nn.Sequential(nn.Flatten(), nn.Linear(168, 4)), kernel=Bending(), features=4)
    found = rates(nn.Sequential(transformer, nn.Linear(14, 3)), localization=0.25)
    slow = {"0.localization.1.weight", "0.localization.1.bias", "0.regression.weight", "0.regression.bias"}
    assert {name for name, rate in found.items() if rate == 0.25} == slow
    assert {name for name, rate in found.items() if rate == 1} == {"0.kernels.0.bend", "1.weight", "1.bias"}


def test_what_a_classifier_shares_is_not_slowed():
    trunk = nn.Sequential(nn.Flatten(), nn.Linear(168, 4))
    for net in (
        nn.Sequential(wk.SpatialTransformer(trunk, features=4), trunk),
        nn.Sequential(trunk, wk.SpatialTransformer(nn.Sequential(trunk), features=4)),
    ):
        found = rates(net)
        assert {rate for name, rate in found.items() if "regression" not in name} == {1}
        assert {rate for name, rate in found.items() if "regression" in name} == {0.1}


def test_weights_that_are_tied_are_not_slowed():
    look, classifier = nn.Linear(168, 4), nn.Linear(168, 4)
    look.weight = classifier.weight
    net = nn.Sequential(wk.SpatialTransformer(nn.Sequential(nn.Flatten(), look), features=4), classifier)
    found = rates(net)
    assert found["0.localization.1.weight"] == 1
    assert found["0.localization.1.bias"] == 0.1


def test_what_transformers_share_among_them_is_slow_once():
    eyes = nn.Sequential(nn.Flatten(), nn.Linear(168, 4))
    found = rates(wk.Parallel([wk.SpatialTransformer(eyes, features=4) for _ in range(2)]))
    assert set(found.values()) == {0.1}
    assert len(found) == 2 + 2 * 2


def test_a_transformer_inside_a_localization_network_is_localization():
    inner = wk.SpatialTransformer(nn.Flatten(), kernel=Bending(), features=168)
    found = rates(wk.SpatialTransformer(nn.Sequential(inner, nn.Flatten()), features=168))
    assert set(found.values()) == {0.1}


def test_groups_have_names_and_none_is_empty():
    eyes = wk.SpatialTransformer(nn.Flatten(), features=168)
    assert [group["name"] for group in wk.parameter_groups(nn.Sequential(eyes, nn.Linear(2, 2)), 0.1)] == [
        "localization",
        "rest",
    ]
    assert [group["name"] for group in wk.parameter_groups(eyes, 0.1)] == ["localization"]
    assert [group["name"] for group in wk.parameter_groups(nn.Linear(2, 2), 0.1)] == ["rest"]


def test_frozen_parameters_are_in_the_groups():
    net = wk.SpatialTransformer(nn.Sequential(nn.Flatten(), nn.Linear(168, 4)), features=4).requires_grad_(False)
    assert set(rates(net).values()) == {0.1}


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_lazy_layers_learn_once_they_have_seen_an_input(optimizer):
    net = nn.Sequential(wk.SpatialTransformer("conv_localization"), nn.Flatten(), nn.LazyLinear(3))
    made = optimizer(wk.parameter_groups(net, 0.1))
    net(IMAGE).square().sum().backward()
    before = [p.detach().clone() for p in net.parameters()]
    made.step()
    moved = [not torch.equal(p, b) for p, b in zip(net.parameters(), before, strict=True)]
    assert moved[-4:] == [True] * 4  # regression and classifier; the rest waits for a regression that is not 0


def test_the_state_of_an_optimizer_goes_on():
    net = nn.Sequential(wk.SpatialTransformer(nn.Flatten(), features=168), nn.Linear(14, 3))
    first, second = (torch.optim.Adam(wk.parameter_groups(net, 0.1)) for _ in range(2))
    net(IMAGE).square().sum().backward()
    first.step()
    second.load_state_dict(first.state_dict())
    assert [(g["name"], g["lr"]) for g in second.param_groups] == [("localization", pytest.approx(0.01)), ("rest", 0.1)]


@pytest.mark.parametrize("wrong", [-0.1, math.nan, math.inf])
@pytest.mark.parametrize("option", ["lr", "localization"])
def test_a_rate_is_a_finite_number_of_at_least_zero(option, wrong):
    with pytest.raises(wk.InputError, match=f"{option}: expected a finite number of at least 0, got {wrong}"):
        wk.parameter_groups(nn.Linear(2, 2), **{"lr": 0.1, option: wrong})


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("model", "lr", "said"), [("net", 0.1, "model: expected a module, got 'net'"),
                                                   (nn.Linear(2, 2), "fast", "lr: .* got 'fast'")])  # fmt: skip
def test_what_is_no_model_and_no_rate(model, lr, said):
    with pytest.raises(wk.InputError, match=said):
        wk.parameter_groups(model, lr)
