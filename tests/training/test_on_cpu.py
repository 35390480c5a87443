import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import warpkit as wk
from warpkit.training.on_cpu import quick_on_cpu


@pytest.mark.parametrize("size", [9, (3, 5)])
@pytest.mark.parametrize("padding", [0, 2])
def test_a_convolution_passes_on_the_gradient_that_pytorch_s_own_does(size, padding):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(1, 6, size, padding=padding), nn.ReLU()).double()
    quick, images = copy.deepcopy(plain), torch.rand(3, 1, 14, 17, dtype=torch.double)
    quick_on_cpu(quick)
    found = []
    for model in (plain, quick):
        image = images.clone().requires_grad_()
        output = model(image)
        output.square().sum().backward()
        found.append([output, image.grad, *(parameter.grad for parameter in model.parameters())])
    assert_close(found[1], found[0])


def test_the_way_back_is_ours_only_where_an_image_wants_a_gradient():
    conv = nn.Conv2d(1, 4, 3)
    quick_on_cpu(conv)
    image = torch.rand(2, 1, 8, 8)
    assert "PassOn" not in conv(image).grad_fn.name()
    assert "PassOn" in conv(image.requires_grad_()).grad_fn.name()


@pytest.mark.parametrize("options", [{"stride": 2}, {"dilation": 2}, {"padding": 3}, {"padding_mode": "circular"},
                                     {"padding": "same"}])  # fmt: skip
def test_convolutions_of_other_kinds_stay_as_they_are(options):
    conv = nn.Conv2d(1, 4, 3, **options)
    quick_on_cpu(conv)
    assert "PassOn" not in conv(torch.rand(2, 1, 8, 8, requires_grad=True)).grad_fn.name()


def test_a_quick_model_is_copied_saved_and_trained_in_mixed_precision(tmp_path):
    transformer = {"type": "spatial_transformer", "localization": "conv_localization"}
    conv = {"type": "Conv2d", "out_channels": 3, "kernel_size": 5}
    model = wk.build({"version": 1, "input": [1, 12, 12], "layers": [transformer, conv]})
    quick_on_cpu(model)
    image = torch.rand(4, 1, 12, 12)
    assert copy.deepcopy(model)(image).equal(model(image))
    wk.save(model, tmp_path / "model.safetensors")
    assert_close(wk.load(tmp_path / "model.safetensors")(image), model(image))
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(image).square().mean()
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
