"""What is read of a NIfTI file is what SimpleITK reads of it, and what is written it reads as it was."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
import warpkit_medical as medical
from medical_cases import oblique, picture, pixels_of

import warpkit as wk

TYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "complex64"]
RAS = np.array([[0.6, -1.6, 0, 10], [0.8, 1.2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]])  # 3-4-5, spacing 1, 2, 3


def same_space(found, image):
    """As SimpleITK says it; a header holds 24 bits of each number."""
    expected = wk.Space.of(image)
    assert found.size == expected.size
    torch.testing.assert_close(found.matrix, expected.matrix, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_goes_there_and_back(tmp_path, d, dtype):
    rng = np.random.default_rng([d, len(dtype)])
    space, path = oblique(rng, d), tmp_path / "image.nii"
    pixels = pixels_of(rng, space.size, dtype)
    written = picture(pixels, space)
    sitk.WriteImage(written, path)
    image, found = medical.read_image(path)
    assert image.numpy().dtype == dtype
    assert np.array_equal(image[0, 0].numpy(), pixels)
    same_space(found, written)
    medical.write_image(image, space, path)
    again = sitk.ReadImage(path)
    assert again.GetPixelID() == written.GetPixelID()
    assert np.array_equal(sitk.GetArrayFromImage(again), pixels)
    same_space(space, again)


@pytest.mark.parametrize("dtype", [torch.bool, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_types_that_nifti_lacks_become_wider(tmp_path, dtype):
    image = (torch.rand(1, 1, 4, 5, 6) > 0.5).to(dtype)
    medical.write_image(image, wk.Space((4, 5, 6)), tmp_path / "image.nii.gz")
    found, _ = medical.read_image(tmp_path / "image.nii.gz")
    assert found.dtype == (torch.uint8 if dtype == torch.bool else torch.float32)
    assert torch.equal(found, image.to(found.dtype))


@pytest.mark.parametrize(("d", "n", "c"), [(2, 1, 3), (3, 1, 2), (3, 4, 1), (3, 4, 3), (2, 4, 1), (2, 4, 3)])
def test_time_is_the_batch_and_vectors_are_channels(tmp_path, d, n, c):
    rng = np.random.default_rng([d, n, c])
    space, path = oblique(rng, d), tmp_path / "image.nii.gz"
    image = torch.from_numpy(rng.random((n, c, *space.size)))
    medical.write_image(image, space, path)
    assert nib.load(path).shape[3:] == ((n, c) if c > 1 else (n,))
    found, there = medical.read_image(path, ndim=d)
    assert torch.equal(found, image)
    assert there.size == space.size
    torch.testing.assert_close(there.matrix, space.matrix, rtol=1e-5, atol=1e-5)
    if n == 1:
        theirs = sitk.ReadImage(path)
        assert np.array_equal(sitk.GetArrayFromImage(theirs), image[0].movedim(0, -1).numpy())
        same_space(there, theirs)
        assert torch.equal(medical.read_image(path)[0], image)  # two axes are seen without being told


def test_time_of_simpleitk_is_the_batch(tmp_path):
    series = np.random.default_rng(0).random((3, 4, 5, 6))
    sitk.WriteImage(sitk.GetImageFromArray(series, isVector=False), tmp_path / "series.nii.gz")
    image, space = medical.read_image(tmp_path / "series.nii.gz")
    assert np.array_equal(image[:, 0].numpy(), series)
    assert space == wk.Space((4, 5, 6))


def test_colours_are_channels(tmp_path):
    colours = np.zeros((6, 5, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    colours["G"][1, 2, 3] = 7
    nib.save(nib.Nifti1Image(colours, RAS), tmp_path / "image.nii")
    image, _ = medical.read_image(tmp_path / "image.nii")
    assert image.shape == (1, 3, 4, 5, 6)
    assert image.dtype == torch.uint8
    assert image.nonzero().tolist() == [[0, 1, 3, 2, 1]]


@pytest.mark.parametrize(
    ("dtype", "expected"), [("uint8", "float32"), ("int16", "float32"), ("int32", "float64"), ("float32", "float32")]
)
def test_numbers_are_scaled_as_the_header_says(tmp_path, dtype, expected):
    raw, path = np.arange(120).reshape(6, 5, 4).astype(dtype), tmp_path / "image.nii"
    nib.save(nib.Nifti1Image(raw, RAS), path)
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([0.25, -3], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(data)
    image, _ = medical.read_image(path)
    assert image.numpy().dtype == expected
    assert np.array_equal(image[0, 0].numpy(), raw.T * 0.25 - 3)
    assert np.array_equal(image[0, 0].numpy(), sitk.GetArrayFromImage(sitk.ReadImage(path)))
    data[112:116] = bytes(4)  # a slope of zero: there is none
    path.write_bytes(data)
    assert np.array_equal(medical.read_image(path)[0][0, 0].numpy(), raw.T)


def test_other_orders_of_bytes_and_nifti_2(tmp_path):
    raw = np.arange(120).reshape(6, 5, 4).astype("int16")
    nib.save(nib.Nifti1Image(raw, RAS, header=nib.Nifti1Header(endianness=">")), tmp_path / "big.nii")
    nib.save(nib.Nifti2Image(raw, RAS), tmp_path / "two.nii.gz")
    nib.save(nib.Nifti1Pair(raw, RAS), tmp_path / "pair.hdr")
    for name in ("big.nii", "two.nii.gz", "pair.hdr"):
        image, space = medical.read_image(tmp_path / name)
        assert np.array_equal(image[0, 0].numpy(), raw.T)
        assert space.spacing == pytest.approx((1, 2, 3))


@pytest.mark.parametrize("unit", ["meter", "mm", "micron", "unknown"])
def test_units_are_millimetres(tmp_path, unit):
    file = nib.Nifti1Image(np.zeros((6, 5, 4), "uint8"), RAS)
    file.header.set_xyzt_units(unit)
    nib.save(file, tmp_path / "image.nii")
    same_space(medical.read_image(tmp_path / "image.nii")[1], sitk.ReadImage(tmp_path / "image.nii"))


@pytest.mark.parametrize(("turned", "given"), [(1, 1), (1, 2), (1, 4), (2, 1), (0, 2), (0, 1), (3, 0), (0, 0)])
@pytest.mark.parametrize("is_sheared", [False, True])
def test_of_the_two_forms_of_a_header_itk_s_choice_counts(tmp_path, turned, given, is_sheared):
    file = nib.Nifti1Image(np.zeros((6, 5, 4), "uint8"), RAS)
    other = RAS @ np.array([[1, 0.4 * is_sheared, 0, 5], [0, 1, 0, 7], [0, 0, 1, 9], [0, 0, 0, 1]])
    file.set_sform(other, given)
    file.set_qform(RAS, turned)
    nib.save(file, tmp_path / "image.nii")
    _, space = medical.read_image(tmp_path / "image.nii")
    if is_sheared and given and not turned:  # which ITK refuses
        expected = np.diag([-1, -1, 1, 1]) @ other
        np.testing.assert_allclose(space.matrix, expected, atol=1e-5)
    else:
        same_space(space, sitk.ReadImage(tmp_path / "image.nii"))


@pytest.mark.parametrize(("turned", "given"), [(0, 1), (0, 2), (1, 1), (2, 1), (1, 2)])
def test_the_spacing_is_the_header_s_own_as_in_itk(tmp_path, turned, given):
    """Resampled scans whose sform was left as it was; nibabel believes the sform."""
    file = nib.Nifti1Image(np.zeros((6, 5, 4), "uint8"), RAS)
    file.set_qform(RAS, turned)
    file.set_sform(RAS @ np.diag([2, 3, 0.5, 1]), given)
    nib.save(file, tmp_path / "image.nii")
    _, space = medical.read_image(tmp_path / "image.nii")
    same_space(space, sitk.ReadImage(tmp_path / "image.nii"))
    assert space.spacing == pytest.approx((1, 2, 3))


@pytest.mark.parametrize("shear", [1e-4, 5e-4, 2e-3])
def test_itk_s_measure_of_a_shear_counts(tmp_path, shear):
    file = nib.Nifti1Image(np.zeros((6, 5, 4), "uint8"), RAS)
    file.set_qform(RAS, 1)
    file.set_sform(RAS @ np.array([[1, shear, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), 1)
    nib.save(file, tmp_path / "image.nii")
    same_space(medical.read_image(tmp_path / "image.nii")[1], sitk.ReadImage(tmp_path / "image.nii"))


def test_a_quaternion_that_is_none_harms_no_sform(tmp_path):
    path = tmp_path / "image.nii"
    medical.write_image(torch.zeros(1, 1, 4, 5, 6), wk.Space((4, 5, 6), origin=(1, 2, 3)), path)
    data = bytearray(path.read_bytes())
    data[256:268] = np.array([0.8, 0.7, 0.1], "<f4").tobytes()  # quatern_b, c, d: longer than 1
    path.write_bytes(data)
    same_space(medical.read_image(path)[1], sitk.ReadImage(path))


def test_a_shear_is_kept(tmp_path):
    space = wk.Space.from_matrix((4, 5, 6), [[1, 0.5, 0, 3], [0, 1, 0, 4], [0, 0.25, 2, 5]])
    medical.write_image(torch.zeros(1, 1, 4, 5, 6), space, tmp_path / "image.nii")
    torch.testing.assert_close(medical.read_image(tmp_path / "image.nii")[1].matrix, space.matrix)


def test_a_flat_image_out_of_the_plane_is_a_slice(tmp_path):
    affine = RAS[:, [2, 0, 1, 3]]  # its first axis runs to the head
    nib.save(nib.Nifti1Image(np.zeros((6, 5), "uint8"), affine), tmp_path / "image.nii")
    with pytest.raises(wk.InputError, match=r"plane of x and y, got 'an oblique one': ndim=3 reads it"):
        medical.read_image(tmp_path / "image.nii")
    image, space = medical.read_image(tmp_path / "image.nii", ndim=3)
    assert image.shape == (1, 1, 1, 5, 6)
    np.testing.assert_allclose(space.matrix[:3, 0], [0, 0, 3], atol=1e-6)


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_truncated_file_is_refused_by_name(tmp_path, suffix, part):
    path = tmp_path / f"image{suffix}"
    medical.write_image(torch.rand(1, 1, 9, 10, 11), wk.Space((9, 10, 11)), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(wk.InputError, match=f"image{suffix} cannot be read as NIfTI: "):
        medical.read_image(path)


def test_a_changed_bit_of_a_packed_file_is_refused(tmp_path):
    """Behind the voxels stands a checksum, to which nibabel and ITK do not read."""
    path = tmp_path / "image.nii.gz"
    medical.write_image(torch.rand(1, 1, 40, 40, 40), wk.Space((40, 40, 40)), path)
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)
    with pytest.raises(wk.InputError, match=r"image.nii.gz cannot be read as NIfTI: CRC check failed"):
        medical.read_image(path)


def test_tensors_without_plain_numbers_are_refused(tmp_path):
    image = torch.rand(1, 1, 4, 5, 6)
    for given in (image.to_sparse(), image.to("meta")):
        with pytest.raises(wk.InputError, match="image: expected a dense tensor of numbers"):
            medical.write_image(given, wk.Space((4, 5, 6)), tmp_path / "image.nii")
    assert not list(tmp_path.iterdir())


def test_the_default_device_has_no_say(tmp_path):
    """Files are read into the CPU's memory; the device without numbers stands for any other."""
    image, space = torch.rand(1, 1, 4, 5, 6), wk.Space((4, 5, 6), spacing=2)
    with torch.device("meta"):
        medical.write_image(image, space, tmp_path / "image.nii")
        found, there = medical.read_image(tmp_path / "image.nii")
        sitk.WriteTransform(sitk.TranslationTransform(3, (2.0, 0.0, 0.0)), tmp_path / "next.tfm")
        _, theta = medical.read_transform(tmp_path / "next.tfm", fixed=space, moving=space)
    assert torch.equal(found, image)
    assert there == space
    assert theta[0, 3].item() == pytest.approx(1 / 3)


