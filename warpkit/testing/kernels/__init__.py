"""The checks of kernels, in the order in which they are told."""

from warpkit.testing.check import Checks
from warpkit.testing.kernels import contract, derivatives, facts, sampled, smoothness, table, torch_features

_PARTS = (contract, facts, smoothness, derivatives, table, torch_features, sampled)
kernel_checks = Checks("kernel", *(part.checks for part in _PARTS))
