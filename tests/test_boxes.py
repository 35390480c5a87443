"""warp_boxes: the tight box around what a box becomes, beside thousands of points of its outline."""

import itertools

import pytest
import torch
from cases import identity
from examples import Swirl, Waves
from strategies import uniform

import warpkit as wk

SPLINE = wk.get_transform("thin_plate_spline", grid=(5, 5))


class Wave(wk.Transform):
    """Each axis is bent by a sine of the two others."""

    ndim = 3
    num_params = 3

    def forward(self, theta, points):
        return points + theta[:, None] * torch.sin(3 * points.roll(1, -1) + points.roll(2, -1))


def some_boxes(seed, count, ndim):
    low = 0.5 * uniform(seed, 1, count, ndim) - 0.4
    return torch.cat([low, low + 0.1 + 0.4 * (1 + uniform(seed + 1, 1, count, ndim))], -1)


def around_the_outline(box, made, theta, count):
    """The box around where `count` points an edge of a box's outline are seen."""
    low, high = box.chunk(2)
    share = torch.linspace(0, 1, count, dtype=box.dtype)
    faces = torch.cartesian_prod(*[share] * (len(low) - 1)).reshape(-1, len(low) - 1)
    places = torch.cat(
        [
            torch.cat([faces[:, :axis], torch.full((len(faces), 1), end, dtype=box.dtype), faces[:, axis:]], 1)
            for axis, end in itertools.product(range(len(low)), (0.0, 1.0))
        ]
    )
    seen = made.inverse_points(theta, (low + places * (high - low))[None])[0]
    return torch.cat([seen.amin(0), seen.amax(0)])


CURVED = [
    (Swirl(), torch.tensor([[2.0]], dtype=torch.float64), 1500),
    (Waves(), torch.tensor([[0.2, 0.1, -0.1, 0.2]], dtype=torch.float64), 1500),
    (SPLINE, identity(SPLINE) + 0.08 * uniform(0, 1, 50), 1500),
    (wk.Compose(["projective", Swirl()]), torch.tensor([[1, 0.1, 0, 0, 1, 0.1, 0.2, 0.1, 1.0]]).double(), 1500),
    (Wave(), torch.tensor([[0.2, 0.15, 0.2]], dtype=torch.float64), 60),
]


@pytest.mark.parametrize(("made", "theta", "count"), CURVED, ids=["swirl", "waves", "spline", "composition", "3-D"])
def test_a_curved_box_is_tight_to_a_hundredth_of_a_pixel_in_512(made, theta, count):
    boxes = some_boxes(1, 4 if made.ndim == 2 else 1, made.ndim)
    found = wk.warp_boxes(boxes, made, theta)
    expected = torch.stack([around_the_outline(box, made, theta, count) for box in boxes[0]])
    torch.testing.assert_close(found[0], expected, rtol=0, atol=0.01 * 2 / 512)


