"""Losses of warps, in output pixels."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import seeds, uniform

import warpkit as wk
from warpkit import losses

AFFINE = torch.tensor([[1.3, 0.2, 0.1, -0.1, 0.9, 0.3], [1.0, 0, 0.5, 0, 1, 0.25]], dtype=torch.float64)


def in_pixels(u, **options):
    """A displacement in pixels, its θ."""
    return wk.get_transform("displacement", ndim=u.shape[1], units="pixels", **options), u


@pytest.mark.parametrize("aligned", [False, True])
def test_diffusion_of_an_affine_map_is_its_matrix_less_one_squared_in_pixels(aligned):
    h, w = 8, 12
    ratio = (w - 1) / (h - 1) if aligned else w / h
    found = losses.diffusion("affine", AFFINE, (h, w), align_corners=aligned)
    expected = 0.3**2 + (0.2 * ratio) ** 2 + (0.1 / ratio) ** 2 + 0.1**2
    torch.testing.assert_close(found, torch.tensor([expected, 0.0], dtype=torch.float64))
    assert losses.bending("affine", AFFINE, (h, w)).abs().max() < 1e-20


def test_bending_of_a_parabola_is_its_second_derivative():
    y, x = torch.meshgrid(torch.arange(9.0, dtype=torch.float64), torch.arange(7.0, dtype=torch.float64), indexing="ij")
    u = torch.stack([0.3 * x * x + 0.2 * x * y, 0.1 * y * y])[None]
    found = losses.bending(*in_pixels(u), (9, 7))
    assert found.item() == pytest.approx(0.6**2 + 2 * 0.2**2 + 0.2**2)
    assert losses.diffusion(*in_pixels(torch.stack([0.5 * y, 0 * y])[None]), (9, 7)).item() == pytest.approx(0.25)


def folded(at):
    """By hand: of every cell, whether the triangle or tetrahedron of a corner and its neighbours is turned over."""
    d, sizes, bad, total = at.shape[-1], at.shape[:-1], 0, 0
    for cell in itertools.product(*(range(n - 1) for n in sizes)):
        signs = []
        for bits in itertools.product((0, 1), repeat=d):
            here = at[tuple(c + b for c, b in zip(cell, bits, strict=True))]
            edges = []
            for axis in reversed(range(d)):  # x first
                other = [1 - b if i == axis else b for i, b in enumerate(bits)]
                there = at[tuple(c + b for c, b in zip(cell, other, strict=True))]
                edges.append((there - here) * (1 - 2 * bits[axis]))
            signs.append(np.linalg.det(np.stack(edges)) > 0)
        if d == 3:
            for parity in (0, 1):
                corners = [b for b in itertools.product((0, 1), repeat=3) if sum(b) % 2 == parity]
                p = [at[tuple(c + b for c, b in zip(cell, bits, strict=True))] for bits in corners]
                q = [np.array(bits[::-1]) for bits in corners]
                volume, flat = (np.linalg.det(np.stack([v - vs[0] for v in vs[1:]])) for vs in (p, q))
                signs.append(volume * flat > 0)
        bad, total = bad + (not all(signs)), total + 1
    return bad / total


@pytest.mark.parametrize("size", [(7,), (5, 6), (3, 4, 5)], ids=str)
@given(seed=seeds)
def test_folding_is_the_share_of_cells_with_a_simplex_turned_over(size, seed):
    u = 0.6 * uniform(seed, 1, len(size), *size)
    at = u[0].movedim(0, -1).numpy() + np.stack(np.meshgrid(*map(np.arange, size), indexing="ij")[::-1], -1)
    assert losses.folding(*in_pixels(u), size).item() == pytest.approx(folded(at))


def test_folding_sees_a_checkerboard_that_central_differences_do_not():
    u = torch.zeros(1, 2, 9, 9)
    u[0, 0, ::2, ::2], u[0, 0, ::2, 1::2] = 0.7, -0.7
    assert losses.folding(*in_pixels(u), (9, 9)).item() == 0.5
    assert losses.folding("affine", AFFINE, (5, 5)).tolist() == [0, 0]
    assert losses.folding("affine", torch.tensor([[-1.0, 0, 0, 0, 1, 0]]), (5, 5)).item() == 1


def test_the_hinge_is_the_mean_of_what_determinants_lack():
    half = torch.tensor([[0.5, 0, 0, 0, 1, 0]], dtype=torch.float64)
    assert losses.folding_hinge("affine", half, (6, 6)).item() == 0
    assert losses.folding_hinge("affine", half, (6, 6), margin=0.7).item() == pytest.approx(0.2)
    flipped = torch.tensor([[-0.5, 0, 0, 0, 1, 0]], dtype=torch.float64)
    assert losses.folding_hinge("affine", flipped, (6, 6)).item() == pytest.approx(0.5)


def test_there_and_back_is_nothing_for_an_inverse_and_in_pixels_else():
    affine = wk.get_transform("affine")
    found = losses.inverse_consistency(affine, AFFINE, affine, affine.inverse(AFFINE), (8, 12))
    assert found.max() < 1e-20
    away = torch.tensor([[1.0, 0, 0.5, 0, 1, 0.25]], dtype=torch.float64)
    u = torch.zeros(1, 2, 8, 12, dtype=torch.float64)
    found = losses.inverse_consistency("affine", away, *in_pixels(u), (8, 12))
    assert found.item() == pytest.approx(3**2 + 1**2)
    v = torch.nn.functional.interpolate(0.1 * uniform(0, 1, 2, 4, 4), size=(32, 32), mode="bicubic")
    velocity = wk.get_transform("velocity")
    assert losses.inverse_consistency(velocity, v, velocity, -v, (32, 32)).item() < 0.01


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


@pytest.mark.parametrize("size", [(20,), (9, 12), (6, 7, 8)], ids=str)
@pytest.mark.parametrize("window", [None, 5])
def test_ncc_is_one_less_the_mean_of_correlations(size, window):
    a, b = uniform(0, 2, 2, *size), uniform(1, 2, 2, *size) + 3
    wide = [n if window is None else window for n in size]
    starts = list(itertools.product(*(range(n - w + 1) for n, w in zip(size, wide, strict=True))))
    for n in range(2):
        each = [
            correlation(
                *(x[n, c][tuple(slice(s, s + w) for s, w in zip(start, wide, strict=True))].numpy() for x in (a, b))
            )
            for c in range(2)
            for start in starts
        ]
        assert losses.ncc(a, b, window)[n].item() == pytest.approx(1 - np.mean(each))


def test_ncc_sees_neither_brightness_nor_contrast_and_flat_parts_have_no_say():
    a = uniform(0, 1, 1, 16, 16, dtype=torch.float32)
    a[..., :10] = 0.5
    assert losses.ncc(a, 3 * a + 100).item() == pytest.approx(0, abs=1e-3)
    assert losses.ncc(a, -a, None).item() == pytest.approx(2)
    assert losses.ncc(torch.ones(1, 1, 9, 9), a[..., :9, :9]).item() == 0


@pytest.mark.parametrize(
    "loss",
    [
        losses.diffusion,
        losses.bending,
        lambda t, theta, size: losses.folding_hinge(t, theta, size, margin=1.0),
        lambda t, theta, size: losses.inverse_consistency(t, theta, "affine", AFFINE[:1], size),
    ],
    ids=["diffusion", "bending", "hinge", "inverse"],
)
@pytest.mark.parametrize("name", ["projective", "thin_plate_spline", "displacement", "velocity", "free_form"])
def test_gradients(loss, name):
    made = wk.get_transform(name)
    shape = (2, *[3] * 2) if made.is_field else (made.num_params,)
    theta = (made.identity().double().expand(shape) + 0.1 * uniform(0, *shape))[None].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda t: loss(made, t, (4, 5)), theta)
    assert torch.autograd.gradgradcheck(lambda t: loss(made, t, (4, 5)), theta)


def test_gradients_of_ncc():
    a, b = uniform(0, 2, 1, 4, 5).requires_grad_(), uniform(1, 1, 1, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: losses.ncc(a, b, 3), (a, b))
    assert torch.autograd.gradgradcheck(lambda a, b: losses.ncc(a, b, 3), (a, b))


def test_a_place_that_goes_nowhere_has_no_say_and_no_gradient():
    u = 0.1 * uniform(0, 2, 2, 6, 6)
    u[0, 1, 2, 2] = torch.nan
    u.requires_grad_()
    made, _ = in_pixels(u)
    for loss in (losses.diffusion, losses.bending, losses.folding_hinge):
        (found,) = torch.autograd.grad(loss(made, u, (6, 6)).sum(), u)
        assert found.isfinite().all()
    assert losses.folding(made, u, (6, 6)).tolist() == [pytest.approx(4 / 25), 0]


def test_of_any_transform_by_name_and_of_a_composition():
    both = wk.Compose(["affine", "displacement"])
    theta = (AFFINE, 0.1 * uniform(0, 1, 2, 4, 4))
    assert losses.diffusion(both, theta, (6, 6)).shape == (2,)
    assert losses.diffusion("affine", torch.eye(3, 4).reshape(1, 12), (4, 5, 6)).item() == 0
    assert math.isclose(losses.diffusion({"type": "free_form", "grid": [3, 3]}, torch.zeros(1, 18), (5, 5)).item(), 0)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: losses.diffusion("affine", AFFINE, (1, 5)), "size: expected at least 2"),
        (lambda: losses.bending("affine", AFFINE, (2, 5)), "size: expected at least 3"),
        (lambda: losses.bending("affine", AFFINE[:, :5], (5, 5)), "for Affine"),
        (lambda: losses.folding(wk.get_transform("affine"), AFFINE, (5, 5, 5)), "size: expected 2"),
        (lambda: losses.ncc(AFFINE, AFFINE), "a: expected"),
        (lambda: losses.ncc(torch.zeros(1, 1, 4), torch.zeros(1, 1, 5)), "an image of the shape of a"),
        (lambda: losses.ncc(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4), 1), "window"),
        (lambda: losses.folding_hinge("affine", AFFINE, 5, margin=math.nan), "margin"),
    ],
)
def test_what_does_not_fit_is_told(call, told):
    with pytest.raises(wk.InputError, match=told):
        call()


def test_what_is_no_number_is_never_perfect():
    image, nothing = torch.rand(1, 1, 12, 12), torch.full((1, 2, 8, 8), torch.nan)
    spoilt = image.clone()
    spoilt[0, 0, 0, 0] = torch.nan
    assert losses.ncc(spoilt, 1 - image).isnan().all()
    for loss in (losses.diffusion, losses.bending, losses.folding_hinge):
        assert loss("displacement", nothing, (8, 8)).isnan().all()
    assert losses.inverse_consistency("displacement", nothing, "displacement", nothing, (8, 8)).isnan().all()
