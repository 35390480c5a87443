import math

import pytest
import torch
from torch import Generator
from torch.testing import assert_close

from warpkit import get_transform
from warpkit.datasets import distortions, get_distortion, place
from warpkit.datasets.distortions import TranslateClutter, homography
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


def test_p_moves_the_corners_and_what_lies_between_follows_as_in_a_projection():
    """A white image becomes the moved frame, whose corners are scaled by 0.75 … 1 and moved by 5 pixels or so."""
    project = get_distortion("p")
    drawn = project.draw(3, Generator().manual_seed(4))
    white = torch.ones(3, 1, SIDE, SIDE)
    out = project.apply(white, drawn, white)
    assert out.shape == (3, 1, CANVAS, CANVAS)
    scale, moved = drawn[:, :1, None], drawn[:, 1:].reshape(3, 4, 2)
    corners = torch.tensor([[-1.0, -1], [1, -1], [-1, 1], [1, 1]]) * SIDE / 2 * scale + moved
    around = corners[:, [0, 1, 3, 2]]
    x, y = around.unbind(-1)
    area = (x * y.roll(-1, 1) - y * x.roll(-1, 1)).sum(1) / 2
    assert_close(out.sum((1, 2, 3)), area, rtol=0.05, atol=0)


def test_p_draws_the_scale_evenly_and_the_moves_with_a_deviation_of_5_pixels():
    drawn = get_distortion("p").draw(20_000, Generator().manual_seed(0))
    assert drawn[:, 0].min().item() == pytest.approx(0.75, abs=0.001)
    assert drawn[:, 0].max().item() == pytest.approx(1, abs=0.001)
    assert drawn[:, 1:].std().item() == pytest.approx(5, abs=0.15)  # those that could not be read are drawn again
    assert drawn[:, 1:].mean().item() == pytest.approx(0, abs=0.1)


def test_p_draws_no_frame_that_crosses_itself():
    drawn = get_distortion("p").draw(5000, Generator().manual_seed(1))
    frame = SIDE / 2 * drawn[:, :1, None] * torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    sides = (frame + drawn[:, 1:].reshape(-1, 4, 2)[:, [0, 1, 3, 2]]).roll(-1, 1)
    sides = sides - sides.roll(1, 1)
    turns = sides[..., 0] * sides.roll(-1, 1)[..., 1] - sides[..., 1] * sides.roll(-1, 1)[..., 0]
    assert (turns > 0).all()


def test_a_homography_takes_each_corner_to_its_target():
    points = torch.tensor([[[-0.9, -0.8], [0.7, -1.1], [-1.2, 0.9], [0.8, 1.0]]])
    targets = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
    assert_close(get_transform("projective")(homography(points, targets), points)[0], targets)


def test_e_looks_at_control_points_moved_by_a_deviation_of_one_and_a_half_pixels():
    deform = get_distortion("e")
    assert deform.draw(5000, Generator().manual_seed(0)).std().item() == pytest.approx(1.5, abs=0.02)
    ramp = torch.linspace(-1, 1, SIDE).expand(1, 1, SIDE, SIDE).clone()  # brightness is where x is
    out = deform.apply(ramp, torch.tensor([[2.0, 0.0] * 16]), ramp)  # all points: two pixels to the right
    assert_close(out[0, 0, 5:20, 5:20], ramp[0, 0, 5:20, 7:22], atol=1e-5, rtol=0)


def test_tc_copies_the_digit_to_whole_pixels_anywhere():
    image = torch.rand(500, 1, SIDE, SIDE, generator=Generator().manual_seed(0)) + 0.01
    black = torch.zeros(3, 1, SIDE, SIDE)
    clutter = get_distortion("tc")
    out = clutter.apply(image, clutter.draw(500, Generator().manual_seed(1)), black)
    assert out.shape == (500, 1, 60, 60)
    rows, columns = out[:, 0].amax(2).bool(), out[:, 0].amax(1).bool()
    assert rows.sum(1).eq(SIDE).all()
    assert columns.sum(1).eq(SIDE).all()
    first = out[0, 0][rows[0]][:, columns[0]]
    assert_close(first, image[0, 0], atol=1e-4, rtol=0)
    starts = rows.float().argmax(1)
    assert starts.min() == 0
    assert starts.max() == 60 - SIDE


