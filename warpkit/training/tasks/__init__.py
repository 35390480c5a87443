"""What experiments are about: one file each."""

from typing import Any

from warpkit.training.tables import Table
from warpkit.training.tasks.base import Task
from warpkit.training.tasks.digits import Digits, DigitsData

# What `[data]` may say as its `type`: its other options, and what is made of them.
TASKS: dict[str, tuple[type[Table], Any]] = {"digits": (DigitsData, Digits)}

__all__ = ["TASKS", "Task"]
