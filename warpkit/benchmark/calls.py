"""One call of one peer, ready to be timed."""

from collections.abc import Callable

import torch

from warpkit.benchmark.peer import BOTH, Peer
from warpkit.benchmark.workloads import Work


def prepare(peer: Peer, work: Work, kernel: str, direction: str) -> Callable[[], object]:
    """A function without arguments that takes matrix and image to pixels, and back to the gradients of both."""
    call = peer.forward(kernel)
    image, where = peer.image(work.image), peer.where(work.theta, tuple(work.image.shape[2:])).detach()
    if direction != BOTH:
        return lambda: _without_gradients(call, image, where)
    image, where = image.detach().requires_grad_(), where.requires_grad_()

    def both() -> None:
        call(image, where).backward(work.grad)
        image.grad = where.grad = None

    return both


def _without_gradients(call: Callable[..., object], image: object, where: object) -> object:
    with torch.no_grad():
        return call(image, where)
