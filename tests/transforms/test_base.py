"""What every transform has: shapes, batches, jacobians, and points that are not finite."""

import pytest
import torch
from cases import TRANSFORMS, WITH_IDENTITY, identity, start, transform
from examples import Shear, Swirl, Waves
from hypothesis import given, settings
from strategies import seeds, uniform

import warpkit as wk

EVERY = [transform(*case) for case in TRANSFORMS] + [Swirl(), Shear(), Waves()]
each = pytest.mark.parametrize("made", EVERY, ids=[f"{n}-{d}d" for n, d in TRANSFORMS] + ["swirl", "shear", "waves"])


def some_theta(made: wk.Transform, seed: int, batch: int) -> torch.Tensor:
    return start(made, batch) + 0.1 * uniform(seed, batch, made.num_params)


@pytest.mark.parametrize("made", [transform(*case) for case in WITH_IDENTITY] + [Swirl(), Shear(), Waves()])
@given(seed=seeds)
def test_the_identity_leaves_points_where_they_are(made, seed):
    points = 1.2 * uniform(seed, 2, 7, made.ndim, dtype=torch.float32)
    torch.testing.assert_close(made(identity(made, 2, torch.float32), points), points, rtol=0, atol=1e-6)


@each
def test_parameters_have_a_name_each(made):
    assert len(made.param_names) == len(set(made.param_names)) == made.num_params == start(made).shape[1]


