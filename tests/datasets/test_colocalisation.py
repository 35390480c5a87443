import pytest
import torch
from torch import Generator
from torch.testing import assert_close

from warpkit.datasets import colocalisation, digits, iou
from warpkit.datasets.digits import Labelled
from warpkit.errors import InputError


@pytest.fixture(scope="module")
def test_half():
    return digits(train=False).test


def inside(image: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
    left, top, right, bottom = box.int().tolist()
    return image[:, top:bottom, left:right]


def test_each_box_holds_a_digit_of_the_class_copied_to_whole_pixels(test_half):
    images, boxes = colocalisation(test_half, 7, Generator().manual_seed(0), clutter=False)
    assert images.shape == (100, 1, 84, 84)
    sevens = test_half.images[test_half.labels == 7]
    for image, box in zip(images[:20], boxes[:20], strict=True):
        assert (sevens - inside(image, box)).abs().amax((1, 2, 3)).min() < 1e-4
        assert_close(image.sum(), inside(image, box).sum())  # and nothing else is there
    assert (boxes[:, 2:] - boxes[:, :2]).eq(28).all()
    assert boxes.equal(boxes.round())
    assert boxes.min() >= 0
    assert boxes.max() <= 84
    assert boxes[:, :2].amin() < 5
    assert boxes[:, :2].amax() > 51


def test_no_digit_is_shown_twice(test_half):
    images, boxes = colocalisation(test_half, 7, Generator().manual_seed(0), clutter=False)
    assert (
        len({inside(*pair).mul(255).round().byte().numpy().tobytes() for pair in zip(images, boxes, strict=True)})
        == 100
    )


def test_clutter_is_sixteen_crops_of_six_by_six_pixels_of_other_digits():
    """Here a 3 is black and other digits are white."""
    labels = torch.arange(10).repeat(200)
    white = (labels != 3).float().reshape(-1, 1, 1, 1).expand(-1, 1, 28, 28)
    images, _ = colocalisation(Labelled(white, labels), 3, Generator().manual_seed(0), count=200)
    lit = images.sum((1, 2, 3))
    assert lit.max().item() == 16 * 36  # where none covers another
    assert lit.min() > 6 * 36
    assert images.unique().tolist() == [0, 1]


def test_the_generator_alone_decides(test_half):
    first, again, other = (colocalisation(test_half, 2, Generator().manual_seed(seed), count=9) for seed in (1, 1, 2))
    assert first.images.equal(again.images)
    assert first.boxes.equal(again.boxes)
    assert not first.images.equal(other.images)


def test_more_images_than_there_are_digits_is_an_error(test_half):
    with pytest.raises(InputError, match="101 images of class 7 are wanted, there are 100 such digits"):
        colocalisation(test_half, 7, Generator(), count=101)
    only = Labelled(*(part[test_half.labels == 7] for part in test_half))
    with pytest.raises(InputError, match="there are no others"):
        colocalisation(only, 7, Generator())
    assert len(colocalisation(only, 7, Generator(), clutter=False).images) == 100


def test_iou_is_1_for_the_same_box_0_apart_and_a_third_when_half_is_shared():
    box = torch.tensor([[2.0, 3, 12, 13]])
    assert iou(box, box).item() == 1
    assert iou(box, box + 10).item() == 0
    assert iou(box, box + torch.tensor([20.0, 0, 20, 0])).item() == 0
    assert iou(box, box + torch.tensor([5.0, 0, 5, 0])).item() == pytest.approx(1 / 3)
