import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.io

from warpkit.datasets.matlab import read_matrices

TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


def saved(compress: bool, **variables: np.ndarray) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, variables, do_compression=compress)
    return file.getvalue()


def read(content: bytes, names: tuple[str, ...] = ("X", "y"), most: int = 2**20) -> dict[str, np.ndarray]:
    with io.BufferedReader(io.BytesIO(content)) as file:
        return read_matrices(file, names, most)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kind", TYPES)
def test_arrays_are_those_that_scipy_reads(kind, compress):
    random = np.random.default_rng(0)
    arrays = {name: random.integers(0, 100, shape).astype(kind) for name, shape in (("X", (3, 4, 2, 5)), ("y", (3, 1)))}
    content = saved(compress, other=np.array(["text"]), **arrays)
    expected = scipy.io.loadmat(io.BytesIO(content))
    for name, found in read(content).items():
        assert found.dtype == expected[name].dtype
        assert found.tolist() == expected[name].tolist() == arrays[name].tolist()


def test_a_variable_that_is_not_there_is_left_out():
    assert read(saved(True, y=np.ones(3)), ("X", "y")).keys() == {"y"}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (np.array(["text"]), "X is no array of real numbers"),
        (np.array([1 + 2j]), "X is no array of real numbers"),
        (np.zeros(2**20 + 1, np.uint8), "1,048,577 bytes are announced, expected at most 1,048,576"),
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_what_is_no_array_of_numbers_or_too_large_is_refused(value, complaint, compress):
    with pytest.raises(ValueError, match=complaint):
        read(saved(compress, X=value))


def bomb(announced: int) -> bytes:
    """Mebibytes of zeros behind the head of a variable that announces so many bytes."""
    head = struct.pack("<2I 4I 4I 2I", 14, 2**26, 6, 8, 9, 0, 5, 8, announced, 1, 1 | 1 << 16, ord("X"))
    body = zlib.compress(head + struct.pack("<2I", 2, announced) + bytes(2**26))
    return bytes(124) + b"\x00\x01IM" + struct.pack("<2I", 15, len(body)) + body


@pytest.mark.parametrize("announced", [5, 2**26, 2**31 - 1])
def test_of_a_bomb_no_more_is_inflated_than_its_head_announces(announced):
    content = bomb(announced)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"goes on after its end|bytes are announced"):
        read(content)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize("compress", [False, True])
def test_a_bit_that_is_wrong_ends_in_an_error_or_in_arrays_and_where_it_is_deflated_in_the_same(compress):
    random = np.random.default_rng(0)
    arrays = {"X": random.integers(0, 256, (4, 4, 3, 5), np.uint8), "y": np.arange(5, dtype=np.uint8)[:, None]}
    content = saved(compress, **arrays)
    for at in range(0, 8 * len(content), 7):
        harmed = bytearray(content)
        harmed[at // 8] ^= 1 << at % 8
        try:
            found = read(harmed)
        except (ValueError, EOFError, zlib.error):
            continue
        if compress:
            assert all(array.tolist() == arrays[name].tolist() for name, array in found.items())
