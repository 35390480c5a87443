"""SpatialTransformer with a field: a feature map in, θ an image of displacements."""

import pytest
import torch
from strategies import uniform
from torch import Tensor, nn

import warpkit as wk

SIZES = ((17,), (13, 15), (7, 8, 9))


class Ones(nn.Module):
    """A feature map of ones, of the image's size or half of it."""

    def __init__(self, by: int = 1) -> None:
        super().__init__()
        self.by = by

    def forward(self, image: Tensor) -> Tensor:
        return torch.ones(len(image), 1, *(n // self.by for n in image.shape[2:]))


def steered(theta, transform="displacement", by=1, **options):
    """A transformer whose θ is these numbers at every place, whatever it sees."""
    made = wk.SpatialTransformer(Ones(by), transform, features=1, **options)
    with torch.no_grad():
        made.regression.bias.copy_(torch.tensor(theta))
    return made


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", ["displacement", "velocity"])
def test_starts_as_the_identity_and_learns(name, size):
    d = len(size)
    made = wk.SpatialTransformer({"type": "unet_localization", "ndim": d, "widths": [4, 6]}, {"type": name, "ndim": d})
    image = uniform(0, 2, 3, *size, dtype=torch.float32)
    assert torch.equal(made(image), image)
    assert made.theta(image).shape == (2, d, *size)
    assert made.coords(image).shape == (2, *size, d)
    torch.testing.assert_close(made.coords(image), wk.lattice(size).expand(2, *size, d), rtol=0, atol=1e-6)
    (made(image) * uniform(1, 2, 3, *size, dtype=torch.float32)).sum().backward()
    assert made.regression.weight.shape == (d, 4, *[3] * d)
    assert made.regression.weight.grad.abs().max() > 0


def test_theta_is_as_large_as_the_feature_map():
    made, image = steered([0.25, 0.0], by=2), uniform(0, 1, 1, 8, 8, dtype=torch.float32)
    assert made.theta(image).shape == (1, 2, 4, 4)
    left = torch.cat([image[..., 1:], image[..., -1:]], dim=-1)
    made.padding_mode = "border"
    torch.testing.assert_close(made(image), left)  # a quarter of half an image of 8 pixels


def test_init_and_limits_are_numbers_for_every_place():
    made = steered([9.0, -9.0], init=[0.1, 0.0], limits=[0.2, 0.0])
    theta = made.theta(uniform(0, 1, 1, 6, 6, dtype=torch.float32))
    torch.testing.assert_close(theta, torch.tensor([0.3, 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 6, 6))
    with pytest.raises(wk.InputError, match="init: expected 2 numbers"):
        steered([0.0, 0.0], init=[0.1])


@pytest.mark.parametrize("bad", [lambda: wk.SpatialTransformer("conv_localization", "velocity")])
def test_features_that_are_no_map_are_refused(bad):
    with pytest.raises(wk.InputError, match=r"expected a feature map \[N, F, H, W\], got \[1, 64\]"):
        bad()(torch.zeros(1, 1, 8, 8))
    with pytest.raises(wk.InputError, match=r"expected features \[N, F\], got \[1, 16, 8, 8\]"):
        wk.SpatialTransformer("unet_localization", "affine")(torch.zeros(1, 1, 8, 8))


def test_a_composition_with_a_field_is_refused():
    with pytest.raises(wk.InputError, match="a composition with a field"):
        wk.SpatialTransformer("unet_localization", wk.Compose(["affine", "velocity"]))


def test_is_saved_and_loaded(tmp_path):
    made = wk.build(
        {
            "input": [1, 9, 9],
            "layers": [{"type": "spatial_transformer", "transform": "velocity", "localization": "unet_localization"}],
        }
    )
    with torch.no_grad():
        made[0].regression.weight.normal_()
    wk.save(made, tmp_path / "net.safetensors")
    image = uniform(0, 1, 1, 9, 9, dtype=torch.float32)
    assert torch.equal(wk.load(tmp_path / "net.safetensors")(image), made(image))


def test_folds_and_the_outside_are_seen():
    image = uniform(0, 2, 1, 16, 16, dtype=torch.float32)

    class Folding(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            places = wk.lattice((16, 16))[..., 0].expand(len(image), 1, 16, 16)
            return torch.cat([-2 * places, torch.zeros_like(places)], dim=1) * (places.abs() < 0.5)

    made = wk.SpatialTransformer(Folding(), "displacement", features=2)
    with torch.no_grad():
        made.regression.weight[:, :, 1, 1] = torch.eye(2)
    with wk.watch(made) as watched:
        made.train()(image).sum().backward()
        figures = watched.metrics()
    assert 0.2 < next(v for k, v in figures.items() if k.endswith("folds")) < 0.6
    penalty = wk.Penalty(made, folds=1.0)
    made(image)
    assert penalty() > 0
    away = steered([1.5, 0.0])
    with wk.watch(away) as watched:
        away.train()(image).sum().backward()
        figures = watched.metrics()
    assert next(v for k, v in figures.items() if k.endswith("outside")) == pytest.approx(0.75, abs=0.1)


@pytest.mark.parametrize("size", [(1,), (5, 8), (12, 7), (5, 6, 7)], ids=str)
def test_a_u_net_gives_a_map_of_the_image_s_size(size):
    net = wk.UNetLocalization(widths=[3, 4], depth=4, ndim=len(size))
    assert net(torch.zeros(2, 5, *size)).shape == (2, 3, *size)
    assert [level[0].out_channels for level in net.down] == [3, 4, 4, 4]


@pytest.mark.parametrize(
    ("options", "told"),
    [({"widths": [4, 0]}, "widths"), ({"widths": [4, 4], "depth": 1}, "depth"), ({"ndim": 4}, "ndim")],
)
def test_a_u_net_of_no_such_shape_is_refused(options, told):
    with pytest.raises(wk.InputError, match=told):
        wk.UNetLocalization(**options)
    with pytest.raises(wk.InputError, match="2 axes in S"):
        wk.UNetLocalization()(torch.zeros(1, 8, 8))
