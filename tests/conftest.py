"""What every test runs under: shapes checked, one thread, the same examples each time."""

import contextlib
import dataclasses
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jaxtyping
import pytest
import torch

# Helpers (cases, oracles, …) are modules next to this file, and pytest's importlib mode puts no folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

# Shapes in signatures are checked by beartype: before anything imports warpkit.
jaxtyping.install_import_hook("warpkit", "checker.check")

from mnist import TEST, TRAIN, write_idx  # noqa: E402

import warpkit as wk  # noqa: E402

torch.set_num_threads(1)

# A fixture that lasts for all examples of a test is what `unchecked` is meant to be.
_quiet = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture]
_common = {"deadline": None, "database": None, "suppress_health_check": _quiet}
hypothesis.settings.register_profile("warpkit", max_examples=15, derandomize=True, **_common)
hypothesis.settings.register_profile("search", max_examples=500, **_common)  # pytest --hypothesis-profile=search
hypothesis.settings.load_profile("warpkit")


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without beartype, as users run it: its error comes before ours, dynamo cannot trace it, it takes its time."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(params=["reference", "chosen"])
def each_backend(request: pytest.FixtureRequest) -> Iterator[None]:
    """Once on the reference backend, once on the one that is chosen without asking."""
    with wk.use_backend("reference") if request.param == "reference" else contextlib.nullcontext():
        yield


@pytest.fixture
def compiler(unchecked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that remembers nothing of other tests."""
    torch.compiler.reset()
    # A function whose checks are off is traced; what was wrapped of a class whose objects are made in a graph is not.
    for module in [m for name, m in sys.modules.items() if name.partition(".")[0] == "warpkit"]:
        for cls in [c for c in vars(module).values() if isinstance(c, type)]:
            if dataclasses.is_dataclass(cls):
                monkeypatch.setattr(cls, "__init__", inspect.unwrap(cls.__init__))
            if hasattr(cls, "_fields") or issubclass(cls, wk.InputError):  # a named tuple
                for name, method in list(vars(cls).items()):
                    if inspect.isfunction(method):
                        monkeypatch.setattr(cls, name, inspect.unwrap(method))
                    elif isinstance(method, property):
                        monkeypatch.setattr(cls, name, property(inspect.unwrap(method.fget)))


@pytest.fixture(scope="session")
def mnist(tmp_path_factory) -> Path:
    """A folder as MNIST's, with a few digits."""
    folder = tmp_path_factory.mktemp("mnist")
    write_idx(folder, "train", TRAIN)
    write_idx(folder, "t10k", TEST)
    return folder
