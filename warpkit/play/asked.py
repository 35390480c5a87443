"""What the page asks for: one request says everything, so that no two tabs can disturb each other."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warpkit.errors import InputError
from warpkit.quoting import shown

MOST_PARAMS = 200  # sliders that a page can hold
MOST_SIDE = 2048  # pixels of a result
FLAGS = (
    "align_corners",
    "antialias",
)  # what `wk.warp` takes as True or False: a field below, and a box to tick in index.html
Place = tuple[float, float]  # x and y as parts of the picture's width and height, from its left and upper edge
Text = Annotated[str, Field(max_length=2000)]


class Chosen(BaseModel):
    """A transform for a picture; `options` are texts as `warpkit warp --set` takes them."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    picture: Text
    transform: Text
    options: dict[Text, Text] = {}


class Asked(Chosen):
    """A warp. With `handles`, θ is where they lead from the `theta` given, and `moved` are those that were dragged."""

    theta: Annotated[list[float], Field(max_length=MOST_PARAMS)]
    handles: Annotated[list[Place | None], Field(max_length=MOST_PARAMS)] | None = None
    moved: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=MOST_PARAMS)] = []
    kernel: Text = "bilinear"
    padding: Text = "zeros"
    size: tuple[Annotated[int, Field(ge=1, le=MOST_SIDE)], Annotated[int, Field(ge=1, le=MOST_SIDE)]] | None = None
    align_corners: bool = False
    antialias: bool = False


M = TypeVar("M", bound=BaseModel)


def read(kind: type[M], body: bytes) -> M:
    """The request in a body of JSON; `InputError` names the first thing that is wrong with it."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{shown(place)}: {shown(first['msg'])}" if place else shown(first["msg"])) from None
