"""Unrolled pictures: against SciPy, there and back, and where there is no direction."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from strategies import uniform
from torch.testing import assert_close

import warpkit as wk


@pytest.mark.parametrize("log", [False, True])
def test_a_pixel_is_at_its_radius_and_its_angle(log):
    """The picture is 40 × 60, the centre at x = 25, y = 22, the largest circle 16 pixels, the least one 1.6."""
    picture = gaussian_filter(np.random.default_rng(0).random((40, 60)), 1)
    out_rows, out_columns = 36, 20
    j, i = np.mgrid[:out_rows, :out_columns]
    part = (i + 0.5) / out_columns
    r = 16 * 0.1 ** (1 - part) if log else 16 * part
    angle = 2 * np.pi * (j + 0.5) / out_rows
    expected = map_coordinates(picture, [22 + r * np.sin(angle), 25 + r * np.cos(angle)], order=1)
    transform = wk.get_transform("polar", log=log, radius=16 / 20, inner=0.1, aspect=1.5)
    theta = torch.tensor([[(25 + 0.5) / 30 - 1, (22 + 0.5) / 20 - 1]], dtype=torch.float64)
    found = wk.warp(torch.from_numpy(picture)[None, None], transform, theta, size=(out_rows, out_columns))
    assert_close(found[0, 0], torch.from_numpy(expected))


@pytest.mark.parametrize("log", [False, True])
def test_there_and_back(log):
    options = {"log": log, "radius": 1.3, "inner": 0.02, "aspect": 0.8}
    there, back = (wk.get_transform(name, **options) for name in ("polar", "inverse_polar"))
    theta = 0.2 * uniform(0, 3, 2)
    points = 0.8 * uniform(1, 3, 200, 2)
    assert_close(there(theta, back(theta, points)), points)
    assert_close(back(theta, there(theta, points)), points)
    assert_close(there.inverse_points(theta, points), back(theta, points))
    assert_close(back.inverse_points(theta, points), there(theta, points))
    with pytest.raises(wk.InputError, match="inverse_polar is its inverse, with the same θ"):
        there.inverse(theta)


@pytest.mark.parametrize("log", [False, True])
def test_the_centre_has_no_direction_and_harms_no_gradient(log):
    rolled = wk.get_transform("inverse_polar", log=log)
    theta = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    points = torch.tensor([[[0.0, 0.0], [0.3, 0.4]]], dtype=torch.float64)
    found = rolled(theta, points)
    assert found.isfinite().all()
    assert found[0, 0, 0] <= -1 + 1e-6
    (slope,) = torch.autograd.grad(found.sum(), theta)
    (alone,) = torch.autograd.grad(rolled(theta, points[:, 1:]).sum(), theta)
    assert_close(slope, alone)
    assert wk.get_transform("polar").inverse_points(theta, points)[0].isnan().tolist() == [[True] * 2, [False] * 2]


def test_the_angle_goes_clockwise_from_the_right():
    edges = torch.tensor([[[1.0, -1.0], [1.0, -0.5], [1.0, 0.0], [1.0, 0.5]]])
    around = [[1, 0], [0, 1], [-1, 0], [0, -1]]
    assert_close(
        wk.get_transform("polar")(torch.zeros(1, 2), edges)[0], torch.tensor(around).float(), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("wrong", [{"radius": 0}, {"radius": math.nan}, {"inner": 1.0}, {"aspect": -1}])
def test_options_that_make_no_circle_are_refused(wrong):
    with pytest.raises(wk.InputError, match=next(iter(wrong))):
        wk.get_transform("polar", **wrong)
