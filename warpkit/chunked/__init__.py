"""Images larger than memory: warps of Dask, Zarr and NumPy arrays, tile by tile, with the bits of `warp`."""

import importlib.util

from warpkit.distribution import to_install

for _needed in ("dask", "zarr"):
    if importlib.util.find_spec(_needed) is None:
        raise ModuleNotFoundError(f"wk.chunked needs {_needed}: {to_install('chunked')}", name=_needed)

from warpkit.chunked.gradients import gradient  # noqa: E402
from warpkit.chunked.saving import save  # noqa: E402
from warpkit.chunked.warping import warp  # noqa: E402

__all__ = ["gradient", "save", "warp"]
