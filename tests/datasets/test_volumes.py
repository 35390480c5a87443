import math

import pytest
import torch
from torch import Generator
from torch.testing import assert_close

import warpkit as wk
from warpkit.datasets import Extrude, digits


@pytest.fixture(scope="module")
def four():
    return digits(train=False).test.images[:4]


def test_a_digit_is_repeated_along_depth_and_placed_anywhere(four):
    """Drawn: no turn, its own size, and a corner of the room there is."""
    drawn = torch.tensor([[0.0, 0, 0, 1, -1, -1, 1]])
    out = Extrude().apply(four[:1], drawn, four)
    assert out.shape == (1, 1, 60, 60, 60)
    expected = torch.zeros_like(out)
    expected[..., 60 - 14 :, :28, :28] = four[:1, :, None]
    assert_close(out, expected, atol=1e-4, rtol=0)


def test_places_are_even_over_the_room_there_is(four):
    extrude = Extrude()
    drawn = extrude.draw(4000, Generator().manual_seed(0))
    centre = (
        extrude.where(four[:1].expand(4000, -1, -1, -1), drawn).reshape(-1, 3, 4)[..., 3] * 30
    )  # voxels from the middle, x y z
    for column, room in zip(centre.T, (16, 16, 23), strict=True):
        assert column.abs().max().item() == pytest.approx(room, abs=0.1)
        assert column.std().item() == pytest.approx(room / 3**0.5, rel=0.05)


@pytest.mark.parametrize("options", [{}, {"turn": math.pi / 6, "scale": (0.8, 1.2)}, {"depth": 5, "canvas": 48}])
def test_where_it_is_brings_the_digit_back(four, options):
    extrude = Extrude(**options)
    drawn = extrude.draw(4, Generator().manual_seed(3))
    volume = extrude.apply(four, drawn, four)
    back = wk.warp(volume, "affine", extrude.where(four, drawn), size=(extrude.depth, 28, 28))
    # Resampled twice, so blurred; in the middle of its depth only, as its ends meet the outside.
    assert (back[:, :, extrude.depth // 2] - four).abs().mean() < 0.04
    assert (four - four.roll(1, 0)).abs().mean() > 0.1


def test_a_projection_along_depth_shows_the_digit_as_often_as_it_is_deep(four):
    out = Extrude(depth=9)(four, Generator().manual_seed(0)).sum((2, 3, 4))
    assert_close(out, 9 * four.sum((2, 3)), rtol=1e-3, atol=0)


def test_turns_are_about_each_axis_from_x_to_y_y_to_z_z_to_x(four):
    extrude = Extrude(depth=28)
    for axis, (start, end) in enumerate(((1, 2), (2, 0), (0, 1))):
        drawn = torch.zeros(1, 7)
        drawn[0, 3], drawn[0, axis] = 1, math.pi / 2
        linear = extrude.where(four[:1], drawn).reshape(3, 4)[:, :3] * 60 / 28
        assert_close(linear[:, start], torch.eye(3)[end], atol=1e-6, rtol=0)
        assert_close(linear[:, axis], torch.eye(3)[axis], atol=1e-6, rtol=0)


def test_a_share_of_a_batch_is_as_in_the_batch_and_the_generator_alone_decides(four):
    extrude = Extrude(turn=0.5, scale=(0.7, 1.2), canvas=40)
    drawn = extrude.draw(4, Generator().manual_seed(0))
    assert drawn[:, :3].abs().max() <= 0.5
    whole = extrude.apply(four, drawn, four)
    assert_close(extrude.apply(four[1::2], drawn[1::2], four), whole[1::2])
    assert extrude(four, Generator().manual_seed(0)).equal(whole)
