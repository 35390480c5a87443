"""Images in the world: what SimpleITK says of the same ones."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import warpkit as wk


def oblique(rng, size):
    """A space of this size around the world's origin, turned any way."""
    direction, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    spacing = rng.uniform(0.6, 2.0, 3)
    middle = direction @ (spacing * (np.array(size[::-1]) - 1) / 2)
    return wk.Space(size, spacing, rng.normal(size=3) - middle, direction)


def picture(sitk, pixels, space):
    """The same as an image of SimpleITK."""
    made = sitk.GetImageFromArray(pixels, isVector=pixels.ndim == 4)
    made.SetSpacing(space.spacing)
    made.SetOrigin(space.origin)
    made.SetDirection(np.ravel(space.direction).tolist())
    return made


def near(found, expected):
    """Equal to 1e-4 of the range, but for points on the very border, which either side may count as outside."""
    return (np.abs(found - expected) > 1e-4).mean() < 2e-3


def test_resampling_is_that_of_simpleitk():
    sitk = pytest.importorskip("SimpleITK")
    rng = np.random.default_rng(0)
    for _ in range(50):
        size, out = tuple(rng.integers(5, 14, 3).tolist()), tuple(rng.integers(5, 14, 3).tolist())
        moving, fixed = oblique(rng, size), oblique(rng, out)
        pixels = rng.random(size).astype("float32")
        linear = np.eye(3) + 0.2 * rng.normal(size=(3, 3))
        shift = rng.normal(size=3)
        transform = sitk.AffineTransform(linear.ravel().tolist(), shift.tolist())
        reference = picture(sitk, np.zeros(out, "float32"), fixed)
        expected = sitk.Resample(picture(sitk, pixels, moving), reference, transform, sitk.sitkLinear, 0.25)
        theta = fixed.theta(moving, np.column_stack([linear, shift]))
        image = torch.from_numpy(pixels)[None, None]
        found = wk.warp(image, "affine", theta, size=out, padding_mode="none", fill=0.25)
        assert near(found[0, 0].numpy(), sitk.GetArrayFromImage(expected))


def test_displacements_are_those_of_simpleitk():
    sitk = pytest.importorskip("SimpleITK")
    rng = np.random.default_rng(1)
    for _ in range(8):
        moving, fixed, between = (oblique(rng, tuple(rng.integers(6, 12, 3).tolist())) for _ in range(3))
        pixels = rng.random(moving.size).astype("float32")
        vectors = rng.normal(size=(*between.size, 3))
        transform = sitk.DisplacementFieldTransform(picture(sitk, vectors, between))
        reference = picture(sitk, np.zeros(fixed.size, "float32"), fixed)
        expected = sitk.Resample(picture(sitk, pixels, moving), reference, transform, sitk.sitkLinear, 0.25)
        field = wk.get_transform("displacement", ndim=3, padding_mode="none")
        theta = between.displacement(torch.from_numpy(vectors).movedim(-1, 0)[None])
        whole = wk.Compose(["affine", field, "affine"], ndim=3)
        each = (fixed.theta(between), theta, between.theta(moving))
        found = wk.warp(
            torch.from_numpy(pixels)[None, None], whole, each, size=fixed.size, padding_mode="none", fill=0.25
        )
        assert near(found[0, 0].numpy(), sitk.GetArrayFromImage(expected))


def test_an_image_of_simpleitk_says_its_space():
    sitk = pytest.importorskip("SimpleITK")
    space = oblique(np.random.default_rng(2), (4, 5, 6))
    found = wk.Space.of(picture(sitk, np.zeros((4, 5, 6)), space))
    assert found.size == space.size
    torch.testing.assert_close(found.matrix, space.matrix)


def test_an_image_of_itk_s_own_python_says_its_space():
    """Its size is a region's, and the origin that of index 0, at which the region need not begin."""

    region = {"GetSize": lambda: (6, 5), "GetIndex": lambda: (2, 1)}
    image = SimpleNamespace(
        GetLargestPossibleRegion=lambda: SimpleNamespace(**region),
        GetSpacing=lambda: np.array([0.5, 2]),
        GetOrigin=lambda: (10, 20),
        GetDirection=lambda: np.array([[0, 1], [-1, 0]]),
        TransformIndexToPhysicalPoint=lambda index: np.array([10 + 2 * index[1], 20 - 0.5 * index[0]]),
    )
    assert wk.Space.of(image) == wk.Space((5, 6), (0.5, 2), (12, 19), [[0, 1], [-1, 0]])


def test_a_matrix_of_pixels_is_a_space():
    space = oblique(np.random.default_rng(4), (4, 5, 6))
    found = wk.Space.from_matrix(space.size, space.matrix)
    torch.testing.assert_close(found.matrix, space.matrix, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found.spacing, space.spacing)
    sheared = np.array([[3.0, 1.0, 7.0], [4.0, 2.0, 8.0]])  # the columns' lengths are 5 and √5
    found = wk.Space.from_matrix((2, 9), sheared)
    np.testing.assert_allclose(found.spacing, (5, 5**0.5))
    np.testing.assert_allclose(found.matrix[:2], sheared)


