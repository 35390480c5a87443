"""Random warps: what is drawn is what was asked for, and what lies on an image goes with it."""

import pytest
import torch
from strategies import uniform
from torch.testing import assert_close

import warpkit as wk

SIZE = (40, 60)
IMAGES = torch.rand(3, 2, *SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def drawn(augment, seed=0, n=3):
    return augment.theta(IMAGES[:1].expand(n, -1, -1, -1), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    ("how", "same"),
    [
        ({"degrees": (25, 25)}, {"degrees": 25.0}),
        ({"scale": (1.3, 1.3)}, {"scale": 1.3}),
        ({"shear": (10, 10)}, {"shear": (10.0, 0.0)}),
        ({"shear": (10, 10, -15, -15)}, {"shear": (10.0, -15.0)}),
        (
            {"degrees": (-70, -70), "scale": (0.8, 0.8), "shear": (5, 5, 9, 9)},
            {"degrees": -70.0, "scale": 0.8, "shear": (5.0, 9.0)},
        ),
    ],
)
def test_each_range_does_what_the_matrix_of_that_name_does(how, same, align_corners):
    theta = drawn(wk.RandomWarp(**how, align_corners=align_corners))
    matrix = wk.pixels.affine((29.5, 19.5), **same)
    expected = wk.pixels.to_theta(matrix, in_size=SIZE, align_corners=align_corners)
    assert_close(theta, expected.expand(3, -1), atol=1e-6, rtol=0)


def test_moves_are_parts_of_the_sides_and_ranges_are_filled():
    theta = drawn(wk.RandomWarp(translate=(0.1, 0.3)), n=2000)
    assert_close(theta[:, [0, 1, 3, 4]], torch.tensor([[1.0, 0, 0, 1]], dtype=torch.float64).expand(2000, -1))
    most = theta[:, [2, 5]].abs().amax(0)
    assert ((most > torch.tensor([0.195, 0.585])) & (most <= torch.tensor([0.2, 0.6]) + 1e-9)).all()
    turned = drawn(wk.RandomWarp(degrees=30), n=2000)
    angle = torch.rad2deg(torch.atan2(turned[:, 1] * SIZE[1] / SIZE[0], turned[:, 0]))
    assert 29.5 < angle.abs().max() <= 30.001


def test_perspective_moves_the_corners_and_no_farther():
    augment = wk.RandomWarp(perspective=0.1)
    theta = drawn(augment, n=500)
    corners = wk.lattice((2, 2), align_corners=True, dtype=torch.float64).reshape(1, 4, 2)
    moved = (augment.transform(theta, corners) - corners).abs()
    assert 0.19 < moved.max() <= 0.2 + 1e-6
    assert (moved.mean((1, 2)) > 0).all()


def test_nothing_asked_for_and_evaluation_change_nothing():
    assert torch.equal(wk.RandomWarp()(IMAGES), IMAGES)
    augment = wk.RandomWarp(degrees=90, elastic=0.1).eval()
    assert augment(IMAGES) is IMAGES


ALL = {"degrees": 20, "translate": (0.1, 0.1), "scale": (0.8, 1.2), "shear": 5, "perspective": 0.05, "elastic": 0.03}


def test_masks_points_and_boxes_go_where_the_image_goes():
    """A blob's centre, its label and its box."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    blob = torch.exp(-((x - 33) ** 2 + (y - 17) ** 2) / 18)[None, None].expand(8, 1, -1, -1)
    masks = (blob > 0.5).to(torch.uint8)
    points = torch.tensor([[[33.0, 17.0]]]).expand(8, -1, -1)
    boxes = torch.tensor([[[28.0, 12.0, 38.0, 22.0]]]).expand(8, -1, -1)
    moved = wk.RandomWarp(**ALL)(
        blob, masks=masks, points=points, boxes=boxes, generator=torch.Generator().manual_seed(1)
    )
    weight = moved.image / moved.image.sum((2, 3), keepdim=True)
    centre = torch.stack([(weight * x).sum((1, 2, 3)), (weight * y).sum((1, 2, 3))], dim=-1)
    assert (moved.points[:, 0] - centre).norm(dim=-1).max() < 0.5
    assert ((moved.image > 0.5) != (moved.masks > 0)).float().mean() < 0.01
    assert moved.masks.dtype == torch.uint8
    low, high = moved.boxes[:, 0, :2], moved.boxes[:, 0, 2:]
    assert ((moved.points[:, 0] > low) & (moved.points[:, 0] < high)).all()


def test_the_same_generator_gives_the_same_and_each_image_its_own():
    augment = wk.RandomWarp(**ALL)
    first, again = (augment(IMAGES, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    theta = drawn(augment)
    assert (theta[0] - theta[1]).abs().max() > 1e-3
    assert not torch.equal(augment(IMAGES), augment(IMAGES))


def test_it_is_a_layer_of_a_spec_and_gradients_pass_to_the_image():
    layers = [
        {"type": "random_warp", "degrees": 10, "kernel": "bicubic"},
        {"type": "Conv2d", "out_channels": 2, "kernel_size": 3},
    ]
    net = wk.build({"version": 1, "input": [1, 12, 12], "layers": layers})
    assert wk.to_spec(net)["layers"][0] == layers[0]
    image = uniform(0, 2, 1, 12, 12).float().requires_grad_()
    net(image).sum().backward()
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"degrees": -1},
        {"degrees": (3, 1)},
        {"translate": (0.1,)},
        {"translate": (-0.1, 0.1)},
        {"scale": (0, 1)},
        {"shear": (1, 2, 3)},
        {"perspective": 0.5},
        {"elastic": -0.1},
        {"units": "pixel"},
    ],
)
def test_ranges_that_are_none_are_told(unchecked, wrong):
    with pytest.raises(wk.InputError, match=next(iter(wrong))):
        wk.RandomWarp(**wrong)
