"""Lanczos kernels for warpkit: `kernel="lanczos"` and `kernel="lanczos_normalized"` once this package is installed."""

from warpkit_lanczos.lanczos import Lanczos
from warpkit_lanczos.normalized import NormalizedLanczos

__all__ = ["Lanczos", "NormalizedLanczos"]
