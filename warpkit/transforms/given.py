"""What may be given for a transform: a name, a table or an object."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import torch

from warpkit.errors import InputError
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


def takes(transform: Transform, theta: Any) -> bool:
    """Whether the transform takes such a θ."""
    try:
        transform.as_theta(theta)
    except InputError:
        return False
    return True


def dimensions_of(transform: str | dict[str, Any] | Transform, theta: Any, size: Any) -> int | None:
    """The number of axes that one number for a size stands for: those in which the transform takes θ, 2 if unknown.

    None where `size` says it itself.
    """
    if isinstance(transform, Transform):
        return transform.ndim
    if isinstance(size, Sequence) or getattr(size, "ndim", 0) > 0:
        return None
    found = set()
    for ndim in (1, 2, 3):
        with suppress(InputError):  # euclidean in 1-D
            made = transforms.shared(transform, torch.device("cpu"), ndim=ndim)
            found |= {made.ndim} if takes(made, theta) else set()
    return found.pop() if len(found) == 1 else 2
