"""θ is found again from what the warp with it made."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import warpkit as wk
from warpkit.alignment.level import moved

AFFINE = torch.tensor([[0.95, -0.2, 0.06, 0.18, 1.05, -0.1]])
CORNERS = torch.tensor([[[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]])


def blobs(*size: int, channels: int = 1, seed: int = 0) -> torch.Tensor:
    """[1, channels, *size], smooth noise: there is something to see everywhere, at several scales."""
    rng, image = torch.Generator().manual_seed(seed), torch.zeros(1, channels, *size)
    for scale in (4, 8):
        coarse = torch.randn(1, channels, *(max(2, n // scale) for n in size), generator=rng)
        image = image + scale * wk.warp(coarse, *still(len(size)), size=size, kernel="bicubic", padding_mode="border")
    return image


def still(ndim: int) -> tuple[wk.Transform, torch.Tensor]:
    affine = wk.get_transform("affine", ndim=ndim)
    return affine, affine.identity()[None]


def warped(image, transform, theta):
    return wk.warp(image, transform, theta, kernel="bicubic", padding_mode="reflection")


def error(transform, found, theta, side: int = 64) -> float:
    """The mean distance of the corners, in pixels."""
    return float((transform(found, CORNERS) - transform(theta, CORNERS)).norm(dim=-1).mean()) * side / 2


def test_an_image_is_brought_onto_itself_by_the_identity():
    image = blobs(64, 64)
    for name in ("affine", "projective", "thin_plate_spline"):
        transform = wk.get_transform(name)
        assert error(transform, wk.align(image, image, name), transform.identity()[None]) < 1e-3


@settings(max_examples=4)
@given(
    angle=st.floats(-math.pi, math.pi),
    scale=st.floats(0.8, 1.25),
    x=st.floats(-0.2, 0.2),
    y=st.floats(-0.2, 0.2),
)
def test_a_rotation_a_scale_and_a_shift_are_found_whatever_the_angle(angle, scale, x, y):
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    theta, affine, image = torch.tensor([[c, -s, x, s, c, y]]), wk.get_transform("affine"), blobs(64, 64)
    fixed = wk.warp(image, affine, theta, kernel="bicubic")
    assert error(affine, wk.align(image, fixed, "affine"), theta) < 0.1


@pytest.mark.parametrize("made", ["bilinear", ("bilinear", "bicubic")])
def test_a_pair_is_found_more_exactly_with_the_kernel_that_made_it(made):
    affine, image = wk.get_transform("affine"), blobs(64, 64)
    fixed = wk.warp(image, affine, AFFINE, kernel=made, padding_mode="reflection")
    off, by_default = (error(affine, wk.align(image, fixed, affine, **how), AFFINE) for how in ({"kernel": made}, {}))
    assert off < by_default / 2
    assert off < 0.005


def test_the_kernel_is_bicubic_unless_another_is_named():
    image = blobs(24, 24)
    fixed = warped(image, "affine", AFFINE)
    assert torch.equal(wk.align(image, fixed, "affine"), wk.align(image, fixed, "affine", kernel="bicubic"))


def test_a_projective_warp_a_spline_and_a_plugin_are_found():
    image = blobs(64, 64)
    spline = wk.get_transform("thin_plate_spline", grid=(3, 3))
    bent = spline.identity() + 0.1 * torch.randn(18, generator=torch.Generator().manual_seed(1))

    class Shear(wk.Transform):
        """x + θ₁ y + θ₂ sin 2y: of a shape that nothing in the package knows."""

        ndim, num_params = 2, 2

        def identity(self):
            return torch.zeros(2)

        def forward(self, theta, points):
            x, y = points.unbind(-1)
            return torch.stack([x + theta[:, :1] * y + theta[:, 1:] * (2 * y).sin(), y.expand_as(x + theta[:, :1])], -1)

    projective = torch.tensor([[1.05, 0.1, 0.02, -0.05, 0.97, 0.05, 0.06, -0.08]])
    for transform, theta in (
        (wk.get_transform("projective"), projective),
        (spline, bent[None]),
        (Shear(), torch.tensor([[0.15, -0.08]])),
    ):
        assert error(transform, wk.align(image, warped(image, transform, theta), transform), theta) < 0.3


def test_an_attention_window_finds_its_scale_and_its_place():
    image, theta = blobs(64, 64), torch.tensor([[0.8, 0.1, -0.15]])
    found = wk.align(image, warped(image, "attention", theta), "attention")
    torch.testing.assert_close(found, theta, atol=2e-3, rtol=0)


@pytest.mark.parametrize("size", [(96,), (16, 18, 20)])
def test_signals_and_volumes_are_aligned_too(size):
    affine, identity = still(len(size))
    theta = identity + 0.08 * torch.randn(identity.shape, generator=torch.Generator().manual_seed(2))
    image = blobs(*size)
    found = wk.align(image, wk.warp(image, affine, theta, kernel="bicubic"), "affine")
    torch.testing.assert_close(found, theta, atol=0.01, rtol=0)


def test_the_images_may_differ_in_size():
    image = blobs(72, 96)
    fixed = wk.warp(image, "affine", AFFINE, size=(50, 64), kernel="bicubic")
    assert error(wk.get_transform("affine"), wk.align(image, fixed, "affine"), AFFINE) < 0.2


def test_ncc_is_indifferent_to_brightness_and_contrast():
    image = blobs(64, 64, channels=2)
    fixed = 0.01 * warped(image, "affine", AFFINE) * torch.tensor([1.0, 3.0])[None, :, None, None] + 200
    assert error(wk.get_transform("affine"), wk.align(image, fixed, "affine", loss="ncc"), AFFINE) < 0.1


def test_integers_are_images_too():
    image = (blobs(64, 64) * 8 + 128).clamp(0, 255).byte()
    found = wk.align(image, wk.warp(image, "affine", AFFINE, kernel="bicubic"), "affine")
    assert found.dtype == torch.float32
    assert error(wk.get_transform("affine"), found, AFFINE) < 0.2


def test_a_batch_equals_its_images_one_by_one_and_one_image_is_shared():
    images = torch.cat([blobs(32, 32, seed=seed) for seed in range(2)])
    thetas = torch.cat([AFFINE, torch.tensor([[1.0, 0.1, 0.0, -0.1, 1.0, 0.2]])])
    together = wk.align(images, warped(images, "affine", thetas), "affine")
    alone = [
        wk.align(i[None], warped(i[None], "affine", t[None]), "affine") for i, t in zip(images, thetas, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-3, rtol=0)
    shared = wk.align(images[:1], warped(images[:1], "affine", thetas), "affine")
    torch.testing.assert_close(shared, thetas, atol=5e-3, rtol=0)
    assert wk.align(images[:0], images[:0], "affine").shape == (0, 6)


def test_the_same_input_gives_the_same_theta_in_any_mode_of_autograd():
    image = blobs(24, 24)
    fixed = warped(image, "affine", AFFINE)
    found = wk.align(image, fixed, "affine")
    with torch.inference_mode():
        again = wk.align(image.clone(), fixed.clone(), "affine")
    assert torch.equal(found, again)
    assert not wk.align(image.requires_grad_(), fixed, "affine").requires_grad


def test_what_has_nothing_in_common_is_not_made_worse():
    moving, fixed = blobs(40, 40, seed=3), blobs(40, 40, seed=4)
    init = torch.tensor([[1.0, 0.0, 0.1, 0.0, 1.0, 0.1]])
    found = wk.align(moving, fixed, "affine", init=init)
    assert found.isfinite().all()
    before, after = (
        (wk.warp(moving, "affine", t, padding_mode="border") - fixed).square().mean() for t in (init, found)
    )
    assert after <= before * 1.05


def test_init_is_the_start_of_a_transform_without_identity():
    image = blobs(64, 64)
    window = wk.get_transform("attention", scale=0.5)
    fixed = warped(image, window, torch.tensor([[0.2, 0.1]]))
    with pytest.raises(wk.InputError, match="no identity: give init"):
        wk.align(image, fixed, window)
    found = wk.align(image, fixed, window, init=torch.tensor([0.15, 0.15]))
    torch.testing.assert_close(found, torch.tensor([[0.2, 0.1]]), atol=0.01, rtol=0)


def test_progress_grows_to_one():
    told = []
    wk.align(blobs(64, 64), blobs(64, 64), "affine", progress=lambda done, loss: told.append((done, loss)))
    shares = [done for done, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert all(loss >= 0 for _, loss in told)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"moving": torch.zeros(1, 1, 8, 8)}, "moving: the same value everywhere, in batch entries \\[0\\]"),
        ({"fixed": torch.full((1, 1, 8, 8), torch.nan)}, "fixed: values that are not finite, in batch entries \\[0\\]"),
        ({"moving": torch.rand(1, 2, 8, 8)}, "as many channels and dimensions"),
        (
            {"moving": torch.rand(3, 1, 8, 8), "fixed": torch.rand(2, 1, 8, 8)},
            "batch of moving: expected that of fixed, 2, .*got 3",
        ),
        ({"moving": torch.rand(8, 8)}, "moving: expected a real tensor"),
        ({"moving": torch.rand(1, 1, 0, 8)}, "moving: expected a channel and a pixel at least"),
        ({"transform": "afine"}, "Did you mean 'affine'"),
        ({"loss": "nccc"}, "unknown loss 'nccc'. Did you mean 'ncc'"),
        ({"kernel": "bilinaer"}, "Did you mean 'bilinear'"),
        ({"kernel": ("bilinear",) * 3}, "kernel: expected one, or 2 in the order x, y, z, got 3"),
        (
            {"transform": {"type": "affine", "ndim": 3}},
            "expected one in 2-D, as the images are, got Affine in 3-D",
        ),
        ({"init": torch.zeros(1, 5)}, "expected \\[N, 6\\] for Affine"),
        ({"init": torch.full((6,), torch.inf)}, "init: expected finite numbers"),
    ],
)
def test_what_cannot_be_aligned_is_said(unchecked, change, message):
    given = {"moving": torch.rand(1, 1, 8, 8), "fixed": torch.rand(1, 1, 8, 8), "transform": "affine"} | change
    with pytest.raises(wk.InputError, match=message):
        wk.align(**given)


@pytest.mark.parametrize(
    "transform",
    [
        "affine",
        "projective",
        {"type": "thin_plate_spline", "grid": [3, 3]},
        {"type": "free_form", "grid": [4, 4]},
        {"type": "compose", "of": ["similarity", {"type": "thin_plate_spline", "grid": [3, 3]}]},
    ],
    ids=str,
)
def test_a_pose_s_points_have_their_derivatives_in_each_parameter(transform):
    """Beside differences of the points themselves, for two poses at once."""
    transform, size, h = wk.get_transform(transform), (4, 5), 1e-5
    bent = 0.05 * torch.randn(2, transform.num_params, generator=torch.Generator().manual_seed(4)).double()
    theta = transform.identity().double() + bent
    points, motion = moved(transform, theta, size, False)
    torch.testing.assert_close(points, transform.on_lattice(theta, size, False), atol=1e-12, rtol=0)
    for k, axis in enumerate(h * torch.eye(transform.num_params).double()):
        ahead, behind = (transform.on_lattice(theta + step, size, False) for step in (axis, -axis))
        expected = ((ahead - behind) / (2 * h)).flatten(1, -2)
        torch.testing.assert_close(motion[..., k], expected, atol=1e-6, rtol=0)
