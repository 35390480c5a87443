"""Arrays that are written to Zarr tile by tile, and the command that does it."""

import dask.array as da
import numpy as np
import pytest
import torch
import zarr
from typer.testing import CliRunner

import warpkit as wk
from warpkit import chunked
from warpkit.cli import app

AFFINE = torch.tensor([[0.8, -0.35, 0.1, 0.4, 0.9, -0.2]])
runner = CliRunner()


@pytest.fixture
def pixels():
    return torch.rand(1, 1, 90, 130, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def store(tmp_path, pixels):
    path = tmp_path / "in.zarr"
    array = zarr.create_array(path, shape=(90, 130), chunks=(32, 32), dtype="float32")
    array[:] = pixels[0, 0].numpy()
    return path


@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex64"])
def test_tiles_of_zeros_take_no_room(tmp_path, dtype):
    values = np.zeros((8, 12), dtype)
    values[5, 6] = 1
    if dtype == "float32":
        values[0, 9] = -0.0
    chunked.save(da.from_array(values, chunks=4), tmp_path / "out.zarr")
    written = zarr.open_array(tmp_path / "out.zarr", mode="r")
    np.testing.assert_array_equal(written[:].view(np.uint8), values.view(np.uint8))
    assert written.nchunks_initialized == (2 if dtype == "float32" else 1)


def test_what_is_written_is_the_warp(tmp_path, store, pixels):
    steps = []
    lazy = chunked.warp(store, "affine", AFFINE, chunks=(20, 64))
    chunked.save(lazy, tmp_path / "out.zarr", axes="YX", progress=lambda done, whole: steps.append((done, whole)))
    written = zarr.open_array(tmp_path / "out.zarr", mode="r")
    np.testing.assert_array_equal(written[:], wk.warp(pixels, "affine", AFFINE)[0, 0].numpy())
    assert written.chunks == (20, 64)
    assert written.metadata.dimension_names == ("y", "x")
    assert steps[0] == (0, 15)
    assert steps[-1] == (15, 15)


def test_a_stopped_run_goes_on_where_it_was(tmp_path, store, pixels, monkeypatch):
    monkeypatch.setattr("warpkit.chunked.saving._BATCH", 2)
    out = tmp_path / "out.zarr"

    def stop(done, whole):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        chunked.save(chunked.warp(store, "affine", AFFINE, chunks=(20, 64)), out, progress=stop)
    again = []
    chunked.save(
        chunked.warp(store, "affine", AFFINE, chunks=(20, 64)), out, progress=lambda done, whole: again.append(done)
    )
    assert again == [6, 8, 10, 12, 14, 15]
    np.testing.assert_array_equal(zarr.open_array(out)[:], wk.warp(pixels, "affine", AFFINE)[0, 0].numpy())
    with pytest.raises(wk.InputError, match="no part of this run"):
        chunked.save(chunked.warp(store, "affine", AFFINE * 0.5, chunks=(20, 64)), out)


def test_what_was_written_from_other_pixels_is_no_part_of_this_run(tmp_path, store):
    def run(axes="YX"):
        chunked.save(chunked.warp(store, "affine", AFFINE, chunks=(20, 64)), tmp_path / "out.zarr", axes=axes)

    run()
    run()
    with pytest.raises(wk.InputError, match="no part of this run"):
        run("XY")
    zarr.open_array(store)[:5, :5] = 3
    with pytest.raises(wk.InputError, match="no part of this run"):
        run()


def test_a_transform_that_is_written_anew_is_another(store):
    def named(number):
        class Scaled(wk.Transform):
            ndim, num_params = 2, 1

            def forward(self, theta, points):
                return number * theta[:, None] * points

        return chunked.warp(store, Scaled(), torch.ones(1, 1)).name

    assert named(1.0) == named(1.0) != named(2.0)


def test_a_group_of_others_is_left_alone(tmp_path, store):
    group = zarr.create_group(tmp_path / "out.zarr", attributes={"ome": {"multiscales": [{"datasets": []}]}})
    before = dict(group.attrs)
    lazy = chunked.warp(store, "affine", AFFINE)
    with pytest.raises(wk.InputError, match="no part of this run"):
        chunked.save(lazy, tmp_path / "out.zarr", axes="YX", levels=2)
    assert dict(zarr.open_group(tmp_path / "out.zarr", mode="r").attrs) == before
    (tmp_path / "empty.zarr").mkdir()
    chunked.save(lazy, tmp_path / "empty.zarr", axes="YX", levels=2)
    with pytest.raises(wk.InputError, match="axes: expected a letter for each axis"):
        chunked.save(lazy, tmp_path / "other.zarr", axes="CYX")


@pytest.mark.parametrize("other", ["theta", "kernel", "fill", "size", "option"])
def test_other_arguments_are_another_run(store, other):
    def named(theta=AFFINE, kernel="bilinear", fill=0.0, size=None, a=-0.5):
        kernel = {"type": "bicubic", "a": a} if kernel == "bicubic" else kernel
        return chunked.warp(store, "affine", theta, kernel=kernel, fill=fill, size=size).name

    change = {"theta": AFFINE + 1e-7, "kernel": "nearest", "fill": 1.0, "size": (90, 131), "option": None}[other]
    if other == "option":
        assert named(kernel="bicubic") != named(kernel="bicubic", a=-0.75)
    else:
        assert named() != named(**{other: change})
    assert named() == named()


def test_levels_are_means_and_are_read_back(tmp_path, store, pixels):
    out = tmp_path / "out.zarr"
    identity = torch.tensor([[1.0, 0, 0, 0, 1, 0]])
    chunked.save(chunked.warp(store, "affine", identity, chunks=(32, 32)), out, axes="YX", levels=3)
    group = zarr.open_group(out, mode="r")
    assert [group[str(level)].shape for level in range(3)] == [(90, 130), (45, 65), (23, 33)]
    half = torch.nn.functional.avg_pool2d(pixels, 2)[0, 0].numpy()
    np.testing.assert_allclose(group["1"][:], half, atol=1e-6)
    scale = group.attrs["ome"]["multiscales"][0]["datasets"][2]["coordinateTransformations"]
    assert scale == [{"type": "scale", "scale": [4.0, 4.0]}, {"type": "translation", "translation": [1.5, 1.5]}]
    again = chunked.warp(group, "affine", AFFINE).compute(scheduler="threads")
    np.testing.assert_array_equal(again, wk.warp(pixels, "affine", AFFINE)[0, 0].numpy())


def test_chunks_that_zarr_has_not_are_refused(tmp_path):
    with pytest.raises(wk.InputError, match="chunks: expected equal ones"):
        chunked.save(da.zeros((10, 10), chunks=((2, 5, 3), (10,))), tmp_path / "a.zarr")
    with pytest.raises(wk.InputError, match="a Dask array"):
        chunked.save(np.zeros((3, 3)), tmp_path / "a.zarr")


def test_the_command_warps_stores(tmp_path, store, pixels):
    out = tmp_path / "out.zarr"
    ways = ["--theta", "0.8", "-0.35", "0.1", "0.4", "0.9", "-0.2", "--kernel", "bicubic", "--fill", "0.5"]
    result = runner.invoke(app, ["warp", str(store), str(out), *ways])
    assert result.exit_code == 0, result.output
    assert "130 × 90 pixels" in result.output
    expected = wk.warp(pixels, "affine", AFFINE, kernel="bicubic", fill=0.5)[0, 0]
    np.testing.assert_array_equal(zarr.open_array(out)[:], expected.numpy())
    refused = runner.invoke(app, ["warp", str(store), str(tmp_path / "out.png"), *ways])
    assert refused.exit_code == 2
    assert "a Zarr store is warped to one" in refused.output


def test_the_command_turns_images_with_levels(tmp_path, pixels):
    source, out = tmp_path / "in.zarr", tmp_path / "out.zarr"
    chunked.save(da.from_array(pixels[0].numpy(), chunks=(1, 64, 64)), source, axes="CYX", levels=2)
    result = runner.invoke(app, ["warp", str(source), str(out), "--rotate", "90", "--expand"])
    assert result.exit_code == 0, result.output
    turned = zarr.open_group(out, mode="r")
    np.testing.assert_allclose(turned["0"][0], np.rot90(pixels[0, 0].numpy()), atol=1e-5)
    assert turned["1"].shape == (1, 65, 45)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_pixels_keep_their_size_and_place(tmp_path, zarr_format):
    group = zarr.open_group(tmp_path / "in.zarr", mode="w", zarr_format=zarr_format)
    group.create_array("0", data=np.zeros((1, 30, 40), "uint8"))
    steps = [{"type": "scale", "scale": [3.0, 0.5, 0.25]}, {"type": "translation", "translation": [0.0, 10.0, 20.0]}]
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    multiscales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}]
    group.attrs.update({"multiscales": multiscales} if zarr_format == 2 else {"ome": {"multiscales": multiscales}})
    ways = ["--size", "1", "15", "40", "--levels", "2"]
    result = runner.invoke(app, ["warp", str(tmp_path / "in.zarr"), str(tmp_path / "out.zarr"), *ways])
    assert result.exit_code == 0, result.output
    found = zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["ome"]["multiscales"][0]
    assert found["axes"] == axes
    fine, coarse = ([step[step["type"]] for step in each["coordinateTransformations"]] for each in found["datasets"])
    assert fine == [[3.0, 1.0, 0.25], [0.0, 10.25, 20.0]]
    assert coarse == [[3.0, 2.0, 0.5], [0.0, 10.75, 20.125]]  # one slice is not halved


