"""What the page offers: transforms, their options and parameters, kernels and paddings, plugins' included."""

import inspect
import json
from typing import Any

import torch
from torch import Tensor

from warpkit.boundary import PADDING_MODES
from warpkit.cli.values import parse_options
from warpkit.errors import InputError, require
from warpkit.kernels.base import kernels
from warpkit.play.asked import MOST_PARAMS, Chosen
from warpkit.play.pictures import Picture
from warpkit.quoting import reason
from warpkit.transforms.base import Transform, transforms

_AROUND = 1.5  # how far a slider goes from where it starts
_FIELD = "its θ is a field, which no few handles bend: free_form has control points"


def everything() -> dict[str, Any]:
    """The names to choose from, and those that are not offered, each with the reason."""
    why = {name: _unfit(name) for name in transforms.names()}
    offered = [name for name in why if not why[name]]
    withheld = [{"name": name, "why": why[name]} for name in why if why[name]]
    named = [name for name in kernels.names() if _works(name)]
    return {"transforms": offered, "withheld": withheld, "kernels": named, "paddings": list(PADDING_MODES)}


def options(transform: str, picture: Picture) -> list[dict[str, str]]:
    """The options of a transform as texts, with their defaults; the aspect is the picture's."""
    texts = _defaults(transform)
    if "aspect" in texts:
        texts["aspect"] = _aspect(picture)
    return [{"name": key, "value": text} for key, text in texts.items()]


def parameters(chosen: Chosen) -> dict[str, Any]:
    """The parameters of a transform with its options, the ranges of their sliders, and what it is."""
    transform = transform_of(chosen)
    theta, note = start(transform)
    what = inspect.cleandoc(type(transform).__doc__ or "").partition("\n\n")[0]
    return {
        "params": [
            {"name": name, "start": value, "low": value - _AROUND, "high": value + _AROUND}
            for name, value in zip(transform.param_names, theta.tolist(), strict=True)
        ],
        "what": f"{what} {note}".replace("\n", " ").replace("`", "").strip(),
    }


def options_of(chosen: Chosen) -> dict[str, Any]:
    """The options as values, without those that are left empty or are what they would be anyway."""
    given, defaults = (
        parse_options(chosen.transform, [f"{key}={text}" for key, text in texts.items() if text.strip()])
        for texts in (chosen.options, _defaults(chosen.transform))
    )
    return {key: value for key, value in given.items() if key not in defaults or defaults[key] != value}


def transform_of(chosen: Chosen) -> Transform:
    """The transform, which `wk.warp` would use for the same table; `InputError` unless the page can show it."""
    made = transforms.shared({"type": chosen.transform, **options_of(chosen)}, torch.device("cpu"))
    require(made.ndim == 2, f"{chosen.transform} is in {made.ndim}-D, and a picture in 2-D")
    require(not made.is_field, f"{chosen.transform}: {_FIELD}")
    most = f"at most {MOST_PARAMS} parameters, a slider each"
    require(made.num_params <= MOST_PARAMS, chosen.transform, expected=most, given=made.num_params)
    return made


def start(transform: Transform) -> tuple[Tensor, str]:
    """θ that the page begins with, [P], and what is to be said about it."""
    try:
        return transform.identity().float(), ""
    except InputError:
        return torch.zeros(transform.num_params), "It has no identity: it begins with zeros."


def _unfit(name: str) -> str:
    """Why a transform is not offered; empty where it is, or where it only lacks an option that must be given."""
    try:
        if any(it.default is it.empty and it.kind < it.VAR_POSITIONAL for it in transforms.options(name).values()):
            return ""
        made = transforms.create(name)
        if made.is_field:
            return _FIELD
        return "" if made.ndim == 2 else f"it is in {made.ndim}-D"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's module and class do
        return reason(error) if isinstance(error, InputError) else f"{type(error).__name__}: {reason(error)}"


def _works(kernel: str) -> bool:
    try:
        return kernels.create(kernel) is not None
    except KeyboardInterrupt:
        raise
    except BaseException:  # it is broken, or needs an option: `warpkit list` says what is wrong
        return False


def _defaults(transform: str) -> dict[str, str]:
    """The options that the page shows, with their defaults as texts; empty for None and for what JSON cannot say."""
    texts = {}
    for key, option in transforms.options(transform).items():
        if key == "ndim" or option.kind is option.VAR_KEYWORD:  # a picture has two dimensions
            continue
        try:
            plain = option.default is not option.empty and option.default is not None
            texts[key] = json.dumps(option.default, allow_nan=False) if plain else ""
        except (TypeError, ValueError, RecursionError):
            texts[key] = ""
    return texts


def _aspect(picture: Picture) -> str:
    """W / H, so that what is called a turn is one in pixels."""
    height, width = picture.size
    return f"{width / height:.4f}".rstrip("0").rstrip(".")
