"""A photograph as data: pixels, colour profile, palette."""

from dataclasses import dataclass

from torch import Tensor

_COLOURS = {1: "grey", 2: "grey with alpha", 3: "RGB", 4: "RGB with alpha"}


@dataclass(frozen=True)
class Palette:
    """The colours that indices stand for, three bytes each, and those that are transparent, in Pillow's own form."""

    colours: bytes
    transparency: int | bytes | None = None

    def begins(self, other: "Palette") -> bool:
        """Whether the other palette begins with the same colours: some formats fill palettes up."""
        return other.colours.startswith(self.colours) and other.transparency == self.transparency


@dataclass(frozen=True)
class Photo:
    """A photograph: `pixels` [C, H, W], uint8, uint16 or float32; C is 1 grey, 2 grey + alpha, 3 RGB, 4 RGB + alpha.

    Colours are not premultiplied by alpha. `profile` is the ICC profile that the colours are meant in. With a `palette`
    the one channel holds indices into it.
    """

    pixels: Tensor
    profile: bytes | None = None
    palette: Palette | None = None

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.pixels.shape[0] in (2, 4)

    @property
    def kind(self) -> str:
        """The kind of pixels in words, such as "RGB of 16 bits"."""
        if self.palette is not None:
            return "a palette" if self.palette.transparency is None else "a palette with transparency"
        number = "floating-point numbers" if self.pixels.is_floating_point() else f"{8 * self.pixels.itemsize} bits"
        return f"{_COLOURS[len(self.pixels)]} of {number}"
