"""The places that a model's transformers look at while the model is called."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from warpkit.errors import InputError, require
from warpkit.quoting import reason
from warpkit.transforms.base import Transform
from warpkit.watching.transformers import transformers_in


class Look:
    """The transforms and θ of one call, in the order of the transformers."""

    def __init__(self) -> None:
        self.seen: list[tuple[Transform, Float[Tensor, "N P"]]] = []

    def points(self, points: Float[Tensor, "_ M D"]) -> Float[Tensor, "N M D"]:
        """The places of the last output's points in the first input: the last warp maps them first."""
        for transform, theta in reversed(self.seen):
            points = transform(theta.detach(), points)
        return points


@contextmanager
def looking(model: nn.Module) -> Iterator[Look]:
    """Note what the model's transformers do in the call inside. `InputError` for a model without any."""
    look = Look()
    transformers = list(transformers_in(model).values())
    require(len(transformers) > 0, "this task needs a model with a spatial transformer in it")

    def keep(transformer: Any, image: Tensor, theta: Tensor) -> None:
        look.seen.append((transformer.transform, theta))

    hooks = [transformer.register_theta_hook(keep) for transformer in transformers]
    try:
        yield look
    finally:
        for hook in hooks:
            hook.remove()


def called(model: nn.Module, moving: Tensor, fixed: Tensor) -> Tensor:
    """The moved image; `InputError` for a network of one image, and for one whose output is of another size."""
    try:
        output = model(moving, fixed)
    except TypeError as error:
        hint = "a spec for it begins with inputs = { moving = [1, 28, 28], fixed = [1, 28, 28] }"
        raise InputError(f"this task needs a network of two images: {reason(error)}", hint=hint) from error
    given = list(output.shape) if isinstance(output, Tensor) else output
    require(
        given == list(fixed.shape),
        "the model's output",
        expected=f"an image as fixed, {list(fixed.shape)}",
        given=given,
    )
    moved: Tensor = output
    return moved
