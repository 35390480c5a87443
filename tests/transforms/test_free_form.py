"""Free-form deformation: a cubic B-spline of control points."""

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy.interpolate import BSpline
from strategies import seeds, uniform

import warpkit as wk


@given(seed=seeds)
def test_is_scipy_s_spline_of_the_control_points_and_one_beyond_each_edge(seed):
    made = wk.get_transform("free_form", grid=(4, 5))
    theta = uniform(seed, 1, 40)
    points = uniform(seed + 1, 1, 20, 2)
    moved = theta.reshape(4, 5, 2).numpy()
    for axis in (0, 1):
        low, high = (2 * np.take(moved, [i], axis) - np.take(moved, [j], axis) for i, j in ((0, 1), (-1, -2)))
        moved = np.concatenate([low, moved, high], axis)
    x, y = ((points[0, :, i].numpy() + 1) / 2 * (n - 1) for i, n in ((0, 5), (1, 4)))
    rows = BSpline(np.arange(-3.0, 7), moved, 3)(y)  # [M, 7, 2]
    expected = np.stack([BSpline(np.arange(-3.0, 8), row, 3)(at) for row, at in zip(rows, x, strict=True)])
    torch.testing.assert_close(made(theta, points)[0], points[0] + torch.tensor(expected))


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("grid", [2, 3, 6])
def test_control_points_on_a_line_move_everything_so(ndim, grid):
    made = wk.get_transform("free_form", grid=(grid,) * ndim)
    matrix, shift = uniform(0, ndim, ndim), uniform(1, ndim)
    control = wk.lattice((grid,) * ndim, align_corners=True, dtype=torch.float64)
    theta = (control @ matrix.T + shift).reshape(1, -1)
    points = uniform(2, 1, 9, ndim)
    torch.testing.assert_close(made(theta, points), points + points @ matrix.T + shift)


def test_a_control_point_pulls_two_thirds_of_its_way_along_each_axis():
    made = wk.get_transform("free_form", grid=(5, 5))
    theta = torch.zeros(1, 50, dtype=torch.float64)
    theta[0, 2 * 12] = 0.9  # x of the middle one
    assert made(theta, torch.zeros(1, 1, 2, dtype=torch.float64)).flatten().tolist() == pytest.approx([0.4, 0])
    far = made(theta, torch.tensor([[[1.0, 0.0]]], dtype=torch.float64))
    assert far.flatten().tolist() == pytest.approx([1.0, 0.0])


def test_a_warp_takes_pixels_where_it_takes_points():
    made, theta = wk.get_transform("free_form", grid=(4, 3)), 0.2 * uniform(0, 2, 24)
    image = uniform(1, 2, 1, 8, 9)
    for aligned in (False, True):
        points = wk.lattice((7, 6), align_corners=aligned, dtype=torch.float64)[None]
        expected = wk.sample(image, made(theta, points), align_corners=aligned)
        torch.testing.assert_close(wk.warp(image, made, theta, size=(7, 6), align_corners=aligned), expected)


def test_derivatives_in_theta():
    theta = (0.2 * uniform(0, 1, 18)).requires_grad_()
    image = uniform(1, 1, 1, 5, 6).requires_grad_()

    def warped(image, theta):
        return wk.warp(image, {"type": "free_form", "grid": [3, 3]}, theta, kernel="bicubic")

    assert torch.autograd.gradcheck(warped, (image, theta), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(warped, (image, theta), fast_mode=True)


def test_grids():
    assert wk.get_transform("free_form").num_params == 32
    assert wk.get_transform("free_form", grid=5, ndim=3).num_params == 375
    assert wk.get_transform("free_form", grid=(2, 3)).param_names[:3] == ("x1", "y1", "x2")
    for options in ({"grid": (1, 4)}, {"grid": (4, 4), "ndim": 3}):
        with pytest.raises(wk.InputError):
            wk.get_transform("free_form", **options)
