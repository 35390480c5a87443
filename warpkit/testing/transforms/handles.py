"""Handles, where a class says its own: θ leads to them, and they lead to θ."""

from warpkit.testing import inputs
from warpkit.testing.check import Checks, NotApplicable, expect_close
from warpkit.testing.transforms.contract import BASICS, Rows
from warpkit.transforms.base import Transform

checks = Checks("transform")

_CLOSE = 1e-6  # in normalised coordinates: a thousandth of a pixel in 2,000


@checks.add(*BASICS, "derivative_in_theta", theta=inputs.thetas(2))
def handles_lead_back(transform: Transform, theta: Rows) -> None:
    """from_handles(handles(θ)) is a θ with the same handles.

    Why:
        In `warpkit play` a handle would jump away from the pointer that drags it.
    How:
        Two generated θ, there and back and there again, where the class says its own `anchors`, `handles` or
        `from_handles`.
    Mend:
        Leave `from_handles` to the base class, which searches; or solve for θ what `handles` says.
    """
    names = ("anchors", "handles", "from_handles")
    if all(getattr(type(transform), name) is getattr(Transform, name) for name in names):
        raise NotApplicable("it has the handles that every transform has")
    t = inputs.tensor(transform, theta)
    held = transform.handles(t)
    again = transform.handles(transform.from_handles(held))
    expect_close(again, held, _CLOSE, "handles(from_handles(handles(θ)))", at={"theta": theta})
