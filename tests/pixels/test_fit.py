"""Matrices from pairs of points: known ones come back, the best ones are scikit-image's and OpenCV's."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from strategies import uniform
from torch.testing import assert_close

import warpkit as wk
from warpkit.pixels import fit

DOUBLE = torch.float64
MODELS = ("translation", "euclidean", "similarity", "affine", "projective")


def known(model, ndim):
    """A matrix of this model."""
    matrix = torch.eye(ndim + 1, dtype=DOUBLE)
    matrix[:-1, -1] = 20 * uniform(0, ndim)
    if model in ("euclidean", "similarity"):
        turn = Rotation.from_rotvec([0, 0, 2.0] if ndim == 2 else [0.3, -2.0, 1.0]).as_matrix()[:ndim, :ndim]
        matrix[:ndim, :ndim] = torch.from_numpy(turn) * (1.7 if model == "similarity" else 1)
    elif model != "translation":
        matrix[:-1] += 0.4 * uniform(1, ndim, ndim + 1)
    if model == "projective":
        matrix[-1, :-1] = 0.002 * uniform(2, ndim)
    return matrix


def moved(matrix, points):
    there = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1) @ matrix.mT
    return there[..., :-1] / there[..., -1:]


def served(model):
    return [ndim for ndim in (1, 2, 3) if ndim > 1 or model not in ("euclidean", "similarity")]


CASES = [(model, ndim) for model in MODELS for ndim in served(model)]


@pytest.mark.parametrize(("model", "ndim"), CASES)
def test_points_that_agree_give_the_matrix_back(model, ndim):
    matrix = known(model, ndim)
    source = 50 * uniform(3, 2, 12, ndim) + 300
    target = moved(matrix, source)
    for weights in (None, uniform(4, 12).abs()):
        found = fit(source, target, model, weights)
        assert_close(found, (matrix / matrix[-1, -1]).expand(2, -1, -1), atol=1e-7, rtol=1e-7)
        assert_close(moved(found, source), target, atol=1e-8, rtol=0)
    assert fit(source.float(), target.float(), model).dtype == torch.float32


@pytest.mark.parametrize(("model", "ndim"), CASES)
def test_a_weight_is_how_often_a_point_counts(model, ndim):
    source = 50 * uniform(0, 1, 8, ndim)
    target = moved(known(model, ndim), source) + uniform(1, 1, 8, ndim)
    times = torch.tensor([1, 2, 3, 1, 1, 0, 2, 1])
    repeated = [points.repeat_interleave(times, dim=1) for points in (source, target)]
    assert_close(fit(source, target, model, times), fit(*repeated, model), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("model", ["euclidean", "similarity"])
def test_the_best_turns_are_those_of_scikit_image(model):
    skimage = pytest.importorskip("skimage.transform")
    source = 50 * uniform(0, 1, 9, 2)
    target = moved(known(model, 2), source) + 0.5 * uniform(1, 1, 9, 2)
    expected = skimage.estimate_transform(model, source[0].numpy(), target[0].numpy()).params
    assert_close(fit(source, target, model)[0], torch.from_numpy(expected), atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_the_best_affine_matrix_is_numpy_s(ndim):
    source = 50 * uniform(0, 1, 9, ndim)
    target = moved(known("affine", ndim), source) + 0.5 * uniform(1, 1, 9, ndim)
    rows, *_ = np.linalg.lstsq(np.c_[source[0], np.ones(9)], target[0].numpy(), rcond=None)
    assert_close(fit(source, target)[0, :ndim], torch.from_numpy(rows.T))


@pytest.mark.parametrize(("model", "ndim"), [case for case in CASES if case[0] != "projective"])
def test_no_other_matrix_is_better(model, ndim):
    """The residual is least in every direction that the model leaves; a homography's is of an algebraic distance."""
    source = 50 * uniform(0, 1, 9, ndim)
    target = moved(known(model, ndim), source) + uniform(1, 1, 9, ndim)
    found = fit(source, target, model)

    def left(matrix):
        return (moved(matrix, source) - target).square().sum()

    for seed in range(20):
        nudged = moved(found, source) + 1e-3 * uniform(seed, 1, 9, ndim)
        assert left(fit(source, nudged, model)) >= left(found)


