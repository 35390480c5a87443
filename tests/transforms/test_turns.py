"""Translations, turns and similarities: hand-worked matrices, rotations of SciPy, the way back, derivatives."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from strategies import uniform
from torch.testing import assert_close

import warpkit as wk
from warpkit.transforms.rotation import rotation, rotation_vector

DOUBLE = torch.float64


def test_the_matrices_are_those_of_the_books():
    c, s = math.cos(0.3), math.sin(0.3)
    cases = {
        "translation": ([0.1, 0.2], [[1, 0, 0.1], [0, 1, 0.2], [0, 0, 1]]),
        "euclidean": ([0.3, 0.1, 0.2], [[c, -s, 0.1], [s, c, 0.2], [0, 0, 1]]),
        "similarity": ([2.0, 0.5, 0.1, 0.2], [[2, -0.5, 0.1], [0.5, 2, 0.2], [0, 0, 1]]),
    }
    for name, (theta, expected) in cases.items():
        made = wk.get_transform(name).matrix(torch.tensor([theta], dtype=DOUBLE))
        assert_close(made, torch.tensor([expected], dtype=DOUBLE))


@pytest.mark.parametrize("name", ["euclidean", "similarity"])
def test_a_quarter_turn_of_an_image_that_is_no_square_is_one_in_pixels(name):
    """Of 4 × 8 pixels the middle 4 × 4 are turned as `torch.rot90` turns them."""
    image = uniform(0, 1, 2, 4, 8)
    transform = wk.get_transform(name, aspect=2.0)
    theta = transform.from_matrix(torch.tensor([[[0, -0.5, 0], [2, 0, 0], [0, 0, 1.0]]], dtype=DOUBLE))
    turned = wk.warp(image, transform, theta)
    assert_close(turned[..., 2:6], torch.rot90(image[..., 2:6], 1, (2, 3)))
    assert wk.warp_points(torch.tensor([[[5.0, 1.5]]]), transform, theta, units="pixels", in_size=(4, 8)).tolist() == [
        [[pytest.approx(3.5), pytest.approx(0.0)]]
    ]


@pytest.mark.parametrize("length", [0.0, 1e-9, 1e-3, 0.3, 0.32, 2.0, math.pi - 1e-7, math.pi])
def test_a_rotation_vector_is_scipy_s(length):
    vector = torch.nn.functional.normalize(uniform(3, 5, 3), dim=-1) * length
    matrix = rotation(vector)
    assert_close(matrix, torch.from_numpy(Rotation.from_rotvec(vector.numpy()).as_matrix()), atol=1e-15, rtol=1e-14)
    assert_close(rotation(rotation_vector(matrix)), matrix, atol=1e-14, rtol=0)
    if length < 3:
        assert_close(rotation_vector(matrix), vector, atol=1e-14, rtol=1e-14)


@pytest.mark.parametrize("length", [0.0, 1e-5, 0.02, 0.3162, 0.3163, 1.0])
def test_a_rotation_has_two_derivatives_at_any_length(length):
    vector = (torch.nn.functional.normalize(uniform(3, 2, 3), dim=-1) * length).requires_grad_()
    assert torch.autograd.gradcheck(rotation, vector)
    assert torch.autograd.gradgradcheck(rotation, vector)
    assert torch.autograd.gradcheck(lambda v: rotation_vector(rotation(v)), vector)
    assert torch.autograd.gradgradcheck(lambda v: rotation_vector(rotation(v)), vector, atol=1e-4)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["translation", "euclidean", "similarity"])
def test_from_matrix_is_the_way_back_and_inverse_undoes(name, ndim):
    options = {} if name == "translation" else {"aspect": [1.5, 1.0, 0.7][:ndim]}
    transform = wk.get_transform(name, ndim=ndim, **options)
    theta = transform.identity() + 0.7 * uniform(1, 4, transform.num_params)
    assert_close(transform.from_matrix(transform.matrix(theta)), theta)
    points = uniform(2, 1, 9, ndim)
    assert_close(transform(transform.inverse(theta), transform(theta, points)), points.expand(4, -1, -1))
    for bad in (torch.diag(torch.tensor([-1.0] + [1] * ndim)), torch.diag(torch.tensor([2.0] + [1] * ndim))):
        with pytest.raises(wk.InputError, match=r"in batch entries \[1\]"):
            transform.from_matrix(torch.stack([transform.matrix(theta)[0], bad.double()]))


@pytest.mark.parametrize("wrong", [0, -1.0, [1.0], math.inf, [1.0, 2.0, 3.0]])
def test_an_aspect_that_is_none_is_refused(wrong):
    with pytest.raises(wk.InputError, match="aspect: expected W / H of the image"):
        wk.get_transform("euclidean", aspect=wrong)


@pytest.mark.parametrize("name", ["euclidean", "similarity"])
def test_a_photograph_is_aligned_by_a_turn(name):
    size = (60, 80)
    coarse = uniform(0, 1, 1, 12, 16).float()
    moving = 50 * wk.sample(coarse, wk.lattice(size)[None], kernel="bicubic", padding_mode="border")
    transform = wk.get_transform(name, aspect=80 / 60)
    matrix = wk.pixels.rotation((39.5, 29.5), 20, 1.0 if name == "euclidean" else 1.1)
    theta = wk.pixels.to_theta(matrix, transform, in_size=size)
    fixed = wk.warp(moving, transform, theta, kernel="bicubic")
    found = wk.align(moving, fixed, transform)
    corners = wk.lattice((2, 2), align_corners=True).reshape(1, 4, 2)
    apart = (transform(found, corners) - transform(theta, corners)) * torch.tensor([40.0, 30.0])
    assert apart.norm(dim=-1).max() < 0.3


def test_steps_compose_turns():
    net = wk.SpatialTransformer(wk.DenseLocalization([4]), "euclidean", steps=3)
    image = uniform(0, 2, 1, 12, 12).float()
    assert torch.equal(net(image), image)
    both = wk.Compose(["euclidean", "similarity"])
    theta = torch.tensor([[math.pi / 2, 0, 0, 2.0, 0, 0, 0]], dtype=DOUBLE)
    assert_close(both(theta, torch.tensor([[[0.5, 0.0]]], dtype=DOUBLE)), torch.tensor([[[0.0, 1.0]]], dtype=DOUBLE))
    assert np.allclose(both.matrix(theta)[0, :2, :2], [[0, -2], [2, 0]])