@each
@settings(max_examples=4)
@given(seed=seeds)
def test_batches_of_theta_and_points_are_equal_or_shared(made, seed):
    theta, points = some_theta(made, seed, 3), uniform(seed, 3, 4, made.ndim)
    each_alone = torch.cat([made(theta[i : i + 1], points[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(made(theta, points), each_alone)
    torch.testing.assert_close(made(theta, points[:1]), torch.cat([made(t[None], points[:1]) for t in theta]))
    torch.testing.assert_close(made(theta[:1], points), torch.cat([made(theta[:1], p[None]) for p in points]))


@each
def test_points_keep_their_shape(made):
    theta, points = some_theta(made, 0, 2), uniform(1, 2, 3, 4, 5, made.ndim)
    out = made(theta, points)
    assert out.shape == points.shape
    torch.testing.assert_close(out, made(theta, points.flatten(1, 3)).reshape(out.shape))
    assert made(theta, points[:, 0, 0, 0]).shape == (2, made.ndim)


@each
def test_no_points_and_no_batch_give_no_result(made):
    theta = some_theta(made, 0, 2)
    assert made(theta, torch.zeros(1, 0, made.ndim, dtype=torch.float64)).shape == (2, 0, made.ndim)
    assert made(theta[:0], torch.zeros(1, 3, made.ndim, dtype=torch.float64)).shape == (0, 3, made.ndim)


@each
@settings(max_examples=4)
@given(seed=seeds)
def test_the_jacobian_agrees_with_finite_differences(made, seed):
    theta, points, h = some_theta(made, seed, 2), 0.9 * uniform(seed + 1, 2, 2, 3, made.ndim), 1e-6
    jacobian = made.jacobian(theta, points)
    assert jacobian.shape == (2, 2, 3, made.ndim, made.ndim)
    for j, step in enumerate(h * torch.eye(made.ndim, dtype=torch.float64)):
        numeric = (made(theta, points + step) - made(theta, points - step)) / (2 * h)
        torch.testing.assert_close(jacobian[..., j], numeric, rtol=0, atol=1e-6)


@each
def test_the_jacobian_is_differentiable_in_theta(made):
    theta, points = some_theta(made, 0, 1).requires_grad_(), 0.9 * uniform(1, 1, 2, made.ndim)
    torch.autograd.gradcheck(lambda t: made.jacobian(t, points), (theta,), fast_mode=True)


@each
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_point_that_is_not_finite_stays_so_and_harms_no_gradient(made, bad):
    theta, points = some_theta(made, 0, 2).requires_grad_(), uniform(1, 2, 3, made.ndim)
    points[0, 1, 0] = bad
    points.requires_grad_()
    out = made(theta, points)
    assert not torch.isfinite(out[0, 1]).any()
    kept = torch.isfinite(out)
    assert kept.sum() == 5 * made.ndim
    out[kept].sum().backward()
    assert torch.isfinite(theta.grad).all()
    assert torch.isfinite(points.grad).all()


@each
def test_points_are_computed_in_float32_at_least(made):
    theta, points = some_theta(made, 0, 1).half(), uniform(1, 1, 3, made.ndim).bfloat16()
    assert made(theta, points).dtype == torch.float32
    assert made(theta.double(), points).dtype == torch.float64


@pytest.mark.parametrize(
    ("theta", "points", "words"),
    [
        (torch.zeros(1, 5), torch.zeros(1, 3, 2), r"6.*\[1, 5\]"),
        (torch.zeros(6), torch.zeros(1, 3, 2), r"\[6\]"),
        (torch.zeros(1, 6, dtype=torch.int64), torch.zeros(1, 3, 2), "int64"),
        ([[1.0, 0, 0, 0, 1, 0]], torch.zeros(1, 3, 2), "theta"),
        (torch.zeros(1, 6), torch.zeros(1, 3, 3), r"\[1, 3, 3\]"),
        (torch.zeros(1, 6), torch.zeros(2), r"\[2\]"),
        (torch.zeros(1, 6), torch.zeros(1, 3, 2, dtype=torch.int32), "int32"),
        (torch.zeros(2, 6), torch.zeros(3, 3, 2), "batch"),
    ],
)
def test_wrong_theta_or_points_are_told(unchecked, theta, points, words):
    for call in (wk.get_transform("affine"), wk.get_transform("affine").jacobian):
        with pytest.raises(wk.InputError, match=words):
            call(theta, points)


def test_a_transform_without_a_formula_says_which():
    made = type("Unfinished", (wk.Transform,), {"ndim": 2, "num_params": 1})()
    with pytest.raises(NotImplementedError, match="Unfinished"):
        made(torch.zeros(1, 1), torch.zeros(1, 1, 2))


class Careless(wk.Transform):
    ndim, num_params = 2, 1

    def forward(self, theta, points):
        return points[:, :1]


class CarelessMatrix(wk.MatrixTransform):
    ndim, num_params = 2, 1

    def matrix(self, theta):
        return torch.eye(2)[None]


class Shared(wk.MatrixTransform):
    """A transform with one matrix, whatever θ is."""

    ndim, num_params = 2, 1

    def matrix(self, theta):
        return torch.eye(3, dtype=theta.dtype)[None]


class Dome(wk.BasisTransform):
    ndim, num_params = 2, 2

    def __init__(self):
        super().__init__()
        self.height = 1.0

    def basis(self, points):
        return self.height * (1 - points.square().sum(-1, keepdim=True))

    def coefficients(self, theta):
        return theta[:, None]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("made", "method"), [(Careless(), "forward"), (CarelessMatrix(), "matrix")])
def test_a_plugin_that_gives_another_shape_is_named(made, method):
    with pytest.raises(wk.InputError, match=rf"{type(made).__name__}\.{method}: expected"):
        wk.warp(torch.zeros(1, 1, 4, 4), made, torch.zeros(2, 1))


def test_one_matrix_for_all_is_one_result_for_each():
    assert wk.warp(torch.zeros(1, 1, 4, 4), Shared(), torch.zeros(3, 1)).shape == (3, 1, 4, 4)


def test_a_basis_whose_option_changes_is_computed_again():
    image, theta, dome = torch.rand(1, 1, 6, 6), torch.tensor([[0.3, 0.2]]), Dome()
    wk.warp(image, dome, theta)
    dome.height = 0.0
    torch.testing.assert_close(wk.warp(image, dome, theta), image)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("matrix", [torch.eye(4)[None], torch.eye(3), None])
def test_a_matrix_of_another_shape_has_no_theta(matrix):
    with pytest.raises(wk.InputError, match=r"matrix: expected \[N, 3, 3\]"):
        wk.get_transform("affine").from_matrix(matrix)


def test_what_is_not_finite_has_no_inverse_and_is_named():
    theta = torch.eye(2, 3).flatten().repeat(3, 1)
    theta[1, 0] = torch.nan
    with pytest.raises(wk.InputError, match=r"singular matrix in batch entries \[1\]"):
        wk.get_transform("affine").inverse(theta)
