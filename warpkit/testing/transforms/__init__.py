"""The checks of transforms, in the order in which they are told."""

from warpkit.testing.check import Checks
from warpkit.testing.transforms import contract, derivatives, facts, inversion, precision, sampled, torch_features

_PARTS = (contract, precision, facts, derivatives, torch_features, inversion, sampled)
transform_checks = Checks("transform", *(part.checks for part in _PARTS))
