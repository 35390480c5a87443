"""Antialiased warps: means over the area of output pixels, held against supersampling and exact means."""

import gc
import itertools
import weakref

import numpy as np
import pytest
import torch
from scipy import ndimage

import warpkit as wk

TURNED = torch.tensor([[0.7, 0.4, 0.1, -0.4, 0.7, -0.1]], dtype=torch.float64)
HORIZON = torch.tensor([[0.8, 0, 0, 0, 0.8, 0, 0, -0.75]], dtype=torch.float64)
MODES = ["zeros", "border", "reflection", "wrap", "none"]


def scene(*shape, seed=0, smooth=0.7):
    """Noise that is a little smooth, so that no pixel is like its neighbours."""
    noise = np.random.default_rng(seed).normal(size=shape)
    return torch.as_tensor(ndimage.gaussian_filter(noise, [0, 0, *[smooth] * (len(shape) - 2)]))


def supersampled(image, transform, theta, size, k=12, **ways):
    """The mean of k samples along each axis of every output pixel."""
    fine = wk.warp(image, transform, theta, size=[k * n for n in size], **ways)
    return torch.nn.functional.avg_pool2d(fine, k)


def error(found, expected):
    return float((found - expected).square().mean().sqrt() / expected.std())


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("padding", MODES)
@pytest.mark.parametrize(
    ("transform", "theta", "size"),
    [("affine", TURNED, (12, 15)), ("affine", 1.3 * TURNED, (9, 30)), ("projective", HORIZON, (40, 30))],
)
def test_is_near_the_mean_over_the_area(transform, theta, size, padding, aligned):
    image = scene(1, 2, 93, 120)
    ways = {"padding_mode": padding, "align_corners": aligned, "fill": 0.5}
    plain = wk.warp(image, transform, theta, size=size, **ways)
    found = wk.warp(image, transform, theta, size=size, antialias=True, **ways)
    if aligned:  # other pixels' areas: they reach half a pixel beyond −1 … 1
        wide = torch.tensor([n / (n - 1) for n in size[::-1]] + [1.0]).double().diag()
        half = torch.tensor([(n - 1) / n for n in (120, 93)] + [1.0]).double().diag()
        matrix = half @ wk.get_transform(transform).matrix(theta) @ wide
        expected = supersampled_by(image, matrix, size, **ways)
    else:
        expected = supersampled(image, transform, theta, size, **ways)
    assert error(found, expected) < 0.25 * error(plain, expected)


