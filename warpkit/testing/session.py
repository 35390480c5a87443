"""One component under test: its checks are run with generated inputs, each once, after those that it needs."""

import contextlib
import copy
import inspect
import traceback
import unittest.mock
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import hypothesis
import torch
from hypothesis.errors import Flaky, Unsatisfiable
from hypothesis.internal.conjecture import providers
from torch import Tensor

from warpkit.errors import require, unknown
from warpkit.testing import inputs
from warpkit.testing.check import Broken, Check, Checks, Doubtful, NotApplicable, shown
from warpkit.testing.flattened import Flattened
from warpkit.testing.report import NO_ERROR, Report, Result, Status

EXAMPLES, THOROUGH = 30, 1000
_FULFILLED = (Status.PASSED, Status.WARNING, Status.UNEXPECTED, Status.SKIPPED)


class Session:
    """Runs checks on one component, which is itself never called: each check gets a copy of its own."""

    def __init__(
        self,
        checks: Checks,
        component: Any,
        *,
        seed: int = 0,
        examples: int = EXAMPLES,
        expected_failures: Mapping[str, str] | None = None,
        start: Tensor | None = None,
    ) -> None:
        self.checks, self.component, self.seed, self.examples = checks, component, seed, examples
        self.start = start  # θ around which a transform is tried
        self.subject = component.of if isinstance(component, Flattened) else component  # what was given
        self.expected = {**getattr(self.subject, "expected_failures", {}), **(expected_failures or {})}
        require(
            all(isinstance(reason, str) and reason.strip() for reason in self.expected.values()),
            "expected_failures",
            expected="{'check': 'reason'}",
            given=self.expected,
        )
        for name in self.expected:
            if name not in checks.names():
                raise unknown(f"check in expected_failures of {self.name}", name, checks.names())
        self._results: dict[str, Result] = {}

    @property
    def name(self) -> str:
        """The name of the component's class."""
        return type(self.subject).__name__

    def result(self, check: Check) -> Result:
        """The outcome of this check, which is run at most once."""
        if check.name not in self._results:
            self._results[check.name] = self._run(check)
        return self._results[check.name]

    def report(self, names: list[str]) -> Report:
        """A report of the checks of these names."""
        results = [self.result(self.checks[name]) for name in names]
        return Report(self.checks.kind, self.name, self.seed, self.examples, results, [])

    def failed_besides(self, names: list[str]) -> list[str]:
        """The names of further checks that failed and that these needed, so that these were not run."""
        failed = (name for name, result in self._results.items() if result.status is Status.FAILED)
        return [name for name in failed if name not in names]

    def _run(self, check: Check) -> Result:
        needed = [self.result(self.checks[name]) for name in check.needs]
        missing = [result.check.name for result in needed if result.status not in _FULFILLED]
        if missing:
            return Result(check, Status.NOT_RUN, f"needs {', '.join(missing)}")
        result = self._outcome(check)
        reason = self.expected.get(check.name, "")
        if reason and result.status is Status.FAILED:
            return Result(**{**vars(result), "status": Status.EXPECTED, "reason": reason})
        if reason and result.status is Status.PASSED:
            return Result(check, Status.UNEXPECTED, f"declared to fail, and passes: {reason}")
        return result

    def _outcome(self, check: Check) -> Result:
        try:
            with undisturbed():
                self._try(check)
        except NotApplicable as why:
            return Result(check, Status.SKIPPED, str(why))
        except Unsatisfiable:
            return Result(check, Status.SKIPPED, "no generated input is one that it can be judged by")
        except Doubtful as doubt:
            return Result(check, Status.WARNING, str(doubt), hint=doubt.hint)
        except Broken as broken:
            at = {name: shown(value) for name, value in (broken.at or {}).items()}
            return Result(
                check, Status.FAILED, found=shown(broken.found), expected=shown(broken.expected), at=at,
                hint=broken.hint,
            )  # fmt: skip
        except Exception as error:  # whatever a plugin's code does
            at = {name: shown(value) for name, value in getattr(error, "_warpkit_inputs", {}).items()}
            found = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            where = _where(error, self.subject)
            return Result(check, Status.FAILED, found=found, expected=NO_ERROR, at=at, where=where)
        return Result(check, Status.PASSED)

    def _try(self, check: Check) -> None:
        """Run the check; raise what it raises for the smallest input that makes it."""
        if not check.inputs:
            check.function(self._copy())
            return
        seen: list[Exception] = []
        component = self._copy()

        def attempt(**inputs: Any) -> None:
            try:
                check.function(self._copy() if check.afresh else component, **inputs)
            except hypothesis.errors.UnsatisfiedAssumption:
                raise
            except Exception as error:
                if isinstance(error, Broken) and error.at is None:
                    error.at = inputs
                error._warpkit_inputs = inputs  # type: ignore[attr-defined]
                seen.append(error)
                raise

        run = hypothesis.given(**{name: strategy(component) for name, strategy in check.inputs.items()})(attempt)
        run = hypothesis.settings(
            max_examples=self.examples,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        )(run)
        try:
            with _the_same_everywhere():
                hypothesis.seed(self.seed)(run)()
        except Flaky:  # it failed once, and not when the same input came again
            raise seen[-1] from None

    def _copy(self) -> Any:
        """A copy, so that no check reaches another's component; the component itself where it cannot be copied."""
        try:
            copied = copy.deepcopy(self.component)
        except Exception:  # survives_copies tells
            copied = self.component
        if self.start is not None:
            object.__setattr__(copied, inputs.START, self.start)
        return copied


@contextlib.contextmanager
def _the_same_everywhere() -> Iterator[None]:
    """Keep hypothesis from the numbers in whatever modules are loaded: a seed would depend on them."""
    provider: Any = providers.HypothesisProvider
    if not hasattr(provider, "_local_constants"):  # another version of hypothesis, which does not do that
        yield
        return
    none = type(providers.GLOBAL_CONSTANTS)()
    with unittest.mock.patch.object(provider, "_local_constants", none):
        providers.CONSTANTS_CACHE.cache.clear()
        yield
    providers.CONSTANTS_CACHE.cache.clear()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the caller's random state, default dtype and warnings; turn gradients on."""
    dtype = torch.get_default_dtype()
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            torch.random.fork_rng(devices=[]),
            torch.inference_mode(False),
            torch.enable_grad(),
            # entered only where needed: it makes every call of torch slower
            contextlib.nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu"),
        ):
            yield
    finally:
        torch.set_default_dtype(dtype)


def _where(error: BaseException, component: Any) -> str:
    """The deepest line of the traceback that is in the component's own file."""
    try:
        file = inspect.getsourcefile(type(component))
    except (TypeError, OSError):
        return ""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{frames[-1].name}, line {frames[-1].lineno}: {frames[-1].line}" if frames else ""
