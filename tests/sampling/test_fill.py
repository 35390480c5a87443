"""What lies outside: any number that the image holds, exactly, and NaN, which marks what the outside has a part in."""

import pytest
import torch
from strategies import uniform

import warpkit as wk

pytestmark = pytest.mark.usefixtures("each_backend")
AWAY = torch.tensor([[1.0, 0, 9, 0, 1, 0]])  # nothing of the image is seen
HALF = torch.tensor([[1.0, 0, 1, 0, 1, 0]])  # half of it
NAN = float("nan")


@pytest.mark.parametrize("kernel", ["nearest", "bilinear"])
@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        (torch.int64, 2**53 + 1),
        (torch.int64, -(2**63)),
        (torch.int64, torch.tensor([2**62 + 1])),
        (torch.uint64, 2**64 - 1),
        (torch.int32, -(2**31)),
        (torch.uint8, 255),
        (torch.bool, True),
    ],
)
def test_an_integer_image_holds_its_fill_exactly(dtype, fill, kernel):
    image = torch.ones(1, 1, 2, 2).to(dtype)
    found = wk.warp(image, "affine", AWAY, kernel=kernel, fill=fill)
    assert found.dtype == dtype
    expected = int(fill)
    assert found.flatten().tolist() == [expected] * 4


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        (torch.uint8, -1),
        (torch.uint8, 256),
        (torch.uint8, NAN),
        (torch.int8, (0, 128)),
        (torch.bool, 2),
        (torch.int64, 2**63),
        (torch.uint8, 0.5),
    ],
)
def test_a_fill_that_the_image_cannot_hold_is_refused(dtype, fill):
    with pytest.raises(wk.InputError, match=f"fill: expected a number that {dtype} holds"):
        wk.warp(torch.ones(1, 2, 2, 2).to(dtype), "affine", AWAY, fill=fill)


def test_a_complex_fill_for_a_complex_image():
    found = wk.warp(torch.ones(1, 1, 2, 2, dtype=torch.complex64), "affine", AWAY, fill=1 + 2j)
    assert found.flatten().tolist() == [1 + 2j] * 4


@pytest.mark.parametrize("mode", ["zeros", "border", "none"])
@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_nan_marks_each_output_that_the_outside_has_a_weight_in(mode, kernel, dtype):
    """Where ones with zeros around them give less than one."""
    image = uniform(0, 1, 2, 5, 6).to(dtype)
    theta = torch.tensor([[1.1, 0.2, 0.1, -0.1, 0.9, 0.2]])
    found = wk.warp(image, "affine", theta, kernel=kernel, padding_mode=mode, fill=NAN)
    plain = wk.warp(image, "affine", theta, kernel=kernel, padding_mode=mode)
    part = wk.warp(torch.ones(1, 1, 5, 6).double(), "affine", theta.double(), kernel=kernel, padding_mode=mode)
    outside = ((part - 1).abs() > 1e-12).expand_as(found)
    assert outside.any() or mode == "border"
    assert torch.equal(found.isnan(), outside)
    assert torch.equal(found[~outside], plain[~outside])


def test_nan_marks_nothing_of_an_identity_and_single_channels_alone():
    image = uniform(0, 1, 2, 4, 4).float()
    assert torch.equal(wk.warp(image, "affine", torch.eye(2, 3).flatten()[None], fill=NAN), image)
    found = wk.warp(image, "affine", AWAY, fill=[NAN, 3.0])
    assert found[0, 0].isnan().all()
    assert (found[0, 1] == 3).all()


def test_marked_outputs_have_no_gradient():
    image, theta = uniform(0, 1, 1, 4, 4).requires_grad_(), HALF.double().requires_grad_()
    found = wk.warp(image, "affine", theta, fill=NAN)
    torch.where(found.isnan(), 0.0, found).sum().backward()
    again, same = image.detach().requires_grad_(), theta.detach().requires_grad_()
    seen = ~found.detach().isnan()
    (wk.warp(again, "affine", same) * seen).sum().backward()
    torch.testing.assert_close(image.grad, again.grad)
    torch.testing.assert_close(theta.grad, same.grad)


def test_the_default_device_has_no_say(monkeypatch):
    image, theta = torch.ones(1, 3, 4, 4), AWAY
    with torch.device("meta"):
        assert (wk.warp(image, "affine", theta, fill=7.0) == 7).all()
        assert (wk.warp(image, "affine", theta) == 0).all()


@pytest.mark.parametrize(("dtype", "fill"), [(torch.float32, 1e39), (torch.float16, -1e6), (torch.complex64, 1e39j)])
def test_a_fill_beyond_what_the_type_holds_is_refused(dtype, fill):
    with pytest.raises(wk.InputError, match="fill: expected a finite number"):
        wk.warp(torch.ones(1, 1, 2, 2).to(dtype), "affine", AWAY, fill=fill)


def test_nan_marks_the_same_in_forward_mode_and_in_complex_images():
    image = torch.ones(1, 1, 8, 8)

    def warp(theta):
        return wk.warp(image, "affine", theta, fill=NAN)

    expected = warp(HALF).isnan()
    assert expected.float().mean() == 0.5
    assert torch.equal(torch.func.jvp(warp, (HALF,), (HALF,))[0].isnan(), expected)
    assert torch.func.grad(lambda t: warp(t).nan_to_num().sum())(HALF).isfinite().all()
    assert torch.equal(wk.warp(image.to(torch.complex64), "affine", HALF, fill=NAN).isnan(), expected)


@pytest.mark.usefixtures("compiler")
def test_nan_marks_the_same_in_a_compiled_graph():
    image = torch.ones(1, 1, 8, 8)
    for fill in (NAN, torch.tensor([NAN])):
        traced = torch.compile(lambda t, f: wk.warp(image, "affine", t, fill=f), fullgraph=True, backend="eager")
        assert torch.equal(traced(HALF, fill).isnan(), wk.warp(image, "affine", HALF, fill=NAN).isnan())


class Half(wk.Kernel):
    """Weights that do not sum to one."""

    radius, interpolating, partition_of_unity = 1.0, False, False

    def forward(self, distance):
        return 0.5 * (1 - distance.abs())


def test_nan_marks_the_outside_alone_whatever_the_weights_sum_to():
    found = wk.warp(torch.ones(1, 1, 4, 8), "affine", torch.tensor([[1.0, 0, 0.01, 0, 1, 0]]), kernel=Half(), fill=NAN)
    assert found[..., :-1].isfinite().all()
    assert found[..., -1].isnan().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("learns", [False, True])
def test_a_fill_may_be_a_tensor_of_any_floating_type(dtype, learns):
    fill = torch.tensor([1.0, 2.0], dtype=dtype, requires_grad=learns)
    found = wk.warp(torch.zeros(1, 2, 2, 2), "affine", AWAY, fill=fill)
    assert found[0, :, 0, 0].tolist() == [1, 2]
    if learns:
        found.sum().backward()
        assert fill.grad.tolist() == [4, 4]
