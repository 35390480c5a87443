"""The ways in tell the same: the calls, the pytest decorator, and what a report holds."""

import json
import pickle
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from unusual import UNUSUAL_TRANSFORMS

import warpkit as wk
from warpkit.testing import ConformanceError, Status, check_kernel, check_transform, parametrize_with_checks
from warpkit.testing.run import session_for

pytestmark = pytest.mark.usefixtures("unchecked")


class Dim(wk.Kernel):
    """Its weights sum to 0.9."""

    radius = 1.0
    interpolating = False

    def forward(self, distance):
        return 0.9 * (1 - distance.abs())


class Forgiven(Dim):
    expected_failures = {"partition_of_unity": "dims on purpose"}  # noqa: RUF012


def test_an_error_lists_every_check_that_failed():
    class Worse(Dim):
        symmetric = True
        continuity = 1

    with pytest.raises(ConformanceError) as caught:
        check_kernel(Worse())
    names = [result.check.name for result in caught.value.report.failures]
    assert names == ["partition_of_unity", "continuity"]
    assert all(name in str(caught.value) for name in names)


def test_a_failure_shows_claim_input_found_expected_why_and_mend():
    with pytest.raises(ConformanceError) as caught:
        check_kernel(Dim())
    (failure,) = caught.value.report.failures
    told = dict(failure.lines())
    assert told["smallest"] == "fraction = 0.5"
    assert (told["found"], told["expected"]) == ("the sum of the weights = 0.9", "1")
    assert "sum to one" in told["claim"]
    assert "flat area" in told["why"]
    assert "partition_of_unity = False" in told["mend"]


def test_the_same_seed_gives_the_same_report():
    def told(seed):
        with pytest.raises(ConformanceError) as caught:
            check_kernel(Dim(), seed=seed, only=["symmetric", "partition_of_unity"])
        return caught.value.report.to_dict()

    assert told(5) == told(5)
    assert told(5)["seed"] == 5


def test_a_report_is_plain_data():
    data = check_kernel("bicubic", only=["symmetric", "continuity"]).to_dict()
    assert json.loads(json.dumps(data)) == data
    assert [result["check"] for result in data["results"]] == ["symmetric", "continuity"]


def test_facts_that_hold_are_suggested():
    class Quiet(wk.Kernel):
        radius = 1.5
        interpolating = partition_of_unity = False

        def forward(self, distance):
            d = distance.abs()
            return torch.where(d < 0.5, 0.75 - d**2, (1.5 - d) ** 2 / 2)

    found = check_kernel(Quiet()).suggestions
    assert found == ["symmetric = True", "continuity = 1", "reproduces = 1", "partition_of_unity = True"]


def test_a_check_alone_fails_with_what_it_needs():
    with pytest.raises(ConformanceError) as caught:
        check_kernel(Dim(), only="constant_stays_constant")
    assert [(r.check.name, r.status) for r in caught.value.report.results] == [
        ("partition_of_unity", Status.FAILED),
        ("constant_stays_constant", Status.NOT_RUN),
    ]


def test_an_expected_failure_is_shown_and_does_not_raise():
    report = check_kernel(Forgiven())
    (result,) = report.having(Status.EXPECTED)
    assert result.reason == "dims on purpose"
    assert "dims on purpose" in str(report)


def test_an_expected_failure_that_passes_is_reported():
    report = check_kernel("bilinear", only="symmetric", expected_failures={"symmetric": "it was not, once"})
    assert report.passed
    assert [(r.check.name, r.status) for r in report.warnings] == [("symmetric", Status.UNEXPECTED)]


