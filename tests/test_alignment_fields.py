"""Fields that are found: smooth motions of a texture, by every kind of field, in every number of dimensions."""

import pytest
import torch
from strategies import uniform

import warpkit as wk
from warpkit.alignment import dense
from warpkit.alignment.energy import Energy
from warpkit.alignment.level import Level
from warpkit.alignment.losses import LOSSES


def texture(seed, size):
    """Blobs of a few pixels, with mean 0."""
    coarse = uniform(seed, 1, 1, *[max(3, n // 3) for n in size]).float()
    return 20 * wk.sample(coarse, wk.lattice(size)[None], kernel="bicubic", padding_mode="border")


def moved(image, seed, amplitude):
    """The image after a smooth motion of up to so many pixels, and the motion, normalised."""
    size = tuple(image.shape[2:])
    nodes = uniform(seed, 1, len(size), *[4] * len(size)).float()
    field = wk.sample(nodes, wk.lattice(size)[None], kernel="bicubic", padding_mode="border")
    field = field / field.abs().max() * amplitude * 2 / max(size)
    how = {"type": "displacement", "ndim": len(size)}
    return wk.warp(image, how, field, kernel="bicubic", padding_mode="border"), field


def apart(transform, theta, field):
    """The mean distance of two motions, in pixels, without a margin of four."""
    size = tuple(field.shape[2:])
    found = transform.shifts(theta, size, False).movedim(-1, 1)
    halves = torch.tensor([n / 2 for n in reversed(size)]).reshape(-1, *[1] * len(size))
    distance = ((found - field) * halves).square().sum(1).sqrt()[0]
    return distance[tuple(slice(4, n - 4) for n in size)].mean().item()


OTHERS = [pytest.param(name, marks=pytest.mark.exhaustive) for name in ("velocity", "free_form")]
each_kind = pytest.mark.parametrize("name", ["displacement", *OTHERS])
VOLUME = (20, 22, 24)
FOUND = [(name, size) for name in ("displacement", "velocity", "free_form") for size in ((96,), (48, 56))]
SLOW = [pytest.param(name, VOLUME, marks=pytest.mark.exhaustive) for name in ("velocity", "free_form")]


@pytest.mark.parametrize(("name", "size"), [*FOUND, ("displacement", VOLUME), *SLOW], ids=str)
def test_a_smooth_motion_is_found_without_folds(name, size):
    moving = texture(0, size)
    fixed, field = moved(moving, 1, 2.5)
    transform = wk.get_transform(name, **({"grid": [6] * len(size)} if name == "free_form" else {"ndim": len(size)}))
    before = apart(transform, transform.identity(size)[None], field)
    theta = wk.align(moving, fixed, transform, weight=0.2)
    assert apart(transform, theta, field) < min(0.35, before / 3)
    assert wk.losses.folding(transform, theta, size).item() == 0


@pytest.mark.parametrize("align_corners", [False, True])
def test_pixels_and_normalised_units_say_the_same(align_corners):
    moving = texture(0, (24, 28))
    fixed, _ = moved(moving, 1, 2.0)
    found = []
    for units in ("pixels", "normalized"):
        transform = wk.get_transform("displacement", units=units, align_corners=align_corners)
        theta = wk.align(moving, fixed, transform, align_corners=align_corners)
        found.append(transform.displacement(theta))
    torch.testing.assert_close(found[0], found[1], atol=2e-3, rtol=0)


def test_a_field_may_be_coarser_than_the_images_and_begin_anywhere():
    moving = texture(0, (48, 56))
    fixed, field = moved(moving, 1, 2.5)
    transform = wk.get_transform("displacement", kernel="bicubic")
    theta = wk.align(moving, fixed, transform, init=torch.zeros(2, 12, 14), weight=0.01)
    assert theta.shape == (1, 2, 12, 14)
    assert apart(transform, theta, field) < 0.4


def test_brightness_and_contrast_do_not_matter_to_ncc():
    moving = texture(0, (40, 48))
    fixed, field = moved(moving, 1, 2.0)
    theta = wk.align(moving, 0.3 * fixed - 40, "displacement", loss="ncc", weight=0.01)
    assert apart(wk.get_transform("displacement"), theta, field) < 0.4


def test_a_batch_equals_its_images_one_by_one():
    images = [texture(k, (28, 28)) for k in (0, 5)]
    fixed = [moved(image, 1, 2.0)[0] for image in images]
    together = wk.align(torch.cat(images), torch.cat(fixed), "displacement")
    for k in (0, 1):
        alone = wk.align(images[k], fixed[k], "displacement")
        torch.testing.assert_close(together[k : k + 1], alone, atol=5e-3, rtol=0)


def test_more_weight_is_smoother():
    moving = texture(0, (24, 28))
    fixed, _ = moved(moving, 1, 2.0)
    rough = [
        wk.losses.diffusion(
            "displacement", wk.align(moving, fixed, "displacement", weight=w, regularization=r), (24, 28)
        )
        for r in ("bending", "diffusion")
        for w in (0.01, 10.0)
    ]
    assert rough[1] < rough[0]
    assert rough[3] < rough[2]


@each_kind
def test_a_field_that_would_fold_is_smoothed_until_it_does_not(name, monkeypatch):
    """Of two textures that have nothing in common, beside a pair that needs no help."""
    moving = texture(0, (40, 48))
    fixed = torch.cat([texture(9, (40, 48)), moved(moving, 1, 1.0)[0]])
    transform = wk.get_transform(name, **({"grid": (14, 16)} if name == "free_form" else {}))

    def found():
        theta = wk.align(moving, fixed, transform, weight=0.02, init=transform.identity((40, 48)))
        return theta, wk.losses.folding(transform, theta, (40, 48))

    smooth, folds = found()
    assert folds.tolist() == [0, 0]
    monkeypatch.setattr(dense, "_FIRMER", 0)
    rough, folds = found()
    assert folds[0] > 0 == folds[1]
    assert rough[1].equal(smooth[1])


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("units", ["normalized", "pixels"])
def test_fields_of_an_affine_map_are_that_map(ndim, units):
    matrix = torch.eye(ndim + 1, dtype=torch.float64)[None].repeat(2, 1, 1)
    matrix[:, :ndim] += 0.2 * uniform(0, 2, ndim, ndim + 1)
    points = 0.4 * uniform(1, 1, 20, ndim)
    expected = points @ matrix[:, :ndim, :ndim].mT + matrix[:, None, :ndim, ndim]
    for name in ("displacement", "velocity"):
        transform = wk.get_transform(name, ndim=ndim, units=units)
        theta = transform.from_matrix(matrix, 33)
        torch.testing.assert_close(transform(theta, points), expected, atol=1e-5, rtol=0)
    free = wk.get_transform("free_form", grid=[5] * ndim)
    torch.testing.assert_close(free(free.from_matrix(matrix), points), expected)


@pytest.mark.parametrize(
    "matrix", [torch.diag(torch.tensor([-1.0, 1, 1])), torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.2, 0, 1]])]
)
def test_no_flow_of_a_mirror_image_and_no_field_of_a_horizon(matrix):
    with pytest.raises(wk.InputError):
        wk.get_transform("velocity").from_matrix(matrix[None].double(), 9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"regularization": "bendign"}, "Did you mean 'bending'"),
        ({"weight": -1.0}, "weight: expected a finite number, 0 or more"),
        ({"init": torch.zeros(3, 8, 8)}, "components x y"),
    ],
)
def test_what_a_field_cannot_be_fitted_with(wrong, message, unchecked):
    image = texture(0, (24, 24))
    with pytest.raises(wk.InputError, match=message):
        wk.align(image, image.flip(-1), "displacement", **wrong)


