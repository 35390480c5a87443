"""Displacement fields in NIfTI: ITK's vectors, and NIfTI's own, which point the other way in x and y."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
import warpkit_medical as medical
from medical_cases import is_near, oblique, picture, pixels_of

import warpkit as wk


def described(path, intent, name=""):
    """The same file with another intent."""
    file = nib.load(path)
    file.header.set_intent(intent, name=name)
    other = path.with_name("other.nii")
    nib.save(file, other)
    return other


@pytest.mark.parametrize("d", [2, 3])
def test_a_field_of_itk_there_and_back(tmp_path, d):
    rng = np.random.default_rng(d)
    space, path = oblique(rng, d), tmp_path / "field.nii.gz"
    given = rng.normal(size=(*space.size, d)).astype("float32")
    sitk.WriteImage(picture(given, space, is_vector=True), path)
    vectors, there = medical.read_field(path)
    assert vectors.dtype == torch.float32
    assert np.array_equal(vectors[0].movedim(0, -1).numpy(), given)
    torch.testing.assert_close(there.matrix, space.matrix, rtol=1e-5, atol=1e-5)
    medical.write_field(vectors, there, path)
    again = sitk.ReadImage(path)
    assert np.array_equal(sitk.GetArrayFromImage(again), given)
    assert again.GetDimension() == d
    assert nib.load(path).header.get_intent()[0] == "vector"


def test_the_vectors_of_nifti_s_own_intent_are_turned(tmp_path):
    rng = np.random.default_rng(4)
    space, path = oblique(rng, 3), tmp_path / "field.nii"
    sitk.WriteImage(picture(rng.normal(size=(*space.size, 3)), space, is_vector=True), path)
    ours, _ = medical.read_field(path)
    turned, _ = medical.read_field(described(path, "displacement vector"))
    assert torch.equal(turned, ours * torch.tensor([-1.0, -1, 1]).double().reshape(1, 3, 1, 1, 1))
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "other.nii"))
    assert np.array_equal(turned[0].movedim(0, -1).numpy(), theirs)


def test_a_field_warps_as_in_simpleitk(tmp_path):
    rng = np.random.default_rng(3)
    here, there, between = (oblique(rng, 3) for _ in range(3))
    pixels = pixels_of(rng, here.size, "float32")
    field = picture(rng.normal(size=(*between.size, 3)), between, is_vector=True)
    sitk.WriteImage(field, tmp_path / "1Warp.nii.gz")
    reference = picture(np.zeros(there.size, "float32"), there)
    itk = sitk.DisplacementFieldTransform(field)
    expected = sitk.GetArrayFromImage(sitk.Resample(picture(pixels, here), reference, itk, sitk.sitkLinear, 17.0))
    transform, theta = medical.read_transform(tmp_path / "1Warp.nii.gz", fixed=there, moving=here)
    image = torch.from_numpy(pixels)[None, None]
    found = wk.warp(image, transform, theta, size=there.size, padding_mode="none", fill=17.0)
    assert is_near(found[0, 0].numpy(), expected)


def test_what_is_no_field_is_refused(tmp_path):
    path, space = tmp_path / "field.nii", wk.Space((4, 5, 6))
    medical.write_image(torch.zeros(1, 1, 4, 5, 6), space, path)
    with pytest.raises(wk.InputError, match=r"field.nii: axes: expected NIfTI of five axes"):
        medical.read_field(path)
    with pytest.raises(wk.InputError, match=r"field.nii: axes") as caught:
        medical.read_transform(path, fixed=space, moving=space)
    assert str(caught.value).count("field.nii") == 1
    medical.write_field(torch.zeros(1, 3, 4, 5, 6), space, path)
    for intent, name, told in [
        ("none", "", 'with the intent "vector"'),
        ("vector", "NREG_TRANS", r"NiftyReg's own format .*: expected displacements"),
        ("vector", "Mapping", "SPM's deformations, which are positions: expected displacements"),
    ]:
        with pytest.raises(wk.InputError, match=told):
            medical.read_field(described(path, intent, name))
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(wk.InputError, match=r"field.nii cannot be read as a displacement field: "):
        medical.read_field(path)


def test_vectors_that_are_not_those_of_their_space_are_refused(tmp_path):
    for vectors in (torch.zeros(1, 2, 4, 5, 6), torch.zeros(2, 3, 4, 5, 6), torch.zeros(1, 3, 4, 5, 6).int(), None):
        with pytest.raises(wk.InputError, match=r"vectors: expected floating-point \[1, 3, 4, 5, 6\]"):
            medical.write_field(vectors, wk.Space((4, 5, 6)), tmp_path / "field.nii")
    assert not list(tmp_path.iterdir())
