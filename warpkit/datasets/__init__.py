"""Pictures to try spatial transformers on: real handwritten digits, and ways to distort them."""

from warpkit.datasets.digits import Digits, Labelled, digits
from warpkit.datasets.distortions import Distortion, distortions, get_distortion, place

__all__ = [
    "Digits",
    "Distortion",
    "Labelled",
    "digits",
    "distortions",
    "get_distortion",
    "place",
]