def test_a_homography_of_four_corners_is_opencv_s():
    source = np.float32([[10, 10], [50, 12], [48, 35], [8, 30]])
    target = np.float32([[0, 0], [59, 0], [59, 39], [0, 39]])
    expected = pytest.importorskip("cv2").getPerspectiveTransform(source, target)
    found = fit(source.astype(float), target.astype(float), "projective")
    assert_close(found[0], torch.from_numpy(expected), atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize(("model", "ndim"), CASES)
def test_gradients_pass_through_the_solution_to_second_order(model, ndim):
    """The points of a regular cross, whose singular values are all the same."""
    cross = torch.cat([torch.eye(ndim, dtype=DOUBLE), -torch.eye(ndim, dtype=DOUBLE)])
    cross = torch.cat([cross, 0.5 * cross.new_ones(1, ndim), -0.5 * cross.new_ones(1, ndim)])[None]
    target = moved(known(model, ndim), cross) + (0.1 if model != "projective" else 0.01) * uniform(5, *cross.shape)
    weights = uniform(6, 1, cross.shape[1]).abs() + 0.5
    given = [t.detach().clone().requires_grad_() for t in (cross, target, weights)]
    assert torch.autograd.gradcheck(lambda x, y, w: fit(x, y, model, w), given, atol=1e-5)
    assert torch.autograd.gradgradcheck(lambda x, y, w: fit(x, y, model, w), given, atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("model", ["euclidean", "similarity"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_gradients_are_finite_where_singular_values_meet(model, ndim):
    corners = torch.tensor([[x, y, z] for x in (0.0, 1) for y in (0.0, 1) for z in (0.0, 1)], dtype=DOUBLE)[:, :ndim]
    corners = corners.unique(dim=0).requires_grad_()
    fit(corners, 2 * corners.detach() + 1, model)[0, :ndim].square().sum().backward()
    assert corners.grad.isfinite().all()


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_mirror_image_is_turned_as_well_as_it_can_be_and_never_mirrored(ndim):
    source = uniform(0, 1, 9, ndim) * torch.tensor([3.0, 2.0, 1.0], dtype=DOUBLE)[:ndim]
    found = fit(source, source * torch.tensor([1.0, 1.0, -1.0][-ndim:], dtype=DOUBLE), "euclidean")
    assert torch.linalg.det(found).item() == pytest.approx(1)


LINE = torch.stack([torch.arange(6.0), 2 * torch.arange(6.0)], dim=-1)
GOOD = uniform(0, 6, 2).float()


@pytest.mark.parametrize(
    ("source", "target", "model", "message"),
    [
        (GOOD[:2], GOOD[:2], "affine", r"pairs of points for affine in 2-D: expected at least 3, got 2"),
        (GOOD[:3], GOOD[:3], "projective", r"pairs of points for projective in 2-D: expected at least 4, got 3"),
        (torch.stack([GOOD, LINE]), GOOD, "affine", r"determine no affine matrix, in batch entries \[1\]"),
        (torch.stack([GOOD, LINE]), GOOD, "projective", r"determine no homography, .* in batch entries \[1\]"),
        (torch.stack([GOOD, 0 * GOOD + 3]), GOOD, "similarity", r"all points at one place in batch entries \[1\]"),
        (GOOD, GOOD[:4], "affine", r"target: expected points as source has"),
        (GOOD, GOOD, "afine", "Did you mean 'affine'"),
        (GOOD[:, :1], GOOD[:, :1], "euclidean", "nothing turns in 1-D"),
        (GOOD * float("nan"), GOOD, "affine", r"source that is not finite in batch entries \[0\]"),
    ],
)
def test_points_that_determine_nothing_are_told(source, target, model, message):
    with pytest.raises(wk.InputError, match=message):
        fit(source, target, model)


@pytest.mark.parametrize("weights", [torch.zeros(6), -torch.ones(6), torch.ones(5), torch.ones(3, 2, 6)])
def test_weights_that_weigh_nothing_are_told(weights):
    with pytest.raises(wk.InputError, match="weight"):
        fit(GOOD, GOOD, "affine", weights)
