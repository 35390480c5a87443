"""What may be given for a transform: a name, a table or an object."""

from typing import Any, Literal

from warpkit.transforms.base import Transform, transforms

# Editors complete these names; any other may be a plugin's.
TransformName = Literal[
    "affine", "attention", "compose", "displacement", "euclidean", "free_form", "inverse_polar", "polar", "projective",
    "similarity", "thin_plate_spline", "translation", "velocity",
]  # fmt: skip
TransformLike = TransformName | str | dict[str, Any] | Transform


def get_transform(name: TransformName | str | dict[str, Any], **options: Any) -> Transform:
    """A new transform of this name, a plugin's too: `get_transform("affine", ndim=3)` is `Affine(ndim=3)`.

    A table `{"type": name, **options}` is taken as well; options beside it are added to its own.

    Raises `InputError` for an unknown name or option, and for an option that is missing.
    """
    return transforms.own({**name, **options}) if isinstance(name, dict) else transforms.create(name, **options)
