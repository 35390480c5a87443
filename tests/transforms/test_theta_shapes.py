"""θ in the shapes in which people have it: matrices and lists of control points, read the same everywhere."""

import pytest
import torch
from strategies import uniform

import warpkit as wk
from warpkit.transforms.projective import Projective

IMAGE = uniform(0, 3, 2, 6, 7)
FREE_FORM = {"type": "free_form", "grid": (2, 3)}
VOLUME_GRID = {"type": "free_form", "grid": (2, 3, 2)}


def near(transform, seed: int, n: int = 3) -> torch.Tensor:
    """θ [n, P] near the identity."""
    start = transform.identity().double()
    return start + 0.05 * uniform(seed, n, len(start))


def shaped(transform, theta: torch.Tensor) -> torch.Tensor:
    """The same numbers as people have them; a homography times a number of its own."""
    if isinstance(transform, Projective):
        return transform.matrix(theta) * torch.linspace(-2, 3, len(theta), dtype=theta.dtype)[:, None, None]
    return theta.reshape(len(theta), *transform.theta_shape)


CASES = [
    ("affine", (2, 3)),
    ({"type": "affine", "ndim": 1}, (1, 2)),
    ({"type": "affine", "ndim": 3}, (3, 4)),
    ("projective", (3, 3)),
    ({"type": "projective", "ndim": 3}, (4, 4)),
    ({"type": "thin_plate_spline", "grid": (2, 3)}, (6, 2)),
    (FREE_FORM, (6, 2)),
    (VOLUME_GRID, (12, 3)),
]


def made(transform):
    options = dict(transform) if isinstance(transform, dict) else {"type": transform}
    return wk.get_transform(options.pop("type"), **options)


@pytest.mark.parametrize(("transform", "shape"), CASES, ids=str)
def test_every_way_in_reads_the_shape_as_the_flat_numbers(transform, shape):
    mapping = made(transform)
    assert mapping.theta_shape == shape
    theta = near(mapping, 1)
    given = shaped(mapping, theta)
    assert given.shape == (3, *shape)
    image = uniform(2, 3, 1, *(4, 5, 6)[: mapping.ndim])
    points = 0.8 * uniform(3, 1, 4, mapping.ndim)
    size = tuple(image.shape[2:])
    for call in (
        lambda t: wk.warp(image, transform, t),
        lambda t: wk.warp(image, transform, t),  # by what was kept of the first call
        lambda t: wk.warp(image, mapping, t, antialias=True),
        lambda t: wk.coverage(mapping, t, size),
        lambda t: mapping(t, points),
        lambda t: mapping.jacobian(t, points),
        lambda t: mapping.inverse_points(t, points),
        lambda t: mapping.handles(t),
        lambda t: mapping.shifts(t, size, False),
        lambda t: mapping.on_lattice(t, size, True),
        lambda t: wk.warp_points(points, mapping, t),
        lambda t: wk.losses.bending(mapping, t, size),
        lambda t: wk.losses.inverse_consistency(mapping, t, mapping, t, size),
    ):
        torch.testing.assert_close(call(given), call(theta), rtol=0, atol=1e-12, equal_nan=True)
    if mapping.is_matrix:
        torch.testing.assert_close(mapping.inverse(given), mapping.inverse(theta))
        torch.testing.assert_close(
            wk.pixels.from_theta(given, mapping, in_size=size), wk.pixels.from_theta(theta, mapping, in_size=size)
        )


def test_control_points_are_listed_row_by_row_and_x_first():
    spline = wk.get_transform("thin_plate_spline", grid=(2, 3))
    corner = torch.tensor([1.0, -1.0])  # the first row's last
    moved = spline.anchors().clone()
    moved[2] += torch.tensor([0.25, 0.5])
    expected = (corner + torch.tensor([0.25, 0.5]))[None, None]
    torch.testing.assert_close(spline(moved[None].float(), corner[None, None]), expected)
    free = made(FREE_FORM)
    steps = torch.zeros(1, 6, 2)
    steps[0, 2, 0] = 0.25
    there = free(steps, torch.tensor([[[1.0, -1.0], [-1.0, 1.0]]]))
    assert there[0, 0, 0] > 1.05
    assert there[0, 0, 1] == -1
    assert torch.equal(there[0, 1], torch.tensor([-1.0, 1.0]))


