"""Matrices as other libraries have them, each tried with that library: the same picture comes out."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import affine_transform, gaussian_filter
from strategies import uniform
from torch.testing import assert_close

import warpkit as wk

IN, OUT = (40, 60), (50, 44)
DOUBLE = torch.float64
# Turned, sheared, moved; and a homography. Input pixel → output pixel.
MATRICES = {
    "affine": [[1.1, 0.2, -3.0], [-0.15, 0.9, 6.0], [0, 0, 1]],
    "projective": [[1.1, 0.2, -3.0], [-0.15, 0.9, 6.0], [1e-3, 2e-3, 1]],
}


@pytest.fixture(scope="module")
def picture():
    """A smooth picture [40, 60], so that an error in the place of a thousandth of a pixel is one of a thousandth."""
    return gaussian_filter(np.random.default_rng(0).random(IN), 2, mode="constant") * 10


def warped(picture, matrix, align_corners, transform="affine", **how):
    theta = wk.pixels.to_theta(matrix, transform, in_size=IN, out_size=OUT, align_corners=align_corners)
    image = torch.from_numpy(picture)[None, None]
    return wk.warp(image, transform, theta, size=OUT, align_corners=align_corners, **how)[0, 0].numpy()


both = pytest.mark.parametrize("align_corners", [False, True])


@both
@pytest.mark.parametrize("transform", ["affine", "projective"])
@pytest.mark.parametrize("is_inverse", [False, True])
def test_opencv_s_matrices_with_the_inverse_flag_and_without(picture, transform, is_inverse, align_corners):
    cv2 = pytest.importorskip("cv2")
    flags = cv2.WARP_INVERSE_MAP if is_inverse else 0
    matrix = np.array(MATRICES[transform])
    given, call = (matrix[:2], cv2.warpAffine) if transform == "affine" else (matrix, cv2.warpPerspective)
    expected = call(picture, given, OUT[::-1], flags=cv2.INTER_LINEAR | flags)
    found = warped(picture, np.linalg.inv(matrix) if is_inverse else given, align_corners, transform)
    assert np.abs(found - expected)[1:-1, 1:-1].max() < 0.08  # OpenCV rounds places to a 32nd of a pixel
    assert np.abs(found - expected).mean() < 0.005


@both
def test_scipy_s_affine_transform_takes_the_inverse_rows_first(picture, align_corners):
    inverse = np.linalg.inv(MATRICES["affine"])
    turned = inverse[[1, 0, 2]][:, [1, 0, 2]]  # rows first
    expected = affine_transform(picture, turned, output_shape=OUT, order=1, mode="grid-constant")
    assert_close(warped(picture, np.linalg.inv(inverse), align_corners), expected)


@both
@pytest.mark.parametrize("transform", ["affine", "projective"])
def test_scikit_image_s_warp_takes_the_inverse(picture, transform, align_corners):
    skimage = pytest.importorskip("skimage.transform")
    matrix = np.array(MATRICES[transform])
    expected = skimage.warp(picture, np.linalg.inv(matrix), output_shape=OUT, order=1, preserve_range=True)
    found = warped(picture, matrix, align_corners, transform)
    assert np.abs(found - expected)[1:-1, 1:-1].max() < 1e-6


@both
@pytest.mark.parametrize("transform", ["affine", "projective"])
def test_pillow_s_transform_takes_the_inverse_with_corners_at_whole_numbers(picture, transform, align_corners):
    """PIL reads the pixel whose centre is x + ½ at the inverse of x + ½: a shift of half a pixel on either side."""
    matrix = np.array(MATRICES[transform])
    to_centres = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    to_corners = np.linalg.inv(to_centres)
    inverse = to_corners @ np.linalg.inv(matrix) @ to_centres
    data = (inverse / inverse[2, 2]).ravel()[: 6 if transform == "affine" else 8]
    method = Image.Transform.AFFINE if transform == "affine" else Image.Transform.PERSPECTIVE
    image = Image.fromarray(picture.astype(np.float32))
    expected = np.asarray(image.transform(OUT[::-1], method, tuple(data), Image.Resampling.BILINEAR))
    found = warped(picture, matrix, align_corners, transform, padding_mode="none")
    inside = (expected != 0) & (found != 0)
    assert inside.mean() > 0.5
    assert np.abs(found - expected)[inside].max() < 1e-3


@both
@pytest.mark.parametrize("transform", ["affine", "projective"])
def test_kornia_s_matrices(picture, transform, align_corners):
    kornia = pytest.importorskip("kornia.geometry.transform")
    matrix = torch.tensor(MATRICES[transform], dtype=DOUBLE)[None]
    image = torch.from_numpy(picture)[None, None]
    if transform == "affine":
        expected = kornia.warp_affine(image, matrix[:, :2], OUT, align_corners=True)
    else:
        expected = kornia.warp_perspective(image, matrix, OUT, align_corners=True)
    assert_close(torch.from_numpy(warped(picture, matrix, align_corners, transform)), expected[0, 0], atol=1e-6, rtol=0)


@both
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("name", ["affine", "projective"])
def test_a_pixel_goes_where_its_matrix_says_and_back_again(name, ndim, align_corners):
    """With `warp_points`, which knows nothing of matrices of pixels."""
    in_size, out_size = (7, 9, 12)[-ndim:], (8, 5, 11)[-ndim:]
    matrix = torch.eye(ndim + 1, dtype=DOUBLE) + 0.2 * uniform(0, 3, ndim + 1, ndim + 1)
    matrix[:, -1] = torch.eye(ndim + 1, dtype=DOUBLE)[-1] + (
        0.003 * uniform(1, 3, ndim + 1) if name == "projective" else 0
    )
    theta = wk.pixels.to_theta(matrix, name, in_size=in_size, out_size=out_size, align_corners=align_corners)
    points = 5 * uniform(2, 3, 6, ndim) + 3
    moved = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1) @ matrix.mT
    landed = wk.warp_points(
        points, {"type": name, "ndim": ndim}, theta, units="pixels", in_size=in_size, out_size=out_size,
        align_corners=align_corners,
    )  # fmt: skip
    assert_close(landed, moved[..., :-1] / moved[..., -1:])
    back = wk.pixels.from_theta(theta, name, in_size=in_size, out_size=out_size, align_corners=align_corners)
    assert_close(back, matrix / matrix[:, -1:, -1:])


def test_a_homography_may_have_any_scale():
    matrix = torch.tensor(MATRICES["projective"], dtype=DOUBLE)
    thetas = [wk.pixels.to_theta(s * matrix, "projective", in_size=IN) for s in (1.0, -3.0, 1e-9)]
    assert_close(thetas[0], thetas[1])
    assert_close(thetas[0], thetas[2])


def test_lists_arrays_and_tensors_say_the_same_and_keep_their_type():
    rows = MATRICES["affine"][:2]
    made = [wk.pixels.to_theta(given, in_size=IN) for given in (rows, np.array(rows), torch.tensor([rows]))]
    assert [theta.dtype for theta in made] == [DOUBLE, DOUBLE, torch.float32]
    assert_close(made[0], made[1])
    assert_close(made[0].float(), made[2])


def test_gradients_pass_through():
    matrix = torch.tensor([MATRICES["projective"]], dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m: wk.pixels.to_theta(m, "projective", in_size=IN), matrix)
    theta = wk.pixels.to_theta(matrix.detach(), "projective", in_size=IN).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: wk.pixels.from_theta(t, "projective", in_size=IN), theta)


@pytest.mark.parametrize(
    ("matrix", "how", "message"),
    [
        ([[1, 0, 0]], {}, r"matrix: expected \[N, 2, 3\] or \[N, 3, 3\]"),
        ("one", {}, "matrix: expected numbers"),
        ([[1, 0, 0], [2, 0, 0]], {}, r"singular matrix in batch entries \[0\]"),
        ([[1, 0, 0], [0, 1, 0]], {"transform": "thin_plate_spline"}, "transform: expected one that is a matrix"),
        ([[1, 0, 0], [0, 1, 0]], {"transform": "affin"}, "Did you mean 'affine'"),
        ([[1, 0, 0], [0, 1, 0]], {"out_size": (3, 0)}, "size: expected"),
        ([[2, 0, 0], [0, 1, 0]], {"transform": "euclidean"}, r"not a turn and a translation in batch entries \[0\]"),
    ],
)
def test_what_is_no_matrix_of_this_family_is_told(matrix, how, message):
    with pytest.raises(wk.InputError, match=message):
        wk.pixels.to_theta(matrix, **{"in_size": IN, **how})


def test_the_canvas_holds_the_whole_picture_and_not_a_pixel_more():
    """Turned by 30° a picture of 60 × 40 needs 60 cos + 40 sin by 60 sin + 40 cos pixels."""
    image = torch.ones(1, 1, *IN, dtype=DOUBLE)
    theta = wk.pixels.to_theta(wk.pixels.rotation((29.5, 19.5), 30), in_size=IN)
    for align_corners in (False, True):
        theta = wk.pixels.to_theta(wk.pixels.rotation((29.5, 19.5), 30), in_size=IN, align_corners=align_corners)
        size, moved = wk.pixels.bounds("affine", theta, IN, align_corners=align_corners)
        wide, high = 60 * math.cos(math.pi / 6) + 20, 30 + 40 * math.cos(math.pi / 6)
        assert size == (math.ceil(high), math.ceil(wide))
        held = wk.warp(image, "affine", moved, size=size, align_corners=align_corners)
        assert held.sum().item() == pytest.approx(60 * 40, rel=1e-3)
        for edge in (held[..., 0, :], held[..., -1, :], held[..., 0], held[..., -1]):
            assert edge.max() > 0


def test_one_canvas_holds_a_batch_and_whole_pixels_stay_whole():
    image = uniform(0, 2, 1, *IN)
    theta = wk.pixels.to_theta([[[1, 0, 7], [0, 1, 0]], [[1, 0, 0], [0, 1, -3]]], in_size=IN)
    size, moved = wk.pixels.bounds("affine", theta, IN)
    assert size == (43, 67)
    held = wk.warp(image, "affine", moved, size=size)
    assert_close(held[:1, :, 3:, 7:], image[:1])
    assert_close(held[1:, :, :40, :60], image[1:])


def test_a_number_is_the_size_along_each_axis_and_theta_is_a_tensor(unchecked):
    theta = torch.eye(3, 4, dtype=DOUBLE).reshape(1, 12)
    for made in (wk.get_transform("affine", ndim=3), {"type": "affine", "ndim": 3}):
        sizes = 5 if isinstance(made, wk.Transform) else (5, 5, 5)
        assert_close(wk.pixels.from_theta(theta, made, in_size=sizes)[0], torch.eye(4, dtype=DOUBLE))
        assert wk.pixels.bounds(made, theta, sizes)[0] == (5, 5, 5)
    assert wk.pixels.bounds("affine", torch.eye(2, 3).reshape(1, 6), np.array([4, 8]))[0] == (4, 8)
    for call in (wk.pixels.bounds, lambda t, theta, size: wk.pixels.from_theta(theta, t, in_size=size)):
        with pytest.raises(wk.InputError, match="theta"):
            call("affine", [1, 0, 0, 0, 1, 0], IN)


def test_no_canvas_holds_a_horizon():
    theta = wk.pixels.to_theta([[1, 0, 0], [0, 1, 0], [-0.05, 0, 1]], "projective", in_size=IN)
    with pytest.raises(wk.InputError, match=r"a corner of the image on or behind the horizon in batch entries \[0\]"):
        wk.pixels.bounds("projective", theta, IN)


def test_a_turn_of_other_sides_is_told_which_aspect_it_has():
    turn = wk.pixels.rotation((3, 1), 30)
    with pytest.raises(wk.InputError, match=r"aspect=2\.0; this one has"):
        wk.pixels.to_theta(turn, "euclidean", in_size=(4, 8))
    with pytest.raises(wk.InputError, match="projective for a homography"):
        wk.pixels.to_theta(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.01, 0, 1]]), in_size=(4, 8))
    aligned = {"type": "euclidean", "aspect": 7 / 3}
    assert wk.pixels.to_theta(turn, aligned, in_size=(4, 8), align_corners=True)[0, 0] == pytest.approx(0.5235988)
