"""The ways to run the checks: calls that raise, and a pytest case for each check."""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from warpkit.errors import InputError, quoted, require, unknown
from warpkit.kernels.base import Kernel, kernels
from warpkit.quoting import Told
from warpkit.registry import Registry
from warpkit.sampling.backend import Backend, backends
from warpkit.testing.backends import backend_checks
from warpkit.testing.check import Check, Checks
from warpkit.testing.flattened import Flattened
from warpkit.testing.kernels import kernel_checks
from warpkit.testing.kernels.facts import found_facts
from warpkit.testing.report import ConformanceError, Report, Status
from warpkit.testing.session import EXAMPLES, THOROUGH, Session, undisturbed
from warpkit.testing.transforms import transform_checks
from warpkit.transforms.base import Transform, leaves, transforms

Component = Kernel | Transform | Backend
_KINDS: dict[str, tuple[Registry[Any], Checks]] = {
    "kernel": (kernels, kernel_checks),
    "transform": (transforms, transform_checks),
    "backend": (backends, backend_checks),
}


class ConformanceWarning(UserWarning):
    """A component is right in a way that is seldom wanted."""


def check_kernel(
    kernel: str | dict[str, Any] | Kernel,
    *,
    only: str | Sequence[str] | None = None,
    seed: int = 0,
    thorough: bool = False,
    expected_failures: Mapping[str, str] | None = None,
) -> Report:
    """Check everything that a kernel claims, and what every kernel has to be.

    Args:
        kernel: a name, a table `{"type": name, **options}` or a `Kernel`. It is not called itself: copies of it are.
        only: the name of one check, or several; all unless given. Those that they need run too, and are told of where
            they fail.
        seed: the same seed gives the same inputs.
        thorough: 1,000 generated inputs for each check instead of 30.
        expected_failures: check → reason, for what it cannot pass; beside those in its attribute of that name.

    Returns:
        The report: `print(report)` tells warnings, and facts that hold and are not stated.

    Raises:
        ConformanceError: if a check fails; it lists every one, with the smallest input that shows it.
        InputError: for an unknown name, of a kernel or of a check.

    >>> print(check_kernel("bilinear", only="partition_of_unity").summary())
    kernel Bilinear: 1 passed (seed 0, 30 examples a check)
    """
    return _checked("kernel", kernel, only, seed, thorough, expected_failures)


def check_transform(
    transform: str | dict[str, Any] | Transform,
    *,
    only: str | Sequence[str] | None = None,
    seed: int = 0,
    thorough: bool = False,
    expected_failures: Mapping[str, str] | None = None,
    theta: Tensor | Sequence[float] | None = None,
) -> Report:
    """Check everything that a transform claims, and what every transform has to be.

    Args:
        transform: a name, a table or a `Transform`. It is not called itself: copies of it are.
        only: as in `check_kernel`, and so are `seed`, `thorough` and `expected_failures`.
        seed: see `check_kernel`.
        thorough: see `check_kernel`.
        expected_failures: see `check_kernel`.
        theta: `[P]`, a field `[D, *F]` or a tuple of such, around which θ are generated, within ±0.25 of each number;
            the identity unless given, or ½ everywhere for a transform that has none.

    Returns:
        The report.

    Raises:
        ConformanceError: if a check fails.
        InputError: for an unknown name, or a θ of another length.

    >>> print(check_transform("affine", only=["identity", "inverse_undoes"]).summary())
    transform Affine: 2 passed (seed 0, 30 examples a check)
    """
    return _checked("transform", transform, only, seed, thorough, expected_failures, theta)


def check_backend(
    backend: str | Backend,
    *,
    only: str | Sequence[str] | None = None,
    seed: int = 0,
    thorough: bool = False,
    expected_failures: Mapping[str, str] | None = None,
) -> Report:
    """Check a backend against the reference: values, gradients, joints, boundaries, types and layouts.

    What it `refuses` is left out. Arguments and errors as in `check_kernel`.

    >>> check_backend("reference", only="agrees_on_points").passed
    True
    """
    return _checked("backend", backend, only, seed, thorough, expected_failures)


def session_for(
    kind: str,
    component: Any,
    *,
    seed: int = 0,
    thorough: bool = False,
    expected_failures: Mapping[str, str] | None = None,
    theta: Tensor | Sequence[float] | None = None,
) -> Session:
    """A session for one component; `kind` is "kernel", "transform" or "backend"."""
    registry, checks = _KINDS[kind]
    require(isinstance(seed, int) and seed >= 0, "seed", expected="a whole number from 0 on", given=seed)
    with undisturbed():
        made = registry.own(component)
    if getattr(made, "is_field", False):  # all of its θ in one row
        is_whole = isinstance(theta, tuple) or (isinstance(theta, Tensor) and theta.ndim > 1)
        if is_whole:
            made.check_theta(tree_map(lambda t: t[None], theta))
        made = Flattened(made, theta if is_whole else None)
        theta = torch.cat([leaf.flatten() for leaf in leaves(theta)]) if is_whole else theta
    examples = THOROUGH if thorough else EXAMPLES
    return Session(
        checks, made, seed=seed, examples=examples, expected_failures=expected_failures, start=_start(made, theta)
    )


