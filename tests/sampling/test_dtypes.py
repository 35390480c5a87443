"""Types: floating-point of every width, integers, labels, and images whose type is not θ's."""

import pytest
import torch
from cases import INTERPOLATING, KERNELS, TRANSFORMS, WITH_IDENTITY, identity, kernel, paired, start, transform
from hypothesis import given
from hypothesis import strategies as st
from strategies import FLOATS, MODES, SIGNED, UNSIGNED, alignments, seeds, uniform

import warpkit as wk

INTEGERS = (*SIGNED, *UNSIGNED)
name_of = {"ids": lambda d: str(d).removeprefix("torch.")}
FLIP = torch.tensor([[-1.0, 0]])  # a row, mirrored
HALF = torch.tensor([[1.0, 0.25]])  # a row of four pixels, moved by half a pixel


def limits(dtype: torch.dtype) -> torch.Tensor:
    info = torch.iinfo(dtype)
    return torch.tensor([info.min, info.max, info.max - 1, 1], dtype=dtype).reshape(1, 1, 4)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("theta_dtype", FLOATS, **name_of)
@pytest.mark.parametrize("dtype", FLOATS, **name_of)
def test_the_output_has_the_images_type_whatever_thetas(name, dtype, theta_dtype):
    image = uniform(0, 1, 2, 6, 7)
    theta = torch.tensor([[0.75, 0.25, 0.125, -0.25, 0.875, 0.0]])  # the same number in every type
    out = wk.warp(image.to(dtype), "affine", theta.to(theta_dtype), kernel=name)
    assert out.dtype == dtype
    expected = wk.warp(image.to(dtype).double(), "affine", theta.double(), kernel=name)
    # Computed in float32 or better, rounded once.
    torch.testing.assert_close(
        out.double(),
        expected,
        rtol=torch.finfo(dtype).eps,
        atol=max(torch.finfo(dtype).eps / 8, 2e-6) if dtype != torch.float64 else 1e-13,
    )


@pytest.mark.parametrize("image_dtype", FLOATS, **name_of)
@pytest.mark.parametrize("theta_dtype", FLOATS, **name_of)
def test_each_gradient_has_the_type_of_its_input(image_dtype, theta_dtype):
    image = uniform(0, 1, 2, 6, 7, dtype=image_dtype).requires_grad_()
    theta = torch.tensor([[0.75, 0.25, 0.125, -0.25, 0.875, 0.0]], dtype=theta_dtype, requires_grad=True)
    wk.warp(image, "affine", theta).sum().backward()
    assert (image.grad.dtype, theta.grad.dtype) == (image_dtype, theta_dtype)
    assert theta.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], **name_of)
def test_coordinates_of_a_half_precision_image_are_not_in_half_precision(dtype):
    n = 1000
    image = (torch.arange(n) % 2).to(dtype).reshape(1, 1, n)
    assert torch.equal(wk.sample(image, wk.lattice(n)[None], kernel="nearest"), image)
    assert torch.equal(wk.warp(image, {"type": "affine", "ndim": 1}, torch.tensor([[1.0, 0]], dtype=dtype)), image)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", INTEGERS, **name_of)
def test_nearest_copies_integers_exactly(dtype, mode):
    image = limits(dtype)
    out = wk.warp(image, "affine", FLIP, kernel="nearest", padding_mode=mode)
    assert out.dtype == dtype
    assert out.tolist() == [[image.flatten().tolist()[::-1]]]


@pytest.mark.parametrize("dtype", [*INTEGERS, torch.bool], **name_of)
@given(seed=seeds, align_corners=alignments, mode=st.sampled_from(MODES))
def test_nearest_takes_of_labels_what_it_takes_of_floats(dtype, seed, align_corners, mode):
    image = (uniform(seed, 2, 3, 5, 6) > 0).to(dtype)
    theta = torch.eye(2, 3).flatten() + 0.5 * uniform(seed, 2, 6, dtype=torch.float32)
    options = {"kernel": "nearest", "align_corners": align_corners, "padding_mode": mode}
    out = wk.warp(image, "affine", theta, **options)
    assert out.dtype == dtype
    assert torch.equal(out.double(), wk.warp(image.double(), "affine", theta, **options))


@pytest.mark.parametrize(("name", "ndim", "kernel_name"), paired(WITH_IDENTITY, INTERPOLATING))
def test_the_identity_copies_integers(name, ndim, kernel_name):
    made, values = transform(name, ndim), (100 * uniform(0, 1, 2, *(5, 4, 3)[:ndim])).abs()
    for dtype in (*INTEGERS, torch.bool):
        image = values.to(dtype)
        out = wk.warp(image, made, identity(made, dtype=torch.float32), kernel=kernel_name)
        assert torch.equal(out, image), dtype


