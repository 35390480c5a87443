"""warpkit: differentiable image warping for PyTorch. Any transform, any kernel, one sampler, open to plugins."""

import importlib
import os
import sys
import types
from typing import TYPE_CHECKING, cast

from warpkit import distribution as _distribution

# The command `warpkit` answers --help, --version and <TAB> in a moment, and importing torch takes two seconds. So in
# its process, and in no other, the names below wait until one of them is asked for (by a plugin, say), when this file
# is run again. Elsewhere they cannot wait: an exported program finds its operators after `import warpkit` alone.
_waits = not globals().get("_waits") and os.path.basename((getattr(sys, "argv", None) or [""])[0]) == "warpkit"

if TYPE_CHECKING or not _waits:
    from warpkit import losses, pixels
    from warpkit.alignment import align
    from warpkit.boxes import warp_boxes
    from warpkit.errors import InputError
    from warpkit.geometry import lattice
    from warpkit.kernels.base import Kernel
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
    from warpkit.transforms.matrix import MatrixTransform
    from warpkit.warping import coverage, warp
    from warpkit.watching.parameter_groups import parameter_groups
    from warpkit.watching.penalty import Penalty
    from warpkit.watching.watch import TransformerWarning, watch

    # Under other names: `warpkit.transforms`, `warpkit.kernels` and `warpkit.modules` are the packages.
    get_transform, list_transforms, register_transform = _transforms.create, _transforms.names, _transforms.register
    get_kernel, list_kernels, register_kernel = _kernels.create, _kernels.names, _kernels.register
    list_modules, register_module = _modules.names, _modules.register

    importlib.import_module("warpkit.sampling.graphs")  # registers the operators that graphs name

__all__ = [
    "Backend",
    "BasisTransform",
    "Compose",
    "ConvLocalization",
    "DenseLocalization",
    "FieldTransform",
    "InputError",
    "Kernel",
    "MatrixTransform",
    "Parallel",
    "Penalty",
    "RandomWarp",
    "Space",
    "SpatialTransformer",
    "Transform",
    "TransformerWarning",
    "UNetLocalization",
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
_ON_DEMAND = ("chunked", "datasets", "testing")
_MODULES = (*_ON_DEMAND, "losses", "pixels")


def __getattr__(name: str) -> types.ModuleType:
    """`chunked`, `datasets` and `testing`, loaded when they are asked for; in the command, every public name."""
    if name in (_MODULES if _waits else _ON_DEMAND):
        return importlib.import_module(f"warpkit.{name}")
    if _waits and name in __all__:
        importlib.reload(sys.modules[__name__])
        return cast("types.ModuleType", globals()[name])  # or whatever else has this name
    raise AttributeError(f"module 'warpkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