def test_foreign_files_are_refused_by_name(tmp_path):
    (tmp_path / "text.nii").write_bytes(b"hello " * 200)
    nib.save(nib.MGHImage(np.zeros((6, 5, 4), "float32"), RAS), tmp_path / "brain.mgz")
    for name, told in [
        ("text.nii", "text.nii cannot be read as NIfTI: "),
        ("brain.mgz", "brain.mgz: file: expected NIfTI, got 'MGHImage'"),
        ("none.nii", "none.nii: there is no such file"),
        ("", "cannot be read as NIfTI: Is a directory"),
    ]:
        with pytest.raises(wk.InputError, match=told):
            medical.read_image(tmp_path / name)


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    path, image, space = tmp_path / "image.nii", torch.zeros(1, 1, 4, 5, 6), wk.Space((4, 5, 6))
    for given, told in [
        ((image, wk.Space((4, 6, 5)), path), r"image: expected \[N, C, 4, 6, 5\]"),
        ((image[0], space, path), "image: expected"),
        ((image, (4, 5, 6), path), "space: expected a wk.Space"),
        ((image[:0], space, path), "image: expected"),
        ((image, space, tmp_path / "image.png"), "ends in .nii or .nii.gz"),
    ]:
        with pytest.raises(wk.InputError, match=told):
            medical.write_image(*given)
    with pytest.raises(wk.InputError, match=r"path: expected a text or a pathlib.Path"):
        medical.read_image(None)
    with pytest.raises(wk.InputError, match="ndim: expected 2 or 3"):
        medical.read_image(path, ndim=4)
    medical.write_image(image, space, path)
    with pytest.raises(wk.InputError, match="ndim=2: expected one slice, got 4"):
        medical.read_image(path, ndim=2)
    assert [file.name for file in tmp_path.iterdir()] == ["image.nii"]


def test_a_file_appears_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "image.nii.gz"
    image, space = torch.rand(1, 1, 4, 5, 6), wk.Space((4, 5, 6))
    medical.write_image(image, space, path)
    before = path.read_bytes()

    def half(self, stream):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nib.nifti1.Nifti1Image, "to_stream", half)
    with pytest.raises(wk.InputError, match="cannot be written: No space left"):
        medical.write_image(image + 1, space, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