@pytest.mark.parametrize("dtype", INTEGERS, **name_of)
def test_other_kernels_round(dtype):
    image = torch.tensor([[[1, 2, 4, 5]]], dtype=dtype)
    assert wk.warp(image, "affine", torch.tensor([[1.0, 0.2]])).tolist() == [[[1, 3, 4, 3]]]  # 1.4, 2.8, 4.4, 3


@pytest.mark.parametrize("dtype", INTEGERS, **name_of)
def test_other_kernels_stop_at_the_limits_of_the_type(dtype):
    info = torch.iinfo(dtype)
    step = torch.tensor([[[info.min] * 4 + [info.max] * 4]], dtype=dtype)
    out = (
        wk.warp(step, "affine", torch.tensor([[1.0, 0.125]]), kernel="bicubic", padding_mode="border")
        .flatten()
        .tolist()
    )
    # Half a pixel to the right; bicubic overshoots on both sides of the step.
    assert out[:3] == [info.min] * 3
    assert out[4:] == [info.max] * 4
    assert abs(out[3] - (info.min + info.max) / 2) <= 1 + 1e-9 * info.max


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint32], **name_of)
def test_integers_of_32_bits_are_computed_in_float64(dtype):
    image = torch.full((1, 1, 4), 2**24 + 1).to(dtype)
    out = wk.warp(image, "affine", HALF, padding_mode="border")
    assert out.flatten().tolist() == [2**24 + 1] * 4


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint64], **name_of)
def test_the_largest_integer_does_not_wrap(dtype):
    top = torch.iinfo(dtype).max
    image = torch.full((1, 1, 4), top, dtype=dtype)
    for name in KERNELS:
        if kernel(name).partition_of_unity:
            assert (
                min(wk.warp(image, "affine", HALF, kernel=name, padding_mode="border").flatten().tolist())
                >= top - 2**20
            )


def test_booleans_turn_at_a_half():
    image = torch.tensor([[[False, True, True, False]]])
    out = wk.warp(image, "affine", torch.tensor([[1.0, 0.2]]))  # 0.4, 1, 0.6, 0
    assert out.tolist() == [[[False, True, True, False]]]
    assert out.dtype == torch.bool


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int64, torch.bool], **name_of)
def test_integers_have_no_gradient(dtype):
    theta = torch.eye(2, 3).flatten()[None].requires_grad_()
    for name in KERNELS:
        assert not wk.warp(torch.ones(1, 1, 4, 4).to(dtype), "affine", theta, kernel=name).requires_grad


@pytest.mark.parametrize("dtype", INTEGERS, **name_of)
@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic"])
def test_integers_are_filled(dtype, name):
    image = torch.tensor([[[10, 20]], [[10, 20]]], dtype=dtype).reshape(1, 2, 2)
    out = wk.sample(image, torch.tensor([[[5.0], [-0.5]]]), kernel=name, fill=(7, 9))
    assert out.tolist() == [[[7, 10], [9, 10]]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], **name_of)
@pytest.mark.parametrize(("name", "ndim"), TRANSFORMS)
def test_autocast_changes_nothing(name, ndim, dtype):
    made = transform(name, ndim)
    image = uniform(0, 2, 2, *(5, 6, 4)[:ndim], dtype=torch.float32)
    theta = start(made, 2, torch.float32) + 0.1 * uniform(1, 2, made.num_params, dtype=torch.float32)
    expected = wk.warp(image, made, theta, kernel="bicubic")
    with torch.autocast("cpu", dtype):
        assert torch.equal(wk.warp(image, made, theta, kernel="bicubic"), expected)
        coords = made(theta, wk.lattice(image.shape[2:])[None])
        assert coords.dtype == torch.float32
        torch.testing.assert_close(wk.sample(image, coords, kernel="bicubic"), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], **name_of)
def test_complex_images_are_two_real_ones(dtype):
    real, imaginary = uniform(0, 1, 1, 5, 5), uniform(1, 1, 1, 5, 5)
    image, theta = torch.complex(real, imaginary).to(dtype), 0.7 * uniform(2, 1, 6)
    out = wk.warp(image, "affine", theta)
    assert out.dtype == dtype
    expected = torch.complex(wk.warp(real, "affine", theta), wk.warp(imaginary, "affine", theta))
    torch.testing.assert_close(out, expected.to(dtype))
