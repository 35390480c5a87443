"""The tasks of experiments, one file for each."""

from typing import Any

from warpkit.training.tables import Table
from warpkit.training.tasks.addition import Addition, AdditionData
from warpkit.training.tasks.base import Task
from warpkit.training.tasks.birds import BirdsData, BirdsTask
from warpkit.training.tasks.colocalisation import Colocalisation, ColocalisationData
from warpkit.training.tasks.digits import Digits, DigitsData
from warpkit.training.tasks.hands import Hands, HandsData
from warpkit.training.tasks.house_numbers import HouseNumbersData, HouseNumbersTask
from warpkit.training.tasks.registration import Registration, RegistrationData
from warpkit.training.tasks.volumes import Volumes, VolumesData

# What `[data]` may say as its `type`: its other options, and what is made of them.
TASKS: dict[str, tuple[type[Table], Any]] = {
    "digits": (DigitsData, Digits),
    "addition": (AdditionData, Addition),
    "colocalisation": (ColocalisationData, Colocalisation),
    "registration": (RegistrationData, Registration),
    "hands": (HandsData, Hands),
    "volumes": (VolumesData, Volumes),
    "house_numbers": (HouseNumbersData, HouseNumbersTask),
    "birds": (BirdsData, BirdsTask),
}

__all__ = ["TASKS", "Task"]
