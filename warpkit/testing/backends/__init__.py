"""The checks of backends: the whole contract of the sampler, held against the reference backend."""

from warpkit.testing.backends import contract, derivatives, function_transforms, storage, values
from warpkit.testing.check import Checks

_PARTS = (contract, values, storage, derivatives, function_transforms)
backend_checks = Checks("backend", *(part.checks for part in _PARTS))
