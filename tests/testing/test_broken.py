"""Who checks the checks: each broken plugin is caught by the checks that are meant to catch it, and by no others.

That no other check catches it takes all of them, and is exhaustive.
"""

import dataclasses

import broken_backends
import broken_kernels
import broken_transforms
import pytest

from warpkit.testing import Status
from warpkit.testing.run import kind_of, session_for
from warpkit.testing.session import EXAMPLES, Session

pytestmark = pytest.mark.usefixtures("unchecked")  # the plugins break the shapes that beartype would check

FEW = 2
BROKEN = [*broken_kernels.BROKEN, *broken_transforms.BROKEN, *broken_backends.BROKEN]
WARNED = [*broken_kernels.WARNED, *broken_transforms.WARNED]


def _name(value):
    return value.__name__ if isinstance(value, type) else "-".join(sorted(value))


class _Session(Session):
    """All examples for the checks that must notice, fewer for the others, in which nothing is wrong."""

    def __init__(self, cls, names):
        made = cls()
        session = session_for(kind_of(made), made)
        super().__init__(session.checks, session.component)
        self.names = names

    def _try(self, check):
        self.examples = EXAMPLES if check.name in self.names else FEW
        super()._try(check)


def _report(cls, names=()):
    session = _Session(cls, names)
    return session.report(session.checks.names())


@pytest.mark.parametrize(("cls", "names"), BROKEN, ids=_name)
def test_it_is_caught_by_these_checks(cls, names):
    made = cls()
    session = session_for(kind_of(made), made)
    for name in sorted(names):
        result = session.result(dataclasses.replace(session.checks[name], needs=()))
        assert result.status is Status.FAILED, str(result)
        told = dict(result.lines())
        assert all(told[word] for word in ("claim", "found", "expected", "why", "mend")), str(result)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(("cls", "names"), BROKEN, ids=_name)
def test_it_is_caught_by_no_others(cls, names):
    report = _report(cls, names)
    assert {result.check.name for result in report.failures} == names, str(report)


@pytest.mark.parametrize(("cls", "names"), WARNED, ids=_name)
def test_it_passes_with_these_warnings(cls, names):
    report = _report(cls, names)
    assert report.passed, str(report)
    assert {result.check.name for result in report.warnings} == names, str(report)


def test_every_check_has_a_plugin_that_it_catches():
    # What a plugin cannot break that passes the others; they hold the framework to its word.
    sampled = {"channels_do_not_mix", "images_do_not_mix", "identity_warp", "sampled_gradients"}
    of_the_sampler = {
        "kernel": sampled | {"linear_in_the_image", "constant_stays_constant", "table_at_joints"},
        "transform": sampled,
    }
    missing = {}
    for module, kind in ((broken_kernels, "kernel"), (broken_transforms, "transform"), (broken_backends, "backend")):
        listed = [*module.BROKEN, *getattr(module, "WARNED", [])]
        caught = set().union(*(names for _, names in listed))
        checks = session_for(kind, listed[0][0]()).checks
        missing[kind] = set(checks.names()) - caught - of_the_sampler.get(kind, set())
        assert caught <= set(checks.names())
    assert not any(missing.values()), missing


def test_a_check_waits_for_those_that_it_needs():
    report = _report(broken_kernels.OddRadius)
    assert len(report.having(Status.NOT_RUN)) > 20
    assert all("radius_is_a_multiple_of_half" in result.reason for result in report.having(Status.NOT_RUN)[:1])
