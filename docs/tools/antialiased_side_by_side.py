"""Scenes that are made smaller: by one sample a pixel, by others, by `antialias=True`, and as they should be."""

import matplotlib.pyplot as plt
from antialiasing import CASES, WAYS, distance, photograph, truth, zone_plate
from canvas import GREY, show
from matplotlib.figure import Figure

ROWS = [
    ("Zone plate,\n8 times smaller", zone_plate, CASES[0], ("torch", "torch, antialias=True")),
    ("Photograph,\n3 times smaller, turned", photograph, CASES[2], ("OpenCV", "OpenCV, INTER_AREA first")),
    ("Zone plate\nup to the horizon", zone_plate, CASES[4], ("OpenCV", "OpenCV, INTER_AREA first")),
]


def antialiased() -> Figure:
    """Draw a row for each scene; how far a picture is from the mean, as a part of its spread, stands over it."""
    figure, axes = plt.subplots(len(ROWS), 4, figsize=(7.6, 6.3), layout="constrained")
    for row, (title, make, case, theirs) in zip(axes, ROWS, strict=True):
        image = make()
        mean, _ = truth(image, case)
        shown = [("plain", "warp"), theirs, ("`antialias=True`", "warp, antialias=True")]
        for ax, (way, name) in zip(row[:3], shown, strict=True):
            found = WAYS[way](image, case)
            assert found is not None
            show(ax, found, f"{name}\nerror {100 * distance(found, mean):.1f} %", size=9)
        show(row[3], mean, "the mean over each pixel", size=9)
        row[0].text(-1.08, 0, title, rotation=90, ha="right", va="center", fontsize=9, color=GREY)
    return figure
