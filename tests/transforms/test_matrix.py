"""Affine, attention and projective: a matrix in homogeneous coordinates."""

import math

import pytest
import torch
from cases import TRANSFORMS, identity, transform
from examples import Shear
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds, uniform

import warpkit as wk

MATRICES = [(name, ndim) for name, ndim in TRANSFORMS if isinstance(transform(name, ndim), wk.MatrixTransform)]
each_matrix = pytest.mark.parametrize(("name", "ndim"), MATRICES)
POINT = torch.tensor([[[0.5, -0.25]]], dtype=torch.float64)


def test_the_built_in_matrices_serve_one_two_and_three_dimensions():
    assert {(name, ndim) for name in ("affine", "attention", "projective") for ndim in (1, 2, 3)} <= set(MATRICES)


def test_affine_is_eq_1():
    theta = torch.tensor([[1.0, 2, 3, 4, 5, 6]], dtype=torch.float64)
    assert wk.get_transform("affine")(theta, POINT).tolist() == [[[1 * 0.5 + 2 * -0.25 + 3, 4 * 0.5 + 5 * -0.25 + 6]]]


def test_attention_is_eq_2():
    theta = torch.tensor([[0.5, 0.1, -0.2]], dtype=torch.float64)
    expected = torch.tensor([[[0.5 * 0.5 + 0.1, 0.5 * -0.25 - 0.2]]], dtype=torch.float64)
    torch.testing.assert_close(wk.get_transform("attention")(theta, POINT), expected)


def test_projective_divides_by_the_third_row():
    theta = torch.tensor([[1.0, 2, 3, 4, 5, 6, 0.5, 1.0]], dtype=torch.float64)
    w = 0.5 * 0.5 + 1.0 * -0.25 + 1
    expected = torch.tensor([[[3.0 / w, 6.75 / w]]], dtype=torch.float64)
    torch.testing.assert_close(wk.get_transform("projective")(theta, POINT), expected)


def test_affine_in_three_dimensions_lists_theta_row_by_row():
    theta = torch.arange(1.0, 13)[None]
    out = wk.get_transform("affine", ndim=3)(theta, torch.tensor([[[1.0, 10, 100]]]))
    assert out.tolist() == [[[1 + 20 + 300 + 4, 5 + 60 + 700 + 8, 9 + 100 + 1100 + 12]]]


@pytest.mark.parametrize(
    ("name", "ndim", "count", "names"),
    [
        ("affine", 1, 2, None),
        ("affine", 2, 6, ("θ11", "θ12", "θ13", "θ21", "θ22", "θ23")),
        ("affine", 3, 12, None),
        ("attention", 1, 2, None),
        ("attention", 2, 3, ("s", "t_x", "t_y")),
        ("attention", 3, 4, ("s", "t_x", "t_y", "t_z")),
        ("projective", 1, 3, None),
        ("projective", 2, 8, None),
        ("projective", 3, 15, None),
    ],
)
def test_parameters_are_counted_and_named(name, ndim, count, names):
    made = wk.get_transform(name, ndim=ndim)
    assert made.num_params == len(made.param_names) == len(made.identity()) == count
    assert names is None or made.param_names == names


def test_attention_with_a_fixed_scale_leaves_the_translation():
    made = wk.get_transform("attention", scale=0.5)
    assert made.num_params == 2
    assert made(torch.tensor([[0.1, -0.2]]), POINT.float()).flatten().tolist() == pytest.approx([0.35, -0.325])
    with pytest.raises((wk.InputError, AttributeError)):
        made.identity()


@each_matrix
@given(seed=seeds)
def test_a_matrix_moves_points_as_the_transform_does(name, ndim, seed):
    made = transform(name, ndim)
    theta = identity(made, 2) + 0.2 * uniform(seed, 2, made.num_params)
    points = uniform(seed + 1, 2, 5, ndim)
    homogeneous = torch.cat([points, torch.ones(2, 5, 1)], dim=-1) @ made.matrix(theta).mT
    torch.testing.assert_close(made(theta, points), homogeneous[..., :-1] / homogeneous[..., -1:])


@each_matrix
@given(seed=seeds)
def test_from_matrix_undoes_matrix_whatever_its_scale(name, ndim, seed):
    made = transform(name, ndim)
    theta = identity(made, 3) + 0.2 * uniform(seed, 3, made.num_params)
    try:
        back = made.from_matrix(2.5 * made.matrix(theta))
    except wk.InputError:
        pytest.skip(f"{name} has no from_matrix")
    torch.testing.assert_close(back, theta)


