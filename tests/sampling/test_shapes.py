"""Batches, lists of points, layouts, and sizes at the edge of what there is."""

import pytest
import torch
from cases import KERNELS, PAIRS, identity, start, transform
from hypothesis import given
from hypothesis import strategies as st
from strategies import MODES, alignments, seeds, uniform

import warpkit as wk


def each(name, ndim, batch):
    made = transform(name, ndim)
    return made, start(made, batch) + 0.1 * uniform(1, batch, made.num_params)


@pytest.mark.parametrize(("name", "ndim", "kernel"), PAIRS)
def test_one_image_with_n_thetas_gives_n_results(name, ndim, kernel):
    made, theta = each(name, ndim, 3)
    image = uniform(0, 1, 2, *(5, 4, 3)[:ndim])
    out = wk.warp(image, made, theta, kernel=kernel)
    torch.testing.assert_close(out, wk.warp(image.expand(3, *image.shape[1:]).contiguous(), made, theta, kernel=kernel))
    assert out.shape[0] == 3


@pytest.mark.parametrize(("name", "ndim", "kernel"), PAIRS)
def test_one_theta_with_n_images_gives_n_results(name, ndim, kernel):
    made, theta = each(name, ndim, 1)
    image = uniform(0, 3, 2, *(5, 4, 3)[:ndim])
    out = wk.warp(image, made, theta, kernel=kernel)
    torch.testing.assert_close(out, wk.warp(image, made, theta.expand(3, -1).contiguous(), kernel=kernel))


@pytest.mark.parametrize("shared", ["image", "theta"])
def test_the_gradient_of_what_is_shared_is_the_sum(shared):
    made, theta = each("affine", 2, 1 if shared == "theta" else 3)
    image = uniform(0, 1 if shared == "image" else 3, 2, 5, 4).requires_grad_()
    theta.requires_grad_()
    wk.warp(image, made, theta).square().sum().backward()
    copies = [x.detach().expand(3, *x.shape[1:]).clone().requires_grad_() for x in (image, theta)]
    wk.warp(copies[0], made, copies[1]).square().sum().backward()
    for x, copied in zip((image, theta), copies, strict=True):
        expected = copied.grad.sum(0, keepdim=True) if x.shape[0] == 1 else copied.grad
        torch.testing.assert_close(x.grad, expected)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("shape", [(), (4,), (2, 2), (1, 2, 2), (2, 1, 2, 1)])
@pytest.mark.parametrize("batches", [(2, 2), (1, 2), (2, 1)], ids=str)
def test_points_of_any_shape_are_sampled(ndim, shape, batches):
    image, coords = uniform(0, batches[0], 3, *(5, 4, 3)[:ndim]), uniform(1, batches[1], *shape, ndim)
    out = wk.sample(image, coords, kernel="bicubic")
    assert out.shape == (2, 3, *shape)
    flat = wk.sample(image, coords.reshape(batches[1], -1, ndim), kernel="bicubic")
    torch.testing.assert_close(out.flatten(2) if shape else out[..., None], flat)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.uint16, torch.bool])
@pytest.mark.parametrize("batches", [(0, 0), (0, 1), (1, 0)], ids=str)
@pytest.mark.parametrize(("name", "kernel"), [(name, kernel) for name, ndim, kernel in PAIRS if ndim == 2])
def test_an_empty_batch_gives_an_empty_result(name, kernel, dtype, batches):
    image, made = torch.zeros(batches[0], 2, 4, 5).to(dtype), transform(name, 2)
    theta = start(made, batches[1], torch.float32)
    out = wk.warp(image, made, theta, size=(3, 2), kernel=kernel, fill=1)
    assert out.shape == (0, 2, 3, 2)
    assert out.dtype == dtype
    assert wk.sample(image, torch.zeros(batches[1], 7, 2), kernel=kernel).shape == (0, 2, 7)


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_points_give_no_samples(kernel):
    assert wk.sample(torch.zeros(2, 3, 4, 5), torch.zeros(2, 0, 2), kernel=kernel).shape == (2, 3, 0)


def test_an_empty_batch_can_be_trained_on():
    image, theta = torch.zeros(0, 1, 4, 4, requires_grad=True), torch.zeros(0, 6, requires_grad=True)
    wk.warp(image, "affine", theta).sum().backward()
    assert (image.grad.shape, theta.grad.shape) == (image.shape, theta.shape)


