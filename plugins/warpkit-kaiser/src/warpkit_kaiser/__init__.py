"""A Kaiser-windowed sinc for warpkit: `kernel="kaiser"` once this package is installed."""

from warpkit_kaiser.kaiser import Kaiser

__all__ = ["Kaiser"]
