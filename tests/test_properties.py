"""The three claims of the project, over every transform, kernel, padding mode, alignment and dimension there is."""

import itertools

import pytest
import torch
from cases import INTERPOLATING, KERNELS, WITH_IDENTITY, identity, kernel, paired, start, transform
from cases import TRANSFORMS as EVERY
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import MODES, distance_to_joints, dtypes, seeds, sizes, uniform
from torch import Tensor

import warpkit as wk

# A translation and a turn are matrices of fewer numbers, sampled as a similarity is: that one stands for all three.
TRANSFORMS = [case for case in EVERY if case[0] not in ("translation", "euclidean")]
OF_UNITY = [name for name in KERNELS if kernel(name).partition_of_unity]
pytestmark = pytest.mark.usefixtures("unchecked")  # thousands of warps; shapes are checked in the other files


def _pairs(cases, kernels):
    """Every transform with every kernel, and their numbers; all but some partners of each are exhaustive."""
    some = set(paired(cases, kernels))
    for (t, case), (k, kernel_name) in itertools.product(enumerate(cases), enumerate(kernels)):
        marks = () if (*case, kernel_name) in some else pytest.mark.exhaustive
        yield t, k, (*case, kernel_name), f"{case[0]}-{case[1]}d-{kernel_name}", marks


def each_pair(cases=TRANSFORMS, kernels=KERNELS):
    """A transform with a kernel."""
    params = [pytest.param(*pair, marks=marks, id=called) for _, _, pair, called, marks in _pairs(cases, kernels)]
    return pytest.mark.parametrize(("name", "ndim", "kernel_name"), params)


