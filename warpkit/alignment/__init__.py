"""Geometric matching: the θ that brings one image onto another."""

from warpkit.alignment.matching import align

__all__ = ["align"]
