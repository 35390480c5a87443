import cases
import pytest
import torch

import warpkit as wk
from warpkit.transforms.handles import drag

EACH = pytest.mark.parametrize("case", cases.TRANSFORMS, ids=lambda case: f"{case[0]}-{case[1]}d")
CORNERS = torch.tensor([[[-1.0, -1], [1, -1], [-1, 1], [1, 1]]], dtype=torch.float64)


def near_start(made: wk.Transform, seed: int = 0, batch: int = 3) -> torch.Tensor:
    noise = torch.randn(batch, made.num_params, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return cases.start(made, batch) + 0.1 * noise


@EACH
def test_the_handles_of_what_is_made_from_handles_are_those(case):
    made = cases.transform(*case)
    handles = made.handles(near_start(made))
    torch.testing.assert_close(made.handles(made.from_handles(handles)), handles, rtol=0, atol=1e-7)


@EACH
def test_no_theta_but_its_own_is_found(case):
    made = cases.transform(*case)
    if case[0] == "compose":
        pytest.skip("a product of matrices says nothing of its factors")
    theta = near_start(made)
    torch.testing.assert_close(made.from_handles(made.handles(theta)), theta, rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", cases.WITH_IDENTITY, ids=lambda case: f"{case[0]}-{case[1]}d")
def test_the_anchors_are_the_handles_of_the_identity(case):
    made = cases.transform(*case)
    torch.testing.assert_close(made.handles(cases.identity(made))[0], made.anchors().double(), rtol=0, atol=1e-7)


def test_matrices_have_their_corners_as_handles():
    theta = torch.tensor([[0.5, 0, 0.25, 0, 0.5, 0]], dtype=torch.float64)
    expected = torch.tensor([[[-0.25, -0.5], [0.75, -0.5], [-0.25, 0.5], [0.75, 0.5]]], dtype=torch.float64)
    torch.testing.assert_close(wk.get_transform("affine").handles(theta), expected)


def test_a_homography_takes_any_convex_corners():
    moves = torch.rand(200, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    corners, projective = CORNERS + 1.2 * moves - 0.6, wk.get_transform("projective")
    torch.testing.assert_close(projective.handles(projective.from_handles(corners)), corners, rtol=0, atol=1e-9)
    matrix = wk.pixels.fit(CORNERS, corners[:1], "projective")  # by way of linear equations
    same = (matrix / matrix[:, -1:, -1:]).flatten(1)[:, :-1]
    torch.testing.assert_close(projective.from_handles(corners[:1]), same, rtol=0, atol=1e-9)


def test_a_family_that_cannot_have_the_handles_gets_as_near_as_least_squares_do():
    corners = CORNERS + 0.3 * torch.randn(1, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for model in ("translation", "similarity", "affine"):
        made = wk.get_transform(model)
        matrix = wk.pixels.fit(CORNERS, corners, model)
        torch.testing.assert_close(made.matrix(made.from_handles(corners)), matrix, rtol=0, atol=1e-9)


def test_the_thin_plate_spline_s_handles_are_theta_bit_for_bit():
    spline = wk.get_transform("thin_plate_spline", grid=(3, 5))
    theta = torch.randn(2, 30)
    assert torch.equal(spline.from_handles(spline.handles(theta)), theta)


def test_what_is_dragged_goes_there_and_the_others_stay_near():
    for name in ("translation", "similarity", "affine", "projective", "free_form"):
        made = wk.get_transform(name)
        theta = cases.identity(made)
        handles = made.handles(theta)
        handles[0, 0] += 0.2
        moved = made.handles(drag(made, theta, handles, [0]))
        torch.testing.assert_close(moved[0, 0], handles[0, 0], rtol=0, atol=1e-3)
    torch.testing.assert_close(moved[0, 1:], handles[0, 1:], rtol=0, atol=1e-9)  # a free form moves nothing else


def test_a_handle_behind_the_horizon_is_not_a_number_and_does_not_count():
    projective = wk.get_transform("projective")
    theta = torch.tensor([[1.0, 0, 0, 0, 1, 0, 0.7, 0.7]], dtype=torch.float64)
    handles = projective.handles(theta)
    assert handles.isnan().any(-1).tolist() == [[True, False, False, False]]
    found = drag(projective, theta, handles, [3])
    torch.testing.assert_close(projective.handles(found)[:, 1:], handles[:, 1:])


def test_from_handles_is_differentiable_in_the_handles():
    projective = wk.get_transform("projective")
    corners = (CORNERS + 0.1 * torch.rand(2, 4, 2, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(projective.from_handles, (corners,))


def test_it_works_where_no_gradients_are_kept():
    made = wk.get_transform("projective")
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(made.from_handles(CORNERS)[0], cases.identity(made)[0])


def test_a_batch_is_each_alone_and_may_be_empty():
    euclidean = wk.get_transform("euclidean")
    handles = euclidean.handles(near_start(euclidean))
    alone = torch.cat([euclidean.from_handles(one[None]) for one in handles])
    torch.testing.assert_close(euclidean.from_handles(handles), alone)
    assert euclidean.from_handles(handles[:0]).shape == (0, 3)


class Squeeze(wk.Transform):
    """Its one handle is the middle of the right edge, in a plugin's own words."""

    ndim, num_params = 2, 1

    def identity(self):
        return torch.ones(1)

    def forward(self, theta, points):
        return torch.stack([theta * points[..., 0], points[..., 1].expand_as(theta * points[..., 0])], -1)

    def handles(self, theta):
        return torch.stack([theta, torch.zeros_like(theta)], -1)


class SqueezeBySteps(Squeeze):
    def from_handles(self, handles):
        return (10 * handles[:, 0, :1]).round() / 10


def test_a_plugin_may_say_its_own_handles_and_the_way_back_follows():
    theta = torch.tensor([[0.7]], dtype=torch.float64)
    assert Squeeze().handles(theta).shape == (1, 1, 2)
    torch.testing.assert_close(Squeeze().from_handles(Squeeze().handles(theta)), theta)


def test_a_plugin_s_own_way_back_is_used():
    dragged = drag(SqueezeBySteps(), torch.ones(1, 1), torch.tensor([[[0.68, 0.3]]]), [0])
    torch.testing.assert_close(dragged, torch.tensor([[0.7]]))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("handles", [CORNERS[0], CORNERS[:, :3], CORNERS[..., :1], CORNERS.long(), None])
def test_handles_of_another_shape_are_refused(handles):
    for name in ("affine", "thin_plate_spline"):
        with pytest.raises(wk.InputError, match="handles: expected"):
            wk.get_transform(name).from_handles(handles)


@pytest.mark.usefixtures("unchecked")
def test_a_field_has_no_handles():
    with pytest.raises(wk.InputError, match="free_form has control points"):
        wk.get_transform("displacement").handles(torch.zeros(1, 2, 4, 4))
