"""inverse_points: there and back for every transform, folds refused, derivatives of the implicit function."""

import pytest
import torch
from cases import TRANSFORMS, identity, start, transform
from examples import Shear, Swirl, Waves
from hypothesis import given, settings
from strategies import seeds, uniform

import warpkit as wk


class Sine(wk.Transform):
    """x − θ sin(3x) along every axis: it folds in the middle from θ = 1/3 on."""

    num_params = 1

    def __init__(self, ndim: int = 1):
        super().__init__()
        self.ndim = ndim

    def identity(self):
        return torch.zeros(1)

    def forward(self, theta, points):
        return points - theta[:, None] * torch.sin(3 * points)


class Pinch(wk.Transform):
    """A bump of width θ2 and height θ1 along x, in the middle of nowhere."""

    ndim = 2
    num_params = 2

    def forward(self, theta, points):
        height, width = theta[:, :1], theta[:, 1:]
        bump = height * torch.exp(-(points - 0.17).square().sum(-1) / (2 * width**2))
        return points + torch.stack([bump, torch.zeros_like(bump)], -1)


EVERY = [*TRANSFORMS, ("swirl", 2), ("shear", 2), ("waves", 2), ("sine", 1), ("sine", 3)]


def made_of(name: str, ndim: int) -> wk.Transform:
    own = {"swirl": Swirl, "shear": Shear, "waves": Waves, "sine": lambda: Sine(ndim)}
    return own[name]() if name in own else transform(name, ndim)


def theta_for(made: wk.Transform, seed: int, batch: int = 1, spread: float = 0.08) -> torch.Tensor:
    return start(made, batch) + spread * uniform(seed, batch, made.num_params)


@pytest.mark.parametrize(("name", "ndim"), EVERY)
@settings(max_examples=4)
@given(seed=seeds)
def test_there_and_back(name, ndim, seed):
    made = made_of(name, ndim)
    spread = 0.01 if name == "lens" else 0.08  # a lens bends most where nobody looks: in the corners
    theta, points = theta_for(made, seed, 2, spread), 0.8 * uniform(seed + 1, 2, 5, ndim)
    torch.testing.assert_close(made.inverse_points(theta, made(theta, points)), points)


def test_large_motions_are_found():
    """A spline that turns by 130° and moves by half a width: Newton's method from y itself goes astray."""
    made = wk.get_transform("thin_plate_spline", grid=(5, 5))
    angle = torch.tensor(2.3, dtype=torch.float64)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    theta = (made.control @ turn.T + torch.tensor([0.9, -0.4]) + 0.08 * uniform(1, 25, 2)).reshape(1, -1)
    points = 0.95 * uniform(2, 1, 200, 2)
    torch.testing.assert_close(made.inverse_points(theta, made(theta, points)), points)


