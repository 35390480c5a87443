"""The specs of docs/specs: each builds, is found again in its module, and learns."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import warpkit as wk
from warpkit.component import inputs_of

SPECS = sorted((Path(__file__).parents[2] / "docs" / "specs").glob("*.toml"))
each_spec = pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)


def blobs(shape: tuple[int, ...], n: int = 8) -> Tensor:
    """Smooth random images, [n, *shape], 0 … 1."""
    coarse = torch.rand(n, shape[0], *[5] * (len(shape) - 1))
    mode = "trilinear" if len(shape) == 4 else "bilinear"
    return nn.functional.interpolate(coarse, size=shape[1:], mode=mode, align_corners=True)


def loss_of(net: nn.Module) -> tuple[list[Tensor], Tensor]:
    """What the net is called with, and what it should give: the fixed image of a pair, or a class for each image."""
    shapes = inputs_of(net)
    assert shapes is not None
    images = [blobs(shape) for shape in shapes.values()]
    if len(images) > 1:
        moved = wk.warp(images[1], "affine", torch.tensor([[1.1, 0.2, 0.1, -0.2, 0.9, 0.0]]), padding_mode="border")
        return [moved, *images[1:]], images[1]
    classes, *places = net(*images).shape[1:]
    return images, torch.randint(classes, (len(images[0]), *places))


def transformers(net: nn.Module) -> list[wk.SpatialTransformer]:
    return [module for module in net.modules() if isinstance(module, wk.SpatialTransformer)]


def train(net: nn.Module, steps: int) -> list[float]:
    """The loss before each step, and after the last."""
    images, wanted = loss_of(net)
    compare = nn.functional.mse_loss if wanted.is_floating_point() else nn.functional.cross_entropy
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = compare(net(*images), wanted)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        return [*losses, compare(net(*images), wanted).item()]


@each_spec
def test_a_spec_is_found_again_in_its_module(path: Path):
    assert wk.to_spec(wk.build(path)) == wk.normalize_spec(path)


@each_spec
def test_what_it_is_and_where_it_is_from_stand_at_its_top(path: Path):
    lines = path.read_text(encoding="utf-8").split("version = 1")[0].splitlines()
    assert 2 <= len(lines) <= 4
    assert all(line.startswith("# ") and len(line) <= 120 for line in lines)
    assert re.search(r"\b20\d\d\b", " ".join(lines)), "the year of its paper"


@each_spec
def test_it_learns(path: Path):
    torch.manual_seed(0)
    losses = train(wk.build(path), steps=24)
    assert losses[-1] < 0.7 * losses[0]


@each_spec
def test_every_localization_network_learns(path: Path):
    """From the second step on: the regression behind it starts at zero weights."""
    torch.manual_seed(0)
    net = wk.build(path)
    train(net, steps=2)
    for transformer in transformers(net):
        for part in (transformer.localization, transformer.regression):
            gradients = [p.grad for p in part.parameters()]
            assert all(g is not None and g.isfinite().all() for g in gradients)
            assert any(g.abs().max() > 0 for g in gradients)


def test_the_learnable_kernel_learns():
    torch.manual_seed(0)
    net = wk.build(next(path for path in SPECS if path.stem == "learnable_kernel"))
    a = transformers(net)[0].kernels[0].a
    train(net, steps=1)
    assert a.grad.isfinite()
    assert a.grad != 0
    assert a.item() != -0.5


def test_a_localization_network_is_shared_where_the_spec_says_so():
    nets = {path.stem: wk.build(path) for path in SPECS if path.stem in ("birds", "shared_layers", "addition")}
    left, right = transformers(nets["birds"])
    assert left.localization is right.localization
    assert left.regression is not right.regression
    assert transformers(nets["shared_layers"])[0].localization[0] is nets["shared_layers"][1]
    one, other = transformers(nets["addition"])
    assert one.localization is not other.localization
