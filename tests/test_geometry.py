"""Lattices of outputs, and their conventions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import sizes
from torch.nn import functional

import warpkit as wk


@pytest.mark.parametrize("ndim", [2, 3])
@given(data=st.data(), align_corners=st.booleans())
def test_is_what_affine_grid_gives_for_the_identity(ndim, data, align_corners):
    size = data.draw(sizes(ndim, 1, 9))
    theta = torch.eye(ndim, ndim + 1, dtype=torch.float64)[None]
    expected = functional.affine_grid(theta, [1, 1, *size], align_corners=align_corners)[0]
    out = wk.lattice(size, align_corners=align_corners, dtype=torch.float64)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-15)


@given(n=st.integers(1, 100))
def test_pixel_i_lies_at_2i_plus_1_over_n_minus_1(n):
    out = wk.lattice(n, dtype=torch.float64)
    assert out.shape == (n, 1)
    for i in range(n):
        assert math.isclose(out[i, 0].item(), (2 * i + 1) / n - 1, rel_tol=1e-15, abs_tol=1e-15)


def test_sizes_are_rows_first_and_coordinates_x_first():
    out = wk.lattice((2, 3, 4))
    assert out.shape == (2, 3, 4, 3)
    assert out[0, 0, 3].tolist() == [0.75, pytest.approx(-2 / 3), -0.5]


def test_dtype_and_device_are_the_callers():
    assert wk.lattice(3).dtype == torch.get_default_dtype()
    assert wk.lattice(3, dtype=torch.float16).dtype == torch.float16
    assert wk.lattice(3, device="meta").device.type == "meta"


@pytest.mark.parametrize("align_corners", [False, True])
def test_an_axis_of_one_pixel_has_its_coordinate_at_0(align_corners):
    assert wk.lattice((1, 1), align_corners=align_corners).tolist() == [[[0.0, 0.0]]]


@pytest.mark.parametrize("size", [(), (0, 3), (2, -1), (1, 2, 3, 4), (2.0, 3), "34", None, (True, 2)])
def test_a_wrong_size_is_told(unchecked, size):
    with pytest.raises(wk.InputError, match="size: expected one to three positive integers"):
        wk.lattice(size)
