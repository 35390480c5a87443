"""Compose: points pass the first transform, then the next."""

import pytest
import torch
from examples import Shear, Swirl, Waves
from hypothesis import given
from strategies import seeds, uniform

import warpkit as wk

SCALE = torch.tensor([[2.0, 0, 0, 0, 2, 0]], dtype=torch.float64)
SHIFT = torch.tensor([[1.0, 0, 0.5, 0, 1, 0]], dtype=torch.float64)


def test_points_pass_the_first_then_the_second():
    both = wk.Compose(["affine", "affine"])
    point = torch.tensor([[[0.25, 0.0]]], dtype=torch.float64)
    assert both(torch.cat([SCALE, SHIFT], 1), point).tolist() == [[[1.0, 0.0]]]
    assert both(torch.cat([SHIFT, SCALE], 1), point).tolist() == [[[1.5, 0.0]]]


def test_is_as_if_the_image_had_been_warped_by_the_last_one_first():
    image = uniform(0, 1, 1, 9, 9)
    left = torch.tensor([[1.0, 0, 2 / 9, 0, 1, 0]], dtype=torch.float64)  # whole pixels: no interpolation in between
    turn = torch.tensor([[0.0, -1, 0, 1, 0, 0]], dtype=torch.float64)
    both = wk.warp(image, wk.Compose(["affine", "affine"]), torch.cat([turn, left], 1))
    torch.testing.assert_close(both, wk.warp(wk.warp(image, "affine", left), "affine", turn))


@pytest.mark.parametrize(
    "parts",
    [
        ["affine", "projective"],
        ["thin_plate_spline", "affine", "attention"],
        ["affine", Swirl(), Waves(), "projective", Shear()],
        [wk.Compose(["affine", "affine"]), "projective"],
    ],
    ids=["matrices", "spline first", "all kinds", "nested"],
)
@given(seed=seeds)
def test_equals_its_parts_one_after_the_other(parts, seed):
    both = wk.Compose(parts)
    assert both.num_params == sum(t.num_params for t in both.transforms) == len(both.param_names)
    theta = both.identity().double() + 0.1 * uniform(seed, 2, both.num_params)
    points = expected = uniform(seed + 1, 2, 5, 2)
    for made, part in zip(both.transforms, theta.split([t.num_params for t in both.transforms], dim=1), strict=True):
        expected = made(part, expected)
    torch.testing.assert_close(both(theta, points), expected)


@given(seed=seeds)
def test_the_matrix_is_the_product(seed):
    both = wk.Compose(["affine", "projective"])
    theta = both.identity().double() + 0.1 * uniform(seed, 2, both.num_params)
    affine, projective = wk.get_transform("affine"), wk.get_transform("projective")
    product = projective.matrix(theta[:, 6:]) @ affine.matrix(theta[:, :6])
    torch.testing.assert_close(both.matrix(theta), product)


def test_a_composition_with_a_curved_part_has_no_matrix():
    with pytest.raises(wk.InputError, match="Swirl"):
        wk.Compose(["affine", Swirl()]).matrix(torch.zeros(1, 7))


def test_a_horizon_is_judged_on_the_product():
    both = wk.Compose(["projective", "projective"])
    away = torch.tensor([[1.0, 0, 0, 0, 1, 0, 2.0, 0]], dtype=torch.float64)  # x = −0.8 lies behind its horizon
    back = torch.tensor([[1.0, 0, 0, 0, 1, 0, -2.0, 0]], dtype=torch.float64)  # and this is its inverse
    points = wk.lattice((3, 5), dtype=torch.float64)[None]
    theta = torch.cat([away, back], 1)
    torch.testing.assert_close(both(theta, points), points)
    image = uniform(0, 1, 1, 6, 10)
    torch.testing.assert_close(wk.warp(image, both, theta), image)


def test_a_horizon_of_a_part_before_a_curved_one_stays():
    both = wk.Compose(["projective", Swirl(), "affine"])
    theta = both.identity().double()[None].clone()
    theta[0, 6] = 2.0
    theta.requires_grad_()
    out = both(theta, torch.tensor([[[-0.8, 0.0], [0.3, 0.1]]], dtype=torch.float64))
    assert torch.isnan(out).any(-1).tolist() == [[True, False]]
    out[torch.isfinite(out)].sum().backward()
    assert torch.isfinite(theta.grad).all()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "at least one|one transform"),
        (["affine", {"type": "affine", "ndim": 3}], "dimensions"),
        (["affin"], "affine"),
        ([wk.get_kernel("bilinear")], "transform"),
        ("affine", "affine"),
    ],
)
def test_wrong_parts_are_told(unchecked, parts, words):
    with pytest.raises(wk.InputError, match=words):
        wk.Compose(parts)


def test_parts_are_given_as_names_tables_or_objects():
    both = wk.Compose(["affine", {"type": "attention", "scale": 0.5}, Swirl()])
    assert both.num_params == 6 + 2 + 1
    assert both.ndim == 2
