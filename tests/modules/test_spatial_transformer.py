"""SpatialTransformer: a localization network, a transform, a kernel."""

import math

import numpy as np
import pytest
import torch
from cases import WITH_IDENTITY, identity, transform
from examples import Bending
from strategies import uniform
from torch import Tensor, nn

import warpkit as wk

IMAGE = uniform(0, 2, 1, 12, 14, dtype=torch.float32)


class Constant(nn.Module):
    """Features that are all one, and what it was given."""

    def forward(self, image: Tensor) -> Tensor:
        self.seen = image
        return torch.ones(image.shape[0], 1, dtype=image.dtype)


def steered(theta, *args, **options) -> wk.SpatialTransformer:
    """A transformer whose localization network adds these numbers to init, whatever it sees."""
    made = wk.SpatialTransformer(Constant(), *args, features=1, **options)
    with torch.no_grad():
        made.regression.bias.copy_(torch.tensor(theta))
    return made


@pytest.mark.parametrize("localization", ["conv_localization", "dense_localization", nn.Flatten()], ids=str)
@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic"])
def test_starts_as_the_identity_whatever_the_network(localization, kernel):
    made = wk.SpatialTransformer(localization, kernel=kernel)
    torch.testing.assert_close(made(IMAGE), IMAGE, rtol=0, atol=1e-6)
    assert torch.equal(made.theta(IMAGE), torch.tensor([[1.0, 0, 0, 0, 1, 0]]).expand(2, 6))


@pytest.mark.parametrize(("name", "ndim"), WITH_IDENTITY)
def test_starts_as_the_identity_of_every_transform(name, ndim):
    image = uniform(0, 2, 1, *(6, 5, 4)[:ndim], dtype=torch.float32)
    made = wk.SpatialTransformer("dense_localization", transform(name, ndim))
    torch.testing.assert_close(made(image), image, rtol=0, atol=2e-5)
    made(image).square().sum().backward()
    assert made.regression.weight.grad.shape[0] == made.transform.num_params


def test_init_is_where_theta_starts():
    made = wk.SpatialTransformer("dense_localization", {"type": "attention", "scale": 0.5}, init=[0.25, -0.5])
    assert made.theta(IMAGE).tolist() == [[0.25, -0.5]] * 2
    window = wk.warp(IMAGE, {"type": "attention", "scale": 0.5}, torch.tensor([[0.25, -0.5]]))
    assert torch.equal(made(IMAGE), window)


def test_theta_is_init_plus_what_the_network_gives():
    made = steered([0.1, 0, 0, 0, 0, -0.2])
    torch.testing.assert_close(made.theta(IMAGE), torch.tensor([[1.1, 0, 0, 0, 1, -0.2]]).expand(2, 6))
    torch.testing.assert_close(made(IMAGE), wk.warp(IMAGE, "affine", made.theta(IMAGE)))


def test_limits_bound_theta():
    limits = [0.5, 0, 0, math.inf, 0.5, 0]
    made = steered([100.0, 3, 3, 7, -0.25, 3], limits=limits)
    expected = [1 + 0.5, 0, 0, 7, 1 - 0.5 * math.tanh(0.5), 0]
    torch.testing.assert_close(made.theta(IMAGE)[0], torch.tensor(expected))
    made.theta(IMAGE).sum().backward()
    assert torch.isfinite(made.regression.bias.grad).all()
    assert made.regression.bias.grad[[1, 2, 5]].tolist() == [0, 0, 0]
    assert made.regression.bias.grad[3] == 2


def test_a_limit_for_all_and_a_limit_that_frees():
    torch.testing.assert_close(
        steered([9.0] * 6, limits=0.25).theta(IMAGE)[0], torch.tensor([1.25, 0.25, 0.25, 0.25, 1.25, 0.25])
    )
    assert torch.equal(steered([9.0] * 6, limits=math.inf).theta(IMAGE), steered([9.0] * 6).theta(IMAGE))
    assert steered([9.0] * 6, limits=0).theta(IMAGE)[0].tolist() == [1, 0, 0, 0, 1, 0]


def test_theta_comes_from_where_it_is_told():
    made, fixed = wk.SpatialTransformer(Constant(), features=1), uniform(1, 2, 4, 7, 7, dtype=torch.float32)
    made(IMAGE)
    assert made.localization.seen is IMAGE
    made(IMAGE, fixed)
    assert made.localization.seen is fixed
    made.theta(IMAGE, theta_from=fixed), made.coords(IMAGE, theta_from=fixed)
    assert made.localization.seen is fixed