def test_an_expected_failure_needs_a_known_name_and_a_reason():
    with pytest.raises(wk.InputError, match="Did you mean 'symmetric'"):
        check_kernel("bilinear", expected_failures={"symetric": "a reason"})
    with pytest.raises(wk.InputError, match="reason"):
        check_kernel("bilinear", expected_failures={"symmetric": " "})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_kernel("bicubik"), "Did you mean 'bicubic'"),
        (lambda: check_kernel(Dim), "give an object of this class"),
        (lambda: check_kernel("bicubic", only="symetric"), "Did you mean 'symmetric'"),
        (lambda: check_kernel("bicubic", seed=-1), "seed"),
        (lambda: check_transform("affine", theta=[1.0, 2.0]), "expected 6 numbers"),
        (lambda: parametrize_with_checks([]), "a list of components"),
        (lambda: parametrize_with_checks(["affine"])(lambda it: None), "an argument `check`"),
        (lambda: parametrize_with_checks([3])(lambda check: None), "kernel, transform or backend"),
    ],
)
def test_bad_input_is_one_clear_error(call, message):
    with pytest.raises(wk.InputError, match=message):
        call()


def test_theta_is_where_a_transform_is_tried():
    class Root(wk.Transform):
        """Makes sense for positive θ alone."""

        ndim = num_params = 1

        def forward(self, theta, points):
            return points * theta.sqrt()[:, None]

    check_transform(Root(), theta=[4.0], only="derivative_in_theta")
    with pytest.raises(ConformanceError, match="no point goes to a finite place"):
        check_transform(Root(), theta=[-4.0], only="derivative_in_theta")


@pytest.mark.parametrize("make", [lambda: wk.get_kernel("bicubic"), UNUSUAL_TRANSFORMS[0]])
def test_the_component_and_the_world_stay_as_they_were(make):
    component = make()
    before = pickle.dumps(component.state_dict()), dict(vars(component)), component._edits
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    world = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    with torch.no_grad(), warnings.catch_warnings(record=True) as heard:
        (check_kernel if isinstance(component, wk.Kernel) else check_transform)(component)
        assert not torch.is_grad_enabled()
    assert (pickle.dumps(component.state_dict()), dict(vars(component)), component._edits) == before
    assert torch.equal(torch.get_rng_state(), world[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == world[1:]
    assert not heard


SUITE = """
import pytest, torch
import warpkit as wk


class Dim(wk.Kernel):
    radius = 1.0
    interpolating = False

    def forward(self, distance):
        return 0.9 * (1 - distance.abs())


class Forgiven(Dim):
    expected_failures = {"partition_of_unity": "dims on purpose"}


@wk.testing.parametrize_with_checks([Dim(), Forgiven(), "affine"])
def test_conforms(check):
    check()


@wk.testing.parametrize_with_checks(["nearest"])
def test_conforms_too(kernel, check):
    assert isinstance(kernel, wk.Kernel)
    check(kernel)
"""


def test_pytest_runs_one_case_for_each_check(tmp_path: Path):
    (tmp_path / "test_it.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-v", "-rA", "-p", "no:cacheprovider", "-W", "default", "test_it.py"]
    command += ["-k", "partition_of_unity or constant_stays or inverse_undoes or gradient_at"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300).stdout
    assert "FAILED test_it.py::test_conforms[Dim-partition_of_unity]" in told
    assert "XFAIL test_it.py::test_conforms[Forgiven-partition_of_unity] - dims on purpose" in told
    assert "PASSED test_it.py::test_conforms[Affine-inverse_undoes]" in told
    assert "found     the sum of the weights = 0.9" in told
    assert "needs partition_of_unity" in told
    assert "ConformanceWarning: gradient_at_the_identity" in told
    assert "1 failed" in told


def test_theta_of_a_field_is_a_field_or_its_numbers_in_a_row():
    field = torch.full((2, 5, 3), 0.1)
    assert check_transform("displacement", theta=field, only="many_as_few").passed
    assert session_for("transform", "displacement", theta=field).component.num_params == 30
    assert session_for("transform", "displacement").component.num_params == 12
    assert check_transform("displacement", theta=[0.1] * 12, only="many_as_few").passed
    both = wk.Compose(["affine", "displacement"])
    start = torch.tensor([1.0, 0, 0, 0, 1, 0]), field
    assert check_transform(both, theta=start, only="many_as_few").passed
    for wrong in (field[:1], torch.zeros(5), (field,)):
        with pytest.raises(wk.InputError):
            check_transform("displacement", theta=wrong, only="identity")
