"""Compose: points pass the first transform, then the next."""

import pytest
import torch
from examples import Shear, Swirl, Waves
from hypothesis import given, settings
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


def test_names_follow_the_dimension_of_the_objects_among_them():
    field = wk.get_transform("displacement", ndim=3)
    assert wk.Compose(["affine", field, "euclidean"]).num_params == 12 + field.num_params + 6


PARTS = ["affine", "projective", "displacement", "thin_plate_spline", Swirl(), "velocity", "affine"]


def thetas(made, seed, batch=2):
    """One near the identity for each part, fields of a few places."""
    shapes = [(2, 4, 5) if part.is_field else (part.num_params,) for part in made.transforms]
    starts = [part.identity().double().expand(shape) for part, shape in zip(made.transforms, shapes, strict=True)]
    return tuple(start + 0.05 * uniform(seed + i, batch, *start.shape) for i, start in enumerate(starts))


@settings(max_examples=4)
@given(seed=seeds)
def test_with_fields_theta_is_a_tuple(seed):
    both = wk.Compose(PARTS)
    theta, points = thetas(both, seed), 0.8 * uniform(seed, 1, 6, 2)
    expected, whole = points, torch.eye(2, dtype=torch.float64)
    for part, own in zip(both.transforms, theta, strict=True):
        whole = part.jacobian(own, expected) @ whole
        expected = part(own, expected)
    torch.testing.assert_close(both(theta, points), expected)
    torch.testing.assert_close(both.jacobian(theta, points), whole)
    torch.testing.assert_close(both.jacobian(theta, points), wk.Transform.jacobian(both, theta, points))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("first", [0, 2, 5])
def test_with_fields_pixels_go_where_points_go(first, aligned):
    both = wk.Compose(PARTS[first:] + PARTS[:first])
    image, theta = uniform(0, 2, 3, 8, 9), thetas(both, 1)
    points = wk.lattice((7, 6), align_corners=aligned, dtype=torch.float64)[None]
    found = wk.warp(image, both, theta, size=(7, 6), align_corners=aligned)
    torch.testing.assert_close(found, wk.sample(image, both(theta, points), align_corners=aligned))


def test_with_fields_the_image_is_read_once_and_the_identity_is_exact(monkeypatch):
    from warpkit import antialias

    read = []
    monkeypatch.setattr(antialias, "resample", lambda *given: read.append(given[2]) or resample(*given))
    from warpkit.sampling.sampler import resample

    both, image = wk.Compose(PARTS), uniform(0, 2, 1, 9, 14, dtype=torch.float32)
    start = tuple(part[None] for part in both.identity())
    assert torch.equal(wk.warp(image, both, start), image)
    assert read == ["shifts"]


def test_with_fields_derivatives_in_every_theta():
    both = wk.Compose(["affine", "displacement", "velocity"])
    image = uniform(9, 1, 1, 4, 5).requires_grad_()
    theta = [t.requires_grad_() for t in thetas(both, 3, 1)]

    def warped(image, *theta):
        return wk.warp(image, both, theta, kernel="bicubic")

    assert torch.autograd.gradcheck(warped, (image, *theta))
    assert torch.autograd.gradgradcheck(warped, (image, *theta), fast_mode=True)


def test_inverted_is_the_parts_inverses_in_reverse_order():
    both = wk.Compose(["affine", {"type": "velocity", "kernel": {"type": "bicubic", "a": -0.5}}, "projective"])
    smooth = torch.nn.functional.interpolate(0.1 * uniform(2, 2, 2, 4, 4), size=(40, 40), mode="bicubic")
    affine, _, projective = thetas(both, 0)
    theta, points = (affine, smooth, projective), 0.7 * uniform(1, 1, 9, 2)
    back, undone = both.inverted(theta)
    torch.testing.assert_close(back(undone, both(theta, points)), points.expand(2, -1, -1), rtol=0, atol=1e-3)
    with pytest.raises(wk.InputError, match="reverse order"):
        both.inverse(theta)
    with pytest.raises(wk.InputError, match="Displacement has no inverse"):
        wk.Compose(["affine", "displacement"]).inverted((affine, smooth))


