"""Several steps: θ is composed, the image is resampled once (Lin and Lucey 2017)."""

import pytest
import torch
from examples import Shear
from strategies import uniform
from torch import Tensor, nn

import warpkit as wk

IMAGE = uniform(0, 2, 1, 10, 12, dtype=torch.float32)


class Watching(nn.Module):
    """Features that are all one; keeps what it saw."""

    def __init__(self):
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(image)
        return torch.ones(image.shape[0], 1)


def stepping(step, transform="affine", **options) -> wk.SpatialTransformer:
    made = wk.SpatialTransformer(Watching(), transform, features=1, **options)
    with torch.no_grad():
        made.regression.bias.copy_(torch.tensor(step))
    return made


@pytest.mark.parametrize("transform", ["affine", "projective"])
def test_theta_is_the_product_of_the_steps_behind_init(transform):
    name = wk.get_transform(transform)
    step = 0.1 * uniform(1, name.num_params, dtype=torch.float32)
    init = name.identity() + 0.1 * uniform(2, name.num_params, dtype=torch.float32)
    made = stepping(step.tolist(), transform, steps=3, init=init)
    change, start = (name.matrix(t.double()[None]) for t in (name.identity() + step, init))
    expected = name.from_matrix(start @ change @ change @ change).float()
    torch.testing.assert_close(made.theta(IMAGE), expected.expand(2, -1), rtol=0, atol=1e-5)


def test_each_step_looks_at_the_image_warped_so_far_and_the_image_is_resampled_once():
    made = stepping([0.0, 0.1, 0.05, -0.1, 0, 0], steps=3, kernel="bicubic")
    out = made(IMAGE)
    seen, theta = made.localization.seen, made.theta(IMAGE)
    assert len(seen) == 6
    torch.testing.assert_close(seen[0], IMAGE, rtol=0, atol=1e-6)
    for i, steps in ((1, 1), (2, 2)):
        before = stepping([0.0, 0.1, 0.05, -0.1, 0, 0], steps=steps, kernel="bicubic")
        torch.testing.assert_close(seen[i], before(IMAGE), rtol=0, atol=1e-5)
    assert torch.equal(out, wk.warp(IMAGE, "affine", theta, kernel="bicubic"))


def test_limits_bound_the_composed_theta():
    made = stepping([0.0, 0, 0.4, 0, 0, 0], steps=5, limits=[0, 0, 0.5, 0, 0, 0.5])
    theta = made.theta(IMAGE)
    assert theta[0, [0, 1, 3, 4]].tolist() == [1, 0, 0, 1]
    assert 0.4 < theta[0, 2] <= 0.5


def test_theta_from_is_a_function_of_the_image_warped_so_far():
    fixed = uniform(3, 2, 2, 10, 12, dtype=torch.float32)
    made = stepping([0.0, 0, 0.1, 0, 0, 0], steps=2)
    made(IMAGE, lambda warped: torch.cat([warped, fixed], 1))
    assert [s.shape[1] for s in made.localization.seen] == [3, 3]
    torch.testing.assert_close(made.localization.seen[0][:, :1], IMAGE, rtol=0, atol=1e-6)


def test_starts_as_init_and_learns():
    made = wk.SpatialTransformer("dense_localization", steps=2)
    torch.testing.assert_close(made(IMAGE), IMAGE, rtol=0, atol=1e-6)
    made(IMAGE).square().sum().backward()
    assert made.regression.bias.grad.abs().sum() > 0


def test_an_empty_batch_passes():
    made = wk.SpatialTransformer("dense_localization", steps=2)
    made(IMAGE)
    assert made(IMAGE[:0]).shape == (0, 1, 10, 12)


def test_what_cannot_be_composed_is_told(unchecked):
    for transform in ("thin_plate_spline", Shear()):
        with pytest.raises(wk.InputError, match=r"steps|from_matrix"):
            wk.SpatialTransformer(nn.Flatten(), transform, steps=2)
    with pytest.raises(wk.InputError, match=r"theta_from.*function"):
        wk.SpatialTransformer(nn.Flatten(), steps=2)(IMAGE, IMAGE)
    with pytest.raises(wk.InputError, match=r"theta_from.*tensor"):
        wk.SpatialTransformer(nn.Flatten())(IMAGE, lambda image: None)
