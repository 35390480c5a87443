"""What the transform claims, against the model written with NumPy in pixels and, where it is installed, OpenCV."""

import numpy as np
import pytest
import torch
from warpkit_lens import Lens

import warpkit as wk

THETA = [-0.31, 0.12, 0.004, -0.007, -0.02]
CAMERA = [[310.0, 0.0, 150.5], [0.0, 305.0, 122.0], [0.0, 0.0, 1.0]]
SIZE = (240, 320)


def brown_conrady(pixels, camera, theta):
    """Ideal pixels [M, 2] → distorted pixels, term by term after Brown 1971."""
    (fx, _, cx), (_, fy, cy), _ = camera
    k1, k2, p1, p2, k3 = theta
    x, y = (pixels[:, 0] - cx) / fx, (pixels[:, 1] - cy) / fy
    r = np.hypot(x, y)
    radial = 1 + k1 * r**2 + k2 * r**4 + k3 * r**6
    u = x * radial + p2 * (r**2 + 2 * x**2) + 2 * p1 * x * y
    v = y * radial + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y
    return np.stack([fx * u + cx, fy * v + cy], -1)


def normalised(pixels):
    return 2 * (pixels + 0.5) / np.array(SIZE[::-1]) - 1


def test_the_transform_is_found():
    assert "lens" in wk.list_transforms()
    assert isinstance(wk.get_transform("lens"), Lens)


def test_by_hand():
    # At (½, ½) r² = ½: radial 1 + 0.2·½ = 1.1; 2·p1·¼ + 0 = 0.005 in x; p1·(½ + ½) = 0.01 in y.
    theta = torch.tensor([[0.2, 0.0, 0.01, 0.0, 0.0]])
    moved = wk.get_transform("lens")(theta, torch.tensor([[[0.5, 0.5], [0.0, 0.0]]]))
    torch.testing.assert_close(moved, torch.tensor([[[0.555, 0.56], [0.0, 0.0]]]))


def test_zeros_are_exactly_the_identity():
    lens = wk.get_transform("lens", focal=(0.7, 0.3), center=(0.1, -0.2))
    points = torch.randn(2, 50, 2)
    assert torch.equal(lens(lens.identity()[None], points), points)
    image = torch.randn(2, 3, 9, 14)
    torch.testing.assert_close(wk.warp(image, lens, lens.identity()[None]), image)


def test_a_calibrated_camera_in_pixels():
    pixels = np.random.default_rng(0).uniform((0, 0), SIZE[::-1], size=(200, 2))
    lens = Lens.from_camera(CAMERA, SIZE)
    moved = lens(torch.tensor([THETA], dtype=torch.float64), torch.as_tensor(normalised(pixels))[None])
    np.testing.assert_allclose(moved[0].numpy(), normalised(brown_conrady(pixels, CAMERA, THETA)), atol=1e-12)


def test_opencv_projects_points_to_the_same_place():
    cv2 = pytest.importorskip("cv2")
    ideal = np.random.default_rng(1).uniform(-0.5, 0.5, size=(200, 2))
    rays = np.concatenate([ideal, np.ones((200, 1))], -1)
    projected, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.array(CAMERA), np.array(THETA))
    pixels = ideal * np.diag(CAMERA)[:2] + np.array(CAMERA)[:2, 2]
    moved = Lens.from_camera(CAMERA, SIZE)(
        torch.tensor([THETA], dtype=torch.float64), torch.as_tensor(normalised(pixels))[None]
    )
    np.testing.assert_allclose(moved[0].numpy(), normalised(projected[:, 0]), atol=1e-10)


