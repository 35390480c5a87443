import contextlib
import errno
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from svhn_files import FIELDS, NUMBERS, picture, write_struct, write_svhn
from torch.testing import assert_close

from warpkit.datasets import HouseNumbers, house_digits
from warpkit.errors import InputError

STANFORD = "ufldl.stanford.edu/housenumbers"


@pytest.fixture
def svhn(tmp_path: Path) -> Path:
    write_svhn(tmp_path)
    return tmp_path


def test_labels_are_the_digits_from_the_left_then_blanks_and_10_is_a_zero(svhn):
    numbers = HouseNumbers(svhn)
    assert numbers.labels.tolist() == [[7, 10, 10, 10, 10], [1, 0, 10, 10, 10], [1, 2, 3, 4, 5]]
    assert numbers.lengths.tolist() == [1, 2, 5]
    assert len(numbers) == 3


def test_boxes_are_the_edges_of_each_digit(svhn):
    boxes = HouseNumbers(svhn).boxes
    assert boxes[0, 0].tolist() == [10, 5, 22, 25]
    assert boxes[1].tolist() == [[10, 6, 18, 26], [18, 4, 28, 26], *[[0] * 4] * 3]


def test_a_number_of_six_digits_is_left_out_and_named(svhn):
    numbers = HouseNumbers(svhn)
    assert numbers.left_out == ["4.png"]
    assert "4.png" not in numbers.names


def test_an_image_is_the_box_around_all_digits_and_0_3_more_as_far_as_the_picture_goes(svhn):
    image = HouseNumbers(svhn)[1].image
    assert image.shape == (3, 64, 64)
    assert image.dtype == torch.uint8
    # 18 × 22 pixels at 10, 4, and 0.15 of that on either side; above, the picture ends at 0.7 < 4.
    expected = picture(1).resize((64, 64), Image.Resampling.BILINEAR, box=(7.3, 0.7, 30.7, 29.3))
    assert_close(image, torch.from_numpy(np.array(expected)).permute(2, 0, 1), atol=1, rtol=0)
    wide = HouseNumbers(svhn, size=40, margin=100)[1].image
    assert_close(
        wide, torch.from_numpy(np.array(picture(1).resize((40, 40), Image.Resampling.BILINEAR))).permute(2, 0, 1)
    )


def test_without_a_margin_at_their_own_size_pixels_are_copied(svhn):
    """Boxes count from 0: `left` is how many pixels are left of it."""
    write_struct(svhn / "train" / "digitStruct.mat", {"1.png": [(16, 7, 3, 5, 16)]})
    image = HouseNumbers(svhn, size=16, margin=0)[0].image
    assert image.permute(1, 2, 0).tolist() == np.array(picture(0))[5:21, 3:19].tolist()


def test_images_are_those_of_the_indices(svhn):
    numbers = HouseNumbers(svhn, size=8)
    batch = numbers.images(torch.tensor([2, 0]))
    assert batch.equal(torch.stack([numbers[2].image, numbers[0].image]))
    assert numbers.images([]).shape == (0, 3, 8, 8)


def test_a_loader_with_workers_takes_it(svhn):
    numbers = HouseNumbers(svhn, size=8)
    again = pickle.loads(pickle.dumps(numbers))
    image, label, length = next(iter(torch.utils.data.DataLoader(again, batch_size=3)))
    assert image.equal(numbers.images(range(3)))
    assert label.equal(numbers.labels)
    assert length.equal(numbers.lengths)


def test_a_struct_of_one_image_which_matlab_writes_without_references_is_read(svhn):
    with h5py.File(svhn / "train" / "digitStruct.mat", "w", userblock_size=512) as root:
        root["digitStruct/name"] = np.array([[ord(c)] for c in "3.png"], np.uint16)
        for field, value in zip(FIELDS, NUMBERS["1.png"][0], strict=True):
            root[f"digitStruct/bbox/{field}"] = np.array([[value]], np.float64)
    numbers = HouseNumbers(svhn)
    assert numbers.names == ["3.png"]
    assert numbers.labels.tolist() == [[7, 10, 10, 10, 10]]