def test_a_composition_with_a_field_is_refused():
    image = texture(0, (24, 24))
    both = wk.Compose([wk.get_transform("affine"), wk.get_transform("displacement")])
    with pytest.raises(wk.InputError, match="no compositions with fields"):
        wk.align(image, image.flip(-1), both)


@pytest.mark.parametrize("penalty", ["bending", "diffusion"])
@pytest.mark.parametrize("units", ["pixels", "normalized"])
@pytest.mark.parametrize("size", [(11,), (9, 12), (6, 7, 8)], ids=str)
def test_the_penalty_s_gradient_is_that_of_the_loss(penalty, units, size):
    transform = wk.get_transform("displacement", ndim=len(size), units=units)
    image = uniform(0, 2, 1, *size)
    energy = Energy(transform, penalty, 0.3, False, Level(image, image, LOSSES["mse"], "bicubic", False), spacing=2.0)
    theta = uniform(1, 2, len(size), *size).requires_grad_()
    loss = {"bending": wk.losses.bending, "diffusion": wk.losses.diffusion}[penalty](transform, theta, size)
    (expected,) = torch.autograd.grad(0.3 * loss.sum() / (4 if penalty == "bending" else 1), theta)
    torch.testing.assert_close(energy._pulled_at_places(theta.detach()), expected)


