"""A report of runs: what `warpkit train` has left in its folders, as one page to be read beside the paper."""

from warpkit.training.report.compose import compose
from warpkit.training.report.html import html
from warpkit.training.report.markdown import write_markdown
from warpkit.training.report.results import Results, read
from warpkit.training.report.table import differences, errors

__all__ = ["Results", "compose", "differences", "errors", "html", "read", "write_markdown"]
