"""Fields: displacements of an own lattice, read at any point by the sampler."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given
from oracles import scipy_sample
from strategies import MODES, seeds, sizes, uniform

import warpkit as wk

SIZES = ((9,), (9, 7), (5, 6, 7))


def flow(ndim, **options):
    return wk.get_transform("displacement", ndim=ndim, units="pixels", **options)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_each_pixel_is_sampled_at_its_index_plus_u(size, aligned, mode):
    image, u = uniform(0, 2, 2, *size), 3 * uniform(1, 2, len(size), *size)
    found = wk.warp(image, flow(len(size), align_corners=aligned), u, padding_mode=mode, align_corners=aligned)
    at = np.indices(size)[None] + u.numpy()[:, ::-1]  # rows first
    for n in range(2):
        pixels = at[n].reshape(len(size), -1)[::-1].T
        expected = scipy_sample(image[n].numpy(), pixels, 1, mode, aligned)
        np.testing.assert_allclose(found[n].flatten(1), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["displacement", "velocity"])
def test_zero_of_any_size_is_the_identity_bit_for_bit(name, dtype):
    for size in SIZES:
        image = uniform(0, 2, 1, *size, dtype=torch.float32)
        for lattice in (size, (1,) * len(size), (4,) * len(size)):
            assert torch.equal(wk.warp(image, name, torch.zeros(2, len(size), *lattice, dtype=dtype)), image)


@given(size=sizes(2), seed=seeds)
def test_between_its_places_a_field_is_interpolated_as_an_image_is(size, seed):
    u, points = uniform(seed, 2, 2, *size), 1.3 * uniform(seed + 1, 1, 6, 2)
    made = wk.get_transform("displacement", kernel="bicubic", padding_mode="reflection")
    there = wk.sample(u, points, kernel="bicubic", padding_mode="reflection")
    torch.testing.assert_close(made(u, points), points + there.movedim(1, -1))


@pytest.mark.parametrize("out", [(6, 5), (9, 11)], ids=str)
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("name", ["displacement", "velocity"])
def test_a_field_of_another_lattice_takes_pixels_where_it_takes_points(name, out, aligned, own):
    made = wk.get_transform(name, align_corners=own)
    image, u = uniform(0, 2, 1, 7, 8), 0.3 * uniform(1, 2, 2, 6, 5)
    points = wk.lattice(out, align_corners=aligned, dtype=torch.float64)[None]
    expected = wk.sample(image, made(u, points), align_corners=aligned)
    torch.testing.assert_close(wk.warp(image, made, u, size=out, align_corners=aligned), expected)


def test_the_same_field_in_pixels_and_normalised():
    u, image = 2 * uniform(0, 1, 2, 6, 8), uniform(1, 1, 1, 6, 8)
    for aligned in (False, True):
        half = torch.tensor([7.0, 5.0] if aligned else [8.0, 6.0]).reshape(1, 2, 1, 1) / 2
        expected = wk.warp(image, wk.get_transform("displacement", align_corners=aligned), u / half)
        torch.testing.assert_close(wk.warp(image, flow(2, align_corners=aligned), u), expected)


def test_by_name_a_field_is_aligned_as_its_warp_is():
    image, u = uniform(0, 1, 1, 6, 8), uniform(1, 1, 2, 6, 8)
    aligned = flow(2, align_corners=True)
    found = wk.warp(image, {"type": "displacement", "units": "pixels"}, u, align_corners=True)
    assert torch.equal(found, wk.warp(image, aligned, u, align_corners=True))
    parts = {"type": "compose", "of": [{"type": "displacement", "units": "pixels"}]}
    assert torch.equal(wk.warp(image, parts, (u,), align_corners=True), found)
    made = wk.SpatialTransformer("unet_localization", "velocity", align_corners=True)
    assert made.transform.align_corners
    assert not wk.get_transform("displacement").align_corners


def test_nothing_is_copied_where_the_lattices_are_one():
    u = uniform(0, 1, 2, 6, 8, dtype=torch.float32)
    shifts = wk.get_transform("displacement").shifts(u, (6, 8), False)
    assert shifts.data_ptr() == u.data_ptr()


def test_a_field_is_no_more_rounded_than_float32_itself():
    made, u = flow(2), torch.full((1, 2, 3, 4000), 0.25)
    image = torch.arange(4000.0).repeat(3, 1)[None, None]
    found = wk.warp(image, made, u, padding_mode="border")[0, 0, 1, :-1]
    assert torch.equal(found, torch.arange(3999) + 0.25)  # index + u, which no normalised float32 holds


@pytest.mark.parametrize("name", ["displacement", "velocity"])
@pytest.mark.parametrize("lattice", [(4, 5), (3, 3)], ids=str)
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_derivatives_in_image_and_field(name, lattice, kernel):
    made = wk.get_transform(name, kernel=kernel)
    image, u = uniform(0, 1, 1, 4, 5).requires_grad_(), (0.3 * uniform(1, 2, 2, *lattice)).requires_grad_()

    def warped(image, u):
        return wk.warp(image, made, u, kernel="bicubic")

    assert torch.autograd.gradcheck(warped, (image, u), fast_mode=True, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(warped, (image, u), fast_mode=True)


@pytest.mark.parametrize("name", ["displacement", "velocity", "free_form"])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_the_jacobian_is_that_of_forward_mode(name, ndim):
    made = wk.get_transform(name, ndim=ndim)
    theta = 0.2 * uniform(0, 2, made.num_params, *[5] * ndim if made.is_field else [])
    points = uniform(1, 1, 7, ndim)
    torch.testing.assert_close(made.jacobian(theta, points), wk.Transform.jacobian(made, theta, points))
    inputs = (theta.requires_grad_(), points.requires_grad_())
    assert torch.autograd.gradcheck(made.jacobian, inputs, fast_mode=True)


@pytest.mark.parametrize("name", ["displacement", "velocity"])
@pytest.mark.parametrize("lattice", [(8, 9), (5, 5)], ids=str)
def test_a_place_that_is_no_number_reaches_its_taps_alone(name, lattice):
    image = uniform(0, 1, 1, 8, 9, dtype=torch.float32)
    u = 0.02 * uniform(1, 2, 2, *lattice, dtype=torch.float32)
    u[0, 0, 2, 2] = torch.nan
    u.requires_grad_()
    scale = torch.tensor([[1.01, 0, 0, 0, 1, 0]], requires_grad=True)
    both = wk.Compose(["affine", name])
    for transform, theta in ((wk.get_transform(name), u), (both, (scale, u))):
        found = wk.warp(image, transform, theta, fill=7.0, padding_mode="border", size=(8, 9))
        assert (found[0] == 7).any()
        assert (found[0] != 7).sum() > 30
        assert (found[1] != 7).all()
        found.square().sum().backward()
        assert u.grad.isfinite().all()
        assert u.grad[0, :, 2, 2].tolist() == [0, 0]
        u.grad = None
    assert scale.grad.isfinite().all()
    assert scale.grad.abs().max() > 0


def test_a_cubic_b_spline_as_kernel_is_a_free_form_deformation():
    u = uniform(0, 1, 2, 6, 7)
    made = flow(2, kernel=wk.get_kernel("bspline", prefilter=False))
    points = wk.lattice((9, 8), dtype=torch.float64)[None]
    at = (points + 1) * torch.tensor([7, 6]) / 2 - 0.5
    moved = [
        scipy.ndimage.map_coordinates(c.numpy(), at[0].flip(-1).movedim(-1, 0).numpy(), prefilter=False, mode="nearest")
        for c in u[0]
    ]
    expected = points[0] + torch.tensor(np.stack(moved, -1)) * 2 / torch.tensor([7, 6])
    torch.testing.assert_close(made(u, points)[0], expected)
    image = uniform(1, 1, 1, 6, 7)  # a kernel that smooths has to be evaluated at its own places too
    same = wk.sample(image, made(u, wk.lattice((6, 7), dtype=torch.float64)[None]))
    torch.testing.assert_close(wk.warp(image, made, u), same)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((1, 3, 4, 5), "expected [N, 2, H, W] for Displacement, with components x y, got [1, 3, 4, 5]"),
        ((1, 4, 5, 2), "Are the components last? theta.movedim(-1, 1)"),
        ((2, 4, 5), "Is the batch missing? theta[None]"),
        ((1, 6), "got [1, 6]"),
        ((1, 2, 0, 5), "got [1, 2, 0, 5]"),
    ],
)
def test_a_theta_of_another_shape_is_told_so(shape, told):
    for use in (
        lambda theta: wk.warp(torch.zeros(1, 1, 6, 6), "displacement", theta),
        lambda theta: wk.get_transform("displacement")(theta, torch.zeros(1, 3, 2)),
        lambda theta: wk.get_transform("displacement").jacobian(theta, torch.zeros(1, 3, 2)),
    ):
        with pytest.raises(wk.InputError) as error:
            use(torch.zeros(shape))
        assert told in str(error.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"units": "pixel"}, "Did you mean 'pixels'"),
        ({"kernel": "bicubik"}, "Did you mean 'bicubic'"),
        ({"padding_mode": "edge"}, "unknown padding_mode"),
        ({"ndim": 4}, "ndim"),
    ],
)
def test_an_option_that_does_not_fit_is_told_so(options, told):
    with pytest.raises(wk.InputError, match=told):
        wk.get_transform("displacement", **options)


class Halved(wk.FieldTransform):
    """Half of what θ says."""

    def displacement(self, theta):
        return theta / 2


class OfVolumes(wk.FieldTransform):
    ndim = 3

    def displacement(self, theta):
        return theta[:, :2]


def test_a_plugin_gives_what_is_added_and_no_more():
    u, image = 0.3 * uniform(0, 1, 2, 4, 5), uniform(1, 1, 1, 6, 7)
    expected = wk.warp(image, "displacement", u / 2)
    torch.testing.assert_close(wk.warp(image, Halved(), u), expected)
    assert Halved(3).ndim == 3
    assert torch.equal(Halved().identity((4, 5)), torch.zeros(2, 4, 5))


def test_a_plugin_of_one_dimension_takes_no_other_and_has_its_shape_checked():
    with pytest.raises(wk.InputError, match="OfVolumes is 3-D, got 2"):
        OfVolumes(2)
    with pytest.raises(wk.InputError, match=r"OfVolumes.displacement: expected \[1, 3, D, H, W\], got \[1, 2"):
        OfVolumes()(torch.zeros(1, 3, 2, 2, 2), torch.zeros(1, 1, 3))


def test_theta_stays_float32_under_autocast():
    u, image = 0.3 * uniform(0, 1, 2, 4, 5, dtype=torch.float32), uniform(1, 1, 1, 6, 7, dtype=torch.float32)
    expected = wk.warp(image, "velocity", u)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(wk.warp(image, "velocity", u), expected)
        points = wk.lattice((3, 3))[None]
        assert torch.equal(wk.get_transform("velocity")(u, points), wk.get_transform("velocity").float()(u, points))


OTHERS = [pytest.param(*case, marks=pytest.mark.exhaustive) for case in (("displacement", False), ("velocity", True))]


@pytest.mark.parametrize(("name", "same"), [("displacement", True), ("velocity", False), *OTHERS])
def test_sizes_stay_open_in_a_graph(compiler, name, same):
    made = wk.get_transform(name, units="pixels", align_corners=True)

    class Warps(torch.nn.Module):
        def forward(self, image, u):
            return wk.warp(image, made, u, align_corners=True)

    open_sizes = {2: torch.export.Dim("H", min=4, max=64), 3: torch.export.Dim("W", min=4, max=64)}
    u = [uniform(1, 2, 2, *(size if same else (5, 5)), dtype=torch.float32) for size in ((9, 11), (12, 7))]
    image = [uniform(0, 2, 1, *size, dtype=torch.float32) for size in ((9, 11), (12, 7))]
    shapes = {"image": open_sizes, "u": open_sizes if same else None}
    exported = torch.export.export(Warps(), (image[0], u[0]), dynamic_shapes=shapes).module()
    compiled = torch.compile(Warps(), fullgraph=True, dynamic=True, backend="aot_eager")
    for i in (0, 1):
        torch.testing.assert_close(exported(image[i], u[i]), Warps()(image[i], u[i]))
        torch.testing.assert_close(compiled(image[i], u[i]), Warps()(image[i], u[i]))