def _start(transform: Any, theta: Tensor | Sequence[float] | None) -> Tensor | None:
    if theta is None:
        return None
    given = torch.as_tensor(theta, dtype=torch.float64).detach().cpu()
    count = getattr(transform, "num_params", None)
    require(given.shape == (count,), "theta", expected=f"{count} numbers", given=theta)
    return given


def _checked(
    kind: str, component: Any, only: Any, seed: int, thorough: bool, expected: Any, theta: Any = None
) -> Report:
    report = run(
        session_for(kind, component, seed=seed, thorough=thorough, expected_failures=expected, theta=theta), only
    )
    if not report.passed:
        raise ConformanceError(report)
    return report


def run(
    session: Session, only: str | Sequence[str] | None = None, begins: Callable[[str], object] = lambda name: None
) -> Report:
    """Run the checks of these names, or all, and report. `begins` is told the name of each check."""
    known = session.checks.names()
    names = [only] if isinstance(only, str) else only
    for name in names or ():
        if name not in known:
            raise unknown(f"check of {session.checks.kind}s", name, known)
    chosen = list(names) if names is not None else known
    for name in chosen:
        begins(name)
        session.result(session.checks[name])
    report = session.report([*session.failed_besides(chosen), *chosen])
    basics_hold = not [r for r in report.results if r.status is Status.NOT_RUN]
    if names is None and isinstance(session.component, Kernel) and basics_hold:
        with undisturbed():
            report.suggestions.extend(found_facts(session.component))
    return report


class _Case:
    """One check of one component, as pytest runs it."""

    def __init__(self, session: Session, check: Check) -> None:
        self._session, self._check = session, check

    def __call__(self, component: object = None) -> None:
        import pytest

        result = self._session.result(self._check)
        if result.status is Status.FAILED:
            raise ConformanceError(self._session.report([self._check.name]))
        if result.status is Status.EXPECTED:
            pytest.xfail(result.reason)
        if result.status in (Status.SKIPPED, Status.NOT_RUN):
            pytest.skip(f"{result.status}: {result.reason}")
        if result.status in (Status.WARNING, Status.UNEXPECTED):
            warnings.warn(str(result), ConformanceWarning, stacklevel=2)

    def __repr__(self) -> str:
        return f"{self._session.name}-{self._check.name}"


def parametrize_with_checks(
    components: Sequence[Any], *, seed: int = 0, thorough: bool = False
) -> Callable[[Any], Any]:
    """Decorator for a test function: one pytest case for each check of each component.

    Args:
        components: kernels, transforms and backends, as objects or names, mixed as you like. They are made when pytest
            collects the test.
        seed: the same seed gives the same inputs.
        thorough: 1,000 generated inputs for each check instead of 30.

    The function takes `check` and calls it; before it, it may take the component. Checks that are declared in
    `expected_failures` are reported as xfail, those that do not apply are skipped.

    >>> @parametrize_with_checks(["bicubic", "affine"])
    ... def test_conforms(check):
    ...     check()
    """
    require(
        isinstance(components, list | tuple) and len(components) > 0,
        "parametrize_with_checks",
        expected="a list of components",
        given=components,
    )

    def decorate(function: Any) -> Any:
        import pytest

        names = list(inspect.signature(function).parameters)
        require(
            "check" in names, function.__name__, expected="an argument `check`", given=Told(f"({', '.join(names)})")
        )
        first = [
            name for name in names[: names.index("check")] if name in ("component", "kernel", "transform", "backend")
        ]
        cases, ids = [], []
        for given in components:
            session = session_for(kind_of(given), given, seed=seed, thorough=thorough)
            for check in session.checks:
                case = _Case(session, check)
                cases.append((session.component, case) if first else case)
                ids.append(repr(case))
        return pytest.mark.parametrize((first[0], "check") if first else "check", cases, ids=ids)(function)

    return decorate


def kind_of(component: Any) -> str:
    """The kind of a component or name: "kernel", "transform" or "backend"; `InputError` for none, or two kinds."""
    name = component.get("type") if isinstance(component, dict) else component
    if isinstance(name, str):
        found = [kind for kind, (registry, _) in _KINDS.items() if name in registry.names()]
        if not found:
            raise unknown("component", name, [n for registry, _ in _KINDS.values() for n in registry.names()])
        require(len(found) == 1, f"{quoted(name)} is the name of a {' and of a '.join(found)}", hint="give an object")
        return found[0]
    for kind, (registry, _) in _KINDS.items():
        if isinstance(component, registry.base):
            return kind
    hint = "give an object of this class" if isinstance(component, type) else ""
    raise InputError(expected="a kernel, transform or backend, or its name", given=component, hint=hint)


def registry_of(name: str) -> Registry[Any]:
    """The registry in which this name is found."""
    return _KINDS[kind_of(name)][0]
