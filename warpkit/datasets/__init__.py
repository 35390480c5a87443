"""Pictures to train spatial transformers on: distorted handwritten digits, house numbers, birds."""

from warpkit.datasets.addition import Addition
from warpkit.datasets.colocalisation import Located, colocalisation, iou
from warpkit.datasets.cub import Bird, Birds
from warpkit.datasets.digits import Digits, Labelled, digits
from warpkit.datasets.distortions import Distortion, distortions, get_distortion, place
from warpkit.datasets.svhn import HouseDigits, HouseNumber, HouseNumbers, house_digits
from warpkit.datasets.volumes import Extrude

__all__ = [
    "Addition",
    "Bird",
    "Birds",
    "Digits",
    "Distortion",
    "Extrude",
    "HouseDigits",
    "HouseNumber",
    "HouseNumbers",
    "Labelled",
    "Located",
    "colocalisation",
    "digits",
    "distortions",
    "get_distortion",
    "house_digits",
    "iou",
    "place",
]