class Doubled(wk.FieldTransform):
    """A linear field of a plugin's: it moves twice as far as θ says."""

    is_linear = True

    def displacement(self, theta):
        return 2 * theta


@pytest.mark.parametrize("other", [Doubled(), "bspline", "corners"], ids=["plugin", "smoothing kernel", "alignment"])
def test_a_step_is_that_of_what_theta_means(other):
    """θ is not always the displacement of the pixel at its place. Its penalty's slope is exact, a whole step good."""
    if other == "bspline":
        other = wk.get_transform("displacement", kernel=wk.get_kernel("bspline", prefilter=False))
    if other == "corners":
        other = wk.get_transform("displacement", align_corners=True)
    size = (24, 26)
    image = texture(0, size)
    fixed, _ = moved(image, 1, 0.4)
    energy = Energy(other, "bending", 0.3, False, Level(image, fixed, LOSSES["mse"], "bicubic", False), spacing=1.0)
    theta = (0.002 * uniform(1, 1, 2, *size).float()).requires_grad_()
    loss = wk.losses.bending(other, theta, size, align_corners=other.align_corners)
    (expected,) = torch.autograd.grad(0.3 * loss.sum(), theta)
    torch.testing.assert_close(energy._pulled(theta.detach()), expected)
    start = theta.detach()
    assert energy.value(start + energy.newton(start)) < 0.2 * energy.value(start)


def test_without_a_penalty_and_of_a_line_there_is_a_field():
    moving = texture(0, (24, 28))
    fixed, _ = moved(moving, 1, 1.0)
    found = wk.align(moving, fixed, "displacement", weight=0)
    assert (wk.warp(moving, "displacement", found) - fixed).square().mean() < (moving - fixed).square().mean() / 4
    line = texture(0, (1, 40))
    for align_corners in (False, True):
        for name in ("displacement", "velocity", "free_form"):
            assert wk.align(line, line.roll(1, -1), name, align_corners=align_corners).isfinite().all()


@each_kind
def test_an_image_has_the_field_that_it_has_alone(name):
    """Beside one that ends sooner, one that folds, and one that is hard."""
    size, transform = (28, 26), wk.get_transform(name)
    images = [texture(k, size) for k in range(4)]
    fixed = [moved(image, k, a)[0] for k, (image, a) in enumerate(zip(images, (0.1, 2.0, 3.5), strict=False))]
    fixed.append(texture(9, size))
    together = wk.align(torch.cat(images), torch.cat(fixed), transform)
    for k in range(4):
        alone = wk.align(images[k], fixed[k], transform)
        torch.testing.assert_close(together[k : k + 1], alone, atol=1e-4, rtol=0)


def test_the_work_ends_at_its_end():
    moving = texture(0, (24, 28))
    for name in ("displacement", "free_form"):
        done = []
        wk.align(moving, moved(moving, 1, 1.0)[0], name, progress=lambda share, loss, done=done: done.append(share))
        assert done == sorted(done)
        assert done[-1] == 1
