"""The ways in which a transformer goes wrong, told by its figures, and what helps."""

import math
from collections.abc import Sequence

from warpkit.watching.measures import FIGURES

Figures = dict[str, float]

SEVERAL, MANY = 5, 20  # measurements: what is judged by an average, and what by its not changing
OUTSIDE = 0.8  # of the points: a zoom of 2.2 along each axis; a square that is turned has 0.17
POINT = 0.05  # of the image, along each axis
FOLDS = 0.1  # of the cells
MOVED, STILL = 1e-4, 1e-6  # distances of θ from where it started; nearer than the first, rounding hides its variety
FAR = 0.02  # a distance of a network that has learnt something
ALIKE, ALIKE_NEAR = 1e-3, 1e-4  # the spread of θ over images, as a part of that distance; of SGD it is 1.4e-3 at first
SAME, UNLIKE = 1e-5, 1e-3  # the spread of features that are the same, and of images that are not

_HELP = (
    "`fill=` set to the value of the background (of a normalised image −mean / std), a slower localization network "
    "(wk.parameter_groups(model, lr, localization=0.1)), `limits=` around the identity, or wk.Penalty in the loss"
)


def trouble(history: Sequence[Figures], ndim: int) -> tuple[str, str] | None:
    """The worst trouble in the latest measurements, as its kind and a text; None where all is well.

    Each holds `measures.FIGURES`; `gradient` where one came; the spread of what was `seen` and of `features`; whether
    its transformer `learns`, and whether its localization network is `cut` off. NaN is unknown.
    """
    now = history[-1]
    if not math.isfinite(now["distance"]):
        return "not finite", (
            "θ is not finite, so that its output is `fill` alone. Try a smaller learning rate, clipped gradients, or "
            "`limits=`, which bound θ."
        )
    if len(history) < SEVERAL:
        return None
    several = list(history)[-SEVERAL:]
    mean = {key: sum(h.get(key, math.nan) for h in several) / SEVERAL for key in FIGURES}
    size = math.hypot(mean["area"], mean["area_spread"]) ** (1 / ndim)
    if mean["outside"] > OUTSIDE:
        return "outside", (
            f"it looks outside of its image: {mean['outside']:.0%} of its points lie there (area "
            f"{mean['area']:.3g} of the image's). Try {_HELP}."
        )
    if size < POINT:
        return "point", (
            f"it looks at a single point: {size:.2g} of its image along each axis (area {mean['area']:.2g}). "
            f"Try {_HELP}."
        )
    if mean["folds"] > FOLDS:
        return "folds", (
            f"it folds its image: {mean['folds']:.0%} of the output is turned over. Try `limits=` around the identity, "
            "fewer control points, a slower localization network (wk.parameter_groups(model, lr, localization=0.1)), "
            "or wk.Penalty in the loss."
        )
    if all(h["learns"] and h.get("seen", 0) > UNLIKE and h.get("features", 1) < SAME for h in several):
        return "dead", (
            "θ is the same for every image, since its localization network gives the same features for each: its units "
            "may be dead (ReLUs that are all 0, which no gradient brings back). Build it anew, and try a smaller "
            "learning rate (wk.parameter_groups(model, lr, localization=0.1)) or another start of its weights."
        )
    if all(h.get("cut") for h in several):
        return "cut", (
            "no gradient reaches its localization network: the features that it gives carry none, though its "
            "parameters are to learn. Is something detached in it, or computed under `torch.no_grad`?"
        )
    alike = ALIKE if mean["distance"] > FAR else ALIKE_NEAR
    unlike = all(h.get("seen", 1) > UNLIKE for h in several)  # of images that are all the same nothing else is to come
    if unlike and mean["distance"] > MOVED and mean["variety"] < alike * mean["distance"]:
        return "alike", (
            f"θ is the same for every image (it varies by {mean['variety']:.2g}), though it has moved by "
            f"{mean['distance']:.2g} from where it started. Its localization network may be dead (ReLUs that are all "
            "0) or θ at its `limits=`: try a smaller learning rate (wk.parameter_groups(model, lr, localization=0.1))."
        )
    lately = list(history)[-MANY:]
    if len(lately) == MANY and all(h["learns"] for h in lately):
        if all(h["distance"] <= STILL for h in lately):
            return "still", (
                f"θ is still where it started after {MANY} measurements. Are its parameters in the optimizer (made "
                "after lazy layers had seen an input), does the loss depend on its output, is everything held by "
                "`limits=0`?"
            )
        if not any(h.get("gradient") for h in lately):
            return "no gradient", (
                f"no gradient has reached θ in {MANY} measurements. Does the loss depend on its output, is it detached "
                "on the way, are the layers behind it dead?"
            )
    return None
