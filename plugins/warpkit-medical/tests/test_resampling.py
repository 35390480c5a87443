"""Files lead to the same pixels as in SimpleITK, whoever wrote them."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
import warpkit_medical as medical
from medical_cases import is_near, oblique, picture, pixels_of, transform_of

import warpkit as wk

DTYPES = ("uint8", "int16", "float32")


def resampled(moving, fixed, transform):
    """What SimpleITK makes of two files and a transform, in float32."""
    read = [sitk.ReadImage(path) for path in (moving, fixed)]
    made = sitk.Resample(*read, transform, sitk.sitkLinear, 17.0, sitk.sitkFloat32)
    return sitk.GetArrayFromImage(made)


def warped(image, transform, theta, size, align_corners=False):
    ways = {"padding_mode": "none", "fill": 17.0, "align_corners": align_corners}
    return wk.warp(image.float(), transform, theta, size=size, **ways)[0, 0].numpy()


@pytest.mark.parametrize("kind", ["euler", "similarity", "affine", "field", "composite"])
@pytest.mark.parametrize("d", [2, 3])
def test_what_simpleitk_wrote(tmp_path, d, kind):
    rng = np.random.default_rng([d, len(kind)])
    moving, fixed = tmp_path / "moving.nii.gz", tmp_path / "fixed.nii"
    for dtype, suffix in zip(DTYPES, (".tfm", ".h5", ".txt"), strict=True):
        for path in (moving, fixed):
            space = oblique(rng, d)
            sitk.WriteImage(picture(pixels_of(rng, space.size, dtype), space), path)
        file = tmp_path / f"map{suffix}"
        sitk.WriteTransform(transform_of(rng, d, kind), file)
        expected = resampled(moving, fixed, sitk.ReadTransform(file))
        assert (expected != 17).mean() > 0.02  # something of it is inside
        image, here = medical.read_image(moving)
        assert image.dtype == getattr(torch, dtype)
        _, there = medical.read_image(fixed)
        transform, theta = medical.read_transform(file, fixed=there, moving=here)
        assert is_near(warped(image, transform, theta, there.size), expected)


def random_theta(transform, d, size):
    component = wk.Compose([transform], ndim=d).transforms[0]
    start = component.identity(size) if component.is_field else component.identity()
    return (start + 0.1 * torch.randn(start.shape, generator=torch.Generator().manual_seed(d)))[None]


@pytest.mark.parametrize(
    ("d", "transform", "suffix"),
    [
        (2, "affine", ".tfm"),
        (3, "affine", ".mat"),
        (3, "similarity", ".h5"),
        (3, "affine", ".nii.gz"),
        (2, "displacement", ".nii"),
        (3, "displacement", ".hdf5"),
        (2, "thin_plate_spline", ".h5"),
        (3, "free_form", ".txt"),
    ],
)
def test_what_we_wrote(tmp_path, d, transform, suffix):
    rng = np.random.default_rng([d, len(transform)])
    here, there = oblique(rng, d), oblique(rng, d)
    moving, fixed, file = tmp_path / "moving.nii.gz", tmp_path / "fixed.nii.gz", tmp_path / f"map{suffix}"
    image, theta = (
        torch.from_numpy(pixels_of(rng, here.size, "int16"))[None, None],
        random_theta(transform, d, there.size),
    )
    medical.write_image(image, here, moving)
    medical.write_image(torch.zeros(1, 1, *there.size), there, fixed)
    medical.write_transform(transform, theta, file, fixed=there, moving=here)
    if ".nii" in suffix:
        itk = sitk.DisplacementFieldTransform(sitk.ReadImage(file, sitk.sitkVectorFloat64))
    else:
        itk = sitk.ReadTransform(file)
    expected = resampled(moving, fixed, itk)
    assert (expected != 17).mean() > 0.1
    assert is_near(warped(image, transform, theta, there.size), expected)
    again, theta = medical.read_transform(file, fixed=there, moving=here)
    assert is_near(warped(image, again, theta, there.size), expected)


def millimetres(transform, theta, points, fixed, moving, align_corners):
    """Where points [M, D] of the fixed space go in the moving one."""
    inner, outer = (space.world(align_corners) for space in (moving, fixed))
    inside = (points - outer[:-1, -1]) @ torch.linalg.inv(outer[:-1, :-1]).mT
    reached = wk.Compose([transform], ndim=fixed.ndim, align_corners=align_corners)
    gone = reached((theta,) if isinstance(theta, tuple) or theta.ndim > 2 else theta, inside[None])[0]
    return gone @ inner[:-1, :-1].mT + inner[:-1, -1]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("kind", ["affine", "composite"])
def test_points_between_pixels_go_where_itk_sends_them(tmp_path, kind, align_corners):
    """Outside of the fields of a composite too, where nothing is displaced."""
    rng = np.random.default_rng(5)
    here, there, file = oblique(rng, 3), oblique(rng, 3), tmp_path / "map.h5"
    given = transform_of(rng, 3, kind)
    sitk.WriteTransform(given, file)
    points = rng.uniform(-12, 12, size=(300, 3))
    expected = torch.tensor([given.TransformPoint(point) for point in points.tolist()], dtype=torch.float64)
    transform, theta = medical.read_transform(file, fixed=there, moving=here, align_corners=align_corners)
    found = millimetres(transform, theta, torch.from_numpy(points), there, here, align_corners)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("d", [2, 3])
def test_several_files_are_passed_in_the_order_of_ants(tmp_path, d):
    """`antsApplyTransforms -t 1Warp.nii.gz -t 0GenericAffine.mat`: points pass the warp first."""
    rng = np.random.default_rng(d)
    here, there = oblique(rng, d), oblique(rng, d)
    affine, files = transform_of(rng, d, "affine"), [tmp_path / "1Warp.nii.gz", str(tmp_path / "0GenericAffine.mat")]
    vectors = rng.normal(size=(*there.size, d)).astype("float32")
    sitk.WriteImage(picture(vectors, there, is_vector=True), files[0])
    sitk.WriteTransform(affine, files[1])
    warp = sitk.DisplacementFieldTransform(picture(vectors.astype("float64"), there, is_vector=True))
    given = sitk.CompositeTransform([affine, warp])  # ITK's last comes first
    points = rng.uniform(-12, 12, size=(300, d))
    expected = torch.tensor([given.TransformPoint(point) for point in points.tolist()], dtype=torch.float64)
    transform, theta = medical.read_transform(files, fixed=there, moving=here)
    found = millimetres(transform, theta, torch.from_numpy(points), there, here, False)
    moved = (expected - torch.from_numpy(points)).abs().max()
    assert ((found - expected).abs().amax(1) < 1e-4 * moved).double().mean() > 0.99  # all but the field's very edge


@pytest.mark.parametrize("transform", ["affine", "displacement"])
def test_theta_of_aligned_corners_is_written_as_what_it_means(tmp_path, transform):
    rng = np.random.default_rng(6)
    here, there, file = oblique(rng, 3), oblique(rng, 3), tmp_path / "map.tfm"
    theta = random_theta(transform, 3, there.size).double()
    medical.write_transform(transform, theta, file, fixed=there, moving=here, align_corners=True)
    pixels = np.stack(np.meshgrid(*map(np.arange, there.size[::-1]), indexing="ij"), -1).reshape(-1, 3)
    matrix = there.matrix.numpy()
    points = pixels @ matrix[:3, :3].T + matrix[:3, 3]
    itk = sitk.ReadTransform(file)
    expected = torch.tensor([itk.TransformPoint(point) for point in points.tolist()], dtype=torch.float64)
    found = millimetres(transform, theta, torch.from_numpy(points), there, here, True)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_a_b_spline_is_its_displacements_at_the_pixels(tmp_path):
    rng = np.random.default_rng(7)
    here, there = oblique(rng, 3), oblique(rng, 3)
    spline = sitk.BSplineTransformInitializer(picture(np.zeros(there.size), there), [3, 3, 3])
    spline.SetParameters(rng.normal(size=spline.GetNumberOfParameters()).tolist())
    sitk.WriteTransform(sitk.CompositeTransform([spline, transform_of(rng, 3, "affine")]), tmp_path / "map.h5")
    moving, fixed = tmp_path / "moving.nii.gz", tmp_path / "fixed.nii.gz"
    sitk.WriteImage(picture(pixels_of(rng, here.size, "float32"), here), moving)
    sitk.WriteImage(picture(np.zeros(there.size, "uint8"), there), fixed)
    (image, here), (_, there) = map(medical.read_image, (moving, fixed))
    expected = resampled(moving, fixed, sitk.ReadTransform(tmp_path / "map.h5"))
    transform, theta = medical.read_transform(tmp_path / "map.h5", fixed=there, moving=here)
    assert is_near(warped(image, transform, theta, there.size), expected)


def test_by_hand(tmp_path):
    """A turn by 3-4-5: all numbers are whole.

    RAS: voxel (i, j, k) lies at (10 + 3i − 4j, 20 + 4i + 3j, 30 + 2k), so (1, 2, 3) at (5, 30, 36), LPS (−5, −30, 36).
    ITK's translation by (−3, −4, 0) in LPS is (3, 4, 0) in RAS, one voxel along i: each shows the next one.
    """
    affine = np.array([[3.0, -4, 0, 10], [4, 3, 0, 20], [0, 0, 2, 30], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(np.arange(60, dtype="int16").reshape(3, 4, 5), affine), tmp_path / "scan.nii.gz")
    image, space = medical.read_image(tmp_path / "scan.nii.gz")
    assert image.shape == (1, 1, 5, 4, 3)
    assert image[0, 0, 3, 2, 1] == 1 * 20 + 2 * 5 + 3  # of voxel (1, 2, 3) in an array of 3 × 4 × 5
    assert space.spacing == pytest.approx((5, 5, 2))
    assert (space.matrix @ torch.tensor([1.0, 2, 3, 1]).double()).tolist() == pytest.approx([-5, -30, 36, 1])
    sitk.WriteTransform(sitk.TranslationTransform(3, (-3.0, -4.0, 0.0)), tmp_path / "next.tfm")
    transform, theta = medical.read_transform(tmp_path / "next.tfm", fixed=space, moving=space)
    moved = wk.warp(image, transform, theta, padding_mode="none", fill=-1)
    assert torch.equal(moved[..., :2], image[..., 1:])
    assert (moved[..., 2] == -1).all()
    assert theta[0].tolist() == pytest.approx([1, 0, 0, 2 / 3, 0, 1, 0, 0, 0, 0, 1, 0])
