"""Velocity fields: T = exp(θ), by scaling and squaring."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from strategies import seeds, uniform
from torch.utils._python_dispatch import TorchDispatchMode

import warpkit as wk
from warpkit.transforms.field import to_normalised


def smooth(seed, size, low=4, ndim=2, amplitude=0.15):
    field = amplitude * uniform(seed, 1, ndim, *[low] * ndim)
    return torch.nn.functional.interpolate(field, size=size, mode="bicubic" if ndim == 2 else "trilinear")


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("size", [(64, 64), (17, 33)], ids=str)
@pytest.mark.parametrize("kernel", ["bilinear", {"type": "bicubic", "a": -0.5}], ids=str)
def test_the_flow_of_a_linear_field_is_the_matrix_exponential(size, aligned, kernel):
    generator = np.array([[0.3, -0.5, 0.05], [0.4, -0.2, -0.1], [0, 0, 0]])
    matrix = torch.tensor(scipy.linalg.expm(generator))
    made = wk.get_transform("velocity", align_corners=aligned, kernel=kernel)
    places = wk.lattice(size, align_corners=aligned, dtype=torch.float64)
    v = (places @ torch.tensor(generator[:2, :2]).T + torch.tensor(generator[:2, 2])).movedim(-1, 0)[None]
    points = 0.35 * uniform(0, 1, 40, 2)  # whose ways end inside
    expected = points @ matrix[:2, :2].T + matrix[:2, 2]
    torch.testing.assert_close(made(v, points), expected, rtol=0, atol=2e-6)
    torch.testing.assert_close(made.jacobian(v, points), matrix[:2, :2].expand(1, 40, 2, 2), rtol=0, atol=2e-5)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_minus_theta_is_the_inverse(ndim):
    made = wk.get_transform("velocity", ndim=ndim)
    v, points = 0.1 * uniform(0, 1, ndim, *[5] * ndim), 0.8 * uniform(1, 1, 30, ndim)
    v = torch.nn.functional.interpolate(v, scale_factor=8, mode=("linear", "bilinear", "trilinear")[ndim - 1])
    assert torch.equal(made.inverse(v), -v)
    back = made(made.inverse(v), made(v, points))
    assert (back - points).abs().max() * 20 < 0.06  # pixels


def test_a_steep_flow_does_not_fold():
    made, v = wk.get_transform("velocity"), smooth(3, (48, 48), amplitude=0.5)
    places = wk.lattice((30, 30), dtype=torch.float64)[None]
    assert (torch.linalg.det(made.jacobian(v, places)) > 0).all()


@given(seed=seeds)
def test_an_image_s_steps_are_its_own(seed):
    made = wk.get_transform("velocity")
    v = torch.cat([smooth(seed, (12, 13)), 20 * smooth(seed + 1, (12, 13)), 0 * smooth(seed, (12, 13))])
    points = 0.9 * uniform(seed, 1, 9, 2)
    torch.testing.assert_close(made(v, points), torch.cat([made(each[None], points) for each in v]))


def test_steps_are_as_many_as_bring_the_first_to_half_a_pixel():
    made = wk.get_transform("velocity", units="pixels")
    for largest, steps in ((0.0, 0), (0.5, 0), (0.51, 1), (1.0, 1), (7.9, 4), (8.1, 5)):
        v = torch.zeros(1, 2, 16, 16)
        v[0, 1, 3, 4] = -largest
        assert made._plan(to_normalised(v, False)).many == steps


def test_more_steps_change_less_and_less():
    v, points = smooth(0, (40, 40), amplitude=0.4), 0.8 * uniform(1, 1, 50, 2)
    few, more, most = (wk.get_transform("velocity", steps=n, kernel="bicubic")(v, points) for n in (3, 5, 9))
    assert (more - most).abs().max() < (few - most).abs().max() / 4


class _Sizes(TorchDispatchMode):
    """The bytes that are alive at once, of tensors that operations gave."""

    def __init__(self):
        super().__init__()
        self.alive, self.most = {}, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        import weakref

        found = func(*args, **(kwargs or {}))
        for t in found if isinstance(found, tuple | list) else (found,):
            if isinstance(t, torch.Tensor):
                storage = t.untyped_storage()
                if storage._cdata not in self.alive:
                    self.alive[storage._cdata] = storage.nbytes()
                    weakref.finalize(storage, self.alive.pop, storage._cdata, None)
        self.most = max(self.most, sum(self.alive.values()))
        return found


def test_memory_on_the_way_back_does_not_grow_with_the_steps():
    def most(steps):
        made = wk.get_transform("velocity", steps=steps)
        v = (0.1 * uniform(0, 1, 2, 64, 64, dtype=torch.float32)).requires_grad_()
        with _Sizes() as sizes:
            made.displacement(v).square().sum().backward()
        return sizes.most

    assert most(12) <= 1.05 * most(4)


def test_gradients_of_recomputed_steps_are_those_of_kept_ones():
    v = smooth(0, (9, 8), amplitude=0.6).requires_grad_()
    for steps in (0, 1, 2, 5, None):
        made = wk.get_transform("velocity", steps=steps)
        weights = uniform(2, 1, 2, 9, 8)
        (found,) = torch.autograd.grad((made.displacement(v) * weights).sum(), v)
        plain = made._flow(v, made._plan(v))
        (expected,) = torch.autograd.grad((plain * weights).sum(), v)
        torch.testing.assert_close(found, expected)


def test_a_kernel_that_learns_gets_a_gradient():
    made = wk.get_transform("velocity", kernel={"type": "bicubic", "learnable": True}, steps=3)
    made(smooth(0, (9, 8)), uniform(1, 1, 5, 2)).square().sum().backward()
    assert made.kernels[0].a.grad.abs() > 0


def test_a_kernel_that_smooths_is_refused():
    with pytest.raises(wk.InputError, match="BSpline"):
        wk.get_transform("velocity", kernel=wk.get_kernel("bspline", prefilter=False))
    with pytest.raises(wk.InputError, match="steps"):
        wk.get_transform("velocity", steps=-1)


def test_compiled_and_exported_as_eager(compiler):
    made = wk.get_transform("velocity")
    image, v = uniform(0, 2, 1, 9, 8), torch.cat([smooth(1, (9, 8)), 9 * smooth(2, (9, 8))])

    class Warps(torch.nn.Module):
        def forward(self, image, v):
            return wk.warp(image, made, v)

    expected = wk.warp(image, made, v)
    torch.testing.assert_close(torch.compile(Warps(), fullgraph=True, backend="aot_eager")(image, v), expected)
    exported = torch.export.export(Warps(), (image, v)).module()
    torch.testing.assert_close(exported(image, v), expected)
    each = torch.vmap(lambda v: made(v[None], wk.lattice((3, 4), dtype=torch.float64)[None])[0])(v)
    torch.testing.assert_close(each, made(v, wk.lattice((3, 4), dtype=torch.float64)[None]))
