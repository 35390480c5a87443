"""coverage: the share of the kernel's weights that lie inside the image."""

import pytest
import torch
from cases import KERNELS, identity, kernel
from examples import Lanczos, Swirl
from hypothesis import given, settings
from strategies import seeds, sizes, uniform

import warpkit as wk

AFFINE = wk.get_transform("affine")


@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=6)
@given(seed=seeds, size=sizes(2, 2, 9), out=sizes(2, 2, 9))
def test_it_is_the_sum_of_the_weights_inside_over_all_of_them(name, seed, size, out):
    """Tap by tap: an image of ones that is surrounded by as many zeros, or by as many ones, as a kernel can reach."""
    made = kernel(name)
    theta = identity(AFFINE, 2) + 0.4 * uniform(seed, 2, 6)
    found = wk.coverage(AFFINE, theta, size, out, kernel=made)
    ones = torch.ones(1, 1, *size, dtype=torch.float64)
    where = AFFINE(theta, wk.lattice(out, dtype=torch.float64)[None])
    inside = wk.sample(ones, where, kernel=made)
    total = wk.sample(ones, where, kernel=made, padding_mode="wrap")
    torch.testing.assert_close(found, inside / total)
    assert found.shape == (2, 1, *out)


def test_a_kernel_whose_weights_do_not_add_up_to_one_covers_all_of_what_is_inside():
    found = wk.coverage(AFFINE, identity(AFFINE) * 0.9, (40, 40), kernel=Lanczos())
    torch.testing.assert_close(found[..., 8:-8, 8:-8], torch.ones(1, 1, 24, 24, dtype=torch.float64))


def test_by_hand():
    """A shift by a quarter of four pixels, and a half more: the last but one is half covered, the last not at all."""
    theta = torch.tensor([[1.0, 0, 0.75, 0, 1, 0]], requires_grad=True)
    found = wk.coverage("affine", theta, (1, 4))
    assert found.tolist() == [[[[1.0, 1.0, 0.5, 0.0]]]]
    found.sum().backward()
    assert theta.grad[0, 2].item() == -2.0  # a unit of θ is two pixels


def test_behind_a_horizon_nothing_is_covered():
    theta = torch.tensor([[1.0, 0, 0, 0, 1, 0, 2, 0]], requires_grad=True)
    for k in ("bilinear", Lanczos()):
        found = wk.coverage("projective", theta, (8, 8), kernel=k)
        assert (found[..., :2] == 0).all()
        (grad,) = torch.autograd.grad(found.sum(), theta)
        assert grad.isfinite().all()


def test_types_sizes_and_dimensions():
    assert wk.coverage(Swirl(), torch.zeros(3, 1), 5).shape == (3, 1, 5, 5)
    assert wk.coverage("affine", torch.zeros(1, 2), 5, 7).shape == (1, 1, 7)
    assert wk.coverage("affine", torch.zeros(1, 12), (2, 3, 4), (3, 2, 2)).shape == (1, 1, 3, 2, 2)
    assert wk.coverage(Swirl(), torch.zeros(1, 1), 5).dtype == torch.float32
    assert wk.coverage(Swirl(), torch.zeros(1, 1).half(), 5).dtype == torch.float32
    assert wk.coverage(Swirl(), torch.zeros(1, 1).double(), 5).dtype == torch.float64


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"in_size": (0, 3)}, "size"),
        ({"out_size": (3,)}, "size"),
        ({"theta": torch.zeros(1, 5)}, "theta"),
        ({"theta": [1.0]}, "theta: expected a floating-point tensor"),
        ({"kernel": "bilinar"}, "bilinear"),
        ({"align_corners": 2}, "align_corners"),
    ],
)
def test_bad_input_is_told(unchecked, change, words):
    with pytest.raises(wk.InputError, match=words):
        wk.coverage(**{"transform": "affine", "theta": torch.zeros(1, 6), "in_size": (4, 4), **change})
