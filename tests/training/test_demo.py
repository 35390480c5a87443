import torch
from torch import nn

from warpkit.spec.build import build
from warpkit.training import digit_classifiers


def test_the_cnn_is_the_other_network_without_its_transformer():
    specs = digit_classifiers([1, 28, 28])
    assert specs["ST-CNN"]["layers"][0]["type"] == "spatial_transformer"
    assert specs["CNN"]["layers"] == specs["ST-CNN"]["layers"][1:]


def test_both_classify_images_of_the_shape_that_was_asked_for():
    for side in (28, 42):
        for name, spec in digit_classifiers([1, side, side]).items():
            assert build(spec)(torch.rand(3, 1, side, side)).shape == (3, 10), name


def test_what_follows_the_transformer_has_as_many_parameters_as_the_cnn():
    cnn, st_cnn = (build(spec) for spec in digit_classifiers([1, 42, 42]).values())
    assert [p.shape for p in cnn.parameters()] == [
        p.shape for p in nn.ModuleList(list(st_cnn.children())[1:]).parameters()
    ]
