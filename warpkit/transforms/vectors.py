"""Lists of points that are filled up, so that each has the same bits wherever it stands among the others.

At the end of a list torch computes the numbers that fill no vector by other functions (atan2, the logarithm), which
round otherwise. In whole vectors a part of an output has the bits of the whole.
"""

import torch
from torch import Tensor

from warpkit import tracing

_WHOLE = 256  # numbers: whole vectors of any processor, on each of one, two, four or eight threads


def filled(points: Tensor) -> Tensor:
    """Points `[N, M, D]`, and the last again until they fill whole vectors; as they are on a GPU and in a graph."""
    short = -points.shape[1] % _WHOLE
    if short == 0 or points.device.type != "cpu" or tracing.is_recording() or tracing.is_scripting():
        return points
    return torch.cat([points, points[:, -1:].expand(-1, short, -1)], dim=1)
