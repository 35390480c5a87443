"""The classifiers of the demo, from a spec file of the package."""

import importlib.resources
import tomllib
from collections.abc import Sequence
from typing import Any

Spec = dict[str, Any]


def digit_classifiers(shape: Sequence[int]) -> dict[str, Spec]:
    """The specs of a CNN and of the same CNN with a spatial transformer in front, by their names.

    `shape` is that of one image, [C, H, W]. The CNN is the other spec without its first layer, so that nothing else can
    differ.
    """
    file = importlib.resources.files("warpkit.training") / "specs" / "demo.toml"
    spec = tomllib.loads(file.read_text(encoding="utf-8")) | {"input": list(shape)}
    return {"CNN": spec | {"layers": spec["layers"][1:]}, "ST-CNN": spec}
