import pytest
import torch
from torch import Generator

from warpkit.datasets import Addition, digits, get_distortion

ADDITION = Addition()


@pytest.fixture(scope="module")
def test_half():
    return digits(train=False).test


def test_two_channels_of_42_by_42_and_the_sum_of_the_digits_in_them(test_half):
    drawn = ADDITION.draw(300, Generator().manual_seed(0))
    indices = torch.arange(300)
    images, sums = ADDITION.pair(test_half, indices, drawn)
    assert images[:, 0].equal(test_half.images[:300, 0])
    partners = [(test_half.images[:, 0] == image).flatten(1).all(1).nonzero()[0, 0] for image in images[:, 1]]
    assert sums.equal(test_half.labels[:300] + test_half.labels[torch.stack(partners)])
    assert len(set(map(int, partners))) > 200
    assert sums.min() == 0
    assert sums.max() == 18
    assert ADDITION.classes == 19
    assert ADDITION.apply(images, drawn, images).shape == (300, 2, 42, 42)


def test_each_channel_is_distorted_by_rts_of_its_own(test_half):
    drawn = ADDITION.draw(5, Generator().manual_seed(0))
    images, _ = ADDITION.pair(test_half, torch.arange(5), drawn)
    out = ADDITION.apply(images, drawn, images)
    rts = get_distortion("rts")
    for channel, own in enumerate((drawn[:, 1:5], drawn[:, 5:])):
        image = images[:, channel, None]
        assert out[:, channel, None].equal(rts.apply(image, own, image))
    assert not drawn[:, 1:5].equal(drawn[:, 5:])


def test_a_share_of_a_batch_is_as_in_the_batch(test_half):
    drawn = ADDITION.draw(6, Generator().manual_seed(0))
    images, sums = ADDITION.pair(test_half, torch.arange(6), drawn)
    some, of_some = ADDITION.pair(test_half, torch.arange(6)[1::2], drawn[1::2])
    assert of_some.equal(sums[1::2])
    assert ADDITION.apply(some, drawn[1::2], some).equal(ADDITION.apply(images, drawn, images)[1::2])
