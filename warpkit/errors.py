"""The one error for whatever was given wrongly, and the two ways to raise it."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from warpkit.quoting import listed, quoted

__all__ = ["NOTHING", "InputError", "at", "quoted", "require", "unknown"]

NOTHING = object()  # None can be given


class InputError(ValueError):
    """What was given wrongly. Its text is made of its attributes, so that no program has to read the text.

    They are text, as the message has it: an error keeps no tensor alive, and goes through pickle. One that is empty was
    not said. `InputError("a sentence")` is as good: the sentence is `what`.

    Attributes:
        what: what it is about: an argument, an option, the kind of a name; or all that is to be said.
        given: what was given; `quoted`, unless it is `Told`.
        expected: what was expected; of an unknown name, the tuple of all that are known.
        hint: what to do about it, or the nearest right names.
        path: where it stands: a place in a spec such as "layers[0].transform.grid", a file, "spec: " before it.
        mistakes: each as an error of its own, where a spec or an experiment has several.
    """

    what: str = ""
    given: str = ""
    expected: str | tuple[str, ...] = ""
    hint: str = ""
    path: str = ""
    mistakes: "tuple[InputError, ...]" = ()

    def __init__(
        self,
        what: str = "",
        *,
        given: object = NOTHING,
        expected: str | tuple[str, ...] = "",
        hint: str = "",
        path: str = "",
        mistakes: "Sequence[InputError]" = (),
    ) -> None:
        self.what, self.expected = what, expected
        self.given = "" if given is NOTHING else str(quoted(given))
        self.hint, self.path, self.mistakes = hint, path, tuple(mistakes)
        self.args = (self._text(),)

    def at(self, path: str) -> "InputError":
        """The same complaint, with where it stands in front of the path that it has."""
        return self._with(path=f"{path}: {self.path}" if path and self.path else path or self.path)

    def hinting(self, hint: str) -> "InputError":
        """The same complaint with this hint."""
        return self._with(hint=hint)

    def _with(self, **changes: str) -> "InputError":
        made = InputError(self.what or str(self))
        vars(made).update(vars(self), **changes)
        made.args = (made._text(),)
        return made

    def _text(self) -> str:
        """path: what: expected this, got that. Hint"""
        front = f"{self.path}: " if self.path else ""
        if self.mistakes:
            return front + f"\n{' ' * len(front)}".join(map(str, self.mistakes))
        if isinstance(self.expected, tuple):
            hint = f" {self.hint}" if self.hint else ""
            return f"{front}unknown {self.what} {self.given}.{hint} Known: {listed(self.expected) or 'none'}."
        is_told = f".{self.path}".endswith(f".{self.what}")  # a path that ends in the option
        text = "" if is_told else self.what
        if self.expected:
            text += f"{': ' if text else ''}expected {self.expected}"
        if self.given:
            text += f"{', ' if text else ''}got {self.given}"
        hint = f"{'. ' if self.hint[:1].isupper() else ': '}{self.hint}" if self.hint else ""
        return f"{front}{text}{hint}"


def require(
    ok: bool, what: str = "", *, given: object = NOTHING, expected: str = "", hint: str = "", path: str = ""
) -> None:
    """Raise an `InputError` of this message unless `ok` holds."""
    if not ok:
        raise InputError(what, given=given, expected=expected, hint=hint, path=path)


@contextmanager
def at(path: str) -> Iterator[None]:
    """An `InputError` inside gets this path in front."""
    try:
        yield
    except InputError as error:
        raise error.at(path) from error


# What other libraries, and the field, call the things that have another name here, or a name and an option.
_ELSEWHERE: dict[str, str | dict[str, object]] = {
    "linear": "bilinear",
    "trilinear": "bilinear",
    "cubic": "bicubic",
    "catmull_rom": {"type": "bicubic", "a": -0.5},
    "catmull-rom": {"type": "bicubic", "a": -0.5},
    "constant": "zeros",
    "fill": "zeros",
    "grid-constant": "zeros",
    "circular": "wrap",
    "periodic": "wrap",
    "grid-wrap": "wrap",
    "reflect": "reflection",
    "mirror": "reflection",
    "grid-mirror": "reflection",
    "symmetric": "reflection",
    "edge": "border",
    "replicate": "border",
    "clamp": "border",
    "nearest": "border",  # of paddings: no kernel of that name is unknown
    "homography": "projective",
    "perspective": "projective",
    "rigid": "euclidean",
    "tps": "thin_plate_spline",
    "stn": "spatial_transformer",
    "svf": "velocity",
    "flow": "displacement",
    "dense": "displacement",
    "crop": "attention",
    "zoom": "attention",
    "ffd": "free_form",
    "warp_polar": "polar",
    **{f"lanczos{a}": {"type": "lanczos", "a": a} for a in range(2, 9)},
    "lanczos_normalized": {"type": "lanczos", "normalized": True},
    "sinc": "lanczos",
    "spline": "bspline",
    **{f"{name}{n}": {"type": "bspline", "degree": n} for name in ("bspline", "spline") for n in range(8)},
    "b-spline": "bspline",
    "catmull": {"type": "bicubic", "a": -0.5},
    "rotation": "euclidean",
    "rotate": "euclidean",
}


def unknown(what: str, given: object, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist: quotes it, suggests the nearest names and lists what is known."""
    known = sorted(known)
    lowered = {name[:200].lower(): name for name in known[:500]}  # a stranger's may be many and long
    wanted = given[:200].lower() if isinstance(given, str) else ""
    ours = _ELSEWHERE.get(wanted, "")
    elsewhere = [ours] if (ours["type"] if isinstance(ours, dict) else ours) in known else []
    near = [quoted(name) for name in elsewhere or map(lowered.get, difflib.get_close_matches(wanted, lowered, n=3))]
    hint = f"Did you mean {' or '.join(near)}?" if near else ""
    if wanted in ("area", "box") and "bilinear" in known:
        hint = "The mean over an area is antialias=True, with any kernel."
    if wanted in ("bspline", "b-spline") and "free_form" in known:
        hint = "Did you mean 'free_form'?"
    return InputError(what, given=given, expected=tuple(known), hint=hint)
