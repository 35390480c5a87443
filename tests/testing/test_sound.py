"""No false alarm: built-ins, installed plugins and correct but unusual ones pass, with every seed."""

import pytest
import unusual
from cases import KERNELS, ONCE, TRANSFORMS, kernel, transform

import warpkit as wk
from warpkit.sampling.backend import backends
from warpkit.testing import Status
from warpkit.testing.run import kind_of, run, session_for
from warpkit.testing.session import EXAMPLES

pytestmark = pytest.mark.usefixtures("compiler")  # dynamo cannot trace beartype

# What says so itself: a place that lies on a pixel moves no weight.
WARNINGS = {"nearest": {"gradient_at_the_identity"}}
SEEDS, FEW, SOME = range(1, 5), 2, 6


def _passes(name, examples, seeds=()):
    """All checks with the first seed; then what is generated, with fewer examples and these seeds."""
    component = RIGHT[name]()
    kind = kind_of(component)
    session = session_for(kind, component)
    session.examples = examples
    report = run(session)
    assert report.passed, str(report)
    if name in SOUND:
        assert {result.check.name for result in report.warnings} <= WARNINGS.get(name, set()), str(report)
    for seed in seeds:
        session = session_for(kind, component, seed=seed)
        session.examples = FEW
        for check in session.checks:
            if check.inputs:
                result = session.result(check)
                assert result.status in (Status.PASSED, Status.SKIPPED), f"seed {seed}: {result}"


SOUND = {
    **{name: lambda name=name: kernel(name) for name in KERNELS},
    **{f"{name}-{ndim}": lambda name=name, ndim=ndim: transform(name, ndim) for name, ndim in TRANSFORMS},
    **{name: lambda name=name: backends.create(name) for name in ("reference", "native")},
}
OPTIONS = {
    "sharper_bicubic": lambda: wk.get_kernel("bicubic", a=-0.5),
    "cubic_b_spline": lambda: wk.get_kernel("mitchell", b=1, c=0),
    "learnable_bicubic": lambda: wk.get_kernel("bicubic", learnable=True),
    "attention_of_one_scale": lambda: wk.get_transform("attention", scale=0.5),
    "spline_of_points": lambda: wk.get_transform(
        "thin_plate_spline", points=[[-1, -1], [1, -1], [-1, 1], [1, 1], [0, 0.2]]
    ),
}
UNUSUAL = [*unusual.UNUSUAL_KERNELS, *unusual.UNUSUAL_TRANSFORMS, *unusual.UNUSUAL_BACKENDS]
RIGHT = SOUND | OPTIONS | {f"{kind_of(make())}-{make.__name__}": make for make in UNUSUAL}
# What is built in is tried once, with its defaults; its other dimensions and options are exhaustive.
ALSO = {f"{name}-{ndim}" for name, ndim in TRANSFORMS if (name, ndim) not in ONCE} | OPTIONS.keys()


@pytest.mark.parametrize("name", [name for name in RIGHT if name not in ALSO])
def test_what_is_right_passes(name):
    _passes(name, FEW)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes_whatever_is_generated(name):
    if name in SOUND and name not in ALSO:
        _passes(name, EXAMPLES, SEEDS)
    else:
        _passes(name, SOME)