def test_theta_can_come_from_deeper_features():
    made = wk.SpatialTransformer(nn.Identity(), features=5)
    assert torch.equal(made(IMAGE, torch.rand(2, 5)), wk.warp(IMAGE, "affine", made.init.float()[None]))


@pytest.mark.parametrize("size", [(5, 6), (20, 3)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_size_coords_and_output_go_together(size, align_corners):
    made = steered(
        [0.1, 0.2, 0, 0, -0.1, 0.3], size=size, align_corners=align_corners, kernel="bicubic", padding_mode="border"
    )
    coords = made.coords(IMAGE)
    assert coords.shape == (2, *size, 2)
    expected = wk.sample(IMAGE, coords, kernel="bicubic", padding_mode="border", align_corners=align_corners)
    torch.testing.assert_close(made(IMAGE), expected, rtol=0, atol=1e-5)


def test_options_reach_the_sampler():
    image = uniform(0, 1, 2, 6, 6, dtype=torch.float32)
    made = steered(
        [0.0, 0, 0.7, 0, 0, 0.4], kernel=("bicubic", "nearest"), padding_mode=("zeros", "wrap"), fill=(0.5, -1.0)
    )
    expected = wk.warp(
        image,
        "affine",
        made.theta(image),
        kernel=("bicubic", "nearest"),
        padding_mode=("zeros", "wrap"),
        fill=(0.5, -1.0),
    )
    assert torch.equal(made(image), expected)


@pytest.mark.parametrize("ndim", [1, 3])
def test_other_dimensions(ndim):
    image = uniform(0, 2, 1, *(6, 5, 4)[:ndim], dtype=torch.float32)
    localization = {"type": "conv_localization", "ndim": ndim}
    made = wk.SpatialTransformer(localization, {"type": "affine", "ndim": ndim})
    torch.testing.assert_close(made(image), image, rtol=0, atol=1e-6)


def test_the_width_of_the_features_is_found_on_first_use():
    made = wk.SpatialTransformer(nn.Flatten())
    assert isinstance(made.regression.weight, nn.UninitializedParameter)
    made(IMAGE)
    assert made.regression.weight.shape == (6, 12 * 14)
    assert made.regression.weight.count_nonzero() == made.regression.bias.count_nonzero() == 0


def test_a_first_input_under_inference_mode_leaves_a_module_that_can_be_trained():
    made = nn.Sequential(
        wk.SpatialTransformer("conv_localization"), wk.SpatialTransformer("dense_localization", "thin_plate_spline")
    )
    with torch.inference_mode():
        made(IMAGE)
    optimiser = torch.optim.SGD(made.parameters(), lr=0.1)
    made(IMAGE).square().sum().backward()
    optimiser.step()
    assert all(t.regression.bias.abs().sum() > 0 for t in made)


def test_several_in_sequence_at_any_depth():
    made = nn.Sequential(
        wk.SpatialTransformer("conv_localization"),
        nn.Conv2d(1, 4, 3),
        wk.SpatialTransformer("conv_localization", "projective", size=(7, 8)),
        nn.ReLU(),
        wk.SpatialTransformer("dense_localization", "thin_plate_spline", kernel="bicubic"),
    )
    out = made(IMAGE)
    assert out.shape == (2, 4, 7, 8)
    out.square().sum().backward()
    assert all(made[i].regression.bias.grad.abs().sum() > 0 for i in (0, 2, 4))


@pytest.mark.parametrize("transform", ["affine", "projective", "thin_plate_spline"])
def test_training_reduces_a_loss(transform):
    torch.manual_seed(0)
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 16)] * 2, indexing="ij")
    fixed = torch.exp(-6 * (x**2 + 2 * y**2))[None, None]
    turn = torch.tensor([[0.9, -0.4, 0.1, 0.4, 0.9, 0.0]])
    moving = wk.warp(fixed, "affine", turn)
    made = wk.SpatialTransformer("dense_localization", transform)
    made(moving)
    optimiser, losses = torch.optim.Adam(made.parameters(), lr=3e-3), []
    for _ in range(60):
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(made(moving), fixed)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_kernel_learns_inside():
    made = wk.SpatialTransformer("dense_localization", kernel=Bending(0.0), init=[0.9, 0, 0.05, 0, 0.9, 0.1])
    made(IMAGE).square().sum().backward()
    assert [name for name, p in made.named_parameters() if "bend" in name and p.grad.abs() > 0] == ["kernels.0.bend"]