def test_the_same_parts_in_reverse_have_an_inverse_of_their_own():
    both = wk.Compose(["affine", "projective", "affine"])
    theta = both.identity().double() + 0.1 * uniform(0, 2, both.num_params)
    points = 0.5 * uniform(1, 1, 9, 2)
    torch.testing.assert_close(both(both.inverse(theta), both(theta, points)), points.expand(2, -1, -1))
    with pytest.raises(wk.InputError, match="reverse order"):
        wk.Compose(["affine", {"type": "attention"}]).inverse(torch.zeros(1, 9))


@pytest.mark.parametrize(
    ("theta", "told"),
    [
        (
            torch.zeros(1, 8),
            "expected a tuple (Affine, Displacement), since one of the parts is a field, got <Tensor [1, 8] float32>",
        ),
        ((torch.zeros(1, 6),), "got tuple of 1"),
        (
            (torch.zeros(1, 6), torch.zeros(1, 3, 4, 4)),
            "part 1, Displacement: theta: expected [N, 2, H, W] for Displacement",
        ),
        ((torch.zeros(2, 6), torch.zeros(3, 2, 4, 4)), "batch of theta"),
    ],
)
def test_with_fields_a_theta_that_does_not_fit_is_told_so(theta, told):
    both = wk.Compose(["affine", "displacement"])
    for use in (lambda: wk.warp(torch.zeros(1, 1, 6, 6), both, theta), lambda: both(theta, torch.zeros(1, 3, 2))):
        with pytest.raises(wk.InputError) as error:
            use()
        assert told in str(error.value)


def test_a_composition_inside_another_is_covered_and_inverted():
    identity, flow = torch.tensor([[1.0, 0, 0, 0, 1, 0]]), 0.02 * torch.randn(1, 2, 6, 6)
    nested = wk.Compose([wk.Compose(["affine", "velocity"]), "affine"])
    theta = ((identity, flow), identity)
    assert torch.equal(wk.coverage(nested, ((identity, 0 * flow), identity), (8, 8)), torch.ones(1, 1, 8, 8))
    back, inverse = nested.inverted(theta)
    points = torch.rand(1, 9, 2) - 0.5
    torch.testing.assert_close(back(inverse, nested(theta, points)), points, atol=1e-2, rtol=0)
    with pytest.raises(wk.InputError, match="tuple of 0"):
        wk.coverage(nested, (), (8, 8))


def test_a_list_of_theta_is_a_tuple(unchecked):
    image, shift = uniform(0, 1, 1, 5, 6), 0.1 * uniform(1, 1, 2, 3, 3)
    for of, theta in (
        (["affine", "translation"], [torch.eye(2, 3)[None], torch.tensor([[0.1, 0.2]])]),
        (["affine", "displacement"], [torch.eye(2, 3)[None].double(), shift]),
    ):
        table = {"type": "compose", "of": of}
        assert torch.equal(wk.warp(image, table, theta), wk.warp(image, table, tuple(theta)))
        assert torch.equal(wk.coverage(table, theta, (5, 6)), wk.coverage(table, tuple(theta), (5, 6)))


def test_a_wrong_theta_is_told_of_the_tuple_and_of_no_from_matrix_that_is_not_there():
    with pytest.raises(wk.InputError, match=r"Or give a tuple \(Affine, Projective\), one θ for each part") as told:
        wk.Compose(["affine", "projective"]).as_theta(torch.eye(3)[None])
    assert "from_matrix" not in str(told.value)
    with pytest.raises(wk.InputError, match=r"from_matrix makes θ of matrices \[N, 3, 3\]"):
        wk.Euclidean().as_theta(torch.eye(3)[None])
