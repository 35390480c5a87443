"""Transform files that are damaged, foreign or of another kind; what they lead to is in `test_resampling`."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import warpkit_medical as medical
from medical_cases import oblique, transform_of

import warpkit as wk

SPACE = wk.Space((7, 9, 11))
BOTH = {"fixed": SPACE, "moving": SPACE}


@pytest.fixture
def text(tmp_path):
    """The text of an affine transform, and how another is read."""
    sitk.WriteTransform(transform_of(np.random.default_rng(0), 3, "affine"), tmp_path / "map.tfm")
    path = tmp_path / "map.tfm"
    return path, path.read_text()


def test_a_text_that_ends_too_early_is_refused_wherever_it_ends(text):
    """ITK makes the identity of it where the parameters are cut, and loses digits of the last number."""
    path, whole = text
    whole = whole.rstrip("\n") + "\n"
    assert medical.read_transform(path, **BOTH)[0] == "affine"
    for end in range(0, len(whole), 5):
        path.write_text(whole[:end])
        with pytest.raises(wk.InputError, match=r"map.tfm"):
            medical.read_transform(path, **BOTH)
    path.write_text(whole)
    medical.read_transform(path, **BOTH)


@pytest.mark.parametrize("suffix", [".h5", ".mat"])
@pytest.mark.parametrize("part", [0.0, 0.5, 0.95, 0.99])
def test_a_truncated_file_is_refused_by_name(tmp_path, suffix, part):
    path = tmp_path / f"map{suffix}"
    sitk.WriteTransform(transform_of(np.random.default_rng(0), 3, "affine"), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(wk.InputError, match=f"map{suffix}"):
        medical.read_transform(path, **BOTH)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (lambda text: "hello\n", "expected ITK's, with a line that begins with Transform:"),
        (lambda text: text.replace("AffineTransform", "FooTransform"), "Could not create an instance of"),
        (lambda text: text.replace("Parameters: ", "Parameters: nan ", 1), "map.tfm: "),
        (lambda text: text + text.split("V1.0\n")[1], r"map.tfm: file: expected one transform, or a composite"),
        (lambda text: text.replace("_3_3", "_2_2"), "map.tfm: "),
    ],
)
def test_foreign_texts_are_refused_by_name(text, changed, told):
    path, whole = text
    path.write_text(changed(whole))
    with pytest.raises(wk.InputError, match=told) as caught:
        medical.read_transform(path, **BOTH)
    assert "0x" not in str(caught.value)  # ITK's addresses
    assert "\n" not in str(caught.value)


def test_other_names_bytes_and_dimensions_are_refused(tmp_path):
    (tmp_path / "map.xfm").write_text("MNI Transform File\n")
    (tmp_path / "map.tfm").write_bytes(bytes(range(128, 256)))
    sitk.WriteTransform(sitk.Euler2DTransform(), tmp_path / "flat.tfm")
    medical.write_field(torch.zeros(1, 2, 9, 11), wk.Space((9, 11)), tmp_path / "flat.nii")
    for name, told in [
        ("map.xfm", "name: expected one that ends in .tfm, .txt, .h5, .hdf5, .mat, .nii or .nii.gz"),
        ("map.tfm", "map.tfm cannot be read as a transform: "),
        ("none.h5", "none.h5: there is no such file"),
        ("flat.tfm", "flat.tfm: transform: expected one in 3-D, got 2"),
        ("flat.nii", "flat.nii: field: expected one in 3-D, got 2"),
    ]:
        with pytest.raises(wk.InputError, match=told):
            medical.read_transform(tmp_path / name, **BOTH)
    for spaces in ({"fixed": SPACE, "moving": wk.Space((9, 11))}, {"fixed": None, "moving": SPACE}):
        with pytest.raises(wk.InputError, match=r"expected a wk.Space in 2-D or 3-D"):
            medical.read_transform(tmp_path / "flat.tfm", **spaces)


def test_transforms_of_single_precision_are_read(text):
    """As ANTs writes its fields and composites."""
    path, whole = text
    given = medical.read_transform(path, **BOTH)[1]
    path.write_text(whole.replace("_double_", "_float_"))
    torch.testing.assert_close(medical.read_transform(path, **BOTH)[1], given, rtol=1e-6, atol=1e-6)


def test_a_kind_that_simpleitk_has_no_class_for_is_told(tmp_path):
    sitk.WriteTransform(sitk.ComposeScaleSkewVersor3DTransform(), tmp_path / "map.tfm")
    with pytest.raises(wk.InputError, match=r"map.tfm: transform: expected one that SimpleITK has a class for"):
        medical.read_transform(tmp_path / "map.tfm", **BOTH)


def test_a_spline_behind_another_file_and_no_file_are_refused(text):
    path, _ = text
    spline = sitk.BSplineTransformInitializer(sitk.Image(SPACE.size[::-1], sitk.sitkUInt8), [3, 3, 3])
    sitk.WriteTransform(spline, path.with_suffix(".h5"))
    medical.read_transform([path.with_suffix(".h5"), path], **BOTH)
    with pytest.raises(wk.InputError, match=r"map.h5: transform: expected matrices and fields behind another file"):
        medical.read_transform([path, path.with_suffix(".h5")], **BOTH)
    with pytest.raises(wk.InputError, match="path: expected one file at least"):
        medical.read_transform([], **BOTH)


def test_the_identity_and_an_empty_composite_are_the_identity(tmp_path):
    for nothing in (sitk.Transform(3, sitk.sitkIdentity), sitk.CompositeTransform(3)):
        sitk.WriteTransform(nothing, tmp_path / "map.tfm")
        transform, theta = medical.read_transform(tmp_path / "map.tfm", **BOTH)
        torch.testing.assert_close(theta[0], wk.get_transform(transform, ndim=3).identity().double())


def test_what_a_file_cannot_hold_is_refused_before_it_is_touched(tmp_path):
    theta = wk.get_transform("affine", ndim=3).identity()[None]
    behind = torch.tensor([[1.0, 0, 0, 0, 1, 0, 3.0, 0]])
    flat = {"fixed": wk.Space((9, 11)), "moving": wk.Space((9, 11))}
    for given, spaces, told in [
        (("affine", theta.expand(2, -1), tmp_path / "map.tfm"), BOTH, "theta: expected that of one image"),
        (("affine", theta, tmp_path / "map.xfm"), BOTH, "ends in .tfm"),
        (("affine", theta[:, :5], tmp_path / "map.tfm"), BOTH, "theta"),
        (("affine", None, tmp_path / "map.tfm"), BOTH, "theta"),
        (("affine", theta * torch.nan, tmp_path / "map.tfm"), BOTH, "takes every pixel somewhere"),
        (("affine", theta, None), BOTH, "path: expected a text or a pathlib.Path"),
        (("displacement", theta, tmp_path / "map.tfm"), BOTH, "theta"),
        (("projective", behind, tmp_path / "map.tfm"), flat, "takes every pixel somewhere"),
    ]:
        with pytest.raises(wk.InputError, match=told):
            medical.write_transform(*given, **spaces)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("is_noticed", [True, False])
def test_a_file_appears_whole_or_stays_as_it_was(tmp_path, monkeypatch, is_noticed):
    """ITK's writers of texts say nothing of a full disk."""
    path, theta = tmp_path / "map.tfm", wk.get_transform("affine", ndim=3).identity()[None]
    medical.write_transform("affine", theta, path, **BOTH)
    before = path.read_bytes()

    def half(transform, name):
        with open(name, "w") as file:
            file.write("#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\nParam")
        if is_noticed:
            raise RuntimeError("Exception thrown\nITK ERROR: Writer(0x55aa): the disk is full")

    monkeypatch.setattr(sitk, "WriteTransform", half)
    told = "the disk is full" if is_noticed else "only a part of it was"
    with pytest.raises(wk.InputError, match=f"cannot be written: {told}"):
        medical.write_transform("affine", theta, path, **BOTH)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_was_read_can_be_written_and_trained(tmp_path):
    """A composite with fields becomes one field; θ is a leaf of the graph wherever it is made one."""
    rng = np.random.default_rng(9)
    here, there = oblique(rng, 3), oblique(rng, 3)
    sitk.WriteTransform(transform_of(rng, 3, "composite"), tmp_path / "map.h5")
    transform, theta = medical.read_transform(tmp_path / "map.h5", fixed=there, moving=here)
    theta = tuple(each.requires_grad_() for each in theta)
    wk.warp(torch.rand(1, 1, *here.size), transform, theta, size=there.size).sum().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in theta)
    medical.write_transform(transform, theta, tmp_path / "one.nii.gz", fixed=there, moving=here)
    once, one = medical.read_transform(tmp_path / "one.nii.gz", fixed=there, moving=here)
    image = torch.rand(1, 1, *here.size)
    ways = {"size": there.size, "padding_mode": "border"}
    torch.testing.assert_close(
        wk.warp(image, once, one, **ways), wk.warp(image, transform, theta, **ways), rtol=0, atol=1e-4
    )


@pytest.mark.skipif(hasattr(wk.warp, "__wrapped__"), reason="dynamo cannot trace what checks types in warpkit's tests")
def test_what_was_read_is_compiled(tmp_path):
    """Its θ is a tuple, one for each part."""
    sitk.WriteTransform(transform_of(np.random.default_rng(9), 3, "composite"), tmp_path / "map.h5")
    transform, theta = medical.read_transform(tmp_path / "map.h5", **BOTH)
    image = torch.rand(1, 1, *SPACE.size)
    compiled = torch.compile(lambda u, t: wk.warp(u, transform, t, size=SPACE.size), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(image, theta), wk.warp(image, transform, theta, size=SPACE.size))


def test_a_field_on_the_pixels_of_its_image_is_read_as_it_is(tmp_path):
    """Two matrices around it would be the identity, and cost eight times the time."""
    vectors = torch.randn(1, 3, *SPACE.size)
    medical.write_field(vectors, SPACE, tmp_path / "field.nii")
    transform, theta = medical.read_transform(tmp_path / "field.nii", **BOTH)
    assert type(transform) is type(wk.get_transform("displacement", ndim=3))
    torch.testing.assert_close(SPACE.vectors(theta), vectors)
