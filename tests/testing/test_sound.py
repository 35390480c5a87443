"""No false alarm: built-ins, installed plugins and correct but unusual ones pass, with every seed."""

import pytest
import unusual
from cases import KERNELS, TRANSFORMS, kernel, transform

import warpkit as wk
from warpkit.sampling.backend import backends
from warpkit.testing import Status, check_backend, check_kernel, check_transform
from warpkit.testing.run import kind_of, run, session_for

pytestmark = pytest.mark.usefixtures("unchecked")  # dynamo cannot trace beartype

# What says so itself: a place that lies on a pixel moves no weight.
WARNINGS = {"Nearest": {"gradient_at_the_identity"}}
SEEDS, EXAMPLES = range(1, 20), 2


def _name(value):
    return getattr(value, "__name__", None)


def _no_alarm(report):
    assert report.passed, str(report)
    assert {result.check.name for result in report.warnings} <= WARNINGS.get(report.component, set()), str(report)


def _passes(component):
    """With all examples and the first seed; then what is generated, with fewer examples and nineteen other seeds."""
    kind = kind_of(component)
    _no_alarm(run(session_for(kind, component)))
    for seed in SEEDS:
        session = session_for(kind, component, seed=seed)
        session.examples = EXAMPLES
        for check in session.checks:
            if check.inputs:
                result = session.result(check)
                assert result.status in (Status.PASSED, Status.SKIPPED), f"seed {seed}: {result}"


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_pass(name):
    _passes(kernel(name))


@pytest.mark.parametrize(("name", "ndim"), TRANSFORMS)
def test_transforms_pass(name, ndim):
    _passes(transform(name, ndim))


@pytest.mark.parametrize("name", ["reference", "native"])
def test_backends_pass(name):
    _passes(backends.create(name))


@pytest.mark.parametrize("make", unusual.UNUSUAL_KERNELS, ids=_name)
def test_unusual_kernels_pass(make):
    check_kernel(make())


@pytest.mark.parametrize("make", unusual.UNUSUAL_TRANSFORMS, ids=_name)
def test_unusual_transforms_pass(make):
    check_transform(make())


@pytest.mark.parametrize("make", unusual.UNUSUAL_BACKENDS, ids=_name)
def test_unusual_backends_pass(make):
    check_backend(make())


def test_options_that_built_ins_have_pass():
    check_kernel(wk.get_kernel("bicubic", a=-0.5))
    check_kernel(wk.get_kernel("bicubic", learnable=True))
    check_transform(wk.get_transform("attention", scale=0.5))
    check_transform(wk.get_transform("thin_plate_spline", points=[[-1, -1], [1, -1], [-1, 1], [1, 1], [0, 0.2]]))
