import pickle
import re

import pytest
import torch
from safetensors.torch import save_file

from warpkit.errors import InputError
from warpkit.modules.resnet import ResNet

# As published with weights, and the last layer that is left out here.
PARAMETERS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
FEATURES = {18: 512, 34: 512, 50: 2048, 101: 2048, 152: 2048}


@pytest.fixture(scope="module")
def small() -> ResNet:
    torch.manual_seed(0)
    return ResNet(18).eval()


@pytest.mark.parametrize("depth", PARAMETERS)
def test_each_depth_has_the_parameters_that_it_is_known_for(depth):
    with torch.device("meta"):
        made = ResNet(depth)
        features = made(torch.zeros(2, 3, 64, 96))
    assert features.shape == (2, FEATURES[depth])
    assert sum(p.numel() for p in made.parameters()) == PARAMETERS[depth] - 1000 * FEATURES[depth] - 1000


def test_parameters_go_by_torchvision_s_names(small):
    with torch.device("meta"):
        deep = ResNet(50).state_dict()
    shapes = {
        "conv1.weight": [64, 3, 7, 7],
        "bn1.running_mean": [64],
        "layer1.0.downsample.0.weight": [256, 64, 1, 1],
        "layer2.0.conv2.weight": [128, 128, 3, 3],
        "layer3.5.conv1.weight": [256, 1024, 1, 1],
        "layer4.0.downsample.1.running_var": [2048],
        "layer4.2.bn3.bias": [2048],
    }
    assert {name: list(deep[name].shape) for name in shapes} == shapes
    assert len(deep) == 318
    assert "layer1.0.downsample.0.weight" not in small.state_dict()


def test_a_block_adds_to_what_came_in(small):
    block = small.layer1[0]
    x = torch.randn(1, 64, 5, 5)
    alone = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
    torch.testing.assert_close(block(x), (x + alone).relu())


@pytest.mark.parametrize("form", ["pth", "parallel", "wrapped", "safetensors", "old"])
def test_weights_load_however_they_were_kept(small, tmp_path, form):
    state = {**small.state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    file = tmp_path / f"weights.{'safetensors' if form == 'safetensors' else 'pth'}"
    if form == "safetensors":
        save_file(state, file)
    else:
        if form == "parallel":
            state = {f"module.{name}": value for name, value in state.items()}
        if form == "old":
            state = {name: value for name, value in state.items() if "num_batches" not in name}
        torch.save({"epoch": 3, "state_dict": state} if form == "wrapped" else state, file)
    other = ResNet(18).eval()
    image = torch.randn(1, 3, 32, 32)
    assert not torch.allclose(other(image), small(image))
    other.load_weights(file)
    torch.testing.assert_close(other(image), small(image), rtol=0, atol=0)


class Evil:
    def __reduce__(self):
        return print, ("this ran",)


def test_files_that_do_not_fit_are_refused(small, tmp_path, capsys):
    file = tmp_path / "weights.pth"
    before = {name: value.clone() for name, value in small.state_dict().items()}

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message):
            small.load_weights(file)

    refused(re.escape(f"no such file: {file}"))
    file.write_bytes(b"no weights")
    refused("weights.pth")
    file.write_bytes(b"")
    refused("cannot be read: ")
    file.write_bytes(pickle.dumps(Evil(), protocol=2))
    refused("is no state dict")
    assert "this ran" not in capsys.readouterr().out
    torch.save([1, 2], file)
    refused("holds no parameters")
    torch.save({"state_dict": [1, 2]}, file)
    refused("holds no parameters")
    torch.save(ResNet(34).state_dict(), file)
    refused(r"has, which this network has not, layer1\.2\..*of another depth than 18")
    torch.save({"fc.weight": torch.zeros(2)}, file)
    refused(r"lacks bn1\.bias")
    torch.save({**before, "conv1.weight": torch.zeros(64, 1, 7, 7)}, file)
    refused(r"conv1\.weight: expected \[64, 3, 7, 7\], got \[64, 1, 7, 7\]")
    (tmp_path / "cut.safetensors").write_bytes(b"{}")
    with pytest.raises(InputError, match=r"cut\.safetensors cannot be read"):
        small.load_weights(tmp_path / "cut.safetensors")
    assert all(value.equal(before[name]) for name, value in small.state_dict().items())
    with pytest.raises(InputError, match=r"depth: expected one of 18, 34, 50, 101, 152, got 20"):
        ResNet(20)
