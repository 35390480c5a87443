"""Which axis of an array is which: letters, in the array's order."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from warpkit.errors import InputError
from warpkit.quoting import Told

SPACE = "ZYX"


class Layout(NamedTuple):
    """The axes of an array, as letters in its order, and their sizes: X, Y, Z are space, C is the channels.

    All others count images: a time, a position, a batch.
    """

    axes: str
    shape: tuple[int, ...]

    @property
    def space(self) -> str:
        """The letters of space, rows first, as an image has them."""
        return "".join(letter for letter in SPACE if letter in self.axes)

    @property
    def images(self) -> str:
        """The letters of the axes that count images."""
        return "".join(letter for letter in self.axes if letter not in SPACE + "C")

    @property
    def order(self) -> list[int]:
        """The array's axes in the order of an image: those that count images, channels, space."""
        return [self.axes.index(letter) for letter in self.images + "C" * ("C" in self.axes) + self.space]

    def size_of(self, letters: str) -> tuple[int, ...]:
        """The sizes of some axes; 1 for one that there is not."""
        return tuple(self.shape[self.axes.index(letter)] if letter in self.axes else 1 for letter in letters)

    def slices(self, image: Sequence[int], channels: slice, box: Sequence[tuple[int, int]]) -> tuple[Any, ...]:
        """What to read of the array: one image's channels in a box."""
        found: dict[str, Any] = {letter: slice(at, at + 1) for letter, at in zip(self.images, image, strict=True)}
        found |= {"C": channels} | {
            letter: slice(start, stop) for letter, (start, stop) in zip(self.space, box, strict=True)
        }
        return tuple(found[letter] for letter in self.axes)

    def to_images(self, values: Tensor) -> Tensor:
        """What was read, as images `[N, C, *S]`."""
        turned = values.permute(self.order)
        lead, d = len(self.images), len(self.space)
        space = turned.shape[turned.ndim - d :]
        channels = turned.shape[lead] if "C" in self.axes else 1
        return turned.reshape(-1, channels, *space)

    def from_images(self, images: Tensor, lead: Sequence[int]) -> Tensor:
        """The way back; `lead`: the sizes of the axes that count images."""
        space = images.shape[2:]
        channels = images.shape[1:2] if "C" in self.axes else ()
        turned = images.reshape(*lead, *channels, *space)
        return turned.permute(*torch.argsort(torch.tensor(self.order)).tolist())


def layout_of(axes: str | None, shape: Sequence[int]) -> Layout:
    """The layout; `InputError` for letters that do not name the axes of such an array."""
    given = "YX" if axes is None else axes
    letters = given.upper() if isinstance(given, str) else ""
    known = letters.isascii() and letters.isalpha() and len(set(letters)) == len(letters)
    space = {letter for letter in letters if letter in SPACE}
    if not known or space not in ({"X"}, {"Y", "X"}, {"Z", "Y", "X"}):
        raise InputError("axes", expected="different letters, X, YX or ZYX among them, such as CYX", given=axes)
    if len(letters) != len(shape):
        hint = {3: 'axes="CYX", say, or "ZYX"', 4: 'axes="CZYX", say, or "NCYX"'}.get(len(shape), "")
        expected = f"a letter for each axis of {list(shape)}"
        raise InputError("axes", expected=expected, given=Told(letters), hint=hint)
    if 0 in shape:
        raise InputError("array", expected="a pixel at least", given=list(shape))
    return Layout(letters, tuple(shape))