def each_way(cases=TRANSFORMS, kernels=KERNELS, both=True):
    """A transform with a kernel, in both alignments or one of them in turn, with a mode each, in turn too."""
    params = []
    for (t, k, pair, called, marks), aligned in itertools.product(_pairs(cases, kernels), (False, True)):
        if not both and aligned != (t // len(MODES) + k) % 2:
            continue
        mode = MODES[(t + k + aligned) % len(MODES)]
        called = f"{called}-{mode}-{'centres' if aligned else 'edges'}"
        params.append(pytest.param(*pair, mode, aligned, marks=marks, id=called))
    return pytest.mark.parametrize(("name", "ndim", "kernel_name", "mode", "align_corners"), params)


def near_identity(made: wk.Transform, seed: int, batch: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """θ [batch, P] of transforms that move points by a fraction of the image."""
    return start(made, batch, dtype) + 0.15 * uniform(seed, batch, made.num_params, dtype=dtype)


def close(a: Tensor, b: Tensor) -> None:
    tolerance = 1e-5 if a.dtype == torch.float32 else 1e-12
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


# Claim 1: identity parameters give the image back.


@each_way([case for case in TRANSFORMS if case in WITH_IDENTITY], INTERPOLATING)
@settings(max_examples=3)
@given(data=st.data(), seed=seeds, dtype=dtypes)
def test_identity_gives_the_image_back(name, ndim, kernel_name, mode, align_corners, data, seed, dtype):
    made, k = transform(name, ndim), kernel(kernel_name)
    image = uniform(seed, 2, 2, *data.draw(sizes(ndim, 1, 7)), dtype=dtype)
    out = wk.warp(image, made, identity(made, 2, dtype), kernel=k, padding_mode=mode, align_corners=align_corners)
    if k.radius == 0.5:
        assert torch.equal(out, image)
    else:
        # A coordinate is right to 7 eps on an axis of 7 pixels. Matrices are applied in float64; the identity of
        # the others is a float32 tensor whatever the image.
        eps = torch.finfo(dtype if made.is_matrix else torch.float32).eps
        in_float64 = made.is_matrix and dtype == torch.float32
        torch.testing.assert_close(out, image, rtol=0, atol=(1 if in_float64 else 7) * 8 * eps)


@pytest.mark.parametrize("kernel_name", INTERPOLATING)
@pytest.mark.parametrize("name", ["affine", "projective"])
def test_identity_is_exact_on_a_large_image(name, kernel_name):
    image = uniform(0, 1, 1, 224, 225, dtype=torch.float32)
    made = transform(name, 2)
    out = wk.warp(image, made, identity(made, dtype=torch.float32), kernel=kernel_name)
    torch.testing.assert_close(out, image, rtol=0, atol=1e-6)


# Claim 2: analytic gradients agree with finite differences.


def off_joints(made, theta, size, out_size, align_corners, k):
    coords = made(theta, wk.lattice(out_size, align_corners=align_corners, dtype=torch.float64)[None])
    assume(bool(torch.isfinite(coords).all()))
    return distance_to_joints(coords, size, align_corners, k) > 1e-4


@each_way(both=False)
@settings(max_examples=1)
@given(data=st.data(), seed=seeds)
def test_gradients_agree_with_finite_differences(name, ndim, kernel_name, mode, align_corners, data, seed):
    made, k = transform(name, ndim), kernel(kernel_name)
    size, out_size = data.draw(sizes(ndim, 2, 6 - ndim)), data.draw(sizes(ndim, 1, 4 - ndim))
    theta, image = near_identity(made, seed, 1), uniform(seed + 1, 1, 2, *size)
    assume(off_joints(made, theta, size, out_size, align_corners, k))

    def warp(image, theta):
        return wk.warp(image, made, theta, size=out_size, kernel=k, padding_mode=mode, align_corners=align_corners)

    inputs = (image.requires_grad_(), theta.requires_grad_())
    torch.autograd.gradcheck(warp, inputs, fast_mode=True, check_forward_ad=True)


@each_way(both=False)
@settings(max_examples=1)
@given(data=st.data(), seed=seeds)
def test_second_derivatives_agree_with_finite_differences(name, ndim, kernel_name, mode, align_corners, data, seed):
    made, k = transform(name, ndim), kernel(kernel_name)
    size, out_size = data.draw(sizes(ndim, 2, 6 - ndim)), data.draw(sizes(ndim, 1, 4 - ndim))
    theta, image = near_identity(made, seed, 1), uniform(seed + 1, 1, 1, *size)
    assume(off_joints(made, theta, size, out_size, align_corners, k))

    def warp(image, theta):
        return wk.warp(image, made, theta, size=out_size, kernel=k, padding_mode=mode, align_corners=align_corners)

    inputs = (image.requires_grad_(), theta.requires_grad_())
    torch.autograd.gradgradcheck(warp, inputs, fast_mode=True, atol=1e-4)


# Claim 3: channels do not mix; nor do the entries of a batch.


@each_way()
@settings(max_examples=2)
@given(data=st.data(), seed=seeds, dtype=dtypes)
def test_channels_do_not_mix(name, ndim, kernel_name, mode, align_corners, data, seed, dtype):
    made, k = transform(name, ndim), kernel(kernel_name)
    size = data.draw(sizes(ndim, 1, 5))
    image, theta = uniform(seed, 2, 3, *size, dtype=dtype), near_identity(made, seed, 2, dtype)

    def warp(image):
        return wk.warp(image, made, theta, kernel=k, padding_mode=mode, align_corners=align_corners)

    out, other, nan = warp(image), image.clone(), image.clone()
    other[:, [0, 2]] = uniform(seed + 1, 2, 2, *size, dtype=dtype)
    nan[:, [0, 2]] = torch.nan
    assert torch.equal(warp(other)[:, 1], out[:, 1])
    assert torch.equal(warp(nan)[:, 1], out[:, 1])
    close(warp(image[:, 1:2])[:, 0], out[:, 1])


@each_pair()
@settings(max_examples=4)
@given(data=st.data(), seed=seeds, mode=st.sampled_from(MODES), align_corners=st.booleans(), dtype=dtypes)
def test_batch_entries_do_not_mix(name, ndim, kernel_name, data, seed, mode, align_corners, dtype):
    made, k = transform(name, ndim), kernel(kernel_name)
    image = uniform(seed, 3, 2, *data.draw(sizes(ndim, 1, 5)), dtype=dtype)
    theta = near_identity(made, seed, 3, dtype)

    def warp(image, theta):
        return wk.warp(image, made, theta, kernel=k, padding_mode=mode, align_corners=align_corners)

    out = warp(image, theta)
    broken_image, broken_theta = image.clone(), theta.clone()
    broken_image[[0, 2]] = torch.nan
    broken_theta[[0, 2]] = torch.nan
    assert torch.equal(warp(broken_image, theta)[1], out[1])
    assert torch.equal(warp(image, broken_theta)[1], out[1])
    close(warp(image[1:2], theta[1:2])[0], out[1])


# What follows from eq. 3 being a weighted sum.


@each_pair()
@settings(max_examples=4)
@given(data=st.data(), seed=seeds, mode=st.sampled_from(MODES), align_corners=st.booleans())
def test_warping_is_linear_in_the_image(name, ndim, kernel_name, data, seed, mode, align_corners):
    made, k = transform(name, ndim), kernel(kernel_name)
    size = data.draw(sizes(ndim, 1, 5))
    u, v, theta = uniform(seed, 1, 1, *size), uniform(seed + 1, 1, 1, *size), near_identity(made, seed, 1)

    def warp(image):
        return wk.warp(image, made, theta, kernel=k, padding_mode=mode, align_corners=align_corners)

    close(warp(2 * u - 3 * v), 2 * warp(u) - 3 * warp(v))


@each_pair(kernels=OF_UNITY)
@settings(max_examples=4)
@given(data=st.data(), seed=seeds, mode=st.sampled_from(MODES[1:]), align_corners=st.booleans())
def test_a_constant_image_stays_constant(name, ndim, kernel_name, data, seed, mode, align_corners):
    made, k = transform(name, ndim), kernel(kernel_name)
    image = torch.full((1, 2, *data.draw(sizes(ndim, 1, 5))), 0.7, dtype=torch.float64)
    theta = near_identity(made, seed, 1)
    out = wk.warp(image, made, theta, size=(5,) * ndim, kernel=k, padding_mode=mode, align_corners=align_corners)
    torch.testing.assert_close(out, torch.full_like(out, 0.7), rtol=0, atol=1e-10)