def test_each_transformer_owns_the_components_that_it_names():
    a, b = (wk.SpatialTransformer("dense_localization", "thin_plate_spline", kernel="bicubic") for _ in range(2))
    assert a.transform is not b.transform
    assert a.kernels[0] is not b.kernels[0]
    assert all(p.requires_grad for p in a.parameters())


def test_init_and_limits_may_have_a_batch_of_one(unchecked):
    theta = torch.tensor([[0.9, 0.1, 0.0], [-0.1, 0.9, 0.2]])
    limits = [[1, 1, 0.1], [1, 1, 0.2]]
    flat = wk.SpatialTransformer(nn.Flatten(), init=theta.flatten(), limits=limits[0] + limits[1])
    for init, most in ((theta[None], limits), (theta.reshape(1, 6), [limits]), (theta, np.array(limits).reshape(1, 6))):
        made = wk.SpatialTransformer(nn.Flatten(), init=init, limits=most)
        assert torch.equal(made.init, flat.init)
        assert torch.equal(made.limits, flat.limits)
    assert wk.SpatialTransformer(nn.Flatten(), limits=np.float32(0.5)).limits.tolist() == [0.5] * 6
    line = wk.SpatialTransformer(nn.Flatten(), wk.Affine(ndim=1), init=[[2.0, 1.0]])
    assert line.init.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("dense_localisation",), {}, "unknown module 'dense_localisation'.*Did you mean 'dense_localization'"),
        ((nn.Flatten(), "afine"), {}, "unknown transform 'afine'"),
        ((nn.Flatten(), {"type": "attention", "scale": 0.5}), {}, "identity"),
        ((nn.Flatten(),), {"init": [1.0, 0]}, "init: expected 6 numbers"),
        ((nn.Flatten(),), {"init": [1.0, 0, 0, 0, math.nan, 0]}, "init"),
        (
            (nn.Flatten(),),
            {"init": torch.eye(3)[None]},
            r"expected 6 numbers, got shape \[3, 3\]. .* init\[:2\] is meant",
        ),
        ((nn.Flatten(),), {"limits": [1.0, 0]}, "limits.*6"),
        ((nn.Flatten(),), {"limits": -1.0}, "limits"),
        ((nn.Flatten(),), {"limits": math.nan}, "limits"),
        ((nn.Flatten(),), {"kernel": "bicubik"}, "unknown kernel 'bicubik'"),
        ((nn.Flatten(),), {"kernel": ("bilinear",) * 3}, "kernel: expected one, or 2"),
        ((nn.Flatten(),), {"padding_mode": "zero"}, "unknown padding_mode 'zero'"),
        ((nn.Flatten(),), {"size": (3, 4, 5)}, "size: expected 2 positive integers"),
        ((nn.Flatten(),), {"fill": "black"}, "fill"),
        ((nn.Flatten(),), {"align_corners": "no"}, "align_corners"),
        ((nn.Flatten(),), {"features": 0}, "features"),
        ((nn.Flatten(),), {"steps": 0}, "steps"),
        ((nn.Flatten(), "thin_plate_spline"), {"steps": 2}, "steps"),
        ((nn.Flatten,), {}, "class"),
    ],
)
def test_wrong_arguments_are_told_when_it_is_built(unchecked, arguments, options, words):
    with pytest.raises(wk.InputError, match=words):
        wk.SpatialTransformer(*arguments, **options)


@pytest.mark.parametrize("network", [nn.Identity(), nn.Flatten(0)], ids=["[N, C, H, W]", "[N·C·H·W]"])
def test_a_network_that_gives_no_features_is_told(unchecked, network):
    with pytest.raises(wk.InputError, match=r"localization: expected features \[N, F\], got \["):
        wk.SpatialTransformer(network)(IMAGE)


def test_identity_is_what_the_transform_says():
    assert torch.equal(
        wk.SpatialTransformer(nn.Flatten(), "projective").init.float(), identity(transform("projective", 2))[0].float()
    )


def test_a_users_own_lazy_network_can_be_trained_after_a_first_look_in_inference_mode():
    network = nn.Sequential(nn.Flatten(), nn.LazyLinear(8))
    transformer = wk.SpatialTransformer(network)
    image = torch.rand(2, 1, 6, 6)
    with torch.inference_mode():
        transformer(image)
    nn.init.normal_(transformer.regression.weight)
    transformer(image).square().sum().backward()
    assert network[1].weight.grad.abs().max() > 0
