"""Prove a plugin right: named checks for kernels, transforms and backends, with generated inputs (hypothesis)."""

from warpkit.testing.report import ConformanceError, Report, Result, Status
from warpkit.testing.run import (
    ConformanceWarning,
    check_backend,
    check_kernel,
    check_transform,
    parametrize_with_checks,
)

__all__ = [
    "ConformanceError",
    "ConformanceWarning",
    "Report",
    "Result",
    "Status",
    "check_backend",
    "check_kernel",
    "check_transform",
    "parametrize_with_checks",
]
