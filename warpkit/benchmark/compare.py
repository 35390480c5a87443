"""A comparison of two peers' outputs and gradients, before any clock is started: do they do the same work?"""

import math
from typing import Any

import torch
from torch import Tensor

from warpkit.benchmark.peer import BOTH, FORWARD, Peer
from warpkit.benchmark.peers import OURS
from warpkit.benchmark.workloads import Work

_EPS = torch.finfo(torch.float32).eps


def differences(work: Work, peer: Peer, kernel: str, direction: str) -> dict[str, float]:
    """Root mean squares of (theirs − ours), relative to ours: for the output and the gradients that are wanted."""
    return {
        what: relative(ours, theirs)
        for (what, ours), theirs in zip(
            outcome(OURS, work, kernel, direction).items(),
            outcome(peer, work, kernel, direction).values(),
            strict=True,
        )
    }


def allowed(work: Work, peer: Peer, kernel: str) -> dict[str, float]:
    """The differences that rounded coordinates explain.

    A coordinate that is wrong by δ pixels changes an image of independent values by about δ of their size. Float32
    coordinates are wrong by some eps · width, fixed-point ones by what `coordinate_error` says. Where a kernel jumps,
    as `nearest` does, a share δ of the pixels is another altogether, which makes √δ. So do the slopes of `bilinear`,
    and the gradient of θ is a sum of them that nearly cancels: one θ has been seen 1.3 √δ off, and 3 √δ are allowed.
    Results in halves and integers are rounded: the latter may be one off, and are 148 in the root mean square. Edges
    that a peer leaves out are as many pixels as are on them, about.
    """
    delta = 8 * _EPS * max(work.image.shape[2:]) + 1e-5 + 2 * peer.coordinate_error
    jump, dtype = math.sqrt(delta), work.image.dtype
    values = jump if kernel == "nearest" else delta
    if peer.leaves_edges:
        values += math.sqrt(sum(2 / n for n in work.image.shape[2:]))
    rounded = 2 * torch.finfo(dtype).eps if dtype.is_floating_point else 1 / 148
    return {"output": values + rounded, "image": values + rounded, "theta": 3 * jump, "points": 3 * jump + rounded}


def outcome(peer: Peer, work: Work, kernel: str, direction: str) -> dict[str, Tensor]:
    """The output and the gradients that are wanted; that of θ, or the points, goes through the peer's own kind."""
    size, pointed = tuple(work.image.shape[2:]), work.points is not None
    call = peer.sampling(kernel) if pointed else peer.forward(kernel)
    given, own = (work.points, peer.points) if pointed else (work.theta, peer.where)
    assert given is not None
    if direction == FORWARD:
        with torch.no_grad():
            return {"output": peer.result(call(peer.image(work.image), own(given, size)))}
    image = work.image.detach().requires_grad_(direction == BOTH)
    exact = given.double().requires_grad_()
    where = own(exact, size)
    leaf = where.detach().to(given.dtype).requires_grad_()
    output = call(image, leaf)
    output.backward(work.grad)
    assert leaf.grad is not None
    (d_given,) = torch.autograd.grad(where, exact, leaf.grad.to(where.dtype))
    found = {"output": output.detach(), "points" if pointed else "theta": d_given}
    return found if image.grad is None else found | {"image": image.grad}


def relative(ours: Tensor, theirs: Tensor) -> float:
    """‖theirs − ours‖ / ‖ours‖; infinite where shapes differ or a value is not finite."""
    if ours.shape != theirs.shape:
        return math.inf
    ours, theirs = ours.double(), theirs.double()
    apart = _norm(theirs - ours)
    if not math.isfinite(apart):
        return math.inf
    size = _norm(ours)
    return apart / size if size else apart


def _norm(values: Any) -> float:
    return float(torch.linalg.vector_norm(values, dtype=torch.float64))
