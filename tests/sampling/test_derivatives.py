"""Every kind of derivative, each against finite differences or another kind."""

import pytest
import torch
from cases import PAIRS
from problems import problem, same
from strategies import MODES, uniform
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

import warpkit as wk

pytestmark = pytest.mark.usefixtures("unchecked")
each_pair = pytest.mark.parametrize(("name", "ndim", "kernel_name"), PAIRS)
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


@each_pair
def test_jvp_agrees_with_finite_differences(name, ndim, kernel_name):
    made, image, theta = problem(name, ndim)
    along, h = (uniform(5, *image.shape), uniform(6, *theta.shape)), 1e-7

    def warp(image, theta):
        return wk.warp(image, made, theta, kernel=kernel_name)

    out, slope = jvp(warp, (image, theta), along)
    ahead, behind = (warp(image + s * along[0], theta + s * along[1]) for s in (h, -h))
    torch.testing.assert_close(out, warp(image, theta))
    torch.testing.assert_close(slope, (ahead - behind) / (2 * h), rtol=0, atol=1e-5)


@each_pair
@each_dtype
def test_forward_and_reverse_mode_agree(name, ndim, kernel_name, dtype):
    made, image, theta = problem(name, ndim, dtype)

    def warp(theta):
        return wk.warp(image, made, theta, kernel=kernel_name)

    same(jacfwd(warp)(theta), jacrev(warp)(theta))


@pytest.mark.parametrize("name", ["affine", "projective", "thin_plate_spline"])
@pytest.mark.parametrize("kernel_name", ["bilinear", "bicubic"])
def test_hessians_agree_with_finite_differences_of_gradients(name, kernel_name):
    made, image, theta = problem(name, 2)

    def loss(theta):
        return wk.warp(image, made, theta, kernel=kernel_name, padding_mode="border").square().sum()

    exact, h = hessian(loss)(theta)[0, :, 0], 1e-6
    gradient = torch.func.grad(loss)
    for i in range(0, made.num_params, 5):
        step = torch.zeros_like(theta)
        step[0, i] = h
        numeric = (gradient(theta + step) - gradient(theta - step)) / (2 * h)
        torch.testing.assert_close(exact[i], numeric[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(exact, jacfwd(jacfwd(loss))(theta)[0, :, 0], rtol=0, atol=1e-9)


@each_pair
@each_dtype
def test_vmap_is_a_loop(name, ndim, kernel_name, dtype):
    made, image, theta = problem(name, ndim, dtype, batch=3)

    def warp(image, theta):
        return wk.warp(image[None], made, theta[None], kernel=kernel_name)[0]

    loop = torch.stack([warp(u, t) for u, t in zip(image, theta, strict=True)])
    same(vmap(warp)(image, theta), loop)
    same(vmap(warp, in_dims=(None, 0))(image[0], theta)[1], warp(image[0], theta[1]))


@pytest.mark.parametrize("mode", MODES)
def test_sample_has_every_kind_of_derivative_too(mode):
    image, coords, along = uniform(0, 2, 1, 4, 5), 0.9 * uniform(1, 2, 3, 2), uniform(2, 2, 3, 2)

    def sample(coords):
        return wk.sample(image, coords, kernel="bicubic", padding_mode=mode, fill=0.3)

    numeric = (sample(coords + 1e-7 * along) - sample(coords - 1e-7 * along)) / 2e-7
    torch.testing.assert_close(jvp(sample, (coords,), (along,))[1], numeric, rtol=0, atol=1e-5)
    same(jacfwd(sample)(coords), jacrev(sample)(coords))
    torch.testing.assert_close(
        hessian(lambda c: sample(c).sum())(coords), jacfwd(jacfwd(lambda c: sample(c).sum()))(coords), rtol=0, atol=1e-9
    )
    per_image = vmap(lambda u, c: wk.sample(u[None], c[None], kernel="bicubic", padding_mode=mode, fill=0.3)[0])
    torch.testing.assert_close(per_image(image, coords), sample(coords))


@pytest.mark.parametrize("by_name", [True, False])
def test_what_is_first_used_inside_a_function_transform_serves_afterwards(by_name):
    image, shift = uniform(0, 1, 1, 5, 6), 0.05 * uniform(1, 1, 18)
    made = wk.get_transform("thin_plate_spline", grid=[3, 3])
    theta = made.identity().double()[None] + shift
    transform = {"type": "thin_plate_spline", "grid": [3, 3]} if by_name else made

    def warp(t):
        return wk.warp(image, transform, t, kernel={"type": "bicubic", "a": -0.31 - by_name / 100})

    jvp(warp, (theta,), (shift,))
    grad(lambda t: warp(t).sum())(theta)
    fresh = wk.get_transform("thin_plate_spline", grid=[3, 3])
    kernel = wk.get_kernel("bicubic", a=-0.31 - by_name / 100)
    same(warp(theta), wk.warp(image, fresh, theta, kernel=kernel))
