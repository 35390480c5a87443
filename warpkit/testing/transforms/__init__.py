"""The checks of transforms, in the order in which they are told."""

from warpkit.testing import torch_features
from warpkit.testing.check import Checks
from warpkit.testing.transforms import (
    contract,
    derivatives,
    facts,
    fields,
    function_transforms,
    handles,
    inversion,
    precision,
    sampling,
)

transform_checks = Checks(
    "transform",
    contract.checks,
    precision.checks,
    facts.checks,
    fields.checks,
    derivatives.checks,
    torch_features.checks.after(*contract.BASICS),
    function_transforms.checks,
    inversion.checks,
    handles.checks,
    sampling.checks,
)
