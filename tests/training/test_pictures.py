import numpy as np
import pytest
import torch

from warpkit.errors import InputError
from warpkit.modules.localization import DenseLocalization
from warpkit.modules.spatial_transformer import SpatialTransformer
from warpkit.training.pictures import before_and_after, side_by_side


@pytest.fixture
def half_size():
    """Looks at the middle half of its input."""
    return SpatialTransformer(DenseLocalization(), init=torch.tensor([0.5, 0, 0, 0, 0.5, 0]))


def test_a_picture_has_a_column_for_each_image_with_input_grid_and_output(half_size):
    images = torch.rand(3, 1, 8, 8)
    figure = before_and_after(half_size, images, ["a", "b", "c"])
    axes = np.array(figure.axes).reshape(3, 3)
    assert [a.get_title() for a in axes[0]] == ["a", "b", "c"]
    assert [a.get_ylabel() for a in axes[:, 0]] == ["input", "sampling grid", "output"]
    for column in range(3):
        shown = [np.asarray(a.get_images()[0].get_array()) for a in axes[:, column]]
        assert shown[0] == pytest.approx(images[column, 0].numpy())
        assert shown[1] == pytest.approx(images[column, 0].numpy())
        assert shown[2] == pytest.approx(half_size(images)[column, 0].detach().numpy())


def test_the_grid_is_drawn_where_the_transformer_looks(half_size):
    figure = before_and_after(half_size, torch.rand(1, 1, 8, 8), ["a"])
    ends = np.concatenate([line.get_xydata() for line in figure.axes[1].lines])
    assert ends.min(0) == pytest.approx([-0.5, -0.5])
    assert ends.max(0) == pytest.approx([0.5, 0.5])


def test_looking_does_not_change_the_transformer(half_size):
    half_size.train()
    before_and_after(half_size, torch.rand(1, 1, 8, 8), ["a"])
    assert half_size.training
    assert not half_size.regression.weight.any()


def test_each_image_needs_a_caption(half_size):
    with pytest.raises(InputError, match="captions: expected 2, one an image, got 1"):
        before_and_after(half_size, torch.rand(2, 1, 8, 8), ["a"])


def test_transformers_side_by_side_share_the_row_of_inputs(half_size):
    figure = side_by_side({"a": half_size, "b": half_size}, torch.rand(2, 1, 8, 8), ["x", "$y$"])
    axes = np.array(figure.axes).reshape(5, 2)
    labels = ["input", "a\nsampling grid", "a\noutput", "b\nsampling grid", "b\noutput"]
    assert [a.get_ylabel() for a in axes[:, 0]] == labels
    assert axes[0, 1].get_title() == r"\$y\$"  # no mathematics


def test_black_and_white_are_the_darkest_and_the_brightest_of_the_input(half_size):
    images = torch.rand(1, 2, 8, 8) * 7 - 3
    for axes in before_and_after(half_size, images, ["a"]).axes:
        assert axes.get_images()[0].get_clim() == pytest.approx((float(images.min()), float(images.max())))
    before = before_and_after(half_size, images, ["a"]).axes[0]
    assert np.asarray(before.get_images()[0].get_array()) == pytest.approx(images[0].mean(0).numpy())


@pytest.mark.parametrize("images", [torch.rand(1, 3, 8, 8) * 7 - 3, torch.full((1, 3, 8, 8), 5.0)])
def test_three_channels_are_shown_in_colour(half_size, images):
    for axes in before_and_after(half_size, images, ["a"]).axes:
        shown = np.asarray(axes.get_images()[0].get_array())
        assert shown.shape == (8, 8, 3)
        assert 0 <= shown.min() <= shown.max() <= 1


def test_a_transformer_of_volumes_has_no_picture():
    volumes = SpatialTransformer(DenseLocalization(), {"type": "affine", "ndim": 3})
    with pytest.raises(InputError, match="v: expected a transformer of images, got one of 3 axes"):
        side_by_side({"v": volumes}, torch.rand(1, 1, 8, 8), ["a"])
