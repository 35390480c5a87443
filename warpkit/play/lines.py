"""The lines to copy: what the page shows, as Python and for a shell."""

import json
import shlex
import textwrap
from typing import Any

from warpkit.play.asked import FLAGS, Asked

_ROW = 96  # letters of a line


def python(asked: Asked, options: dict[str, Any], theta: list[str]) -> str:
    """The call of `wk.warp`; `theta` are its numbers as Python writes them, `image` is [1, C, H, W]."""
    transform = {"type": asked.transform, **options} if options else asked.transform
    said = [
        f"size={asked.size}" if asked.size else "",
        f"kernel={_written(asked.kernel)}" if asked.kernel != "bilinear" else "",
        f"padding_mode={_written(asked.padding)}" if asked.padding != "zeros" else "",
        *(f"{flag}=True" for flag in FLAGS if getattr(asked, flag)),
    ]
    numbers = ", ".join(theta)
    held = f"torch.tensor([[{numbers}]])"
    if len(held) > _ROW:
        rows = textwrap.fill(numbers, _ROW, initial_indent="    ", subsequent_indent="    ")
        held = f"torch.tensor([[\n{rows}\n]])"
    call = ", ".join(["image", _written(transform), "theta", *filter(None, said)])
    return f"theta = {held}\nwarped = wk.warp({call})"


def command(asked: Asked, options: dict[str, Any], name: str, theta: list[str]) -> str:
    """The line of `warpkit warp` that writes the same picture."""
    name = f"./{name}" if name.startswith("-") else name
    words = ["warpkit", "warp", name, "warped.png", "--transform", asked.transform]
    for key in options:
        words += ["--set", f"{key}={asked.options[key].strip()}"]
    words += ["--theta", *(number.removesuffix(".0") for number in theta)]
    words += ["--size", *map(str, asked.size)] if asked.size else []
    words += ["--kernel", asked.kernel] if asked.kernel != "bilinear" else []
    words += ["--padding", asked.padding] if asked.padding != "zeros" else []
    words += [f"--{flag.replace('_', '-')}" for flag in FLAGS if getattr(asked, flag)]
    return shlex.join(words)


def _written(value: Any) -> str:
    """A value as Python writes it, with double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_written(k)}: {_written(v)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(map(_written, value)) + "]" if isinstance(value, list) else repr(value)