def supersampled_by(image, matrix, size, k=12, **ways):
    """The same where −1 and 1 are the centres of the outer pixels: the matrix takes edges to edges."""
    fine = wk.lattice([k * n for n in size], dtype=torch.float64).reshape(-1, 2)
    moved = torch.cat([fine, torch.ones_like(fine[:, :1])], dim=1) @ matrix[0].T
    n = torch.tensor([image.shape[-1], image.shape[-2]])
    coords = moved[:, :2] / moved[:, 2:] * n / (n - 1)
    found = wk.sample(image, coords[None], **ways).reshape(1, -1, *[k * n for n in size])
    return torch.nn.functional.avg_pool2d(found, k)


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic", "bspline"])
@pytest.mark.parametrize("factor", [2, 4])
def test_a_whole_factor_is_the_mean_of_blocks_of_pixels(factor, kernel):
    """Of as many sub-points as pixels, each on a pixel's own place."""
    image = scene(1, 3, 24, 32)
    theta = wk.get_transform("affine").identity()[None].double()
    found = wk.warp(image, "affine", theta, size=(24 // factor, 32 // factor), kernel=kernel, antialias=True)
    expected = torch.nn.functional.avg_pool2d(image, factor)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_a_far_reduction_is_the_mean_of_everything():
    image = scene(1, 1, 64, 64, smooth=0)
    theta = wk.get_transform("affine").identity()[None].double()
    found = wk.warp(image, "affine", theta, size=(1, 1), antialias=True)
    assert abs(float(found - image.mean())) < 0.05 * float(image.std())


@pytest.mark.parametrize("name", ["affine", "projective", "thin_plate_spline", "polar"])
def test_where_nothing_shrinks_it_is_the_plain_warp_bit_for_bit(name):
    image = scene(1, 2, 20, 20).float()
    transform = wk.get_transform(name)
    theta = transform.identity()[None] if name != "polar" else torch.zeros(1, 2)
    if name == "affine":
        theta = torch.tensor([[0.8, -0.6, 0, 0.6, 0.8, 0]])  # a turn
    size = (20, 20) if name != "polar" else (400, 400)
    ways = {"size": size, "kernel": "bicubic"}
    plain, found = (wk.warp(image, transform, theta, antialias=a, **ways) for a in (False, True))
    assert torch.equal(plain, found)


def test_only_the_pixels_that_cover_several_change():
    image = scene(1, 1, 64, 64)
    found = wk.warp(image, "projective", HORIZON, padding_mode="wrap", antialias=True)
    plain = wk.warp(image, "projective", HORIZON, padding_mode="wrap")
    columns = wk.get_transform("projective").jacobian(HORIZON, wk.lattice((64, 64), dtype=torch.float64)[None])[0]
    large = (columns.norm(dim=-2) > 1 + 1e-6).any(-1)
    assert torch.equal(found[0, 0][~large], plain[0, 0][~large])
    assert (found != plain)[0, 0][large].double().mean() > 0.9
    assert 0.1 < large.double().mean() < 0.9


def test_a_field_and_a_composition():
    image = scene(1, 1, 60, 60)
    field = 0.2 * torch.randn(1, 2, 4, 4, dtype=torch.float64)
    both = wk.Compose(["affine", "displacement"])
    theta = (1.5 * TURNED, field)
    expected = supersampled(image, both, theta, (15, 15), padding_mode="border")
    plain, found = (
        wk.warp(image, both, theta, size=(15, 15), padding_mode="border", antialias=a) for a in (False, True)
    )
    assert error(found, expected) < 0.25 * error(plain, expected)


@pytest.mark.parametrize("ndim", [1, 3])
def test_other_dimensions(ndim):
    image = scene(1, 1, *[32] * ndim, smooth=0)
    theta = wk.get_transform("affine", ndim=ndim).identity()[None].double()
    found = wk.warp(image, "affine", theta, size=[8] * ndim, antialias=True)
    pool = torch.nn.functional.avg_pool1d if ndim == 1 else torch.nn.functional.avg_pool3d
    torch.testing.assert_close(found, pool(image, 4), rtol=0, atol=1e-9)


def test_each_image_of_a_batch_has_its_own_footprint():
    images = scene(3, 1, 40, 40)
    theta = torch.cat([0.25 * TURNED, 1.0 * TURNED, 2.0 * TURNED])
    together = wk.warp(images, "affine", theta, size=(10, 10), antialias=True)
    alone = [wk.warp(images[k : k + 1], "affine", theta[k : k + 1], size=(10, 10), antialias=True) for k in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-12)
    many = wk.warp(images, "affine", TURNED, size=(10, 10), antialias=True)
    alone = [wk.warp(one[None], "affine", TURNED, size=(10, 10), antialias=True) for one in images]
    torch.testing.assert_close(many, torch.cat(alone), rtol=0, atol=1e-12)
    theta = torch.cat([HORIZON, -0.3 * HORIZON])
    shared = wk.warp(images[:1], "projective", theta, size=(10, 10), antialias=True)
    alone = [wk.warp(images[:1], "projective", theta[k : k + 1], size=(10, 10), antialias=True) for k in range(2)]
    torch.testing.assert_close(shared, torch.cat(alone), rtol=0, atol=1e-12)
    many = wk.warp(images, "projective", HORIZON, size=(10, 10), antialias=True)
    alone = [wk.warp(one[None], "projective", HORIZON, size=(10, 10), antialias=True) for one in images]
    torch.testing.assert_close(many, torch.cat(alone), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.uint16, torch.int32, torch.float16, torch.float32, torch.complex64]
)
def test_types(dtype):
    exact = (scene(1, 2, 48, 48) * 300 + 100).clamp(0, 250)
    image = exact.to(dtype)
    found = wk.warp(image, "affine", TURNED, size=(12, 12), antialias=True)
    stored = image.to(torch.complex128).real
    expected = wk.warp(stored, "affine", TURNED, size=(12, 12), antialias=True)
    assert found.dtype == dtype
    wide = wk.warp(image, "projective", HORIZON, size=(12, 12), antialias=True)
    assert wide.dtype == dtype
    assert (
        wide.to(torch.complex128).real - wk.warp(stored, "projective", HORIZON, size=(12, 12), antialias=True)
    ).abs().max() < 0.51
    assert (found.to(torch.complex128).real - expected).abs().max() < (
        0.51 if dtype in (torch.uint8, torch.uint16, torch.int32) else 0.1
    )


HORIZONS = [
    pytest.param("projective", HORIZON, padding, marks=[] if padding == "wrap" else pytest.mark.exhaustive)
    for padding in MODES
]


@pytest.mark.parametrize(
    ("transform", "theta", "padding"), [*(("affine", 1.1 * TURNED, padding) for padding in MODES), *HORIZONS]
)
def test_gradients_are_those_of_the_values(transform, theta, padding):
    image = scene(1, 1, 8, 9).requires_grad_()
    theta = (theta + 0.0131).requires_grad_()

    def warped(image, theta):
        return wk.warp(image, transform, theta, size=(2, 3), kernel="bicubic", padding_mode=padding, antialias=True)

    assert torch.autograd.gradcheck(warped, (image, theta))


def test_second_derivatives_and_forward_mode():
    image, theta = scene(1, 1, 6, 7).requires_grad_(), (1.1 * TURNED).requires_grad_()

    def warped(image, theta):
        return wk.warp(image, "affine", theta, size=(2, 2), kernel="bspline", padding_mode="border", antialias=2)

    assert torch.autograd.gradgradcheck(warped, (image, theta))
    assert torch.autograd.gradcheck(warped, (image, theta), check_forward_ad=True, check_backward_ad=False)


class TwoSlopes(wk.Kernel):
    """Keys' cubic, whose slope is the mean of two parameters."""

    radius = 2.0

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor([-0.4, -0.6]))

    def forward(self, distance):
        d, a = distance.abs(), self.a.mean()
        near = ((a + 2) * d - (a + 3)) * d**2 + 1
        return torch.where(d < 1, near, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a)


