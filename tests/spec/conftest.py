"""What a test registers is gone after it."""

import pytest

from warpkit.kernels.base import kernels
from warpkit.modules.base import modules
from warpkit.transforms.base import transforms


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    for registry in (transforms, kernels, modules):
        monkeypatch.setattr(registry, "_registered", dict(registry._registered))
