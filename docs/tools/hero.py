"""Draws the picture of the front page that can be dragged: docs/tools/hero.py

For each of four transforms θ goes from one end to the other in steps. `warped.webp` holds what `wk.warp` makes of the
photograph, a row for each transform and a column for each step, `lines.svg` the sampling grids in the same order, and
`still.webp` is one of them for readers without JavaScript. docs/javascripts/home.js shows a frame at a time.
"""

import math
from typing import NamedTuple

import torch
from canvas import ROOT, YELLOW, photo
from PIL import Image, ImageDraw
from torch import Tensor

import warpkit as wk

PICTURES = ROOT / "docs/img/hero"
STEPS, SIDE, LINES = 15, 256, 7
EDGE = 1.2  # of the panel that shows the grid over the photograph: grids reach beyond −1 … 1


class Whirl(wk.Transform):
    """The transform that the tutorial writes in ten lines: θ = (angle in radians, reach)."""

    ndim, num_params = 2, 2

    def identity(self) -> Tensor:
        return torch.tensor([0.0, 1.0])

    def forward(self, theta: Tensor, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        turn = theta[:, :1] * torch.exp(-(x**2 + y**2) / theta[:, 1:] ** 2)
        return torch.stack([x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos()], -1)


class Row(NamedTuple):
    """A transform, and θ for t from −1 to 1: identity + t · there."""

    transform: wk.Transform
    there: Tensor
    vertices: int  # of a line: straight ones stay straight under matrices


def rows() -> list[Row]:
    spline = wk.get_transform("thin_plate_spline", grid=(4, 4))
    moved = 0.13 * torch.randn(32, generator=torch.Generator().manual_seed(3))
    tilt = torch.tensor([0.0, 0, 0, 0, 0, 0, 0.3, 0.22])
    turn = torch.tensor([math.radians(35), 0, 0])
    return [
        Row(wk.get_transform("euclidean"), turn, 2),
        Row(wk.get_transform("projective"), tilt, 2),
        Row(spline, moved, 21),
        Row(Whirl(), torch.tensor([1.5, -0.3]), 21),
    ]


def thetas(row: Row) -> Tensor:
    t = torch.linspace(-1, 1, STEPS)[:, None]
    if isinstance(row.transform, Whirl):  # its reach stays as it is
        return torch.cat([t * row.there[0], (1 + row.there[1]).expand(STEPS, 1)], dim=1)
    return row.transform.identity() + t * row.there


def grid(transform: wk.Transform, theta: Tensor, vertices: int) -> Tensor:
    """The lines of a coarse grid over the output, where they lie in the input: [2 · LINES, vertices, 2]."""
    along, across = torch.linspace(-1, 1, vertices), torch.linspace(-1, 1, LINES)
    level = torch.stack(torch.meshgrid(along, across, indexing="xy"), -1)
    both = torch.cat([level, level.flip(-1)]).reshape(1, -1, 2)
    return transform(theta[None], both).reshape(2 * LINES, vertices, 2)


def frame_of_lines(lines: Tensor, column: int, row: int) -> str:
    """A frame of the sheet, clipped to itself; a unit is a hundredth of half the photograph."""
    drawn = "".join(
        "M" + " ".join(f"{x},{y}" for x, y in line) for line in (100 * lines).round().to(torch.int64).tolist()
    )
    box = f'x="{column * SIDE}" y="{row * SIDE}" width="{SIDE}" height="{SIDE}"'
    half = round(100 * EDGE)
    return f'<svg {box} viewBox="-{half} -{half} {2 * half} {2 * half}"><path d="{drawn}"/></svg>\n'


def picture(image: Tensor) -> Image.Image:
    return Image.fromarray((255 * image).clamp(0, 255).byte().permute(1, 2, 0).numpy())


def still(image: Tensor, warped: Tensor, lines: Tensor) -> Image.Image:
    """The photograph under the grid, beside what it becomes."""
    sheet = Image.new("RGBA", (2 * SIDE + 16, SIDE))
    inner = round(SIDE / EDGE)
    sheet.paste(picture(image).resize((inner, inner), Image.Resampling.LANCZOS), ((SIDE - inner) // 2,) * 2)
    pen = ImageDraw.Draw(sheet)
    for line in ((lines / EDGE + 1) * SIDE / 2).tolist():
        pen.line([tuple(point) for point in line], fill=YELLOW, width=2, joint="curve")
    sheet.paste(picture(warped), (SIDE + 16, 0))
    return sheet


def main() -> None:
    """Write the three pictures, and the photograph that lies under the grids."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    image = photo(2 * SIDE)
    sheet = Image.new("RGB", (STEPS * SIDE, len(rows()) * SIDE))
    size = f'width="{sheet.width}" height="{sheet.height}"'
    drawn = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} fill="none" stroke="{YELLOW}" stroke-width="2">\n']
    for r, row in enumerate(rows()):
        theta = thetas(row)
        warped = wk.warp(image, row.transform, theta, size=SIDE, kernel="bicubic", antialias=True)
        for c in range(STEPS):
            lines = grid(row.transform, theta[c], row.vertices)
            sheet.paste(picture(warped[c]), (c * SIDE, r * SIDE))
            drawn.append(frame_of_lines(lines, c, r))
            if (r, c) == (2, STEPS - 1):
                still(image[0], warped[c], lines).save(PICTURES / "still.webp", quality=85, method=6)
    sheet.save(PICTURES / "warped.webp", quality=60, method=6)
    (PICTURES / "lines.svg").write_text("".join([*drawn, "</svg>\n"]), encoding="utf-8")
    picture(image[0]).save(PICTURES / "photo.webp", quality=80, method=6)
    for path in sorted(PICTURES.iterdir()):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