def test_warping_undistorts_as_opencv_does():
    cv2 = pytest.importorskip("cv2")
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    photo = (np.sin(x / 9.0) * np.cos(y / 11.0)).astype(np.float32)  # smooth: OpenCV rounds coordinates to 1/32 pixel
    expected = cv2.undistort(photo, np.array(CAMERA), np.array(THETA))
    given = wk.warp(torch.as_tensor(photo)[None, None], Lens.from_camera(CAMERA, SIZE), torch.tensor([THETA]))
    given = given[0, 0].numpy()
    inside = np.s_[20:-20, 20:-20]
    assert np.abs(given - expected)[inside].max() < 0.02 < np.abs(photo - expected)[inside].max()


def test_straight_lines_bend_outwards_in_a_barrel_and_warping_straightens_them():
    """A barrel maps a straight ideal line to an arc; the transform must follow the arc."""
    line = torch.stack([torch.linspace(-0.9, 0.9, 7), torch.full((7,), 0.8)], -1)[None]
    arc = wk.get_transform("lens")(torch.tensor([[-0.2, 0.0, 0.0, 0.0, 0.0]]), line)[0, :, 1]
    assert (arc[:3].diff() > 0).all()
    assert (arc[4:].diff() < 0).all()


def test_focal_makes_distortion_round_on_a_wide_image():
    lens = wk.get_transform("lens", focal=(0.5, 1.0))  # twice as wide as high
    right, below = torch.tensor([[[0.25, 0.0], [0.0, 0.5]]])[0]  # both half the height from the centre
    moved = lens(torch.tensor([[0.1, 0.0, 0.0, 0.0, 0.0]]), torch.stack([right, below])[None])[0]
    assert (moved[0, 0] / right[0]).item() == pytest.approx((moved[1, 1] / below[1]).item())


def test_gradients_agree_with_finite_differences():
    torch.manual_seed(0)
    lens = Lens.from_camera(CAMERA, SIZE)
    theta = torch.tensor([THETA], dtype=torch.float64, requires_grad=True)
    points = (torch.rand(1, 6, 2, dtype=torch.float64) * 2 - 1).requires_grad_()
    assert torch.autograd.gradcheck(lens, (theta, points))
    assert torch.autograd.gradgradcheck(lens, (theta, points))
    image = torch.randn(1, 2, 7, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u, t: wk.warp(u, lens, t), (image, theta))


def test_jacobian_agrees_with_finite_differences():
    lens = wk.get_transform("lens")
    theta, p, h = torch.tensor([THETA], dtype=torch.float64), torch.tensor([[[0.3, -0.6]]], dtype=torch.float64), 1e-6
    columns = [(lens(theta, p + h * e) - lens(theta, p - h * e)) / (2 * h) for e in torch.eye(2, dtype=torch.float64)]
    torch.testing.assert_close(lens.jacobian(theta, p), torch.stack(columns, -1), rtol=0, atol=1e-8)


def test_a_batch_of_lenses_on_one_image():
    lens, image = wk.get_transform("lens"), torch.randn(1, 1, 8, 8)
    thetas = torch.tensor([THETA, [0.0] * 5])
    both = wk.warp(image, lens, thetas)
    torch.testing.assert_close(both[:1], wk.warp(image, lens, thetas[:1]))
    torch.testing.assert_close(both[1:], image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"focal": (1.0, 0.0)}, "other than 0"),
        ({"focal": 1.0}, "focal: expected two numbers"),
        ({"center": (0.0, 0.0, 0.0)}, "center: expected two numbers"),
        ({"center": (float("nan"), 0.0)}, "two finite numbers"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(wk.InputError, match=message):
        wk.get_transform("lens", **options)


@pytest.mark.parametrize(
    "matrix",
    [
        [[300.0, 1.0, 160.0], [0.0, 300.0, 120.0], [0.0, 0.0, 1.0]],
        [[300.0, 0.0, 160.0], [0.0, 300.0, 120.0]],
        [300.0, 300.0, 160.0],
    ],
)
def test_what_is_no_camera_matrix_is_refused(matrix):
    with pytest.raises(wk.InputError, match="camera matrix"):
        Lens.from_camera(matrix, SIZE)
