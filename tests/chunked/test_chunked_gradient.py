"""θ's gradient over tiles: that of the whole, whatever the tiles and the transform."""

import numpy as np
import pytest
import torch
import zarr

import warpkit as wk
from warpkit import chunked

AFFINE = torch.tensor([[0.8, -0.35, 0.1, 0.4, 0.9, -0.2]], dtype=torch.float64)


def image(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def expected(moving, fixed, transform, theta, loss, **ways):
    learned = theta.clone().requires_grad_()
    value = loss(wk.warp(moving, transform, learned, size=fixed.shape[2:], **ways), fixed).mean()
    return value.detach(), torch.autograd.grad(value, learned)[0]


SPLINE = wk.get_transform("thin_plate_spline", grid=(3, 3))
CASES = {
    "affine": ("affine", AFFINE, {}),
    "two": ("affine", torch.cat([AFFINE, 1.1 * AFFINE]), {"kernel": "bicubic", "padding_mode": "reflection"}),
    "bspline": ("affine", AFFINE, {"kernel": "bspline", "align_corners": True}),
    "projective": ("projective", torch.cat([AFFINE, torch.tensor([[0.1, 0.2]])], 1), {"padding_mode": "border"}),
    "spline": (SPLINE, SPLINE.identity()[None].double() * 0.9, {"kernel": "bicubic"}),
    "field": ("displacement", 0.1 * image(1, 2, 7, 5), {"fill": 0.5}),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_gradient_of_the_whole(name):
    transform, theta, ways = CASES[name]
    moving, fixed = image(2, 2, 60, 90), image(2, 2, 50, 100, seed=1)
    loss = torch.nn.MSELoss(reduction="none")
    found = chunked.gradient(moving, fixed, transform, theta, chunks=(20, 41), axes="NCYX", **ways)
    for a, b in zip(found, expected(moving, fixed, transform, theta, loss, **ways), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_zarr_arrays_bytes_and_a_loss_of_ones_own(tmp_path):
    moving, fixed = ((200 * image(1, 1, 60, 90, seed=k)).to(torch.uint8) for k in (0, 1))
    stores = []
    for name, pixels in (("moving", moving), ("fixed", fixed)):
        stores.append(zarr.create_array(tmp_path / name, shape=(60, 90), chunks=(32, 32), dtype="uint8"))
        stores[-1][:] = pixels[0, 0].numpy()

    def robust(a, b):
        return (1 + (a - b).square()).sqrt()

    theta = AFFINE.float()
    found = chunked.gradient(*stores, "affine", theta, robust, chunks=(32, 64))
    by_expected = expected(moving.float(), fixed.float(), "affine", theta, robust)
    assert found[1].dtype == torch.float32
    torch.testing.assert_close(found[0].float(), by_expected[0])
    torch.testing.assert_close(found[1], by_expected[1], rtol=1e-3, atol=1e-3)


def test_the_same_bits_for_any_number_of_threads():
    import dask

    moving, fixed = image(60, 90), image(50, 100, seed=1)
    each = []
    for ways in ({"scheduler": "synchronous"}, {"scheduler": "threads", "num_workers": 4}):
        with dask.config.set(**ways):
            each.append(chunked.gradient(moving, fixed, "affine", AFFINE, chunks=(20, 41)))
    assert all(torch.equal(a, b) for a, b in zip(*each, strict=True))


def test_what_does_not_fit_is_refused():
    with pytest.raises(wk.InputError, match="loss"):
        chunked.gradient(np.zeros((4, 4)), np.zeros((4, 4)), "affine", AFFINE, "huber")
    with pytest.raises(wk.InputError, match="fixed: expected the shape of the warped array"):
        chunked.gradient(np.zeros((3, 4, 4)), np.zeros((2, 4, 4)), "affine", AFFINE, axes="CYX")
