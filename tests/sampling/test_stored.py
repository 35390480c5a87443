"""Images are read as they are stored: what the native backend gives is what the reference gives."""

import pytest
import torch
from strategies import MODES
from strategies import uniform as numbers

import warpkit as wk

SUMMED = [torch.uint8, torch.int8, torch.uint16, torch.int16, torch.int32, torch.float16, torch.bfloat16, torch.float64]
COPIED = [*SUMMED, torch.bool, torch.int64, torch.uint32, torch.uint64, torch.complex64, torch.complex128]


def uniform(low, high, *shape):
    return low + (high - low) * (numbers(0, *shape) + 1) / 2


def on(backend, call, *given, **how):
    with wk.use_backend(backend):
        return call(*given, **how)


KERNELS = ["bilinear", "bicubic", {"type": "bicubic", "a": -1.5}]


def stored(dtype, *shape):
    """Numbers all over the type's range, as far as float32 tells them apart."""
    if dtype.is_floating_point:
        return uniform(-300, 300, *shape).to(dtype)
    if dtype.is_complex:
        return torch.complex(uniform(-1, 1, *shape), uniform(-1, 1, *shape)).to(dtype)
    if dtype == torch.bool:
        return uniform(0, 1, *shape) > 0.5
    info = torch.iinfo(dtype)
    most = min(info.max, 2**31 - 1)
    return uniform(max(info.min, -(2**31)), most, *shape).round().to(torch.int64).to(dtype)


def agree(found, right, units=1):
    """Equal but for one unit where the order of float32 sums decides; and seldom that."""
    assert found.dtype == right.dtype
    if found.dtype.is_floating_point:
        rounding = 2 * torch.finfo(found.dtype).eps
        torch.testing.assert_close(found, right, rtol=rounding, atol=300 * 4 * torch.finfo(torch.float32).eps * 8)
        return
    apart = (found.to(torch.float64) - right.to(torch.float64)).abs()
    assert apart.max() <= units
    assert (apart > 0).double().mean() < 0.02


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", SUMMED)
def test_sums_are_those_of_the_reference(dtype, kernel, mode):
    image = stored(dtype, 2, 3, 37, 41)
    theta = torch.tensor([[0.9, -0.4, 0.1, 0.3, 1.1, -0.1], [2.5, 0.0, 0.2, 0.1, -2.5, 0.0]])
    fill = [3, 0, 7]
    for layout in (torch.contiguous_format, torch.channels_last):
        image = image.to(memory_format=layout)
        how = {"kernel": kernel, "padding_mode": mode, "fill": fill, "size": (40, 150)}
        agree(*(on(name, wk.warp, image, "affine", theta, **how) for name in ("native", "reference")))


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.bfloat16])
def test_points_in_every_dimension(dtype, ndim):
    image = stored(dtype, 2, 2, *(19, 17, 23)[:ndim])
    coords = uniform(-1.3, 1.3, 2, 300, ndim).float()  # all over the image
    agree(*(on(name, wk.sample, image, coords, kernel="bicubic") for name in ("native", "reference")))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", COPIED)
def test_nearest_copies_every_type(dtype, mode):
    image = stored(dtype, 2, 3, 21, 18)
    coords = torch.cat([uniform(-1.4, 1.4, 2, 200, 2).float(), torch.full((2, 1, 2), float("nan"))], dim=1)
    for layout in (torch.contiguous_format, torch.channels_last):
        image = image.to(memory_format=layout)
        how = {"kernel": "nearest", "padding_mode": mode, "fill": 1}
        found, right = (on(name, wk.sample, image, coords, **how) for name in ("native", "reference"))
        assert found.dtype == right.dtype == dtype
        found, right = (values.contiguous().view(torch.uint8) for values in (found, right))
        assert torch.equal(found, right)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_half_survives_an_identity(dtype):
    """All 65,536 of them: subnormal numbers, infinities, NaN."""
    image = torch.arange(2**16).to(torch.uint16).view(dtype).reshape(1, 1, 256, 256)
    # A tap of weight zero beside an infinity or NaN is no number: one column after the other, far apart.
    for column in range(0, 256, 16):
        spread = torch.zeros(1, 1, 256, 3, dtype=dtype).repeat(1, 16, 1, 1)
        spread[0, :, :, 1] = image[0, 0, :, column : column + 16].T
        coords = torch.zeros(1, 256, 2)
        coords[0, :, 1] = (torch.arange(256) * 2 + 1) / 256 - 1
        found = on("native", wk.sample, spread, coords, kernel=("bilinear", "nearest"))
        assert torch.equal(found[0].isnan(), spread[0, :, :, 1].isnan())
        assert torch.equal(found[0].nan_to_num(), spread[0, :, :, 1].nan_to_num())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16])
def test_what_exceeds_the_type_stops_at_its_limit(dtype):
    info = torch.iinfo(dtype)
    image = torch.full((1, 1, 1, 8), info.min, dtype=dtype)
    image[..., 4:] = info.max
    found = on("native", wk.warp, image, "affine", torch.eye(2, 3).flatten()[None], kernel="bicubic", size=(1, 24))
    assert found.min() == info.min
    assert found.max() == info.max


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_have_gradients_of_their_own_type(dtype):
    image = stored(dtype, 1, 2, 9, 9).requires_grad_()
    coords = (wk.lattice((9, 9))[None] * 0.9).requires_grad_()
    for name in ("native", "reference"):
        with wk.use_backend(name):
            wk.sample(image, coords, kernel="bicubic").float().sum().backward()
    assert image.grad.dtype == dtype
    assert coords.grad.dtype == torch.float32
    assert image.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16])
def test_nothing_is_read_beyond_what_a_few_points_reach(dtype):
    """A long line of which one end is looked at: what else the last vector of points holds lies far away."""
    image = torch.ones(1, 1, 1 << 27, dtype=dtype)
    found = on("native", wk.sample, image, torch.tensor([[[-0.999], [-0.9991]]], dtype=torch.float64))
    assert found.flatten().tolist() == [1, 1]
