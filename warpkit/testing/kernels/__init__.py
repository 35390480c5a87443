"""The checks of kernels, in the order in which they are told."""

from warpkit.testing import torch_features
from warpkit.testing.check import Checks
from warpkit.testing.kernels import (
    contract,
    derivatives,
    facts,
    function_transforms,
    prefilter,
    sampling,
    smoothness,
    table,
)

kernel_checks = Checks(
    "kernel",
    contract.checks,
    prefilter.checks,
    facts.checks,
    smoothness.checks,
    derivatives.checks,
    table.checks,
    torch_features.checks.after(*contract.BASICS),
    function_transforms.checks,
    sampling.checks,
)