@pytest.mark.parametrize(("transform", "theta"), [("affine", TURNED), ("projective", HORIZON)])
def test_a_kernel_learns(transform, theta):
    kernel, image = TwoSlopes().double(), scene(1, 1, 40, 40)

    def loss():
        return wk.warp(image, transform, theta, size=(9, 9), kernel=kernel, antialias=True).square().sum()

    loss().backward()
    moved = []
    for step in (1e-4, -1e-4):
        with torch.no_grad():
            kernel.a[0] += step
            moved.append(loss())
            kernel.a[0] -= step
    assert kernel.a.grad[0] == pytest.approx(float(moved[0] - moved[1]) / 2e-4, rel=1e-2)


def test_fill_and_nan_marks():
    image, out = scene(1, 2, 40, 40), (10, 10)
    theta = 1.5 * TURNED
    found = wk.warp(image, "affine", theta, size=out, fill=3.0, antialias=True)
    shifted = wk.warp(image - 3.0, "affine", theta, size=out, antialias=True) + 3.0
    torch.testing.assert_close(found, shifted)
    marked = wk.warp(image, "affine", theta, size=out, fill=torch.nan, antialias=True)
    assert marked.isnan().any()
    assert not marked.isnan().all()
    kept = ~marked.isnan()
    inside = wk.warp(image, "affine", theta, size=out, antialias=True)
    torch.testing.assert_close(marked[kept], inside[kept])


def test_nan_marks_channels_and_what_has_no_place():
    image, beyond = scene(1, 3, 40, 40), torch.tensor([[0.8, 0, 0, 0, 0.8, 0, 0, -2.0]])
    marked = wk.warp(image, "projective", beyond, size=(20, 20), fill=[1.0, torch.nan, 0.0], antialias=True)
    plain = wk.warp(image, "projective", beyond, size=(20, 20), fill=[1.0, torch.nan, 0.0])
    assert plain[:, 1].isnan().any()
    assert marked[:, 1][plain[:, 1].isnan()].isnan().all()  # behind the horizon too
    assert not marked[:, ::2].isnan().any()


@pytest.mark.parametrize("transform", ["affine", "projective"])
@pytest.mark.parametrize(("size", "out"), [(99, 11), (513, 60), (93, 14)])
def test_what_is_outside_has_no_part_in_pixels_inside(size, out, transform):
    """An image of one number stays one, whatever is around it, where no output pixel reaches beyond it."""
    image, theta = torch.full((1, 1, size, size), 100, dtype=torch.uint8), wk.get_transform(transform).identity()[None]
    found = wk.warp(image, transform, theta, size=out, fill=255, antialias=True)
    assert (found[:, :, 1:-1, 1:-1] == 100).all()
    assert (found.int() - 100).abs().max() <= 10  # at its very edge half a pixel of what is outside is read
    large = wk.warp(image.float(), transform, 0.5 * theta, size=out, fill=1e8, antialias=True)
    assert (large[:, :, 1:-1, 1:-1] == 100).all()