@pytest.mark.parametrize("kernel", KERNELS)
@given(seed=seeds, mode=st.sampled_from(MODES))
def test_the_layout_of_the_image_does_not_matter(kernel, seed, mode):
    image, theta = uniform(seed, 2, 4, 5, 6), torch.eye(2, 3).flatten() + 0.3 * uniform(seed, 2, 6)
    expected = wk.warp(image, "affine", theta, kernel=kernel, padding_mode=mode)
    spread = torch.zeros(2, 4, 10, 12, dtype=torch.float64)[:, :, ::2, ::2].copy_(image)
    turned = image.transpose(2, 3).contiguous().transpose(2, 3)
    for other in (image.contiguous(memory_format=torch.channels_last), spread, turned, image.flip(3).flip(3)):
        out = wk.warp(other, "affine", theta, kernel=kernel, padding_mode=mode)
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-14)
    wide = torch.zeros(2, 12, dtype=torch.float64)[:, ::2].copy_(theta)
    assert torch.equal(wk.warp(image, "affine", wide, kernel=kernel, padding_mode=mode), expected)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("ndim", [1, 2, 3])
@given(seed=seeds, mode=st.sampled_from(MODES), align_corners=alignments)
def test_images_and_outputs_of_one_pixel(kernel, ndim, seed, mode, align_corners):
    one, options = (1,) * ndim, {"kernel": kernel, "padding_mode": mode, "align_corners": align_corners}
    made = transform("affine", ndim)
    image, theta = uniform(seed, 1, 2, *one), identity(made)
    # Aligned, an axis of one pixel has index 0 everywhere.
    out = wk.warp(image, made, theta, size=(3,) * ndim if align_corners else one, **options)
    if not wk.get_kernel(kernel).interpolating:
        return
    torch.testing.assert_close(out, image.expand(1, 2, *out.shape[2:]), rtol=0, atol=1e-13)
    odd = uniform(seed, 1, 2, *(3,) * ndim)
    torch.testing.assert_close(wk.warp(odd, made, theta, size=one, **options).flatten(), odd[(0, slice(None), *one)])


def test_a_size_for_a_row_may_be_a_number():
    assert wk.warp(torch.zeros(1, 1, 5), "affine", torch.tensor([[1.0, 0]]), size=3).shape == (1, 1, 3)


def test_a_large_batch_is_the_same_as_its_entries():
    """However the backend divides its work."""
    image, theta = uniform(0, 9, 2, 200, 200, dtype=torch.float32), 0.8 * uniform(1, 9, 6, dtype=torch.float32)
    out = wk.warp(image, "affine", theta)
    for i in (0, 4, 8):
        torch.testing.assert_close(out[i : i + 1], wk.warp(image[i : i + 1], "affine", theta[i : i + 1]))
    shared = wk.warp(image[:1], "affine", theta)
    torch.testing.assert_close(shared[8:], wk.warp(image[:1], "affine", theta[8:]))


def test_transforms_and_kernels_are_given_as_names_tables_or_objects():
    image, theta = uniform(0, 1, 1, 5, 6), uniform(1, 1, 6)
    expected = wk.warp(image, wk.get_transform("affine"), theta, kernel=wk.get_kernel("bicubic", a=-0.5))
    out = wk.warp(
        image, {"type": "affine"}, theta, kernel=[{"type": "bicubic", "a": -0.5}, wk.get_kernel("bicubic", a=-0.5)]
    )
    assert torch.equal(out, expected)
    assert torch.equal(
        wk.warp(image, "affine", theta, kernel="bicubic"), wk.warp(image, "affine", theta, kernel={"type": "bicubic"})
    )


@pytest.mark.parametrize("ndim", [1, 3])
def test_a_name_takes_the_images_dimension(ndim):
    made = transform("affine", ndim)
    image, theta = uniform(0, 1, 1, *(5, 4, 3)[:ndim]), identity(made)
    for given_as in ("affine", {"type": "affine"}):
        assert torch.equal(wk.warp(image, given_as, theta), image)


def test_kernels_go_in_the_order_x_y():
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    coords = torch.tensor([[[-0.5, -0.5]]])  # pixel x = 0.5, y = 0.25
    assert wk.sample(image, coords, kernel=("bilinear", "nearest")).item() == 0.5
    assert wk.sample(image, coords, kernel=("nearest", "bilinear")).item() == 2.0


@pytest.mark.parametrize("batches", [(1, 1), (2, 2), (9, 9), (1, 3), (3, 1), (0, 0)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_of_no_points_at_all(batches, layout):
    image = torch.ones(batches[0], 9, 4, 5).contiguous(memory_format=layout).requires_grad_()
    coords = torch.zeros(batches[1], 0, 2, requires_grad=True)
    wk.sample(image, coords).sum().backward()
    assert torch.equal(image.grad, torch.zeros_like(image))
    assert coords.grad.shape == coords.shape
    assert wk.push(torch.zeros(batches[0], 9, 0), coords.detach(), (4, 5)).abs().sum() == 0
