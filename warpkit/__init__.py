"""warpkit: differentiable image warping for PyTorch. Any transform, any kernel, one sampler, open to plugins."""

import importlib
import os
import sys
from typing import TYPE_CHECKING

from warpkit import distribution as _distribution

# The command `warpkit` answers --help, --version and <TAB> in a moment, and importing torch takes two seconds. So in
# its process, and in no other, the names below wait until one of them is asked for (by a plugin, say), when this file
# is run again. Elsewhere they cannot wait: an exported program finds its operators after `import warpkit` alone.
_waits = not globals().get("_waits") and os.path.basename((getattr(sys, "argv", None) or [""])[0]) == "warpkit"

if TYPE_CHECKING:  # these wait always
    from warpkit import chunked as chunked
    from warpkit import datasets as datasets
    from warpkit import testing as testing
    from warpkit.kernels.bicubic import Bicubic
    from warpkit.kernels.bilinear import Bilinear
    from warpkit.kernels.bspline import BSpline
    from warpkit.kernels.gaussian import Gaussian
    from warpkit.kernels.lanczos import Lanczos
    from warpkit.kernels.mitchell import Mitchell
    from warpkit.kernels.nearest import Nearest
    from warpkit.transforms.affine import Affine
    from warpkit.transforms.attention import Attention
    from warpkit.transforms.displacement import Displacement
    from warpkit.transforms.euclidean import Euclidean
    from warpkit.transforms.free_form import FreeForm
    from warpkit.transforms.polar import InversePolar, Polar
    from warpkit.transforms.projective import Projective
    from warpkit.transforms.similarity import Similarity
    from warpkit.transforms.thin_plate_spline import ThinPlateSpline
    from warpkit.transforms.translation import Translation
    from warpkit.transforms.velocity import Velocity

if TYPE_CHECKING or not _waits:
    from warpkit import losses, pixels
    from warpkit.alignment import align
    from warpkit.boxes import warp_boxes
    from warpkit.errors import InputError
    from warpkit.geometry import lattice
    from warpkit.kernels.base import Kernel, get_kernel
    from warpkit.kernels.base import kernels as _kernels
    from warpkit.kernels.spline_filter import spline_filter
    from warpkit.modules.base import modules as _modules
    from warpkit.modules.localization import ConvLocalization, DenseLocalization, UNetLocalization
    from warpkit.modules.parallel import Parallel
    from warpkit.modules.random_warp import RandomWarp
    from warpkit.modules.spatial_transformer import SpatialTransformer
    from warpkit.points import warp_points
    from warpkit.sampling.backend import Backend, use_backend
    from warpkit.sampling.prefilter import prefilter
    from warpkit.sampling.sampler import push, sample
    from warpkit.space import Space
    from warpkit.spec.build import build
    from warpkit.spec.describe import normalize_spec, to_spec
    from warpkit.spec.files import load, save
    from warpkit.transforms.base import Transform
    from warpkit.transforms.base import transforms as _transforms
    from warpkit.transforms.basis import BasisTransform
    from warpkit.transforms.compose import Compose
    from warpkit.transforms.field import FieldTransform
    from warpkit.transforms.given import get_transform
    from warpkit.transforms.matrix import MatrixTransform
    from warpkit.warping import coverage, warp
    from warpkit.watching.parameter_groups import parameter_groups
    from warpkit.watching.penalty import Penalty
    from warpkit.watching.watch import TransformerWarning, watch

    # Under other names: `warpkit.transforms`, `warpkit.kernels` and `warpkit.modules` are the packages.
    list_transforms, register_transform = _transforms.names, _transforms.register
    list_kernels, register_kernel = _kernels.names, _kernels.register
    list_modules, register_module = _modules.names, _modules.register

__all__ = [
    "Affine",
    "Attention",
    "BSpline",
    "Backend",
    "BasisTransform",
    "Bicubic",
    "Bilinear",
    "Compose",
    "ConvLocalization",
    "DenseLocalization",
    "Displacement",
    "Euclidean",
    "FieldTransform",
    "FreeForm",
    "Gaussian",
    "InputError",
    "InversePolar",
    "Kernel",
    "Lanczos",
    "MatrixTransform",
    "Mitchell",
    "Nearest",
    "Parallel",
    "Penalty",
    "Polar",
    "Projective",
    "RandomWarp",
    "Similarity",
    "Space",
    "SpatialTransformer",
    "ThinPlateSpline",
    "Transform",
    "TransformerWarning",
    "Translation",
    "UNetLocalization",
    "Velocity",
    "align",
    "build",
    "coverage",
    "get_kernel",
    "get_transform",
    "lattice",
    "list_kernels",
    "list_modules",
    "list_transforms",
    "load",
    "losses",
    "normalize_spec",
    "parameter_groups",
    "pixels",
    "prefilter",
    "push",
    "register_kernel",
    "register_module",
    "register_transform",
    "sample",
    "save",
    "spline_filter",
    "to_spec",
    "use_backend",
    "warp",
    "warp_boxes",
    "warp_points",
    "watch",
]

__version__ = _distribution.our_version()
_distribution.warn_of_another()
_CLASSES = {  # the built-in transforms and kernels: each is imported when it is first asked for
    "Affine": "transforms.affine",
    "Attention": "transforms.attention",
    "BSpline": "kernels.bspline",
    "Bicubic": "kernels.bicubic",
    "Bilinear": "kernels.bilinear",
    "Displacement": "transforms.displacement",
    "Euclidean": "transforms.euclidean",
    "FreeForm": "transforms.free_form",
    "Gaussian": "kernels.gaussian",
    "InversePolar": "transforms.polar",
    "Lanczos": "kernels.lanczos",
    "Mitchell": "kernels.mitchell",
    "Nearest": "kernels.nearest",
    "Polar": "transforms.polar",
    "Projective": "transforms.projective",
    "Similarity": "transforms.similarity",
    "ThinPlateSpline": "transforms.thin_plate_spline",
    "Translation": "transforms.translation",
    "Velocity": "transforms.velocity",
}
_ON_DEMAND = ("chunked", "datasets", "testing")
_MODULES = (*_ON_DEMAND, "losses", "pixels")

if not TYPE_CHECKING:  # who checks types knows each name, and a misspelt one is an error

    def __getattr__(name):
        """A built-in class, or a module that is loaded on demand; in the command, every public name."""
        if name in _CLASSES:
            return getattr(importlib.import_module(f"warpkit.{_CLASSES[name]}"), name)
        if name in (_MODULES if _waits else _ON_DEMAND):
            return importlib.import_module(f"warpkit.{name}")
        if _waits and name in __all__:
            importlib.reload(sys.modules[__name__])
            return globals()[name]
        raise AttributeError(f"module 'warpkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ON_DEMAND, "__version__"])
