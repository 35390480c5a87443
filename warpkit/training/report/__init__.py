"""A report of runs: the results in the folders of `warpkit train` as one page, to be read beside the paper."""

from warpkit.training.report.compose import compose
from warpkit.training.report.html import html
from warpkit.training.report.markdown import write_markdown
from warpkit.training.report.results import Results, read
from warpkit.training.report.table import differences, errors

__all__ = ["Results", "compose", "differences", "errors", "html", "read", "write_markdown"]
