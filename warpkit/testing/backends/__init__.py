"""The checks of backends: the whole contract of the sampler, held against the reference backend."""

from warpkit.testing.backends import contract, derivatives, values
from warpkit.testing.check import Checks

_PARTS = (contract, values, derivatives)
backend_checks = Checks("backend", *(part.checks for part in _PARTS))