@each_matrix
@given(seed=seeds)
def test_the_inverse_takes_points_back(name, ndim, seed):
    made = transform(name, ndim)
    theta = identity(made, 2) + 0.1 * uniform(seed, 2, made.num_params)
    points = uniform(seed + 1, 1, 6, ndim) / 2
    try:
        inverse = made.inverse(theta)
    except wk.InputError:
        pytest.skip(f"{name} has no inverse")
    torch.testing.assert_close(made(inverse, made(theta, points)), points.expand(2, -1, -1))


@pytest.mark.parametrize("name", ["affine", "attention", "projective"])
def test_a_singular_matrix_is_named_by_its_batch_entries(name):
    made = wk.get_transform(name)
    theta = identity(made, 4).clone()
    theta[1] = theta[3] = 0
    with pytest.raises(wk.InputError, match=r"singular.*\[1, 3\]"):
        made.inverse(theta)


@pytest.mark.parametrize(
    ("name", "matrix"),
    [
        ("affine", [[1, 0, 0], [0, 1, 0], [0.1, 0, 1]]),
        ("attention", [[1, 0, 0], [0, 2, 0], [0, 0, 1]]),
        ("attention", [[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
        ("projective", [[1, 0, 0], [0, 1, 0], [1, 0, 0]]),
    ],
)
def test_a_matrix_outside_the_family_is_an_error_that_names_the_batch_entry(name, matrix):
    both = torch.stack([torch.eye(3), torch.tensor(matrix)]).double()
    with pytest.raises(wk.InputError, match=r"\[1\]"):
        wk.get_transform(name).from_matrix(both)


def test_a_matrix_without_from_matrix_says_so():
    with pytest.raises(wk.InputError, match="Shear"):
        Shear().inverse(torch.zeros(1, 1))


@given(angle=st.floats(-math.pi, math.pi))
def test_matrices_are_applied_in_float64(angle):
    size, theta = (
        16384,
        torch.tensor([[math.cos(angle), -math.sin(angle), 0.1, math.sin(angle), math.cos(angle), -0.2]]),
    )
    image = torch.arange(size, dtype=torch.float64).expand(1, 1, 2, -1)  # each pixel is its own index
    out = wk.warp(image, "affine", theta, size=(1, 64), padding_mode="border")
    points = wk.lattice((1, 64), dtype=torch.float64)[None]
    x = wk.get_transform("affine")(theta.double(), points)[..., 0]
    expected = (((x + 1) * size - 1) / 2).clamp(0, size - 1)
    torch.testing.assert_close(out[:, 0], expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("scale", [-1.0, -0.01, 7.0])
def test_the_scale_of_a_homography_means_nothing_nor_its_sign(scale):
    made = wk.get_transform("projective")
    matrix = torch.tensor([[[1.1, 0.2, 0.1], [-0.1, 0.9, 0.0], [0.1, 0.3, 1.0]]], dtype=torch.float64)
    torch.testing.assert_close(made.from_matrix(scale * matrix), matrix.flatten(1)[:, :8])


def test_an_inverse_whose_visible_side_theta_cannot_say_is_refused():
    """Its last entry is −3: divided by it, what lies before the horizon would lie behind."""
    made = wk.get_transform("projective")
    theta = torch.tensor([[1.0, 0, 2, 0, 1, 0, 2, 0]], dtype=torch.float64)  # the inverse's last entry is 1 / (1 − 4)
    with pytest.raises(wk.InputError, match=r"inverse's horizon in batch entries \[0\]"):
        made.inverse(theta)


def test_points_on_and_behind_the_horizon_go_to_nan():
    theta = torch.tensor([[1.0, 0, 0, 0, 1, 0, 2.0, 0]], requires_grad=True)
    points = torch.tensor([[[0.0, 0.0], [-0.5, 0.3], [-0.9, 0.3], [0.5, 0.5]]])
    out = wk.get_transform("projective")(theta, points)
    assert torch.isnan(out).any(-1).tolist() == [[False, True, True, False]]
    out[torch.isfinite(out)].sum().backward()
    assert torch.isfinite(theta.grad).all()


def test_an_exported_matrix_takes_batches_of_any_size(unchecked):
    """A batch's size that is asked for by `len` is a number for ever."""
    names = ["affine", "attention", "projective", "translation", "euclidean", "similarity"]
    made = [wk.get_transform(name, ndim=ndim) for name in names for ndim in (2, 3)]

    class Matrices(torch.nn.Module):
        def forward(self, theta):
            return [each.matrix(theta[:, : each.num_params]) for each in made]

    theta = torch.rand(3, 15)
    program = torch.export.export(Matrices(), (theta[:2],), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.testing.assert_close(program.module()(theta), Matrices()(theta))
