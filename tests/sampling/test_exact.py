"""Values are as exact as the coordinates they are asked for at, next to joints too."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from cases import INTERPOLATING, WITH_IDENTITY, kernel, paired, transform
from strategies import MODES, uniform

import warpkit as wk

pytestmark = pytest.mark.usefixtures("each_backend")
_TABLES = {name: kernel(name).table() for name in INTERPOLATING}
TO_THE_LAST_BIT = [n for n, t in _TABLES.items() if t is not None and {0.0, 1.0}.issuperset(t[0, :, 0].tolist())]


def eq3(image, x):
    """Bilinear along one axis with zeros outside, in float64: the literal sum at ((x + 1) · n − 1) / 2."""
    n = image.numel()
    pixel = ((x.double() + 1) * n - 1) / 2
    below = pixel.floor()
    f, padded = pixel - below, F.pad(image, (1, 1))
    index = below.long().clamp(-1, n - 1) + 1
    return padded[index] * (1 - f) + padded[index + 1] * f


@pytest.mark.parametrize("n", [7, 60, 2048, 16384, 10**5, 2**22])
@pytest.mark.parametrize("near", [True, False], ids=["next to joints", "anywhere"])
def test_float32_coordinates_are_read_as_exactly_as_grid_sample_reads_them(n, near):
    image, u = uniform(0, n), uniform(1, 4000)
    pixel = ((u + 1) / 2 * (n - 2)).floor() + 1 + 1e-7 * n * uniform(2, 4000) if near else (u + 1) / 2 * n - 0.5
    x = ((2 * pixel + 1) / n - 1).float()
    coords = torch.stack([x, torch.zeros_like(x)], -1)[None]
    ours = wk.sample(image.float().reshape(1, 1, 1, n), coords).flatten().double()
    theirs = F.grid_sample(image.float().reshape(1, 1, 1, n), coords[None], align_corners=False).flatten().double()
    expected = eq3(image, x)
    assert (ours - expected).abs().max() <= 1.3 * (theirs - expected).abs().max() + 1.2e-7


@pytest.mark.parametrize(("transform_name", "ndim", "name"), paired(WITH_IDENTITY, TO_THE_LAST_BIT))
def test_an_identity_changes_no_bit_whatever_the_size(transform_name, ndim, name):
    made, k = transform(transform_name, ndim), kernel(name)
    for size in ((49, 1, 7), (10, 33, 3), (224, 5, 6)):
        image = uniform(0, 1, 1, *size[:ndim])
        for dtype in (torch.float32, torch.float64):
            assert torch.equal(wk.warp(image.to(dtype), made, made.identity()[None], kernel=k), image.to(dtype))


@pytest.mark.parametrize("mode", [*MODES, "none"])
@pytest.mark.parametrize("value", [2.5e38, -2.5e38, 3.4e38, 1e20])
def test_a_finite_coordinate_obeys_its_padding_however_large_it_is(mode, value):
    """It is limited to ±2³⁰ pixels, where every index is outside."""
    image = torch.tensor([[[1.0, 2.0, 3.0]]])
    found = wk.sample(image, torch.tensor([[[value]]]), padding_mode=mode, fill=9.0).item()
    at_limit = {"zeros": 9.0, "none": 9.0, "border": 3.0 if value > 0 else 1.0}
    index = 2**30 if value > 0 else -(2**30)
    at_limit["wrap"] = image[0, 0, index % 3].item()
    mirrored = index % 6
    at_limit["reflection"] = image[0, 0, min(mirrored, 5 - mirrored)].item()
    assert found == at_limit[mode]


@pytest.mark.parametrize("align_corners", [False, True])
def test_none_gives_fill_beyond_the_image_and_stops_taps_at_its_edge(align_corners):
    """By hand: bilinear on 1 2 4, whose extent is −½ … 2½, or 0 … 2 with aligned corners."""
    image = torch.tensor([[[1.0, 2.0, 4.0]]])
    edge = 0.0 if align_corners else 0.5
    pixels = torch.tensor([-edge - 0.01, -edge, 0.25, 1.5, 2 + edge, 2 + edge + 0.01])
    coords = (pixels - 1) * (1.0 if align_corners else 2 / 3)
    found = wk.sample(image, coords[None, :, None], padding_mode="none", fill=7.0, align_corners=align_corners)
    assert found.flatten().tolist() == pytest.approx([7, 1, 1.25, 3, 4, 7])


def test_none_on_one_axis_and_zeros_on_the_other():
    image = torch.ones(1, 1, 2, 2)
    coords = torch.tensor([[[0.9, 0.0], [1.1, 0.0], [0.0, 1.0], [0.0, 1.1]]])
    found = wk.sample(image, coords, padding_mode=("none", "zeros"), fill=-1.0).flatten().tolist()
    assert found == pytest.approx([1.0, -1.0, 0.0, -0.2])


@pytest.mark.parametrize("n", [256, 4096, 16384, 2**18])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_gradient_in_the_image_is_that_of_the_taps_that_were_read(n, channels_last):
    """Next to joints too, whether or not the coordinates have a gradient: `push`, the adjoint of what was computed."""
    coords = uniform(1, 1, 3000, 2).float()
    image, grad = uniform(0, 1, 3, 1, n).float(), uniform(2, 1, 3, 3000).float()
    image = image.contiguous(memory_format=torch.channels_last) if channels_last else image
    expected = wk.push(grad, coords, (1, n))
    for learns in (False, True):
        u = image.clone(memory_format=torch.preserve_format).requires_grad_()
        wk.sample(u, coords.clone().requires_grad_(learns)).backward(grad)
        torch.testing.assert_close(u.grad, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("pixel", "touched"), [(-1.2e-7, False), (0.5, True), (1.0, True), (1.5, True), (2.5, False)])
def test_a_pixel_that_is_no_number_reaches_the_outputs_whose_taps_it_is(pixel, touched):
    """Left of a joint, the pixel on its right is none of the taps, though it has a part in the derivative."""
    image = torch.zeros(1, 1, 12, dtype=torch.float64)
    image[0, 0, 1] = float("nan")
    x = torch.tensor([[[(2 * pixel + 1) / 12 - 1]]], dtype=torch.float32)
    assert wk.sample(image, x).isnan().item() is touched
