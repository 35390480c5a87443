"""Images larger than memory are brought onto each other, as small ones show."""

import dask.array as da
import numpy as np
import pytest
import torch

import warpkit as wk
from warpkit import chunked

AFFINE = torch.tensor([[0.95, -0.06, 0.03, 0.05, 1.04, -0.02]], dtype=torch.float64)


def scene(h, w):
    """Something to see at every scale."""
    generator = torch.Generator().manual_seed(0)
    sizes = [(h // k, w // k) for k in (64, 16, 4) if h // k > 2]
    layers = [torch.rand(1, 1, *size, generator=generator, dtype=torch.float64) for size in sizes]
    grown = [torch.nn.functional.interpolate(layer, (h, w), mode="bicubic") for layer in layers]
    return 200 * torch.stack(grown).mean(0)


def apart(theta, size):
    """How many pixels of the image two maps are apart, at most."""
    corners = torch.tensor([[[-1.0, -1], [1, -1], [-1, 1], [1, 1]]], dtype=torch.float64)
    affine = wk.get_transform("affine")
    moved = affine(theta, corners) - affine(AFFINE, corners)
    return float((moved * torch.tensor(size[::-1]) / 2).norm(dim=-1).max())


@pytest.mark.parametrize("blocks", [4])
def test_a_known_map_is_found_to_a_fraction_of_a_pixel(blocks, monkeypatch):
    size = (203, 290)
    monkeypatch.setattr("warpkit.alignment.tiles._SMALL", int(np.prod(size)) // blocks**2)
    monkeypatch.setattr("warpkit.alignment.tiles._EDGES", {2: 48})
    monkeypatch.setattr("warpkit.alignment.tiles._TILES", {2: 3})
    moving = scene(*size)
    fixed = wk.warp(moving, "affine", AFFINE, kernel="bicubic", padding_mode="reflection")
    told = []
    ways = {"progress": lambda done, loss: told.append((done, loss))}
    theta = wk.align(moving[0, 0].numpy().astype("float32"), da.from_array(fixed[0, 0].numpy()), "affine", **ways)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == 1.0
    assert told[-1][1] < 1e-3
    assert theta.dtype == torch.float64
    assert apart(theta, size) < 0.05


def test_it_goes_on_from_a_start_in_any_family():
    moving = scene(200, 260).expand(1, 2, -1, -1)
    shift = torch.tensor([[0.02, -0.03]], dtype=torch.float64)
    fixed = wk.warp(moving, "translation", shift, kernel="bicubic", padding_mode="reflection")
    ways = {"axes": "CYX", "init": torch.zeros(2)}
    theta = wk.align(moving[0].numpy(), fixed[0].numpy(), "translation", **ways)
    torch.testing.assert_close(theta, shift, atol=1e-5, rtol=0)


def test_levels_of_an_image_are_read_where_they_are_blocks(tmp_path, monkeypatch):
    from warpkit.alignment import tiles

    size = (203, 290)
    monkeypatch.setattr("warpkit.alignment.tiles._SMALL", 4000)
    moving = scene(*size)
    fixed = wk.warp(moving, "affine", AFFINE, kernel="bicubic", padding_mode="reflection")
    for name, pixels in (("moving", moving), ("fixed", fixed)):
        whole = da.from_array(pixels[0, 0].numpy(), chunks=(128, 128))
        chunked.save(whole, tmp_path / name, axes="YX", levels=3)
    levels = tiles._Image.of(tmp_path / "moving", None, "moving")
    assert sorted(levels.levels) == [(1, 1), (2, 2), (4, 4)]
    plain = tiles._Image.of(moving[0, 0].numpy(), None, "moving")
    torch.testing.assert_close(levels.small(4), plain.small(4))
    assert apart(wk.align(tmp_path / "moving", tmp_path / "fixed", "affine"), size) < 0.05


def test_a_stack_of_few_slices_is_averaged_along_its_long_axes(monkeypatch):
    from warpkit.alignment import tiles

    monkeypatch.setattr("warpkit.alignment.tiles._SMALL", 12_000)
    layers = [torch.nn.functional.interpolate(torch.rand(1, 1, *n, generator=torch.Generator().manual_seed(n[0]),
              dtype=torch.float64), (9, 130, 170), mode="trilinear") for n in ((3, 5, 6), (4, 20, 30))]  # fmt: skip
    moving = 100 * (layers[0] + layers[1])
    shift = torch.tensor([[0.03, -0.02, 0.05]], dtype=torch.float64)
    translation = wk.get_transform("translation", ndim=3)
    fixed = wk.warp(moving, translation, shift, kernel="bicubic", padding_mode="reflection")
    image = tiles._Image.of(moving[0, 0].numpy(), "ZYX", "moving")
    assert image.size_in(image.coarsest()) == [9, 32, 42]
    assert len(tiles._spread((10**4,) * 3)) == 64
    ways = {"axes": "ZYX", "init": 0.8 * shift}
    found = wk.align(moving[0, 0].numpy(), fixed[0, 0].numpy(), translation, **ways)
    torch.testing.assert_close(found, shift, atol=1e-3, rtol=0)


def test_what_cannot_be_aligned_is_refused():
    blank = np.random.default_rng(0).random((40, 50))
    with pytest.raises(wk.InputError, match="plain numbers"):
        wk.align(blank, blank, "displacement")
    with pytest.raises(wk.InputError, match="loss: expected 'mse', where images are arrays"):
        wk.align(blank, blank, "affine", loss="ncc")
    with pytest.raises(wk.InputError, match="axes: expected None for tensors"):
        wk.align(torch.rand(1, 1, 9, 9), torch.rand(1, 1, 9, 9), "affine", axes="YX")
    with pytest.raises(wk.InputError, match="as many channels"):
        wk.align(blank[None].repeat(2, 0), blank[None], "affine", axes="CYX")
    with pytest.raises(wk.InputError, match="one image"):
        wk.align(blank[None].repeat(2, 0), blank[None], "affine", axes="NYX")
    with pytest.raises(wk.InputError, match="do not overlap"):
        wk.align(blank, blank, "translation", init=torch.tensor([9.0, 0]))