def test_the_second_time_the_short_form_is_read_and_gives_the_same(svhn, monkeypatch):
    first = HouseNumbers(svhn)
    assert (svhn / "train" / "digitStruct.npz").is_file()
    monkeypatch.setattr("subprocess.run", None)
    second = HouseNumbers(svhn)
    assert second.names == first.names
    assert second.left_out == first.left_out
    assert second.labels.equal(first.labels)
    assert second.boxes.equal(first.boxes)


def test_the_short_form_of_another_file_or_a_damaged_one_is_not_believed(svhn):
    HouseNumbers(svhn)
    write_struct(svhn / "train" / "digitStruct.mat", {"1.png": [(20, 3, 10, 5, 12)]})
    assert HouseNumbers(svhn).labels[:, 0].tolist() == [3]
    (svhn / "train" / "digitStruct.npz").write_bytes(b"PK\x03\x04")
    assert HouseNumbers(svhn).labels[:, 0].tolist() == [3]


@pytest.mark.parametrize(
    "wrong",
    [
        {"names": np.array(["1.png"] * 3)},
        {"names": np.array([b"1.png"] * 4)},
        {"names": np.array(["1.png"] * 4, object)},
        {"counts": np.array([1, 2, 5, 6], np.int32)},
        {"counts": np.array([1, 2, 5, 5])},
        {"counts": np.array([0, 3, 5, 6])},
        {"counts": np.array([1, 2, -5, 16])},
        {"counts": np.array([[1, 2, 5, 6]])},
        {"digits": np.zeros((5, 14), np.float64)},
        {"digits": np.full((5, 14), 11, np.float32)},
        {"digits": np.full((5, 14), np.nan, np.float32)},
        {"digits": np.full((5, 14), -1, np.float32)},
    ],
)
def test_a_short_form_that_is_not_sound_is_made_anew(svhn, wrong):
    expected, file = HouseNumbers(svhn), svhn / "train" / "digitStruct.npz"
    with np.load(file) as kept:
        sound = dict(kept)
    np.savez(file, **{**sound, **wrong})
    found = HouseNumbers(svhn)
    assert found.names == expected.names
    assert found.labels.equal(expected.labels)
    assert found.boxes.equal(expected.boxes)
    with np.load(file) as kept:
        assert all(np.array_equal(value, kept[name]) for name, value in sound.items())