def test_many_waves_along_one_edge():
    """Six waves of 20 pixels in 512 on the upper and lower edges, whose extremes are known: ±0.08."""

    class Ripple(wk.Transform):
        ndim = 2
        num_params = 1

        def forward(self, theta, points):
            x, y = points.unbind(-1)
            return torch.stack([x, y + theta * torch.sin(20 * x + 0.3)], -1)

    theta = torch.tensor([[0.08]], dtype=torch.float64)
    found = wk.warp_boxes(torch.tensor([[[-0.9, -0.5, 0.9, 0.5]]], dtype=torch.float64), Ripple(), theta)
    expected = torch.tensor([[[-0.9, -0.58, 0.9, 0.58]]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_matrix_takes_the_extremes_from_the_corners():
    """A turn by 30° of a square: its half width is (cos 30° + sin 30°) / 2."""
    c, s = 3**0.5 / 2, 0.5
    theta = torch.tensor([[c, -s, 0, s, c, 0]], dtype=torch.float64)
    half = (c + s) / 2
    found = wk.warp_boxes(torch.tensor([[[-0.5, -0.5, 0.5, 0.5]]]).double(), "affine", theta)
    torch.testing.assert_close(found, torch.tensor([[[-half, -half, half, half]]], dtype=torch.float64))
    line = wk.warp_boxes(torch.tensor([[[0.0, 1.0]]]), "affine", torch.tensor([[-2.0, 0.0]]))
    assert line.tolist() == [[[-0.5, 0.0]]]


def test_pixels_by_hand():
    """The whole of a picture, from edge to edge, fills the output of another size."""
    theta = identity(wk.get_transform("affine"), 1, torch.float32)
    whole = torch.tensor([[[-0.5, -0.5, 9.5, 7.5]]])
    found = wk.warp_boxes(whole, "affine", theta, units="pixels", in_size=(8, 10), out_size=(4, 20))
    assert found.tolist() == [[[-0.5, -0.5, 19.5, 3.5]]]
    curved = wk.warp_boxes(whole, Swirl(), torch.zeros(1, 1), units="pixels", in_size=(8, 10), out_size=(4, 20))
    torch.testing.assert_close(curved, found)


def test_a_box_with_a_part_that_is_folded_or_behind_the_horizon_is_nan():
    theta = torch.tensor([[1.0, 0, 0, 0, 1, 0, 2, 0]], dtype=torch.float64)
    boxes = torch.tensor([[[-0.3, -0.1, 0.3, 0.1], [-0.3, -0.1, 0.7, 0.1]]], dtype=torch.float64)
    assert wk.warp_boxes(boxes, "projective", theta).isnan().tolist() == [[[False] * 4, [True] * 4]]
    # x + 0.9 sin 3x turns back at x = 0.65, so that 1.13 … 1.49 is seen more than once.
    theta = torch.tensor([[0.9, 0.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[[-0.2, -0.1, 0.9, 0.1], [-0.2, -0.1, 1.3, 0.1]]], dtype=torch.float64)
    found = wk.warp_boxes(boxes, Waves(), theta)
    assert found.isnan().tolist() == [[[False] * 4, [True] * 4]]
    found[:, 0].sum().backward()
    assert theta.grad.isfinite().all()


@pytest.mark.parametrize("made", [wk.get_transform("projective"), Swirl(), Wave()], ids=["projective", "swirl", "3-D"])
def test_first_and_second_derivatives_are_those_of_the_values(unchecked, made):
    theta = {8: torch.tensor([[1, 0.1, 0, 0, 1, 0.1, 0.2, 0.1]]), 1: torch.tensor([[1.5]]), 3: CURVED[-1][1]}
    given = (some_boxes(3, 1, made.ndim).requires_grad_(), theta[made.num_params].double().clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda b, t: wk.warp_boxes(b, made, t), given, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda b, t: wk.warp_boxes(b, made, t), given, fast_mode=True)


def test_one_theta_serves_many_sets_and_one_set_many_theta():
    boxes = torch.cat([some_boxes(0, 2, 2), some_boxes(7, 2, 2)])
    theta = torch.tensor([[1.0], [-0.5]], dtype=torch.float64)
    each = torch.cat([wk.warp_boxes(boxes[n : n + 1], Swirl(), theta[:1]) for n in range(2)])
    torch.testing.assert_close(wk.warp_boxes(boxes, Swirl(), theta[:1]), each)
    each = torch.cat([wk.warp_boxes(boxes[:1], Swirl(), theta[n : n + 1]) for n in range(2)])
    torch.testing.assert_close(wk.warp_boxes(boxes[:1], Swirl(), theta), each)
    assert wk.warp_boxes(boxes[:, :0], Swirl(), theta).shape == (2, 0, 4)
    assert wk.warp_boxes(boxes[:1].float(), Swirl(), theta.float()).dtype == torch.float32


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        (torch.zeros(3, 4), r"batch missing: boxes\[None\]"),
        (torch.zeros(1, 3, 5), "2·D"),
        (torch.zeros(1, 3, 6), "expected one in 3-D, as the points are"),
        (torch.zeros(1, 3, 4, dtype=torch.int64), "boxes: expected a floating"),
    ],
)
def test_bad_input_is_told(unchecked, boxes, words):
    with pytest.raises(wk.InputError, match=words):
        wk.warp_boxes(boxes, Swirl(), torch.zeros(1, 1))


@pytest.mark.parametrize(("name", "amount", "places"), [("velocity", 0.1, 8), ("displacement", 0.03, 16)])
def test_a_box_is_tight_around_an_outline_with_kinks(name, amount, places):
    """A bilinear field has one at each border between its places; here points tell, 4,001 an edge."""
    size = (256, 256)
    theta = amount * uniform(3, 1, 2, places, places)
    x0, y0, x1, y1 = 20.0, 30.0, 230.0, 220.0
    along = torch.linspace(0, 1, 4001, dtype=torch.float64)
    x, y = x0 + along * (x1 - x0), y0 + along * (y1 - y0)
    sides = [(x, 0 * x + y0), (x, 0 * x + y1), (0 * y + x0, y), (0 * y + x1, y)]
    outline = torch.cat([torch.stack(side, dim=-1) for side in sides])[None]
    seen = wk.warp_points(outline, name, theta, units="pixels", in_size=size)
    box = wk.warp_boxes(
        torch.tensor([[[x0, y0, x1, y1]]], dtype=torch.float64), name, theta, units="pixels", in_size=size
    )
    expected = torch.cat([seen.amin(1), seen.amax(1)], dim=-1)
    torch.testing.assert_close(box[0], expected, atol=0.05, rtol=0)
