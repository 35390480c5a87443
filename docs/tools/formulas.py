"""Typesets formulas: a fence of the language `math` becomes MathML, which browsers draw by themselves."""

from typing import Any


def fence(source: str, language: str, css_class: str, options: dict[str, Any], md: Any, **kwargs: Any) -> str:
    """The HTML of one fence, as pymdownx.superfences asks for it."""
    from latex2mathml.converter import convert  # here: while this file is imported, no package can be (.zensical.toml)

    return f'<p class="{css_class}">{convert(" ".join(source.split()), display="block")}</p>'
