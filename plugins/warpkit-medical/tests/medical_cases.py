"""Random spaces, images and transforms, as SimpleITK has them."""

import numpy as np
import SimpleITK as sitk

import warpkit as wk

_KINDS = {
    (2, "euler"): sitk.Euler2DTransform,
    (3, "euler"): sitk.Euler3DTransform,
    (2, "similarity"): sitk.Similarity2DTransform,
    (3, "similarity"): sitk.Similarity3DTransform,
}


def oblique(rng, d):
    """A space of odd size and unequal spacing around the world's origin, turned any way, with some axes mirrored."""
    size = tuple(rng.choice([7, 9, 11, 13], d).tolist())
    direction, _ = np.linalg.qr(rng.normal(size=(d, d)))
    direction = direction * rng.choice([-1.0, 1.0], d)
    spacing = rng.uniform(0.6, 2.5, d)
    middle = direction @ (spacing * (np.array(size[::-1]) - 1) / 2)
    return wk.Space(size, spacing, rng.normal(size=d) - middle, direction)


def picture(pixels, space, is_vector=False):
    """The image of SimpleITK with these pixels in this space."""
    made = sitk.GetImageFromArray(pixels, isVector=is_vector)
    made.SetSpacing(space.spacing)
    made.SetOrigin(space.origin)
    made.SetDirection(np.ravel(space.direction).tolist())
    return made


def pixels_of(rng, size, dtype):
    return (rng.normal(size=size) * 60 + 100).clip(0, 255).astype(dtype)


def transform_of(rng, d, kind):
    """A transform of SimpleITK of this kind, random and near the identity."""
    if kind == "field":
        space = oblique(rng, d)
        return sitk.DisplacementFieldTransform(picture(rng.normal(size=(*space.size, d)), space, is_vector=True))
    if kind == "composite":
        parts = ("euler", "field", "affine", "similarity", "field")
        return sitk.CompositeTransform([transform_of(rng, d, part) for part in parts])
    if kind == "affine":
        made = sitk.AffineTransform(d)
        made.SetMatrix((np.eye(d) + 0.2 * rng.normal(size=(d, d))).ravel().tolist())
    else:
        made = _KINDS[d, kind]()
        turn, _ = np.linalg.qr(np.eye(d) + 0.3 * rng.normal(size=(d, d)))
        turn = turn * np.sign(np.diag(turn))  # near the identity, so its determinant is 1
        made.SetMatrix((turn * (1.2 if kind == "similarity" else 1)).ravel().tolist())
    made.SetCenter(rng.normal(size=d).tolist())
    made.SetTranslation(rng.normal(size=d).tolist())
    return made


def is_near(found, expected):
    """Every pixel equal to 1e-4 of 0 … 255."""
    return bool(np.abs(found - expected).max() < 0.0255)
