"""Function transforms of torch over a backend: vmap and forward mode."""

import torch
from torch import Tensor

from warpkit.sampling.backend import Backend, refusal
from warpkit.testing import inputs
from warpkit.testing.backends.case import REFERENCE, Case, gradient_tolerance
from warpkit.testing.backends.cases import simplest
from warpkit.testing.check import Checks, NotApplicable, expect_close

checks = Checks("backend")


@checks.add("gradient_in_image")
def works_under_vmap(backend: Backend) -> None:
    """torch.vmap over images and points gives what a batch gives, unless the backend refuses there.

    Why:
        Per-sample gradients and ensembles go through vmap; an operator that does not know it raises, or reads memory
        that is not there.
    How:
        vmap over three images with their points, beside the batch of three.
    Mend:
        Register a vmap rule for the operator, or return a reason from `refuses` while function transforms are active.
    """
    case = _three(simplest(backend))
    image, where = case.image(), case.where()

    def one(u: Tensor, x: Tensor) -> Tensor:
        _leave_if_refused(backend, case, u[None], x[None])
        return case.sample(backend, u[None], x[None])[0]

    expected = case.sample(REFERENCE, image, where)
    expect_close(torch.vmap(one)(image, where), expected, gradient_tolerance(case.dtype), "under vmap a value")


@checks.add("gradient_in_image", "gradient_in_points")
def works_under_jvp(backend: Backend) -> None:
    """Forward mode gives the reference's derivatives, unless the backend refuses there.

    Why:
        Jacobians and Gauss-Newton methods use forward mode; an operator that does not know it may give zeros and say
        nothing.
    How:
        torch.func.jvp along a random way in the image and in the points, by both.
    Mend:
        Give the operator a forward-mode rule, or return a reason from `refuses` while function transforms are active.
    """
    case = _three(simplest(backend))
    given = case.image(), case.where()
    ways = tuple(inputs.uniform(8 + i, *x.shape).to(x) for i, x in enumerate(given))

    def run(u: Tensor, x: Tensor, one: Backend) -> Tensor:
        _leave_if_refused(backend, case, u, x)
        return case.sample(one, u, x)

    expected, found = (
        torch.func.jvp(lambda u, x, one=one: run(u, x, one), given, ways) for one in (REFERENCE, backend)
    )
    for a, b, what in zip(found, expected, ("a value", "a derivative"), strict=True):
        expect_close(a, b, gradient_tolerance(case.dtype), f"under jvp {what}")


def _three(case: Case) -> Case:
    return Case(**{**vars(case), "images": 3, "sets": 3, "out": (4,)})


def _leave_if_refused(backend: Backend, case: Case, image: Tensor, where: Tensor) -> None:
    why = refusal(backend, case.problem(image, where))
    if why is not None:
        raise NotApplicable(f"it {why}")