@pytest.mark.parametrize(
    ("matrix", "told"),
    [
        (np.eye(4), "matrix: expected one in 2-D"),
        (np.eye(3)[None].repeat(2, 0), "matrix: expected one in 2-D"),
        (np.diag([1.0, 0.0, 1.0]), "matrix: expected an invertible"),
        (np.diag([1.0, float("nan"), 1.0]), "matrix: expected an invertible"),
        ([[1, 0, 0], [0, 1, 0], [0.1, 0, 1]], "matrix: expected an invertible affine"),
        ([[1, 1, 0], [1, 1, 0]], "direction: expected independent"),
    ],
)
def test_a_matrix_of_no_space_is_refused(matrix, told):
    with pytest.raises(wk.InputError, match=told):
        wk.Space.from_matrix((4, 5), matrix)


@pytest.mark.parametrize("align_corners", [False, True])
def test_there_and_back(align_corners):
    rng = np.random.default_rng(3)
    fixed, moving = oblique(rng, (6, 7, 8)), oblique(rng, (9, 5, 4))
    matrix = torch.eye(4, dtype=torch.float64)[None] + 0.1 * torch.randn(2, 4, 4, dtype=torch.float64)
    matrix[:, 3] = torch.tensor([0.0, 0, 0, 1])
    theta = fixed.theta(moving, matrix, align_corners=align_corners)
    torch.testing.assert_close(fixed.millimetres(theta, moving, align_corners=align_corners), matrix)
    vectors = torch.randn(1, 3, 6, 7, 8)
    inside = fixed.displacement(vectors, align_corners=align_corners)
    torch.testing.assert_close(fixed.vectors(inside, align_corners=align_corners), vectors)


def test_equal_spaces_are_the_identity_to_the_last_bit():
    space = wk.Space((5, 7), spacing=0.25, origin=(3, -4))
    image = torch.rand(1, 1, 5, 7)
    assert torch.equal(wk.warp(image, "affine", space.theta(space), padding_mode="none"), image)
    near_by = wk.Space((5, 7), spacing=0.25, origin=(3.25, -4))  # one pixel to the right
    assert torch.allclose(wk.warp(image, "affine", near_by.theta(space))[..., :-1], image[..., 1:])


def test_fine_pixels_far_from_the_origin_are_no_singular_matrix():
    """The condition of a matrix grows with the square of its translation."""
    fixed = wk.Space((5, 6), spacing=1e-6, origin=(1e4, 1e4))
    moving = wk.Space((5, 6), spacing=1e-6, origin=(1e4 + 1e-6, 1e4))
    expected = torch.tensor([[1, 0, -1 / 3, 0, 1, 0]], dtype=torch.float64)
    torch.testing.assert_close(fixed.theta(moving), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(fixed.theta(fixed), torch.eye(2, 3, dtype=torch.float64).reshape(1, 6))


def test_corners_of_a_single_pixel_are_not_aligned():
    """All coordinates are the same place; a displacement along that axis would be NaN."""
    one, several = wk.Space((1, 5, 6), spacing=2), wk.Space((4, 5, 6))
    for wanted in (
        lambda: several.theta(one, align_corners=True),
        lambda: one.displacement(torch.ones(1, 3, 1, 5, 6), align_corners=True),
    ):
        with pytest.raises(wk.InputError, match="align_corners=True: expected two pixels along each axis"):
            wanted()
    image = torch.rand(1, 1, 4, 5, 6, dtype=torch.float64)
    slice_ = wk.warp(image, "affine", one.theta(several, align_corners=True), size=one.size, align_corners=True)
    torch.testing.assert_close(slice_[..., :3, :3], image[..., :1, :5:2, :5:2])


def test_numbers_may_be_tensors_that_learn():
    spacing = torch.tensor([0.5, 2.0], dtype=torch.bfloat16, requires_grad=True)
    assert wk.Space((4, 5), spacing, origin=torch.zeros(2)).spacing == (0.5, 2.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"direction": [[2, 0], [0, 2]]}, "direction: expected unit vectors as columns"),
        ({"spacing": (1, 0)}, "spacing: expected positive"),
        ({"spacing": (1, 2, 3)}, "spacing: expected 2 finite numbers"),
        ({"origin": float("nan")}, "origin"),
        ({"direction": [[1, 1], [1, 1]]}, "direction: expected independent"),
        ({"size": (0, 3)}, "size"),
    ],
)
def test_what_is_no_space_is_refused(given, told):
    with pytest.raises(wk.InputError, match=told):
        wk.Space(**({"size": (4, 5)} | given))


def test_spaces_of_other_dimensions_do_not_meet():
    with pytest.raises(wk.InputError, match="moving: expected a Space in 2-D"):
        wk.Space((4, 5)).theta(wk.Space((3, 4, 5)))
    with pytest.raises(wk.InputError, match="matrix: expected one in 2-D"):
        wk.Space((4, 5)).theta(wk.Space((4, 5)), np.eye(4))
    with pytest.raises(wk.InputError, match="SimpleITK"):
        wk.Space.of("scan.nii")