@pytest.fixture
def volume(tmp_path):
    """Two channels of a volume, with three levels."""
    pixels = torch.rand(1, 2, 21, 40, 50, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "volume.zarr"
    chunked.save(da.from_array(pixels[0].numpy(), chunks=(1, 16, 32, 32)), path, axes="CZYX", levels=3)
    return path, pixels


def test_the_command_warps_volumes_by_theta(tmp_path, volume):
    path, pixels = volume
    theta = [0.8, -0.3, 0.1, 0.1, 0.2, 0.9, 0, -0.2, 0.1, 0, 1, 0]
    ways = [
        "--theta",
        *map(str, theta),
        "--size",
        "12",
        "44",
        "30",
        "--padding",
        "wrap,border,zeros",
        "--fill",
        "1",
        "2",
    ]
    result = runner.invoke(app, ["warp", str(path), str(tmp_path / "out.zarr"), *ways])
    assert result.exit_code == 0, result.output
    assert "30 × 44 × 12 pixels, 3 levels" in result.output
    found = zarr.open_group(tmp_path / "out.zarr", mode="r")
    padding = ("wrap", "border", "zeros")
    affine = wk.get_transform("affine", ndim=3)
    expected = wk.warp(pixels, affine, torch.tensor([theta]), size=(12, 44, 30), padding_mode=padding, fill=[1, 2])
    np.testing.assert_array_equal(found["0"][:], expected[0].numpy())
    assert found["2"].shape == (2, 3, 11, 8)
    assert [axis["name"] for axis in found.attrs["ome"]["multiscales"][0]["axes"]] == ["c", "z", "y", "x"]


def test_the_command_warps_a_level_antialiased_by_pixels(tmp_path, volume):
    path, _ = volume
    out = tmp_path / "out.zarr"
    ways = ["--level", "1", "--levels", "1", "--scale", "0.5", "--shift", "1", "2", "3", "--antialias"]
    result = runner.invoke(app, ["warp", str(path), str(out), *ways])
    assert result.exit_code == 0, result.output
    level = torch.from_numpy(zarr.open_group(path, mode="r")["1"][:])[None]
    middle = torch.tensor([12.0, 9.5, 5.0], dtype=torch.float64)
    moved = torch.cat([torch.eye(3) * 0.5, (0.5 * middle + torch.tensor([1.0, 2, 3]))[:, None]], dim=1)
    theta = wk.pixels.to_theta(moved, in_size=level.shape[2:])
    expected = wk.warp(level, wk.get_transform("affine", ndim=3), theta, antialias=True)
    np.testing.assert_array_equal(zarr.open_group(out, mode="r")["0"][:], expected[0].numpy())


@pytest.mark.parametrize(
    ("ways", "told"),
    [
        (["--rotate", "30"], "--rotate turns images in 2-D"),
        (["--shift", "1", "2"], "3 numbers, x y z in pixels"),
        (["--size", "3", "4"], "planes, rows and columns"),
        (["--matrix", "1", "0", "0", "0", "1", "0"], "12 or 16 numbers"),
        (["--level", "3"], "level: expected 0 to 2, got 3"),
        (["--axes", "CYX"], "a letter for each axis of [2, 21, 40, 50]"),
        (["--transform", "attention", "--set", "ndim=2"], "a volume needs a transform in 3-D"),
    ],
)
def test_what_no_volume_takes_is_refused(tmp_path, volume, ways, told):
    result = runner.invoke(app, ["warp", str(volume[0]), str(tmp_path / "out.zarr"), *ways])
    assert result.exit_code == 2, result.output
    assert told in " ".join(result.output.split())


def test_axes_are_told_where_the_store_names_none(tmp_path, store, pixels):
    stacked = tmp_path / "stack.zarr"
    array = zarr.create_array(stacked, shape=(2, 90, 130), chunks=(1, 32, 32), dtype="float32")
    array[:] = pixels[0].expand(2, -1, -1).numpy()
    ways = ["--scale", "2", "--axes", "TYX", "--levels", "2"]
    result = runner.invoke(app, ["warp", str(stacked), str(tmp_path / "out.zarr"), *ways])
    assert result.exit_code == 0, result.output
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert [group[level].shape for level in ("0", "1")] == [(2, 90, 130), (2, 45, 65)]
    refused = runner.invoke(app, ["warp", str(store), str(tmp_path / "o.zarr"), "--level", "1"])
    assert "without levels" in refused.output
    photo = tmp_path / "photo.png"
    assert "is for Zarr stores" in runner.invoke(app, ["warp", str(photo), str(photo), "--axes", "YX"]).output
