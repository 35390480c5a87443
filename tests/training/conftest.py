from pathlib import Path

import pytest
from torch import nn

from warpkit.training.experiment import Plan, plans
from warpkit.training.fit import Fitting


@pytest.fixture
def small(tmp_path, mnist) -> Path:
    """The file of an experiment that takes a moment."""
    return write_small(tmp_path / "small.toml", mnist)


@pytest.fixture(scope="session")
def whole(tmp_path_factory, mnist) -> Path:
    """The folder of a run of its model "warped", trained without a stop; to be copied, and left as it is."""
    out = tmp_path_factory.mktemp("whole")
    (plan,) = plans(write_small(out / "small.toml", mnist), ["warped"])
    Fitting(accelerator="cpu", progress=False)(plan, 0, out)
    return out / "small" / "warped" / "0"


@pytest.fixture
def tried(monkeypatch) -> dict[str, nn.Module]:
    """The networks of the plans that are made, as they were tried: to build them again would take seconds."""
    networks: dict[str, nn.Module] = {}
    build = Plan.build
    monkeypatch.setattr(Plan, "build", lambda plan, seed: networks.setdefault(plan.model, build(plan, seed)))
    return networks


def write_small(file: Path, mnist: Path) -> Path:
    file.write_text(f"""
version = 1
title = "A moment"
data = {{ type = "digits", distortion = "r", folder = {str(mnist)!r} }}
training = {{ epochs = 4, batch = 32, rate = 0.01 }}

[models.plain]
spec = {{ layers = [{{ type = "AvgPool2d", kernel_size = 4 }}, "Flatten", {{ type = "Dropout", p = 0.2 }}, \
{{ type = "Linear", out_features = 10 }}] }}
label = "Plain"

[models.normalised]
spec = {{ layers = [
  {{ type = "AvgPool2d", kernel_size = 4 }}, "BatchNorm2d", "Flatten", {{ type = "Linear", out_features = 10 }}] }}

[models.warped]
spec = {{ layers = [
  {{ type = "spatial_transformer", localization = {{ type = "dense_localization", hidden = [8] }} }},
  {{ type = "AvgPool2d", kernel_size = 4 }}, "Flatten", {{ type = "Linear", out_features = 10 }}] }}
beside = "plain"
paper = 1.5
""")
    return file
