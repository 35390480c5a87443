"""One call of one peer, ready to be timed."""

from collections.abc import Callable

import torch

from warpkit.benchmark.peer import BOTH, FORWARD, Peer
from warpkit.benchmark.workloads import Work


def prepare(peer: Peer, work: Work, kernel: str, direction: str) -> Callable[[], object]:
    """A function without arguments: from image and matrix, or points, to pixels, and back to the gradients wanted."""
    size = tuple(work.image.shape[2:])
    call = peer.forward(kernel) if work.points is None else peer.sampling(kernel)
    image = peer.image(work.image)
    where = peer.where(work.theta, size).detach() if work.points is None else peer.points(work.points, size)
    if direction == FORWARD:
        return lambda: _without_gradients(call, image, where)
    image, where = image.detach().requires_grad_(direction == BOTH), where.detach().requires_grad_()

    def both() -> None:
        call(image, where).backward(work.grad)
        image.grad = where.grad = None

    return both


def _without_gradients(call: Callable[..., object], image: object, where: object) -> object:
    with torch.no_grad():
        return call(image, where)
