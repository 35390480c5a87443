"""For the API reference: a doctest in a docstring is shown as code, without a heading of its own."""

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"(?<=\n\n)>>> .*?(?=\n\n|\Z)", re.DOTALL)


class Doctests(griffe.Extension):
    """Fences doctests, which would be nested quotations in Markdown."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called by griffe for each object that it has read."""
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
