"""Modules whose options may change after something was computed from them."""

from typing import Any

from torch import nn


class CountsEdits(nn.Module):
    """A module that counts the changes of its attributes: what was kept before one, in a graph too, is out of date.

    What is changed inside a list, a dict or a submodule is not seen.
    """

    _edits: int = 0

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "training":  # which train() and eval() set
            object.__setattr__(self, "_edits", self._edits + 1)