def test_where_nothing_can_be_written_it_is_read_all_the_same(svhn, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert len(HouseNumbers(svhn)) == 3
    assert sorted(os.listdir(svhn / "train")) == ["1.png", "2.png", "3.png", "4.png", "digitStruct.mat"]


def packed(svhn: Path) -> Path:
    with tarfile.open(svhn / "train.tar.gz", "w:gz") as tar:
        tar.add(svhn / "train", "train")
    for file in (svhn / "train").iterdir():
        file.unlink()
    (svhn / "train").rmdir()
    return svhn / "train.tar.gz"


def test_the_archive_as_downloaded_is_unpacked(svhn):
    expected = HouseNumbers(svhn).images(range(3))
    packed(svhn)
    assert HouseNumbers(svhn).images(range(3)).equal(expected)


@pytest.mark.parametrize("share", [0, 0.1, 0.9])
def test_an_archive_that_is_cut_off_is_named_and_leaves_nothing_behind(svhn, share):
    archive = packed(svhn)
    archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
    with pytest.raises(InputError, match=rf"train\.tar\.gz cannot be unpacked: .*{STANFORD}"):
        HouseNumbers(svhn)
    assert os.listdir(svhn) == ["train.tar.gz"]


def test_an_archive_of_something_else_is_named_and_leaves_nothing_behind(svhn):
    packed(svhn).rename(svhn / "test.tar.gz")
    with pytest.raises(InputError, match=r"test\.tar\.gz cannot be unpacked"):
        HouseNumbers(svhn, "test")
    assert os.listdir(svhn) == ["test.tar.gz"]


def complaint(svhn: Path) -> str:
    with pytest.raises(InputError) as caught:
        HouseNumbers(svhn)
    assert STANFORD in str(caught.value)
    return str(caught.value)


def test_what_is_missing_is_named_with_where_to_get_it(svhn):
    (svhn / "train" / "2.png").unlink()
    assert f"1 of 4 images are missing, {svhn / 'train' / '2.png'} first" in complaint(svhn)
    (svhn / "train" / "digitStruct.mat").unlink()
    assert f"{svhn / 'train' / 'digitStruct.mat'} is missing" in complaint(svhn)
    (svhn / "train").rename(svhn / "elsewhere")
    assert "neither train nor train.tar.gz" in complaint(svhn)
    with pytest.raises(InputError, match="nowhere' is no folder"):
        HouseNumbers(svhn / "nowhere")


@pytest.mark.parametrize("size", [0, 100, 600, 4000, -1])
def test_a_struct_that_is_cut_off_is_named(svhn, size):
    file = svhn / "train" / "digitStruct.mat"
    file.write_bytes(file.read_bytes()[:size])
    assert f"{file} cannot be read" in complaint(svhn)
    assert not file.with_suffix(".npz").exists()


def drop(root: h5py.File, path: str) -> None:
    del root[path]


def shorten(root: h5py.File) -> None:
    names = root["digitStruct/name"][:-1]
    del root["digitStruct/name"]
    root["digitStruct"].create_dataset("name", data=names, dtype=h5py.ref_dtype)


def relabel(root: h5py.File) -> None:
    root[root["digitStruct/bbox"][0, 0]]["label"][0, 0] = 11


def upend(root: h5py.File) -> None:
    root[root["digitStruct/bbox"][0, 0]]["height"][0, 0] = -1


def unequal(root: h5py.File) -> None:
    box = root[root["digitStruct/bbox"][1, 0]]
    del box["top"]
    box["top"] = np.array([[4.0]])


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lambda root: drop(root, "digitStruct"), "cannot be read as digitStruct"),
        (lambda root: drop(root, "digitStruct/bbox"), "cannot be read as digitStruct"),
        (shorten, "inconsistent: 3 names of images, but digits of 4"),
        (relabel, r"expected labels 1 … 10, got [11.0]"),
        (upend, "the box of a digit is none"),
        (unequal, "cannot be read as digitStruct"),
    ],
)
def test_a_struct_that_says_something_else_is_named(svhn, harm, expected):
    file = svhn / "train" / "digitStruct.mat"
    with h5py.File(file, "r+") as root:
        harm(root)
    assert str(file) in complaint(svhn)
    assert expected in complaint(svhn)


def link(root: h5py.File, elsewhere: Path) -> None:
    del root["digitStruct/bbox"]
    root["digitStruct/bbox"] = h5py.ExternalLink(str(elsewhere), "digitStruct/bbox")


def borrow(root: h5py.File, elsewhere: Path) -> None:
    name = root["digitStruct/name"][0, 0]
    root["#refs#"].create_dataset("stranger", (5, 1), np.uint16, external=[(str(elsewhere), 0, h5py.h5f.UNLIMITED)])
    names = root["digitStruct/name"][()]
    names[0, 0] = root["#refs#/stranger"].ref
    root["digitStruct/name"][()] = names
    assert root[name].shape == (5, 1)


@pytest.mark.parametrize("harm", [link, borrow])
def test_a_struct_opens_no_other_file(svhn, tmp_path, harm):
    elsewhere, file = tmp_path / "elsewhere.mat", svhn / "train" / "digitStruct.mat"
    write_struct(elsewhere, NUMBERS)
    with h5py.File(file, "r+") as root:
        harm(root, elsewhere)
    assert f"{file} cannot be read as digitStruct" in complaint(svhn)


def test_a_reader_that_crashes_is_an_error(svhn, monkeypatch):
    """SIGSEGV is what damaged files make of HDF5's library at times."""
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    run = subprocess.run
    monkeypatch.setattr("subprocess.run", lambda words, **options: run([sys.executable, "-c", crash], **options))
    assert "HDF5's library was stopped by signal 11" in complaint(svhn)


def test_any_bit_of_a_struct_may_be_wrong(svhn):
    file, random = svhn / "train" / "digitStruct.mat", np.random.default_rng(0)
    content = file.read_bytes()
    used = np.flatnonzero(np.frombuffer(content, np.uint8))
    for at in random.choice(used, 6):
        harmed = bytearray(content)
        harmed[at] ^= 1 << random.integers(8)
        file.write_bytes(harmed)
        file.with_suffix(".npz").unlink(missing_ok=True)
        with contextlib.suppress(InputError):
            assert len(HouseNumbers(svhn)) <= 4


