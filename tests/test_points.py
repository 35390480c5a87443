"""warp_points: what is seen in the warped picture is where they say."""

import pytest
import torch
from cases import identity
from examples import Swirl
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import alignments, seeds, to_normalised, uniform

import warpkit as wk

SPLINE = wk.get_transform("thin_plate_spline", grid=(4, 4))


def blob(at, size):
    """[1, 1, *size]: a Gaussian of σ = 1.2 pixels at a point x, y, z in pixels."""
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in size], indexing="ij")[::-1]
    squared = sum((axis - x) ** 2 for axis, x in zip(axes, at, strict=True))
    return torch.exp(-squared / (2 * 1.2**2))[None, None]


def middle(image):
    """Its centre of mass, x, y, z in pixels."""
    axes = torch.meshgrid(*[torch.arange(n, dtype=image.dtype) for n in image.shape[2:]], indexing="ij")[::-1]
    return torch.stack([(axis * image[0, 0]).sum() / image.sum() for axis in axes])


@pytest.mark.parametrize(
    ("made", "in_size", "out_size"),
    [
        (wk.get_transform("affine"), (40, 60), (50, 45)),
        (wk.get_transform("projective"), (60, 60), (60, 60)),
        (SPLINE, (64, 48), (64, 80)),
        (Swirl(), (60, 50), (60, 50)),
        (wk.Compose(["affine", SPLINE]), (50, 60), (50, 60)),
        (wk.get_transform("affine", ndim=1), (80,), (60,)),
        (wk.get_transform("affine", ndim=3), (24, 30, 26), (28, 26, 30)),
    ],
    ids=["affine", "projective", "spline", "swirl", "composition", "1-D", "3-D"],
)
@settings(max_examples=4)
@given(seed=seeds, aligned=alignments)
def test_a_blob_lands_where_they_say(made, in_size, out_size, seed, aligned):
    theta = identity(made, 1) + 0.05 * uniform(seed, 1, made.num_params)
    n = torch.tensor(in_size[::-1], dtype=torch.float64)
    point = (n - 1) / 2 + 0.2 * n * uniform(seed + 1, made.ndim)
    image = blob(point, in_size)
    warped = wk.warp(image, made, theta, size=out_size, align_corners=aligned)
    landed = wk.warp_points(
        point[None, None], made, theta, units="pixels", in_size=in_size, out_size=out_size, align_corners=aligned
    )
    # The middle of a bent blob is not quite where its centre is: a tenth of its width.
    torch.testing.assert_close(landed[0, 0], middle(warped), rtol=0, atol=0.15)


def test_by_hand():
    """The output's pixel x is sampled at x + 2: what is at 7 is seen at 5; a picture of half the size halves it."""
    theta = torch.tensor([[1.0, 0, 4 / 10, 0, 1, 0]])
    points = torch.tensor([[[7.0, 3.0], [0.0, 0.0]]])
    ways = {"units": "pixels", "in_size": (8, 10)}
    torch.testing.assert_close(wk.warp_points(points, "affine", theta, **ways), points - torch.tensor([2.0, 0.0]))
    half = wk.warp_points(points, "affine", identity(wk.get_transform("affine")), **ways, out_size=(4, 5))
    torch.testing.assert_close(half.tolist(), [[[3.25, 1.25], [-0.25, -0.25]]])


@given(seed=seeds, aligned=alignments, size=st.tuples(st.integers(2, 30), st.integers(2, 30)))
@settings(max_examples=10)
def test_pixels_are_normalised_points_in_other_units(seed, aligned, size):
    theta, pixels = identity(SPLINE, 2) + 0.05 * uniform(seed, 2, 32), 5 * uniform(seed + 1, 2, 4, 2) + 5
    found = wk.warp_points(pixels, SPLINE, theta, units="pixels", in_size=size, align_corners=aligned)
    same = wk.warp_points(to_normalised(pixels, size, aligned), SPLINE, theta)
    torch.testing.assert_close(to_normalised(found, size, aligned), same)


