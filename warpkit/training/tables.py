"""The tables of an experiment's file, checked: every mistake is told with its place."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from warpkit.errors import NOTHING, InputError, unknown


class Table(BaseModel):
    """A table of named values with their types; an unknown name is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


T = TypeVar("T", bound=Table)


def checked(kind: type[T], table: Mapping[str, Any], path: str) -> T:
    """The table, or one `InputError` with every mistake in it."""
    try:
        return kind.model_validate(dict(table))
    except ValidationError as error:
        raise InputError(path="experiment", mistakes=[_told(kind, m, path) for m in error.errors()]) from error


def _told(kind: type[Table], mistake: Any, path: str) -> InputError:
    place = ".".join(map(str, (path, *mistake["loc"]) if path else mistake["loc"]))
    if mistake["type"] == "extra_forbidden":
        return unknown("option", mistake["loc"][-1], kind.model_fields).at(place)
    what = mistake["msg"][0].lower() + mistake["msg"][1:]
    given = NOTHING if mistake["type"] == "missing" else mistake["input"]
    return InputError(what, given=given, path=place)