def test_a_corrupt_image_is_named_when_it_is_read(svhn):
    file = svhn / "train" / "2.png"
    file.write_bytes(file.read_bytes()[:1000])
    numbers = HouseNumbers(svhn)
    assert numbers[0].length == 1
    with pytest.raises(InputError, match=rf"2\.png is missing, cut off or no image.*{STANFORD}"):
        numbers[1]


def test_digits_outside_of_their_picture_are_complained_about(svhn):
    picture(0, (5, 5)).save(svhn / "train" / "1.png")
    with pytest.raises(InputError, match=r"1\.png: its digits lie outside of its 5 × 5 pixels"):
        HouseNumbers(svhn)[0]


@pytest.mark.parametrize("options", [{"size": 0}, {"margin": -0.1}, {"margin": float("nan")}])
def test_options_that_make_no_sense_are_refused(svhn, options):
    with pytest.raises(InputError, match=rf"{next(iter(options))}: expected"):
        HouseNumbers(svhn, **options)


def test_an_unknown_split_is_quoted_with_the_nearest(svhn):
    for read in (HouseNumbers, house_digits):
        with pytest.raises(InputError, match=r"unknown split of house numbers 'tests'\. Did you mean 'test'"):
            read(svhn, "tests")


def test_a_missing_package_is_named_with_how_to_install_it(svhn, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(InputError, match=r"needs h5py: .* pip install '\.\[train\]'"):
        HouseNumbers(svhn)


def some(n: int) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, n), np.uint8)
    return pixels, (np.arange(n, dtype=np.uint8) % 10 + 1)[:, None]


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("split", ["train", "test", "extra"])
def test_cropped_digits_are_those_of_the_mat_file(tmp_path, split, compress):
    pixels, labels = some(12)
    scipy.io.savemat(tmp_path / f"{split}_32x32.mat", {"X": pixels, "y": labels}, do_compression=compress)
    images, digits = house_digits(tmp_path, split)
    assert images.permute(2, 3, 1, 0).numpy().tolist() == pixels.tolist()
    assert digits.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]


def test_a_single_digit_which_matlab_writes_without_the_last_axis_is_read(tmp_path):
    pixels, labels = some(1)
    scipy.io.savemat(tmp_path / "train_32x32.mat", {"X": pixels[..., 0], "y": labels})
    assert house_digits(tmp_path).images.shape == (1, 3, 32, 32)


PIXELS, LABELS = some(4)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"X": PIXELS}, "cannot be read as MATLAB's: expected X and y, got X"),
        ({"X": PIXELS, "y": LABELS[:3]}, "inconsistent: 4 images, but 3 labels"),
        ({"X": PIXELS.astype(float), "y": LABELS}, "32 × 32 × 3 × N bytes, got 32 × 32 × 3 × 4 of float64"),
        ({"X": PIXELS[:16], "y": LABELS}, "bytes, got 16 × 32 × 3 × 4 of uint8"),
        ({"X": PIXELS, "y": LABELS - 1}, "expected labels 1 … 10, got [0]"),
    ],
)
def test_a_mat_file_of_something_else_is_named(tmp_path, content, expected):
    file = tmp_path / "train_32x32.mat"
    scipy.io.savemat(file, content)
    with pytest.raises(InputError) as caught:
        house_digits(tmp_path)
    assert all(part in str(caught.value) for part in (str(file), expected, STANFORD))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("size", [0, 100, 5000, -1])
def test_a_mat_file_that_is_cut_off_is_named(tmp_path, size, compress):
    file = tmp_path / "train_32x32.mat"
    scipy.io.savemat(file, {"X": PIXELS, "y": LABELS}, do_compression=compress)
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(InputError, match=rf"train_32x32\.mat cannot be read.*{STANFORD}"):
        house_digits(tmp_path)


def test_a_missing_mat_file_is_named(tmp_path):
    with pytest.raises(InputError, match=rf"train_32x32\.mat is missing: get it from http://{STANFORD}"):
        house_digits(tmp_path)