def test_landmarks_follow_what_a_transformer_has_learned():
    torch.manual_seed(0)
    layer = wk.SpatialTransformer(wk.ConvLocalization(), transform="projective", size=(30, 34))
    image = blob((14.0, 17.0), (32, 32)).float()
    layer(image)  # makes the lazy weights
    torch.nn.init.normal_(layer.regression.weight, std=0.1)
    theta = layer.theta(image)
    landed = wk.warp_points(
        torch.tensor([[[14.0, 17.0]]]), layer.transform, theta, units="pixels", in_size=(32, 32), out_size=(30, 34)
    )
    assert (theta - layer.transform.identity()).abs().max() > 0.01
    torch.testing.assert_close(landed[0, 0], middle(layer(image)), rtol=0, atol=0.15)
    landed.sum().backward()
    assert layer.regression.weight.grad.abs().max() > 0


def test_derivatives_in_pixels(unchecked):
    theta = (identity(SPLINE, 1) + 0.05 * uniform(0, 1, 32)).requires_grad_()
    points = (3 + uniform(1, 1, 2, 2)).requires_grad_()

    def landed(points, theta):
        return wk.warp_points(points, SPLINE, theta, units="pixels", in_size=(8, 9), out_size=(11, 6))

    assert torch.autograd.gradcheck(landed, (points, theta))


def test_types_are_kept():
    theta = identity(SPLINE, 1, torch.float32)
    for units in ({}, {"units": "pixels", "in_size": 9}):
        assert wk.warp_points(torch.rand(2, 3, 2), SPLINE, theta, **units).dtype == torch.float32
        assert wk.warp_points(torch.rand(2, 3, 2).double(), SPLINE, theta, **units).dtype == torch.float64
        assert wk.warp_points(torch.rand(2, 0, 2), SPLINE, theta, **units).shape == (2, 0, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"points": torch.zeros(3, 2)}, r"batch missing: points\[None\]"),
        ({"points": torch.zeros(1, 3, 4)}, "D of 1 to 3"),
        ({"points": torch.zeros(1, 3, 2, dtype=torch.int64)}, "floating"),
        ({"points": torch.zeros(1, 3, 3), "transform": SPLINE}, "expected one in 3-D, as the points are, got"),
        ({"transform": "afine"}, "affine"),
        ({"theta": torch.zeros(1, 5)}, "theta"),
        ({"units": "pixel"}, "pixels"),
        ({"units": "pixels"}, "in_size"),
        ({"units": "pixels", "in_size": (3, 0)}, "size"),
        ({"out_size": (3, 4, 5)}, "size"),
        ({"align_corners": 1}, "align_corners"),
    ],
)
def test_bad_input_is_told(unchecked, change, words):
    given = {"points": torch.zeros(1, 3, 2), "transform": "affine", "theta": torch.zeros(1, 6), **change}
    with pytest.raises(wk.InputError, match=words):
        wk.warp_points(**given)


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_field_by_name_is_aligned_as_its_warp_is(align_corners):
    field = torch.zeros(1, 2, 40, 40)
    field[:, 0] = 3.0
    how = {"units": "pixels", "in_size": (40, 40), "align_corners": align_corners}
    moved = wk.warp_points(torch.tensor([[[20.0, 20.0]]]), {"type": "displacement", "units": "pixels"}, field, **how)
    torch.testing.assert_close(moved, torch.tensor([[[17.0, 20.0]]]))


def test_a_flow_is_inverted_by_one_exponential(monkeypatch):
    made, velocity, flow = [], 0.1 * torch.randn(1, 2, 9, 9), wk.get_transform("velocity")
    whole = type(flow).displacement
    monkeypatch.setattr(type(flow), "displacement", lambda self, theta: made.append(1) or whole(self, theta))
    points = torch.rand(1, 5, 2) - 0.5
    back = wk.warp_points(points, flow, velocity)
    assert len(made) <= 4  # the check of θ, the search, the certificate
    torch.testing.assert_close(flow(velocity, back), points)
