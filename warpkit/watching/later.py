"""Numbers on a device that are read later, so that nobody waits for them."""

from typing import Any

import torch
from torch import Tensor


class Later:
    """A few numbers on their way from the device to the processor, which goes on meanwhile."""

    def __init__(self, numbers: Tensor) -> None:
        is_far = numbers.device.type == "cuda"
        self.numbers = numbers.to("cpu", non_blocking=True) if is_far else numbers
        # A plain copy would wait for all that the device still has to do, whatever it has to do with these numbers.
        self._arrival: Any = torch.cuda.Event() if is_far else None  # type: ignore[no-untyped-call]
        if self._arrival is not None:
            self._arrival.record(torch.cuda.current_stream(numbers.device))

    def is_here(self) -> bool:
        """Whether `read` would not wait."""
        return self._arrival is None or bool(self._arrival.query())

    def read(self) -> list[float]:
        """The numbers, once they are here."""
        if self._arrival is not None:
            self._arrival.synchronize()
        return self.numbers.tolist()
