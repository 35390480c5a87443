"""Turns, moves and cuts in pixels: the numbers of OpenCV, the formulas of torchvision, boxes by hand."""

import math

import numpy as np
import pytest
import torch
from strategies import uniform
from torch.testing import assert_close

import warpkit as wk

DOUBLE = torch.float64


@pytest.mark.parametrize(("center", "degrees", "scale"), [((10.5, 7), 30, 1.2), ((0, 0), -400.5, 0.3), ((3, 4), 0, 1)])
def test_a_rotation_has_opencv_s_numbers(center, degrees, scale):
    expected = pytest.importorskip("cv2").getRotationMatrix2D(center, degrees, scale)
    found = wk.pixels.rotation(center, degrees, scale)
    assert_close(found[0, :2], torch.from_numpy(expected), atol=1e-12, rtol=1e-12)
    assert found[0, 2].tolist() == [0, 0, 1]


def test_a_positive_angle_turns_the_picture_counter_clockwise_and_affine_s_clockwise():
    image = uniform(0, 1, 1, 5, 5)
    for matrix, turns in ((wk.pixels.rotation((2, 2), 90), 1), (wk.pixels.affine((2, 2), degrees=90), -1)):
        theta = wk.pixels.to_theta(matrix, in_size=(5, 5))
        assert_close(wk.warp(image, "affine", theta), torch.rot90(image, turns, (2, 3)))


def torchvision_s(center, degrees, translate, scale, shear):
    """Its documentation's product, T · C · R · Shear_y · Shear_x · S · C⁻¹, factor by factor."""
    a, sx, sy = (math.radians(angle) for angle in (degrees, *shear))

    def moved(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])

    turn = np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
    shear_y = np.array([[1, 0, 0], [-math.tan(sy), 1, 0], [0, 0, 1]])
    shear_x = np.array([[1, -math.tan(sx), 0], [0, 1, 0], [0, 0, 1]])
    return (
        moved(*translate)
        @ moved(*center)
        @ turn
        @ shear_y
        @ shear_x
        @ np.diag([scale, scale, 1])
        @ moved(-center[0], -center[1])
    )


@pytest.mark.parametrize(
    "how",
    [
        {"degrees": 30.0},
        {"translate": (3.0, -2.0)},
        {"scale": 1.4},
        {"shear": (10.0, 0.0)},
        {"shear": (-7.0, 12.0)},
        {"degrees": -120.0, "translate": (1.0, 5.0), "scale": 0.7, "shear": (15.0, -25.0)},
    ],
)
def test_an_affine_move_is_torchvision_s(how):
    center = (9.5, 14.0)
    given = {"degrees": 0.0, "translate": (0.0, 0.0), "scale": 1.0, "shear": (0.0, 0.0)} | how
    expected = torchvision_s(center, **given)
    assert_close(wk.pixels.affine(center, **how)[0], torch.from_numpy(expected))


def test_each_image_of_a_batch_has_its_own_numbers_and_gradients():
    center = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=DOUBLE, requires_grad=True)
    degrees = torch.tensor([20.0, -50.0], dtype=DOUBLE, requires_grad=True)
    shear = torch.tensor([[5.0, 7.0]], dtype=DOUBLE, requires_grad=True)
    each = torch.cat([wk.pixels.affine(c, degrees=d, shear=shear) for c, d in zip(center, degrees, strict=True)])
    assert_close(wk.pixels.affine(center, degrees=degrees, shear=shear), each)
    assert torch.autograd.gradcheck(lambda c, d, s: wk.pixels.affine(c, degrees=d, shear=s), (center, degrees, shear))
    assert torch.autograd.gradcheck(wk.pixels.rotation, (center, degrees))


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_crop_is_the_pixels_in_the_box(align_corners):
    image = uniform(0, 1, 2, 9, 12)
    theta = wk.pixels.to_theta(
        wk.pixels.crop((3, 2, 10, 6), (4, 7)), in_size=(9, 12), out_size=(4, 7), align_corners=align_corners
    )
    cut = wk.warp(image, "affine", theta, size=(4, 7), align_corners=align_corners)
    assert_close(cut, image[:, :, 2:6, 3:10])


def test_a_crop_that_is_resized_is_interpolate_s():
    image = uniform(0, 1, 2, 9, 12)
    theta = wk.pixels.to_theta(wk.pixels.crop((2, 1, 8, 7), (13, 11)), in_size=(9, 12), out_size=(13, 11))
    cut = wk.warp(image, "affine", theta, size=(13, 11), padding_mode="border")
    expected = torch.nn.functional.interpolate(image[:, :, 1:7, 2:8], size=(13, 11), mode="bilinear")
    assert_close(cut[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2])


def test_a_crop_of_a_volume_has_six_edges():
    image = uniform(0, 1, 1, 5, 6, 7)
    theta = wk.pixels.to_theta(wk.pixels.crop((1, 2, 0, 5, 6, 3), (3, 4, 4)), in_size=(5, 6, 7), out_size=(3, 4, 4))
    assert_close(wk.warp(image, "affine", theta, size=(3, 4, 4)), image[:, :, :3, 2:6, 1:5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wk.pixels.rotation((1, 2, 3), 30), "center: expected 2 numbers"),
        (lambda: wk.pixels.rotation((1, 2), [[30]]), r"degrees: expected a number, or \[N\]"),
        (lambda: wk.pixels.rotation(torch.zeros(2, 2), [1, 2, 3]), "batches: expected one size"),
        (lambda: wk.pixels.rotation("here", 30), "center: expected numbers"),
        (lambda: wk.pixels.affine((1, 2), degrees=1j), "degrees: expected"),
        (lambda: wk.pixels.crop((1, 2, 1, 5), (3, 3)), "box: expected a box with an extent"),
        (lambda: wk.pixels.crop((1, 2, 3), (3, 3)), "box: expected"),
        (lambda: wk.pixels.crop((1, 2, 3, 4), (3, 3, 3)), "size: expected 2 positive integers"),
    ],
)
def test_what_makes_no_matrix_is_told(call, message):
    with pytest.raises(wk.InputError, match=message):
        call()
