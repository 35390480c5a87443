"""Several transformers on one input, and the localization networks."""

import pytest
import torch
from strategies import uniform
from torch import nn

import warpkit as wk

IMAGE = uniform(0, 2, 3, 12, 14, dtype=torch.float32)


def test_results_are_joined_along_channels():
    windows = [
        wk.SpatialTransformer("dense_localization", {"type": "attention", "scale": 0.5}, init=init, size=(6, 7))
        for init in ([-0.5, 0.0], [0.5, 0.0])
    ]
    made = wk.Parallel(windows)
    out = made(IMAGE)
    assert out.shape == (2, 6, 6, 7)
    assert torch.equal(out, torch.cat([w(IMAGE) for w in windows], 1))


def test_a_localization_network_may_be_shared():
    network = wk.ConvLocalization(features=16)
    made = wk.Parallel([wk.SpatialTransformer(network), wk.SpatialTransformer(network, "thin_plate_spline")])
    made(IMAGE).square().sum().backward()
    assert made.transformers[0].localization is made.transformers[1].localization is network
    assert sum(p is q for p in made.parameters() for q in network.parameters()) == len(list(network.parameters()))


def test_theta_from_reaches_each():
    made = wk.Parallel([wk.SpatialTransformer(nn.Flatten()), wk.SpatialTransformer(nn.Flatten())])
    made(IMAGE, theta_from=torch.zeros(2, 5))
    assert [t.regression.in_features for t in made.transformers] == [5, 5]


def test_nothing_in_parallel_is_told(unchecked):
    with pytest.raises(wk.InputError, match="transformers"):
        wk.Parallel([])
    with pytest.raises(wk.InputError, match=r"unknown module 'spatial_transfomer'.*spatial_transformer"):
        wk.Parallel(["spatial_transfomer"])


@pytest.mark.parametrize("network", [wk.ConvLocalization, wk.DenseLocalization])
@pytest.mark.parametrize("size", [(1, 1), (5, 9), (28, 28)])
def test_localization_networks_need_no_arguments(network, size):
    image = uniform(0, 2, 3, *size, dtype=torch.float32)
    features = network()(image)
    assert features.ndim == 2
    assert features.shape[0] == 2


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_convolutional_network_takes_any_size(ndim):
    network = wk.ConvLocalization(channels=(4, 8), features=10, ndim=ndim)
    for n in (9, 3, 20):
        assert network(torch.rand(2, 1, *(n,) * ndim)).shape == (2, 10)


def test_their_parts_differ_from_start_to_end_of_training():
    for network in (wk.ConvLocalization(), wk.DenseLocalization()):
        features = network(IMAGE)
        features.square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize(
    "call",
    [
        lambda: wk.ConvLocalization(channels=()),
        lambda: wk.ConvLocalization(channels=(0,)),
        lambda: wk.ConvLocalization(channels=16),
        lambda: wk.ConvLocalization(features=-1),
        lambda: wk.ConvLocalization(ndim=4),
        lambda: wk.DenseLocalization(hidden=()),
        lambda: wk.DenseLocalization(hidden=(2.5,)),
    ],
)
def test_wrong_widths_are_told(unchecked, call):
    with pytest.raises(wk.InputError, match="expected"):
        call()
