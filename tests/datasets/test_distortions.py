import math

import pytest
import torch
from torch import Generator
from torch.testing import assert_close

from warpkit.datasets import distortions, get_distortion, place
from warpkit.errors import InputError

SIDE, CANVAS = 28, 42


def blob(x: float, y: float, n: int = 1) -> torch.Tensor:
    """A smooth spot at this place, in pixels from the middle: [n, 1, 28, 28]."""
    axis = torch.arange(SIDE) - (SIDE - 1) / 2
    spot = torch.exp(-((axis[None] - x) ** 2 + (axis[:, None] - y) ** 2) / 8)
    return spot.expand(n, 1, SIDE, SIDE)


def centroid(images: torch.Tensor) -> torch.Tensor:
    """[N, 2], x and y in pixels from the middle."""
    n = images.shape[-1]
    axis = torch.arange(n) - (n - 1) / 2
    mass = images.sum((1, 2, 3))
    return torch.stack([(images * axis).sum((1, 2, 3)), (images * axis[:, None]).sum((1, 2, 3))], 1) / mass[:, None]


def placed(images, angle=0.0, scale=1.0, centre=(0.0, 0.0), canvas=(SIDE, SIDE)):
    n = len(images)
    return place(images, torch.full((n,), angle), torch.full((n,), scale), torch.tensor([centre] * n), canvas)


def test_a_quarter_turn_is_clockwise():
    image = torch.rand(2, 1, SIDE, SIDE, generator=Generator().manual_seed(0))
    assert_close(placed(image, angle=math.pi / 2), image.rot90(-1, (2, 3)), atol=1e-4, rtol=0)


def test_on_a_larger_canvas_the_image_keeps_its_pixels_and_moves_by_its_centre():
    image = torch.rand(1, 1, SIDE, SIDE, generator=Generator().manual_seed(0))
    moved = placed(image, centre=(3 * 2 / CANVAS, -5 * 2 / CANVAS), canvas=(CANVAS, CANVAS))
    expected = torch.zeros(1, 1, CANVAS, CANVAS)
    expected[..., 7 - 5 : 7 - 5 + SIDE, 7 + 3 : 7 + 3 + SIDE] = image
    assert_close(moved, expected, atol=1e-4, rtol=0)


def test_scale_is_that_of_the_image_whatever_the_canvas():
    for scale in (0.75, 1.25):
        for canvas in (SIDE, CANVAS, 56):
            out = placed(blob(4, 0), scale=scale, canvas=(canvas, canvas))
            assert out.sum().item() == pytest.approx(blob(4, 0).sum().item() * scale**2, rel=0.02)
            assert centroid(out)[0].tolist() == pytest.approx([4 * scale, 0], abs=0.02)


def test_a_turn_keeps_angles_on_an_oblong_canvas_and_image():
    """Normalised coordinates are stretched there; pixels are not."""
    image = blob(6, 0)[..., 6:22, :]  # 16 rows, 28 columns
    out = placed(image, angle=math.pi / 2, canvas=(40, 20))
    rows, columns = torch.arange(40) - 19.5, torch.arange(20) - 9.5
    y, x = (out * rows[:, None]).sum() / out.sum(), (out * columns).sum() / out.sum()
    assert (x.item(), y.item()) == pytest.approx((0, 6), abs=0.05)


def test_r_turns_by_up_to_90_degrees_either_way_evenly():
    out = get_distortion("r")(blob(8, 0, 2000), Generator().manual_seed(0))
    assert out.shape == (2000, 1, SIDE, SIDE)
    x, y = centroid(out).T
    angle = torch.atan2(y, x).rad2deg()
    assert angle.abs().max() < 90.5
    for low in range(-90, 90, 30):
        assert ((angle >= low) & (angle < low + 30)).float().mean().item() == pytest.approx(1 / 6, abs=0.04)


def test_rts_scales_by_0_7_to_1_2_and_keeps_the_scaled_image_on_the_canvas():
    spot = blob(0, 0, 2000)
    out = get_distortion("rts")(spot, Generator().manual_seed(0))
    assert out.shape == (2000, 1, CANVAS, CANVAS)
    scale = (out.sum((1, 2, 3)) / spot.sum((1, 2, 3))).sqrt()
    assert scale.min().item() == pytest.approx(0.7, abs=0.02)
    assert scale.max().item() == pytest.approx(1.2, abs=0.02)
    room = (CANVAS - SIDE * scale) / 2
    share = centroid(out) / room[:, None]
    assert share.abs().max() < 1.05
    for column in share.T:  # even in x and in y
        assert column.mean().item() == pytest.approx(0, abs=0.05)
        assert column.std().item() == pytest.approx(1 / 3**0.5, abs=0.03)


def test_rts_turns_by_up_to_45_degrees():
    """Two spots, so that the direction between them is the angle, wherever they were put."""
    two = torch.cat([blob(6, 0, 500), blob(-6, 0, 500)], 1)
    out = get_distortion("rts")(two, Generator().manual_seed(0))
    x, y = (centroid(out[:, :1]) - centroid(out[:, 1:])).T
    angle = torch.atan2(y, x).rad2deg()
    assert angle.min().item() == pytest.approx(-45, abs=1.5)
    assert angle.max().item() == pytest.approx(45, abs=1.5)


@pytest.mark.parametrize("name", sorted(distortions))
def test_the_generator_alone_decides(name):
    images = blob(5, 3, 4)
    first, again, other = (distortions[name](images, Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)
    assert not first[0].equal(first[1])


def test_an_unknown_distortion_is_quoted_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown distortion 'rst'\. Did you mean 'rts'"):
        get_distortion("rst")