def test_a_composition_takes_its_parts_as_a_tuple():
    whole = wk.Compose(["affine", {"type": "thin_plate_spline", "grid": (2, 2)}, "euclidean"])
    affine, spline, euclidean = (
        near(part, i, n) for i, (part, n) in enumerate(zip(whole.transforms, (3, 1, 3), strict=True))
    )
    flat = torch.cat([affine, spline.expand(3, -1), euclidean], dim=1)
    given = (affine.reshape(3, 2, 3), spline.reshape(1, 4, 2), euclidean)
    assert torch.equal(wk.warp(IMAGE, whole, given), wk.warp(IMAGE, whole, flat))
    assert torch.equal(whole.jacobian(given, uniform(5, 1, 4, 2)), whole.jacobian(flat, uniform(5, 1, 4, 2)))
    bent = wk.Compose(["displacement", "affine"])
    field = 0.1 * uniform(6, 3, 2, 4, 4)
    assert torch.equal(wk.warp(IMAGE, bent, (field, given[0])), wk.warp(IMAGE, bent, (field, affine)))
    with pytest.raises(wk.InputError, match=r"theta: expected \[N, 17\], or a tuple of 3.*, got tuple of 2"):
        wk.warp(IMAGE, whole, given[:2])
    with pytest.raises(wk.InputError, match=r"part 1, ThinPlateSpline: theta: .* got \[1, 3, 2\]"):
        wk.warp(IMAGE, whole, (given[0], given[1][:, :3], given[2]))
    with pytest.raises(wk.InputError, match="batch of part 1: expected that of part 0, 3, or 1"):
        wk.warp(IMAGE, whole, (given[0], spline.expand(2, -1), euclidean))


def test_gradients_come_back_in_the_shape_that_was_given():
    given = near(wk.get_transform("affine"), 7).reshape(3, 2, 3).requires_grad_()
    flat = given.detach().flatten(1).requires_grad_()
    wk.warp(IMAGE, "affine", given).square().sum().backward()
    wk.warp(IMAGE, "affine", flat).square().sum().backward()
    assert torch.equal(given.grad, flat.grad.reshape(3, 2, 3))


@pytest.mark.usefixtures("unchecked")
def test_a_homography_without_a_last_entry_is_refused():
    with pytest.raises(wk.InputError, match=r"the centre is on the horizon in batch entries \[1\]"):
        wk.warp(IMAGE, "projective", torch.stack([torch.eye(3), torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0]])]))


def test_a_transformer_and_align_start_where_a_matrix_says():
    matrix = [[0.9, 0.1, 0.2], [0.0, 1.1, -0.3]]
    for init in (matrix, torch.tensor(matrix)):
        net = wk.SpatialTransformer("conv_localization", init=init)
        torch.testing.assert_close(net.init.float(), torch.tensor(matrix).flatten())
    net = wk.SpatialTransformer("conv_localization", "projective", init=2 * torch.eye(3))
    torch.testing.assert_close(net.init.float(), wk.get_transform("projective").identity())
    with pytest.raises(wk.InputError, match=r"init: expected 6 numbers, got shape \[3, 3\]"):
        wk.SpatialTransformer("conv_localization", init=torch.eye(3))
    small = uniform(8, 1, 1, 16, 16).float()
    found = [wk.align(small, small, "affine", init=init) for init in (torch.eye(2, 3), torch.eye(2, 3).flatten())]
    assert torch.equal(*found)


def test_one_number_is_a_size_in_as_many_dimensions_as_theta_says():
    for ndim in (1, 2, 3):
        theta = wk.get_transform("affine", ndim=ndim).identity()[None]
        assert wk.coverage("affine", theta, 4).shape == (1, 1, *(4,) * ndim)
        assert wk.pixels.from_theta(theta, in_size=4).shape == (1, ndim + 1, ndim + 1)
        assert wk.losses.diffusion("affine", theta, 4).shape == (1,)
    assert wk.coverage("affine", torch.eye(2, 3)[None], 4).shape == (1, 1, 4, 4)
    assert wk.coverage("displacement", torch.zeros(1, 3, 2, 2, 2), 4).shape == (1, 1, 4, 4, 4)


def test_the_canvas_of_no_picture_is_the_pictures_size():
    size, theta = wk.pixels.bounds("affine", torch.zeros(0, 2, 3), (4, 8))
    assert size == (4, 8)
    assert theta.shape == (0, 6)
    assert wk.pixels.bounds("projective", torch.zeros(0, 8), 5)[1].shape == (0, 8)


@pytest.mark.usefixtures("compiler")
def test_graphs_take_a_matrix():
    theta = near(wk.get_transform("affine"), 9).reshape(3, 2, 3)
    compiled = torch.compile(lambda t: wk.warp(IMAGE, "affine", t), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(theta), wk.warp(IMAGE, "affine", theta))


def test_the_matrix_of_a_matrix():
    two = torch.eye(3).repeat(2, 1, 1)
    torch.testing.assert_close(wk.Affine().matrix(two[:, :2]), two)
    torch.testing.assert_close(wk.Projective().matrix(5 * two), two)


def test_the_matrix_and_the_handles_of_another_shape_are_refused(unchecked):
    for wrong in (torch.eye(3).repeat(2, 1, 1), [[1.0, 0, 0, 0, 1, 0]]):
        for ask in (wk.Affine().matrix, wk.Affine().handles):
            with pytest.raises(wk.InputError, match="theta"):
                ask(wrong)
