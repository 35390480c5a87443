"""Every built-in kernel: its formula, its frequency response, and a piece of a photograph enlarged by it."""

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from canvas import BLUE, GREY, ORANGE, photo, show
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

import warpkit as wk
from warpkit.kernels.base import kernels

# The options with which a kernel is drawn; one that is not named here is drawn as it comes.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "bicubic": [{}, {"a": -0.5}],
    "bspline": [{}, {"degree": 5}],
    "gaussian": [{"sigma": 0.5}, {}],
    "lanczos": [{"a": 2}, {}, {"normalized": True}],
    "mitchell": [{}, {"b": 1, "c": 0}],
}
WIDTH, MIDDLE = 129, 64  # of the row of zeros with a one in its middle
FINE = 128  # distances in each pixel, for the frequency response
FLOOR = -80.0  # dB
LEFT, TOP, SIDE, TIMES = 44, 40, 32, 6  # of the piece, in pixels of the photograph, and how much it is enlarged


def built_in() -> Iterator[tuple[str, wk.Kernel]]:
    """Name, with its options, and kernel, the narrowest first."""
    names = [n for n in wk.list_kernels() if kernels.entries(n)[0].value.startswith("warpkit.kernels.")]
    made = [(name, options, wk.get_kernel(name, **options)) for name in names for options in OPTIONS.get(name, [{}])]
    for name, options, kernel in sorted(made, key=lambda entry: (entry[2].radius, entry[0])):
        yield ", ".join([name, *map(words, options, options.values())]), kernel


def words(option: str, value: Any) -> str:
    if isinstance(value, bool):
        return option if value else f"no {option}"
    return f"{option} = {value}".replace("-", "−")


def response_to_one(kernel: wk.Kernel, distance: np.ndarray) -> np.ndarray:
    """The weight at each distance, sampled from a row of zeros and a one, so that a prefilter takes part."""
    row = torch.zeros(1, 1, WIDTH, dtype=torch.float64)
    row[..., MIDDLE] = 1
    coords = (2 * (MIDDLE + torch.from_numpy(distance)) + 1) / WIDTH - 1
    with torch.no_grad():
        return wk.sample(row, coords[None, :, None], kernel=kernel)[0, 0].numpy()


def draw_formula(ax: Axes, kernel: wk.Kernel) -> None:
    d = np.linspace(-4, 4, 1602)  # no multiple of a half: there nearest jumps
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.plot(d, response_to_one(kernel, d), color=BLUE, linewidth=1.5)
    m = np.arange(-3, 4)
    ax.plot(m, response_to_one(kernel, m + 1e-9), "o", color=ORANGE, markersize=3.5)
    ax.set(xlim=(-4, 4), ylim=(-0.3, 1.15), xticks=range(-4, 5, 2), yticks=[0, 1])


def draw_spectrum(ax: Axes, kernel: wk.Kernel) -> None:
    """Draw |K(f)| / |K(0)| = |∫ k(d) exp(−2πi f d) dd| / |∫ k(d) dd| in dB, by the sum over fine distances."""
    d = (np.arange(-32 * FINE, 32 * FINE) + 0.5) / FINE
    f = np.linspace(0, 3, 601)
    size = np.abs(np.exp(-2j * np.pi * np.outer(f, d)) @ response_to_one(kernel, d))
    with np.errstate(divide="ignore"):
        decibels = 20 * np.log10(np.maximum(size / size[0], 1e-6))
    ax.axvline(0.5, color=ORANGE, linestyle="--", linewidth=1)
    ax.plot(f, decibels, color=BLUE, linewidth=1.2)
    ax.set(xlim=(0, 3), ylim=(FLOOR, 6), xticks=[0, 0.5, 1, 2, 3], yticks=[0, -40, -80])
    ax.set_yticklabels(["0", "−40", "−80"])
    ax.set_xticklabels(["0", "½", "1", "2", "3"])


def rows(chosen: list[tuple[str, wk.Kernel]]) -> Figure:
    """Draw a row for each kernel."""
    size = (6.3, 1.8 * len(chosen) + 0.5)
    figure, axes = plt.subplots(len(chosen), 3, figsize=size, layout="constrained", width_ratios=[4, 4, 3.6])
    patch = photo(128)[..., TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    for (name, kernel), (formula, spectrum, picture) in zip(chosen, axes, strict=True):
        draw_formula(formula, kernel)
        draw_spectrum(spectrum, kernel)
        show(picture, enlarged(patch, kernel))
        formula.set_title(name, fontsize=11, loc="left", fontweight="bold")
        for ax in (formula, spectrum):
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(labelsize=9)
    axes[0, 1].set_title("frequency response, dB", fontsize=10, color=GREY)
    axes[0, 2].set_title(f"enlarged × {TIMES}", fontsize=10, color=GREY)
    axes[0, 1].text(0.45, -75, "Nyquist", color=ORANGE, fontsize=9, rotation=90, ha="right", va="bottom")
    axes[-1, 0].set_xlabel("distance d, pixels")
    axes[-1, 1].set_xlabel("frequency, cycles a pixel")
    return figure


def enlarged(patch: Tensor, kernel: wk.Kernel) -> Tensor:
    theta = wk.get_transform("affine").identity()[None]
    size = (TIMES * patch.shape[-2], TIMES * patch.shape[-1])
    with torch.no_grad():
        return wk.warp(patch, "affine", theta, size=size, kernel=kernel, padding_mode="border")


def interpolating_kernels() -> Figure:
    return rows([(name, kernel) for name, kernel in built_in() if kernel.interpolating])


def smoothing_kernels() -> Figure:
    return rows([(name, kernel) for name, kernel in built_in() if not kernel.interpolating])
