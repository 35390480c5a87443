"""What every backend has to be: a function of its inputs alone, which it leaves as they are."""

from torch import Tensor

from warpkit.boundary import PADDING_MODES
from warpkit.sampling.backend import Backend
from warpkit.testing.backends.case import Case, deterministic
from warpkit.testing.backends.cases import cases, simplest
from warpkit.testing.backends.kernels import EVERY, SMOOTH
from warpkit.testing.check import Checks, expect_close
from warpkit.testing.differences import derivative

checks = Checks("backend")


@checks.add()
def samples_something(backend: Backend) -> None:
    """There is an image that the backend does not refuse.

    Why:
        What refuses everything is right about nothing.
    How:
        Images of one to three axes and every floating-point type, with every kernel and padding, on each device.
    Mend:
        `refuses` returns None for what the backend can do, and otherwise the reason why it cannot.
    """
    simplest(backend)


@checks.add("samples_something", case=cases(kernels=EVERY, paddings=PADDING_MODES))
def inputs_are_not_changed(backend: Backend, case: Case) -> None:
    """Image, coordinates and matrix stay as they were.

    Why:
        They are used again: an image by the next layer, a lattice by the next batch.
    How:
        Compared with copies after the call, a coordinate that is no number among them.
    Mend:
        Work on copies; no function that ends in an underscore on what was given.
    """
    image, where = case.image(), case.where()
    if case.door == "points" and where.numel() > 0:
        where.view(-1)[0] = float("nan")
    before = image.clone(), where.clone()
    case.sample(backend, image, where)
    expect_close(image, before[0], 0.0, "after the call in the image")
    expect_close(where, before[1], 0.0, "after the call in the " + ("points" if case.door == "points" else "matrix"))


@checks.add(
    "inputs_are_not_changed",
    case=cases(kernels=SMOOTH, outs=[(40,), (6, 7)], images=(1, 2), sets=(1, 2)),
    other=cases(kernels=SMOOTH),
)
def same_each_time(backend: Backend, case: Case, other: Case) -> None:
    """The same work gives the same bits, gradients too, whatever was done before.

    Why:
        Training that cannot be repeated cannot be debugged.
    How:
        The same call three times, others in between; on a GPU under `torch.use_deterministic_algorithms(True)`.
    Mend:
        Add up in a fixed order: no atomic additions, on a GPU at least where PyTorch is asked for that; return new
        tensors.
    """
    with deterministic(case.device != "cpu"):
        _same_each_time(backend, case, other)


def _same_each_time(backend: Backend, case: Case, other: Case) -> None:
    image, where = case.image().requires_grad_(), case.where().requires_grad_()
    first: list[Tensor] = []
    for _ in range(3):
        output = case.sample(backend, image, where)
        given = [output, *derivative(output, image, where)]
        first = first or [x.detach().clone() for x in given]
        for x, kept, what in zip(given, first, ("a value", "a gradient in the image", "one in a place"), strict=True):
            expect_close(x, kept, 0.0, f"again {what}")
        other.sample(backend, other.image(), other.where())
        case.sample(backend, image + 1, 0.9 * where)
        expect_close(output, first[0], 0.0, "after another call, in the first result, a value")
