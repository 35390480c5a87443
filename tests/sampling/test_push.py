"""`push` is the adjoint of `sample` in the image, on every backend."""

import pytest
import torch
from cases import KERNELS, kernel
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import MODES, alignments, any_modes, seeds, sizes, uniform

import warpkit as wk

pytestmark = pytest.mark.usefixtures("each_backend")


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=6)
@given(data=st.data(), seed=seeds, align_corners=alignments)
def test_the_sum_of_push_times_an_image_is_that_of_values_times_its_samples(name, ndim, data, seed, align_corners):
    size, target = data.draw(sizes(ndim, 1, 6)), data.draw(st.sampled_from([(5,), (2, 3), (1, 2, 2), (0,)]))
    sets, images = data.draw(st.sampled_from([(2, 2), (1, 3), (3, 1)]))
    values, coords = uniform(seed, images, 3, *target), 1.4 * uniform(seed + 1, sets, *target, ndim)
    how = {"kernel": kernel(name), "padding_mode": data.draw(any_modes(ndim)), "align_corners": align_corners}
    pushed, image = wk.push(values, coords, size, **how), uniform(seed + 2, max(sets, images), 3, *size)
    assert pushed.shape == image.shape
    sampled = wk.sample(image, coords, **how)
    torch.testing.assert_close((pushed * image).sum(), (values * sampled).sum(), rtol=1e-10, atol=1e-10)


def test_by_hand():
    """A value half-way between two pixels goes to both, one outside is lost, one at a pixel stays there."""
    coords = torch.tensor([[[-0.5], [0.0], [3.0]]], dtype=torch.float64)
    pushed = wk.push(torch.tensor([[[3.0, 4.0, 9.0]]], dtype=torch.float64), coords, 2)
    assert pushed.tolist() == [[[5.0, 2.0]]]


@pytest.mark.parametrize("mode", [*MODES, "none"])
def test_nothing_is_lost_but_under_zeros_and_none(mode):
    values, coords = uniform(0, 1, 1, 50), 2 * uniform(1, 1, 50, 2)
    pushed = wk.push(values, coords, (5, 6), padding_mode=mode, kernel="bicubic")
    kept = mode not in ("zeros", "none")
    assert torch.isclose(pushed.sum(), values.sum()).item() is kept


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_point_that_is_not_finite_gives_to_no_pixel(value):
    coords = torch.tensor([[[0.0, value], [0.0, 0.0]]], dtype=torch.float64, requires_grad=True)
    pushed = wk.push(torch.ones(1, 1, 2, dtype=torch.float64), coords, (3, 3), padding_mode="border")
    assert pushed.sum().item() == pytest.approx(1)
    pushed.square().sum().backward()
    assert coords.grad[0, 0].tolist() == [0, 0]
    assert coords.grad.isfinite().all()


@pytest.mark.parametrize("ndim", [1, 2, pytest.param(3, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("mode", ["zeros", "reflection", "none"])
def test_derivatives_to_the_third_order(mode, ndim):
    name = "bicubic" if (mode == "reflection") == (ndim % 2) else "bilinear"  # in turn
    values = uniform(0, 1, 2, 4).requires_grad_()
    coords = (0.8 * uniform(1, 1, 4, ndim)).requires_grad_()

    def push(values, coords):
        return wk.push(values, coords, (4, 3, 5)[:ndim], kernel=name, padding_mode=mode)

    assert torch.autograd.gradcheck(push, (values, coords))
    assert torch.autograd.gradgradcheck(push, (values, coords))

    def slopes(values, coords):
        return torch.autograd.grad(push(values, coords).square().sum(), (values, coords), create_graph=True)

    assert torch.autograd.gradgradcheck(slopes, (values, coords), fast_mode=True, atol=1e-3)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_bits_for_any_number_of_threads(threads):
    values, coords = uniform(0, 1, 3, 300, 300).float(), (1.1 * uniform(1, 1, 300, 300, 2)).float()
    before = torch.get_num_threads()
    expected = wk.push(values, coords, (200, 210), kernel="bicubic")
    try:
        torch.set_num_threads(threads)
        assert torch.equal(wk.push(values, coords, (200, 210), kernel="bicubic"), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_values_keep_their_type(dtype):
    values, coords = uniform(0, 2, 3, 9).to(dtype), uniform(1, 2, 9, 2).float()
    pushed = wk.push(values, coords, (4, 5))
    assert pushed.dtype == dtype
    expected = wk.push(values.double(), coords.double(), (4, 5)).to(dtype)
    torch.testing.assert_close(pushed, expected, rtol=0, atol=4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_grid_in_rows_and_any_layout(channels_last):
    values, coords = uniform(0, 2, 5, 6, 7), uniform(1, 2, 6, 7, 2)
    given_values = values.contiguous(memory_format=torch.channels_last) if channels_last else values
    listed = wk.push(values.flatten(2), coords.flatten(1, 2), (4, 5))
    torch.testing.assert_close(wk.push(given_values, coords, (4, 5)), listed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((torch.ones(1, 1, 3), torch.zeros(1, 4, 2), (3, 3)), r"values: expected \[N, C, 4\].*\[1, 1, 3\]"),
        ((torch.ones(1, 1, 4, dtype=torch.int32), torch.zeros(1, 4, 2), (3, 3)), "values: .*floating-point.*int32"),
        (
            (torch.ones(2, 1, 4), torch.zeros(3, 4, 2), (3, 3)),
            "batch of values: expected that of coords, 3, .*got 2",
        ),
        ((torch.ones(1, 1, 4), torch.zeros(1, 4, 2), (3, 3, 3)), "size: expected 2 positive integers"),
        ((torch.ones(1, 1, 4), torch.zeros(1, 4, 4), (3, 3)), r"coords: expected \[N, \*T, D\]"),
        ((torch.ones(1, 1, 4), [[0.0]], (3, 3)), "coords"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_told(arguments, words):
    with pytest.raises(wk.InputError, match=words):
        wk.push(*arguments)


@pytest.mark.parametrize(("values", "sets"), [(0, 0), (1, 0), (0, 1)])
def test_an_empty_batch_gives_an_empty_result(values, sets):
    assert wk.push(torch.ones(values, 1, 3), torch.zeros(sets, 3, 2), (4, 4)).shape == (0, 1, 4, 4)
