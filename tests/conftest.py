"""What every test runs under: shapes checked, one thread, the same examples each time."""

import sys
from pathlib import Path

import hypothesis
import jaxtyping
import pytest
import torch

# Shapes in signatures are checked by beartype: before anything imports warpkit.
jaxtyping.install_import_hook("warpkit", "beartype.beartype")

# Helpers (cases, oracles, strategies) are modules next to this file; pytest's importlib mode puts no folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

torch.set_num_threads(1)

_common = {"deadline": None, "database": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("warpkit", max_examples=30, derandomize=True, **_common)
hypothesis.settings.register_profile("search", max_examples=500, **_common)  # pytest --hypothesis-profile=search
hypothesis.settings.load_profile("warpkit")


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without beartype, as users run it: its error would come before ours, and dynamo cannot trace its wrappers."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def compiler(unchecked: None) -> None:
    """A compiler that remembers nothing of other tests."""
    torch.compiler.reset()
