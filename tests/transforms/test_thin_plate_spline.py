"""Thin-plate splines beside SciPy's, and their limits."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator
from strategies import seeds, uniform

import warpkit as wk
from warpkit.geometry import Part

POINTS = [[-0.8, -0.9], [0.7, -0.6], [0.1, 0.2], [-0.5, 0.8], [0.9, 0.9]]


def spline(grid=(4, 4), **options):
    return wk.get_transform("thin_plate_spline", grid=grid, **options)


@pytest.mark.parametrize("grid", [(2, 2), (4, 4), (3, 5), (16, 16)])
def test_the_identity_gives_the_lattice_to_1e_6_in_float32(grid):
    made = spline(grid)
    points = wk.lattice((28, 31))[None]
    out = made(made.identity()[None], points)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, points, rtol=0, atol=1e-6)


def test_theta_is_where_each_control_point_is_sampled_from_row_by_row():
    made = spline((2, 3))
    x, y = [-1.0, 0.0, 1.0], [-1.0, 1.0]
    assert made.identity().reshape(-1, 2).tolist() == [[a, b] for b in y for a in x]
    assert made.num_params == len(made.param_names) == 12


def test_the_default_grid_is_four_by_four():
    assert wk.get_transform("thin_plate_spline").num_params == 32


@pytest.mark.parametrize("made", [spline(), spline((3, 5)), wk.get_transform("thin_plate_spline", points=POINTS)])
@given(seed=seeds)
def test_control_points_go_where_theta_says(made, seed):
    theta = uniform(seed, 2, made.num_params)
    control = made.identity().double().reshape(1, -1, 2)
    # The identity is given in float32, the control points are not.
    torch.testing.assert_close(made(theta, control).flatten(1), theta, rtol=0, atol=2e-6)


@given(seed=seeds, rows=st.integers(2, 5), columns=st.integers(2, 5))
def test_agrees_with_scipy(seed, rows, columns):
    made = spline((rows, columns))
    theta, points = 0.8 * uniform(seed, 1, made.num_params), 1.5 * uniform(seed + 1, 1, 20, 2)
    axes = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    control = np.stack(axes, axis=-1).reshape(-1, 2)
    oracle = RBFInterpolator(control, theta.reshape(-1, 2).numpy(), kernel="thin_plate_spline", degree=1)
    torch.testing.assert_close(made(theta, points)[0], torch.from_numpy(oracle(points[0].numpy())), rtol=0, atol=1e-9)


@given(seed=seeds)
def test_an_affine_theta_is_that_affine_transform_everywhere(seed):
    made, matrix = spline((3, 3)), uniform(seed, 2, 3)
    control = made.identity().double().reshape(-1, 2)
    theta = (control @ matrix[:, :2].T + matrix[:, 2]).reshape(1, -1)
    points = 3 * uniform(seed + 1, 1, 9, 2)
    torch.testing.assert_close(made(theta, points), points @ matrix[:, :2].T + matrix[:, 2], rtol=0, atol=1e-10)


def test_first_derivatives_at_the_control_points_are_finite_and_right():
    made = spline((3, 3))
    theta = (made.identity() + 0.2 * uniform(0, 18, dtype=torch.float32)).double()[None]
    control = torch.cartesian_prod(*[torch.tensor([-1.0, 0, 1], dtype=torch.float64)] * 2)[None].requires_grad_()
    jacobian = made.jacobian(theta, control)
    assert torch.isfinite(jacobian).all()
    h = 1e-5
    for j in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[j] = h
        numeric = (made(theta, control + step) - made(theta, control - step)) / (2 * h)
        torch.testing.assert_close(jacobian[..., j], numeric, rtol=0, atol=1e-6)


def test_gradients_in_theta_agree_with_finite_differences():
    made = spline((2, 3))
    theta = made.identity().double()[None] + 0.1 * uniform(0, 2, 12)
    torch.autograd.gradcheck(
        lambda t: made(t, wk.lattice((3, 4), dtype=torch.float64)[None]), (theta.requires_grad_(),)
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"points": [[0, 0], [1, 1], [2, 2]]}, "collinear"),
        ({"points": [[0, 0], [1, 0], [0, 1], [1, 0]]}, "coincide"),
        ({"points": [[0, 0], [1, 0]]}, "three"),
        ({"points": [[0, 0, 0], [1, 0, 0], [0, 1, 0]]}, r"\[x, y\]"),
        ({"points": [[0, 0], [1, 0], [0, float("nan")]]}, "finite"),
        ({"points": "corners"}, "points"),
        ({"grid": (1, 4)}, "grid"),
        ({"grid": (4, 4, 4)}, "grid"),
        ({"grid": 1}, "grid"),
        ({"grid": (2.5, 4)}, "grid"),
    ],
)
def test_impossible_control_points_are_an_error_when_it_is_built(unchecked, options, words):
    with pytest.raises(wk.InputError, match=words):
        wk.get_transform("thin_plate_spline", **options)


def test_half_precision_does_not_reach_the_solved_system():
    made = spline((8, 8)).half().float()
    points = wk.lattice((9, 9))[None]
    torch.testing.assert_close(made(made.identity()[None], points), points, rtol=0, atol=1e-6)
    theta = made.identity()[None] + 0.1 * uniform(0, 1, made.num_params, dtype=torch.float32)
    torch.testing.assert_close(made(theta, points), spline((8, 8))(theta, points), rtol=0, atol=1e-6)


def test_what_is_kept_for_a_lattice_enters_no_copy():
    made = spline()
    before, state = pickle.dumps(made), list(made.state_dict())
    image = uniform(0, 1, 1, 9, 9, dtype=torch.float32)
    theta = made.identity()[None] + 0.1 * uniform(1, 1, 32, dtype=torch.float32)
    out = wk.warp(image, made, theta)
    assert pickle.dumps(made) == before
    assert list(made.state_dict()) == state
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert torch.equal(wk.warp(image, other, theta), out)


@pytest.mark.parametrize("size", [(5, 7), (7, 5), (8, 8)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_the_basis_that_is_kept_for_a_size_gives_what_the_mapping_gives(size, align_corners):
    made = spline((3, 4))
    image, theta = uniform(0, 1, 1, 6, 6), made.identity().double()[None] + 0.1 * uniform(1, 2, 24)
    points = wk.lattice(size, align_corners=align_corners, dtype=torch.float64)[None]
    expected = wk.sample(image, made(theta, points), align_corners=align_corners)
    for _ in range(2):
        out = wk.warp(image, made, theta, size=size, align_corners=align_corners)
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)


def test_a_basis_that_was_found_under_inference_mode_can_be_trained_with():
    made, image = spline(), uniform(0, 1, 1, 7, 7, dtype=torch.float32)
    with torch.inference_mode():
        wk.warp(image, made, made.identity()[None])
    theta = made.identity()[None].clone().requires_grad_()
    wk.warp(image, made, theta).square().sum().backward()
    assert theta.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("grid", [(2, 2), (3, 4), (4, 4)], ids=str)
def test_a_part_of_an_output_has_the_bits_of_the_whole(grid, dtype):
    """Products of matrices and logarithms may be rounded by where a number stands in a list."""
    made, size = wk.get_transform("thin_plate_spline", grid=grid), (41, 77)
    theta = (made.identity() + uniform(0, made.num_params) / 10)[None].to(dtype)
    whole = made.shifts(theta, size, False)
    for y, x, h, w in [(3, 5, 7, 9), (0, 0, 11, 77), (40, 1, 1, 76), (8, 2, 1, 1), (0, 1, 41, 33)]:
        part = made.shifts(theta, size, False, Part((h, w), size, (y, x)))
        assert torch.equal(part, whole[:, y : y + h, x : x + w])
