"""An extension for the API reference that shows doctests as code, without a heading of their own."""

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"(?<=\n\n)>>> .*?(?=\n\n|\Z)", re.DOTALL)


class Doctests(griffe.Extension):
    """Puts fences around doctests, which Markdown would take for nested quotations."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of each object that griffe has read."""
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
