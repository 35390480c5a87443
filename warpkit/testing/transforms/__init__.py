"""The checks of transforms, in the order in which they are told."""

from warpkit.testing.check import Checks
from warpkit.testing.transforms import contract, derivatives, facts, fields, precision, sampled, torch_features

_PARTS = (contract, precision, facts, fields, derivatives, torch_features, sampled)
transform_checks = Checks("transform", *(part.checks for part in _PARTS))
