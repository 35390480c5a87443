"""Lens distortion for warpkit: `transform="lens"` once this package is installed."""

from warpkit_lens.lens import Lens

__all__ = ["Lens"]
