"""What a check is: one claim that is tried with generated inputs, and the texts that tell of its failure."""

import dataclasses
import importlib
import inspect
import re
import unittest
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from hypothesis.strategies import SearchStrategy
from torch import Tensor

Function = Callable[..., None]
F = TypeVar("F", bound=Function)


class Broken(AssertionError):  # noqa: N818 - it says what the component is
    """A claim that does not hold: what was found instead of what was expected.

    `at`: the input that shows it, name → value; what was generated unless given. `hint`: how to mend this very case,
    where more can be said than the check's docstring does.
    """

    def __init__(self, found: object, expected: object, at: Mapping[str, object] | None = None, hint: str = "") -> None:
        super().__init__(f"found {shown(found)}, expected {shown(expected)}")
        self.found, self.expected, self.at, self.hint = found, expected, at, hint


class Doubtful(Exception):  # noqa: N818
    """A warning: the component is right, but seldom what is wanted. `hint` says what would change it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotApplicable(unittest.SkipTest):
    """The claim is not made by this component. hypothesis lets a SkipTest through at once."""


@dataclass(frozen=True)
class Check:
    """A named check. Messages and docs are made of its docstring: the claim, then `Why:`, `How:` and `Mend:`.

    `inputs` gives, for each generated argument, a strategy for the component at hand; without any the check runs once.
    A check is not run where one that it `needs` has failed. `afresh`: each input meets a component never called before.
    """

    name: str
    function: Function
    needs: tuple[str, ...]
    inputs: Mapping[str, Callable[[Any], SearchStrategy[Any]]]
    afresh: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        """A check is pickled by its name, since strategies cannot be pickled."""
        return _named, (self.function.__module__, self.name)

    @property
    def claim(self) -> str:
        """The claim: the docstring's first paragraph."""
        return _flowing(self._doc().partition("\nWhy:")[0])

    @property
    def why(self) -> str:
        """What goes wrong for a user where the claim is false."""
        return self._section("Why")

    @property
    def how(self) -> str:
        """How the claim is tested."""
        return self._section("How")

    @property
    def mend(self) -> str:
        """The change to a component that usually mends it."""
        return self._section("Mend")

    def _doc(self) -> str:
        return inspect.cleandoc(self.function.__doc__ or "")

    def _section(self, title: str) -> str:
        found = re.search(rf"^{title}:\n((?:[ ]+.*\n?|\n)+)", self._doc(), re.MULTILINE)
        return _flowing(found[1]) if found else ""


class Checks:
    """The checks for one kind of component, in the order in which they run."""

    def __init__(self, kind: str, *parts: "Checks") -> None:
        self.kind = kind
        self._checks: dict[str, Check] = {name: check for part in parts for name, check in part._checks.items()}

    def add(
        self, *needs: str, afresh: bool = False, **inputs: Callable[[Any], SearchStrategy[Any]]
    ) -> Callable[[F], F]:
        """Decorator for a check: a function that raises `Broken`, `Doubtful` or `NotApplicable`."""

        def take(function: F) -> F:
            self._checks[function.__name__] = Check(function.__name__, function, needs, inputs, afresh)
            return function

        return take

    def after(self, *needs: str) -> "Checks":
        """The same checks, each of which needs these others too."""
        later = Checks(self.kind)
        later._checks = {c.name: dataclasses.replace(c, needs=(*needs, *c.needs)) for c in self}
        return later

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks.values())

    def __getitem__(self, name: str) -> Check:
        return self._checks[name]

    def names(self) -> list[str]:
        """The checks' names, in the order in which they run."""
        return list(self._checks)


def expect(ok: bool, found: object, expected: object, at: Mapping[str, object] | None = None, hint: str = "") -> None:
    """Raise `Broken`, with what was found and what was expected, unless `ok`."""
    if not ok:
        raise Broken(found, expected, at, hint)


def expect_close(
    found: Tensor,
    expected: Tensor,
    tolerance: float,
    what: str = "",
    at: Mapping[str, object] | None = None,
    hint: str = "",
) -> None:
    """Raise `Broken` unless two tensors agree to `tolerance` times the largest number expected, 1 at least.

    What is told is the pair that is furthest apart; a tensor in `at` of the same shape shows its number at that place.
    """
    if found.shape != expected.shape:
        raise Broken(f"{what} of shape {list(found.shape)}".strip(), f"shape {list(expected.shape)}", at, hint)
    a, b = found.detach(), expected.detach()
    a, b = (x.to(torch.promote_types(x.dtype, torch.float64)) for x in (a, b))
    if a.numel() == 0:
        return
    same = (a == b) | (a.isnan() & b.isnan())
    scale = max(1.0, float(b[b.isfinite()].abs().max())) if bool(b.isfinite().any()) else 1.0
    apart = torch.where(same, 0.0, (a - b).abs().nan_to_num(torch.inf, torch.inf))
    if float(apart.max()) > tolerance * scale:
        worst = int(apart.argmax())
        here = at and {
            k: v.flatten()[worst] if isinstance(v, Tensor) and v.shape == b.shape else v for k, v in at.items()
        }
        label = f"{what} = " if what else ""
        raise Broken(f"{label}{shown(a.flatten()[worst])}", b.flatten()[worst], here, hint)


def shown(value: object) -> str:
    """The text of a value in a report: ten digits of a number, at most twelve entries of a tensor or list."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().tolist() if not value.is_meta else f"a meta tensor {list(value.shape)}"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list | tuple):
        inner = [shown(v) for v in value[:12]] + ["…"] * (len(value) > 12)
        return f"[{', '.join(inner)}]"
    return str(value)


def _named(module: str, name: str) -> Check:
    found: Check = importlib.import_module(module).checks[name]
    return found


def _flowing(text: str) -> str:
    return " ".join(text.split())