@pytest.mark.parametrize("factor", [5, 6, 7, 12])
def test_the_value_is_the_same_where_theta_learns(factor):
    image, theta = scene(1, 1, 8 * factor, 8 * factor, smooth=0), wk.get_transform("affine").identity()[None].double()
    found = wk.warp(image, "affine", theta, size=8, antialias=True)
    learnt = wk.warp(image, "affine", theta.requires_grad_(), size=8, antialias=True)
    torch.testing.assert_close(found, learnt.detach(), rtol=0, atol=1e-6)


def test_an_image_may_go_and_change():
    """Nothing of it is kept."""
    array = np.random.default_rng(0).normal(size=(1, 1, 40, 40)).astype("f")
    image = torch.from_numpy(array)
    first = wk.warp(image, "affine", TURNED, size=(5, 5), antialias=True)
    array *= 2
    torch.testing.assert_close(wk.warp(image, "affine", TURNED, size=(5, 5), antialias=True), 2 * first)
    gone = weakref.ref(image)
    del image
    gc.collect()
    assert gone() is None


def test_inference_and_then_training():
    with torch.inference_mode():
        wk.warp(torch.rand(1, 1, 40, 40), "affine", TURNED, size=(5, 5), antialias=True)
    image = torch.rand(1, 1, 40, 40)
    with torch.inference_mode():
        wk.warp(image, "affine", TURNED, size=(5, 5), antialias=True)
    wk.warp(image, "affine", TURNED.clone().requires_grad_(), size=(5, 5), antialias=True).sum().backward()


def test_no_images_and_images_without_numbers():
    assert wk.warp(torch.rand(1, 1, 9, 9), "affine", TURNED[:0], size=3, antialias=True).shape == (0, 1, 3, 3)
    image, theta = torch.rand(2, 1, 9, 9, device="meta"), TURNED.float().to("meta")
    assert wk.warp(image, "affine", theta, size=3, antialias=True).shape == (2, 1, 3, 3)


def test_what_it_refuses(unchecked):
    image = scene(1, 1, 8, 8)
    for wrong in (0, -1, 65, 2.0, "yes", None):
        with pytest.raises(wk.InputError, match="antialias"):
            wk.warp(image, "affine", TURNED, antialias=wrong)
    with pytest.raises(wk.InputError, match="Means of labels"):
        wk.warp(image, "affine", TURNED, kernel="nearest", antialias=True)
    with pytest.raises(wk.InputError, match="coefficients"):
        wk.warp(wk.prefilter(image), "affine", TURNED, kernel={"type": "bspline", "prefilter": False}, antialias=True)
    with pytest.raises(wk.InputError, match="antialias"):
        wk.SpatialTransformer("conv_localization", antialias=0)
    with pytest.raises(wk.InputError, match="Means of labels"):
        wk.RandomWarp(kernel="nearest", antialias=True)
    with pytest.raises(wk.InputError, match="vmap goes over θ"):
        torch.func.vmap(lambda t: wk.warp(image, "affine", t[None], size=(5, 5), antialias=True))(TURNED.repeat(2, 1))


def test_a_transformer_takes_means_and_says_so_in_its_spec():
    layer = wk.SpatialTransformer("conv_localization", "attention", size=8, antialias=True, init=[0.9, 0, 0])
    image = scene(2, 1, 48, 48).float()
    found = layer(image)
    theta = torch.tensor([[0.9, 0, 0]]).expand(2, 3)
    torch.testing.assert_close(found, wk.warp(image, "attention", theta, size=(8, 8), antialias=True))
    found.square().sum().backward()
    assert layer.regression.weight.grad.abs().sum() > 0
    spec = wk.to_spec(layer)
    assert "'antialias': True" in str(spec)
    torch.testing.assert_close(wk.build(spec | {"input": [1, 48, 48]})(image), layer(image))


