"""What a run of the checks found, as an object, as text and as data."""

import html
import textwrap
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from warpkit.testing.check import Check

NO_ERROR = "no error"


class Status(StrEnum):
    """The ways in which a check can end."""

    PASSED = "passed"
    FAILED = "failed"
    WARNING = "warning"
    EXPECTED = "expected failure"  # declared in `expected_failures`
    UNEXPECTED = "unexpected pass"  # declared there, and passes
    NOT_RUN = "not run"  # a check that it needs has failed
    SKIPPED = "not applicable"


@dataclass(frozen=True)
class Result:
    """One check's outcome. `at` is the smallest input found that shows a failure; `where` a line of the plugin's.

    `reason`: why it was not run, is expected to fail, or what it warns of.
    """

    check: Check
    status: Status
    reason: str = ""
    found: str = ""
    expected: str = ""
    at: dict[str, str] = field(default_factory=dict)
    where: str = ""
    hint: str = ""

    @property
    def mend(self) -> str:
        """How to mend it; empty where the error that was raised, and not expected, says more."""
        expects_errors = self.check.name.startswith(("works_", "trains_", "survives_", "one_", "empty_"))
        return self.hint or (self.check.mend if self.expected != NO_ERROR or expects_errors else "")

    def lines(self) -> list[tuple[str, str]]:
        """The lines for a plugin's author, each a heading word and a text; empty ones are left out."""
        if self.found:
            told = [
                ("claim", self.check.claim),
                ("smallest", ", ".join(f"{name} = {value}" for name, value in self.at.items())),
                ("found", self.found),
                ("expected", self.expected),
                ("in", self.where),
                ("why", self.check.why),
                ("mend", self.mend),
                ("declared", self.reason),
            ]
        else:
            told = [("because", self.reason), ("mend", self.hint)]
        return [(word, text) for word, text in told if text]

    def __str__(self) -> str:
        """The lines below the check's name, not too long to read."""
        told = [
            textwrap.fill(text, 100, initial_indent=f"  {word:<9} ", subsequent_indent=" " * 12)
            for word, text in self.lines()
        ]
        return "\n".join([f"{self.check.name}: {self.status}", *told])

    def to_dict(self) -> dict[str, Any]:
        """The outcome as plain data for JSON: check, status, claim, and whatever else is known."""
        given = {k: getattr(self, k) for k in ("reason", "found", "expected", "at", "where") if getattr(self, k)}
        more = {"why": self.check.why, "mend": self.mend} if self.found else {}
        return {"check": self.check.name, "status": str(self.status), "claim": self.check.claim, **given, **more}


@dataclass(frozen=True)
class Report:
    """All results for one component, and facts that were found to hold beside those that it declares."""

    kind: str
    component: str
    seed: int
    examples: int
    results: list[Result]
    suggestions: list[str]

    @property
    def failures(self) -> list[Result]:
        """The results of the checks that failed and were not declared to."""
        return self.having(Status.FAILED)

    @property
    def warnings(self) -> list[Result]:
        """The results that are right but seldom wanted, and passes of checks that were declared to fail."""
        return self.having(Status.WARNING, Status.UNEXPECTED)

    @property
    def passed(self) -> bool:
        """Whether no check failed but those that were declared to."""
        return not self.failures

    def having(self, *statuses: Status) -> list[Result]:
        """The results with one of these statuses."""
        return [result for result in self.results if result.status in statuses]

    @property
    def told(self) -> list[Result]:
        """The results that are not as they should be."""
        return self.having(Status.FAILED, Status.EXPECTED, Status.UNEXPECTED, Status.WARNING)

    def summary(self) -> str:
        """The counts in one line, such as: 31 passed, 1 warning, 2 not applicable (seed 0, 30 examples a check)."""
        counts = {s: len(self.having(s)) for s in Status}
        counted = ", ".join(f"{n} {s}" for s, n in counts.items() if n)
        return f"{self.kind} {self.component}: {counted} (seed {self.seed}, {self.examples} examples a check)"

    def __str__(self) -> str:
        """The summary, then everything that is not as it should be."""
        suggestions = [f"not stated, and found to hold: {', '.join(self.suggestions)}"] if self.suggestions else []
        return "\n\n".join([self.summary(), *map(str, self.told), *suggestions])

    def __repr__(self) -> str:
        return f"<{self.summary()}>"

    def _repr_html_(self) -> str:
        """The summary and a table for notebooks: what is not as it should be with all about it, the rest folded up."""
        others = [result for result in self.results if result not in self.told]
        suggested = f"not stated, and found to hold: {', '.join(self.suggestions)}" if self.suggestions else ""
        return (
            f"<b>{html.escape(self.summary())}</b>{_table(self.told)}<details><summary>{len(others)} others</summary>"
            f"{_table(others)}</details>{html.escape(suggested)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        head = {k: getattr(self, k) for k in ("kind", "component", "seed", "examples", "passed", "suggestions")}
        return {**head, "results": [result.to_dict() for result in self.results]}


def _table(results: list[Result]) -> str:
    """The rows of these results in HTML; texts of a plugin stay texts."""
    text = ""
    for it in results:
        more = "<br>".join(html.escape(f"{word}: {told}") for word, told in it.lines() if word != "claim")
        cells = (html.escape(it.check.name), html.escape(it.status), more)
        text += "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>"
    return f"<table>{text}</table>"


class ConformanceError(AssertionError):
    """A component does not keep what it claims. `report` holds all results."""

    def __init__(self, report: Report) -> None:
        self.report, failed = report, report.failures
        names = ", ".join(result.check.name for result in failed)
        again = f"Again with seed={report.seed}: the same inputs."
        told = [f"{report.kind} {report.component} fails {names}", *map(str, failed), again]
        super().__init__("\n\n".join(told))

    def __reduce__(self) -> tuple[Any, ...]:
        """An error is pickled as its report."""
        return ConformanceError, (self.report,)