def test_one_theta_serves_many_sets_and_one_set_many_theta():
    made = Swirl()
    theta, points = theta_for(made, 0, 3, 1.0), 0.8 * uniform(1, 3, 4, 2)
    alone = torch.cat([made.inverse_points(theta[:1], points[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(made.inverse_points(theta[:1], points), alone)
    alone = torch.cat([made.inverse_points(theta[n : n + 1], points[:1]) for n in range(3)])
    torch.testing.assert_close(made.inverse_points(theta, points[:1]), alone)


def test_many_points_are_what_they_are_in_small_numbers():
    made, points = Swirl(), 0.9 * uniform(0, 1, 9000, 2)
    theta = torch.tensor([[1.5]], dtype=torch.float64)
    few = torch.cat([made.inverse_points(theta, p) for p in points.split(3000, dim=1)], dim=1)
    torch.testing.assert_close(made.inverse_points(theta, points), few)


@pytest.mark.parametrize("strength", [0.34, 0.4, 0.7])
def test_a_fold_is_refused_and_what_is_seen_once_is_not(strength):
    """By a dense search for sign changes, of T(x) − y along one axis."""
    y = torch.cat([1.4 * uniform(0, 1, 300, 1), 0.002 * uniform(1, 1, 20, 1)], 1)
    theta = torch.tensor([[strength]], dtype=torch.float64)
    x = torch.linspace(-1, 1, 40001, dtype=torch.float64)[None, :, None]
    above = (Sine()(theta, x)[..., 0] > y[0]).int()  # [320, 40001]
    changes = above.diff(dim=1)
    seen, falling = (changes != 0).sum(1), (changes < 0).any(1)
    found = Sine().inverse_points(theta, y)[0, :, 0]
    assert (seen > 1).any()
    assert (seen == 1).any()
    assert found[seen > 1].isnan().all()
    rising = (seen == 1) & ~falling
    assert found[rising].isfinite().all()
    root = x[0, :, 0][changes.abs().argmax(1)]
    torch.testing.assert_close(found[rising], root[rising], rtol=0, atol=1e-4)
    assert not (found[falling & (seen == 1)].abs() <= 1).any()  # the side that a fold turned over


@pytest.mark.parametrize("width", [0.3, 0.1, 0.03])
def test_a_fold_smaller_than_the_search_lattice_is_seen_from_beside_it(width):
    """Its slope is least at x = θ2, where 1 − θ1 / (θ2 √e) is negative."""
    theta = torch.tensor([[2.5 * width, width]], dtype=torch.float64)
    line = torch.linspace(0.17 - width, 0.17 + 4 * width, 100001, dtype=torch.float64)
    moved = Pinch()(theta, torch.stack([line, 0 * line + 0.17], -1)[None])[0, :, 0]
    turns = (moved.diff() < 0).nonzero().flatten()
    high, low = moved[turns[0]], moved[turns[-1] + 1]
    share = torch.linspace(-1.0, 2.0, 31, dtype=torch.float64)
    y = torch.stack([low + share * (high - low), torch.full_like(share, 0.17)], -1)[None]
    folded = (share > 0.01) & (share < 0.99)
    outside = (share < -0.01) | (share > 1.01)
    found = Pinch().inverse_points(theta, y)[0].isfinite().all(-1)
    assert not found[folded].any()
    assert found[outside].all()


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_of_a_rough_field_no_point_gets_another_place_than_its_own(kernel):
    """Displacements at random on 64 × 64 pixels, half a pixel large: a tenth of the image is folded and more."""

    class Rough(wk.Transform):
        ndim = 2
        num_params = 2 * 64 * 64

        def forward(self, theta, points):
            field = theta.reshape(-1, 2, 64, 64)
            return points + wk.sample(field, points, kernel=kernel, padding_mode="border").mT

    theta = 0.015 * torch.randn(1, 2 * 64 * 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = 0.9 * uniform(0, 1, 1000, 2)
    found = Rough().inverse_points(theta, Rough()(theta, points))
    answered = found.isfinite().all(-1)
    assert 0.5 < answered.double().mean() < 0.9
    torch.testing.assert_close(found[answered], points[answered])


def test_a_second_preimage_beyond_the_picture_counts_for_nothing():
    """A barrel lens folds behind its edge, here at r = 1.3."""
    lens = pytest.importorskip("warpkit_lens").Lens()
    theta, points = torch.tensor([[-0.2, 0, 0, 0, 0]], dtype=torch.float64), 0.8 * uniform(0, 1, 100, 2)
    torch.testing.assert_close(lens.inverse_points(theta, lens(theta, points)), points)


def test_a_mirror_image_is_inverted_where_it_is_a_matrix_and_refused_elsewhere():
    class Mirror(wk.Transform):
        ndim = 2
        num_params = 1

        def forward(self, theta, points):
            return points * torch.tensor([-1.0, 1.0]) + theta[:, None]

    flip = torch.tensor([[-1.0, 0, 0, 0, 1, 0]], dtype=torch.float64)
    points = torch.tensor([[[0.25, -0.5]]], dtype=torch.float64)
    assert wk.get_transform("affine").inverse_points(flip, points).tolist() == [[[-0.25, -0.5]]]
    assert Mirror().inverse_points(flip[:, 2:3], points).isnan().all()
    both = wk.Compose(["affine", Swirl()])
    theta = torch.cat([flip, torch.tensor([[0.8]])], 1)
    torch.testing.assert_close(both.inverse_points(theta, both(theta, points)), points)


def test_points_that_no_output_point_is_sampled_from_before_the_horizon_are_nan():
    """x / (1 + 2x), whose horizon is x = −½: what it gives there, on the other side of y = ½, is seen from behind."""
    made, theta = wk.get_transform("projective"), torch.tensor([[1.0, 0, 0, 0, 1, 0, 2, 0]], dtype=torch.float64)
    points = torch.tensor([[[0.0, 0.0], [0.4, 0.0], [0.5, 0.0], [0.6, 0.0], [-3.0, 0.0]]], dtype=torch.float64)
    found = made.inverse_points(theta, points)
    torch.testing.assert_close(found[0, :, 0].nan_to_num(-9), torch.tensor([0.0, 2.0, -9.0, -9.0, -3 / 7]).double())


def test_singular_matrices_are_named_by_their_batch_entries():
    theta = identity(wk.get_transform("affine"), 3).clone()
    theta[1] = 0
    for made in (wk.get_transform("affine"), wk.Compose(["affine"])):
        with pytest.raises(wk.InputError, match=r"singular.*\[1\]"):
            made.inverse_points(theta, torch.zeros(1, 1, 2))


def test_a_composition_is_judged_on_the_whole():
    """A window of a folded spline that does not show the fold is no fold; and one that is small is searched well."""
    fold = wk.get_transform("thin_plate_spline", grid=(5, 5))
    folded = fold.identity().double().reshape(5, 5, 2).clone()
    folded[2, 0, 0] += 1.2  # left of the middle row
    crop = torch.tensor([[0.3, 0.65, 0.0]], dtype=torch.float64)  # of the right
    points = 0.9 * uniform(0, 1, 50, 2)
    both = wk.Compose(["attention", fold])
    theta = torch.cat([crop, folded.reshape(1, -1)], 1)
    torch.testing.assert_close(both.inverse_points(theta, both(theta, points)), points)
    whole = torch.cat([torch.tensor([[1.0, 0.0, 0.0]]), folded.reshape(1, -1)], 1)
    assert both.inverse_points(whole, both(whole, torch.tensor([[[-0.7, 0.0]]]).double())).isnan().all()
    zoom = torch.cat([torch.tensor([[12.0, 0.3, -0.2]]), theta_for(fold, 3)], 1)
    near = points / 12
    torch.testing.assert_close(both.inverse_points(zoom, both(zoom, near)), near)


@pytest.mark.parametrize(
    "made",
    [
        wk.get_transform("affine"),
        wk.get_transform("projective"),
        Swirl(),
        Waves(),
        Sine(3),
        wk.Compose(["projective", Swirl()]),
    ],
    ids=["affine", "projective", "swirl", "waves", "3-d", "composition"],
)
def test_first_and_second_derivatives_are_those_of_the_values(unchecked, made):
    theta = theta_for(made, 5).requires_grad_()
    points = (0.5 * uniform(6, 1, 2, made.ndim)).requires_grad_()
    assert torch.autograd.gradcheck(made.inverse_points, (theta, points), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(made.inverse_points, (theta, points), fast_mode=True)


def test_what_is_refused_has_no_gradient_and_spoils_none():
    theta, y = torch.tensor([[0.7], [0.1]], dtype=torch.float64, requires_grad=True), torch.zeros(1, 1, 1).double()
    found = Sine().inverse_points(theta, torch.cat([y, y + 1.2, y + torch.nan], 1))
    assert found.isnan()[..., 0].tolist() == [[True, False, True], [False, False, True]]
    found[found.isfinite()].sum().backward()
    assert theta.grad.isfinite().all()
    assert (theta.grad != 0).all()


def test_function_transforms_agree_with_autograd(unchecked):
    made, theta, points = Swirl(), torch.tensor([[1.0], [-1.2]]).double(), 0.8 * uniform(0, 2, 3, 2)
    expected = made.inverse_points(theta, points)
    over = torch.func.vmap(lambda t, p: made.inverse_points(t[None], p[None])[0])
    torch.testing.assert_close(over(theta, points), expected)
    jacobian = torch.autograd.functional.jacobian(lambda t: made.inverse_points(t, points), theta)
    for way in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(way(lambda t: made.inverse_points(t, points))(theta), jacobian)

    def total(t):
        return made.inverse_points(t, points).square().sum()

    hessian = torch.autograd.functional.hessian(total, theta)
    for outer, inner in ((torch.func.jacfwd, torch.func.jacfwd), (torch.func.jacfwd, torch.func.jacrev)):
        torch.testing.assert_close(outer(inner(total))(theta), hessian)


def test_a_learned_transform_learns_from_where_points_land():
    class Bent(wk.Transform):
        ndim = 1
        num_params = 1

        def __init__(self):
            super().__init__()
            self.bend = torch.nn.Parameter(torch.tensor(0.2))

        def forward(self, theta, points):
            return points + theta[:, None] + self.bend * points**3

    made, theta, y = Bent(), torch.zeros(1, 1), torch.tensor([[[0.6]]])
    x = made.inverse_points(theta, y)
    x.sum().backward()
    expected = -(x.item() ** 3) / (1 + 3 * 0.2 * x.item() ** 2)
    assert made.bend.grad.item() == pytest.approx(expected, rel=1e-5)


def test_types_and_empty_inputs():
    made, theta, points = Swirl(), torch.ones(2, 1), torch.rand(2, 4, 3, 2)
    for kind, expected in ((torch.float16, torch.float32), (torch.float32, torch.float32), (torch.float64,) * 2):
        assert made.inverse_points(theta.to(kind), points.to(kind)).dtype == expected
    assert made.inverse_points(theta, points).shape == (2, 4, 3, 2)
    for t, p in ((theta[:0], points[:1]), (theta, points[:, :0])):
        for each in (made, wk.Compose([made])):
            assert each.inverse_points(t, p).shape == (len(t), *p.shape[1:])
    with torch.inference_mode():
        assert made.inverse_points(theta, points).isfinite().all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tol": 0.0}, "tol: expected a positive number"),
        ({"tol": "fine"}, "tol"),
        ({"points": torch.zeros(3, 2)[:, :1]}, "points"),
        ({"points": torch.zeros(1, 3, 2, dtype=torch.int64)}, "floating"),
        ({"theta": torch.zeros(1, 3)}, "theta"),
        ({"theta": torch.zeros(2, 1), "points": torch.zeros(3, 1, 2)}, "batch"),
    ],
)
def test_bad_input_is_told(unchecked, change, words):
    given = {"theta": torch.zeros(1, 1), "points": torch.zeros(1, 3, 2), **change}
    with pytest.raises(wk.InputError, match=words):
        Swirl().inverse_points(**given)


def test_a_compiled_function_breaks_its_graph_at_the_search_and_is_right(compiler):
    made, theta, points = Swirl(), torch.ones(1, 1), 0.5 * torch.rand(1, 3, 2)
    compiled = torch.compile(lambda t, p: 2 * made.inverse_points(t, p), backend="eager")
    torch.testing.assert_close(compiled(theta, points), 2 * made.inverse_points(theta, points))
    affine = wk.get_transform("affine")
    t = identity(affine, 1, torch.float32) * 0.7
    whole = torch.compile(affine.inverse_points, fullgraph=True, backend="eager")
    torch.testing.assert_close(whole(t, points), affine.inverse_points(t, points))