def test_random_warps_take_means_of_images_and_keep_masks():
    torch.manual_seed(0)
    augment = wk.RandomWarp(scale=(0.2, 0.3), antialias=True)
    image, masks = scene(1, 1, 60, 60), torch.randint(0, 3, (1, 1, 60, 60))
    theta = augment.theta(image, torch.Generator().manual_seed(1))
    moved = augment(image, masks=masks, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(moved.image, wk.warp(image, "affine", theta, antialias=True))
    assert torch.equal(moved.masks, wk.warp(masks, "affine", theta, kernel="nearest"))
    assert (moved.image - wk.warp(image, "affine", theta)).abs().max() > 0.1


def test_a_compiled_function_leaves_it_out_of_its_graph(compiler):
    image = scene(1, 1, 40, 40).float()
    compiled = torch.compile(
        lambda u: 2 * wk.warp(u, "affine", TURNED.float(), size=(9, 9), antialias=True), backend="eager"
    )
    torch.testing.assert_close(
        compiled(image), 2 * wk.warp(image, "affine", TURNED.float(), size=(9, 9), antialias=True)
    )


def test_every_mode_at_odd_sizes():
    """Where the image is extended, the mean of what the rule puts there is exact, whatever the size."""
    for n, mode, aligned in itertools.product((5, 7, 9), MODES[:4], (False, True)):
        row = scene(1, 1, n, smooth=0)
        place = torch.tensor([[1.0, 0.9]], dtype=torch.float64)
        ways = {"padding_mode": mode, "align_corners": aligned}
        found = wk.warp(row, "affine", place, size=2, antialias=8, **ways)
        fine = torch.arange(800, dtype=torch.float64)
        at = (fine + 0.5) / 800 * (4.0 if aligned else 2.0) - (2.0 if aligned else 1.0)
        expected = wk.sample(row, (at + 0.9)[None, :, None], **ways).reshape(2, 400).mean(1)
        assert (found.flatten() - expected).abs().max() < 0.3 * row.std(), (n, mode, aligned)


@pytest.mark.parametrize("side", [1, 1.125, 2, 2.125, 3, 3.125, 4, 4.5, 8, 9])
def test_nothing_jumps_where_another_sub_point_or_level_comes_in(side):
    """An output pixel covers so many pixels along its axes, hardly less and hardly more."""
    image = scene(1, 1, 96, 96, smooth=0)
    turned = TURNED / TURNED[0, [0, 3]].norm() * torch.tensor([1.0, 1, 0, 1, 1, 0]).double() * 12 / 96
    less, more = (
        wk.warp(image, "affine", turned * side * factor, size=(12, 12), padding_mode="border", antialias=True)
        for factor in (1 - 1e-5, 1 + 1e-5)
    )
    assert (more - less).abs().max() < 0.005


def test_nothing_jumps_towards_a_horizon():
    """Where output pixels of all sizes lie side by side, each passes some threshold as the map grows."""
    image, found = scene(1, 1, 96, 96, smooth=0), []
    for k in range(31):
        theta = HORIZON * torch.tensor([1 + 2e-4 * k] * 6 + [1, 1]).double()
        found.append(wk.warp(image, "projective", theta, size=(32, 24), padding_mode="border", antialias=True))
    steps = torch.stack([(b - a).abs().max() for a, b in itertools.pairwise(found)])
    assert steps.max() < 0.02


@pytest.mark.parametrize("box", [(0, 0, 24, 16), (8, 24, 56, 40), (1, 2, 13, 10)])
@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_blocks_of_pixels_are_what_sub_points_come_to(box, factor):
    image, out = scene(1, 2, 64, 64), (box[3] // factor - box[1] // factor, box[2] // factor - box[0] // factor)
    theta = wk.pixels.to_theta(wk.pixels.crop(box, out), in_size=64, out_size=out).double()
    ways = {"size": out, "kernel": "bicubic", "antialias": True}
    found = wk.warp(image, "affine", theta, **ways)
    by_points = wk.warp(image, "affine", theta.requires_grad_(), **ways)
    torch.testing.assert_close(found, by_points.detach(), rtol=0, atol=1e-5)


def test_one_image_by_many_theta_that_are_alike_gives_as_many_to_write_into():
    image, theta = scene(1, 1, 16, 16), wk.get_transform("affine").identity().double().repeat(3, 1)
    found = wk.warp(image, "affine", theta, size=4, antialias=True)
    found[0] += 1
    torch.testing.assert_close(found[1:], torch.nn.functional.avg_pool2d(image, 4).repeat(2, 1, 1, 1))
