import struct
from pathlib import Path

import numpy as np
import pytest

TRAIN, TEST = 96, 40


def write_idx(folder: Path, half: str, count: int) -> None:
    """Digits one can tell apart: a bar at another place for each class, in some noise. MNIST's own format."""
    random = np.random.default_rng(count)
    labels = np.arange(count, dtype=np.uint8) % 10
    images = random.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 + 2 * label : 7 + 2 * label, 8:20] = 255
    (folder / f"{half}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, count, 28, 28) + images.tobytes())
    (folder / f"{half}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, count) + labels.tobytes())


@pytest.fixture(scope="session")
def mnist(tmp_path_factory) -> Path:
    """A folder as MNIST's, with a few digits."""
    folder = tmp_path_factory.mktemp("mnist")
    write_idx(folder, "train", TRAIN)
    write_idx(folder, "t10k", TEST)
    return folder


@pytest.fixture
def small(tmp_path, mnist) -> Path:
    """The file of an experiment that takes a moment."""
    file = tmp_path / "small.toml"
    file.write_text(f"""
version = 1
title = "A moment"
data = {{ type = "digits", distortion = "r", folder = {str(mnist)!r} }}
training = {{ epochs = 4, batch = 32, rate = 0.01 }}

[models.plain]
spec = {{ layers = [{{ type = "AvgPool2d", kernel_size = 4 }}, "Flatten", {{ type = "Dropout", p = 0.2 }}, \
{{ type = "Linear", out_features = 10 }}] }}
label = "Plain"

[models.warped]
spec = {{ layers = [
  {{ type = "spatial_transformer", localization = {{ type = "dense_localization", hidden = [8] }} }},
  {{ type = "AvgPool2d", kernel_size = 4 }}, "Flatten", {{ type = "Linear", out_features = 10 }}] }}
beside = "plain"
paper = 1.5
""")
    return file