def test_tc_adds_six_crops_of_six_by_six_pixels_of_the_others():
    black, clutter = torch.zeros(400, 1, SIDE, SIDE), get_distortion("tc")
    out = clutter.apply(black, clutter.draw(400, Generator().manual_seed(1)), torch.ones(5, 1, SIDE, SIDE))
    lit = out.sum((1, 2, 3))
    assert lit.max().item() == 6 * 36  # where none covers another
    assert lit.min() >= 36
    shades = torch.arange(1.0, 4).reshape(3, 1, 1, 1).expand(3, 1, SIDE, SIDE)
    out = clutter.apply(black, clutter.draw(400, Generator().manual_seed(1)), shades)
    assert out.unique().tolist() == [0, 1, 2, 3]  # crops are copies, of any of them


@pytest.mark.parametrize("name", sorted(distortions))
def test_a_share_of_a_batch_is_distorted_as_in_the_batch(name):
    images, distortion = torch.rand(6, 1, SIDE, SIDE), distortions[name]
    drawn = distortion.draw(6, Generator().manual_seed(0))
    whole = distortion.apply(images, drawn, images)
    assert_close(distortion.apply(images[1::2], drawn[1::2], images), whole[1::2])


@pytest.mark.parametrize("name", sorted(distortions.keys() - {"none"}))
def test_the_generator_alone_decides(name):
    images = blob(5, 3, 4)
    first, again, other = (distortions[name](images, Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)
    assert not first[0].equal(first[1])


def test_an_unknown_distortion_is_quoted_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown distortion 'rst'\. Did you mean 'rts'"):
        get_distortion("rst")


def test_clutter_takes_another_canvas_number_and_side_of_crops_and_says_where_the_digit_is():
    image = torch.ones(50, 1, SIDE, SIDE)
    for crops, most in ((0, 0), (3, 3 * 16)):
        clutter = TranslateClutter(canvas=40, crops=crops, side=4)
        drawn = clutter.draw(50, Generator().manual_seed(0))
        out = clutter.apply(image * 0.5, drawn, image)
        assert out.shape == (50, 1, 40, 40)
        assert out.eq(1).sum((1, 2, 3)).max() == most
        for picture, box in zip(out, clutter.boxes(image, drawn).int().tolist(), strict=True):
            left, top, right, bottom = box
            assert (right - left, bottom - top) == (SIDE, SIDE)
            assert picture[0, top:bottom, left:right].min() > 0.49


@pytest.mark.parametrize(
    ("name", "mean"),
    [("none", 0.5), ("r", 0.4220), ("rts", 0.1292), ("p", 0.1911), ("e", 0.4492), ("tc", 0.1483), ("glimpse", 0.1424)],
)
def test_the_same_seed_gives_the_same_images_in_every_version(name, mean):
    images = torch.linspace(0, 1, 784).reshape(1, 1, SIDE, SIDE)
    assert get_distortion(name)(images, Generator().manual_seed(5)).mean().item() == pytest.approx(mean, abs=1e-4)


def test_a_glimpse_is_of_a_window_up_to_twice_as_large_and_off_by_a_third_of_its_side():
    glimpse = get_distortion("glimpse")
    scale, *place = glimpse.draw(2000, Generator().manual_seed(0)).T
    assert [scale.min().item(), scale.max().item()] == pytest.approx([0.9, 2], abs=0.01)
    assert [p.abs().max().item() for p in place] == pytest.approx([0.7, 0.7], abs=0.01)
    spot = blob(0, 0)
    out = glimpse.apply(spot, torch.tensor([[1.0, 0.5, -0.25]]), spot)  # 14 pixels are half of the window
    assert_close(out, blob(-7, 3.5), atol=0.05, rtol=0)
    smaller = glimpse.apply(spot, torch.tensor([[2.0, 0.0, 0.0]]), spot)
    assert smaller.sum().item() == pytest.approx(spot.sum().item() / 4, rel=0.02)
    aside = glimpse.apply(spot, torch.tensor([[2.0, 0.5, 0.0]]), spot)
    assert aside[0, 0].sum(0).argmax().item() in (6, 7)
