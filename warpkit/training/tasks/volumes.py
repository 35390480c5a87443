"""The task to classify digits that were extruded and placed in a volume (the paper's appendix A.3)."""

import math
from typing import Annotated, Literal

from pydantic import Field

from warpkit.datasets import Extrude
from warpkit.training.tasks.base import Classification
from warpkit.training.tasks.digits import DigitSource, DigitTask

Scale = Annotated[float, Field(gt=0)]


class VolumesData(DigitSource):
    """The table `[data]` of `type = "volumes"`.

    `canvas`: the side of a volume, in voxels. `depth`: how many voxels deep a digit is. `turn`: the largest angle about
    each axis, in degrees. `scale`: the least and the most.
    """

    type: Literal["volumes"] = "volumes"
    canvas: Annotated[int, Field(ge=28, le=256)] = 60
    depth: Annotated[int, Field(ge=1, le=256)] = 14
    turn: Annotated[float, Field(ge=0, le=180)] = 0.0
    scale: Annotated[tuple[Scale, Scale], Field(strict=False)] = (1.0, 1.0)


class Volumes(DigitTask, Classification):
    """The task to tell which digit there is in a volume."""

    classes = 10

    def __init__(self, data: VolumesData) -> None:
        extrude = Extrude(data.canvas, data.depth, math.radians(data.turn), data.scale)
        super().__init__(data, extrude, "in volumes")
