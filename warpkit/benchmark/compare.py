"""A comparison of two peers' outputs and gradients, before any clock is started: do they do the same work?"""

import math
from typing import Any

import torch
from torch import Tensor

from warpkit.benchmark.peer import BOTH, Peer
from warpkit.benchmark.peers import OURS
from warpkit.benchmark.workloads import Work

_EPS = torch.finfo(torch.float32).eps


def differences(work: Work, peer: Peer, kernel: str, direction: str) -> dict[str, float]:
    """Root mean squares of (theirs − ours), relative to ours: for the output and the gradients of image and θ."""
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
    """
    delta = 8 * _EPS * max(work.image.shape[2:]) + 1e-5 + 2 * peer.coordinate_error
    jump = math.sqrt(delta)
    values = jump if kernel == "nearest" else delta
    return {"output": values, "image": values, "theta": 3 * jump}


def outcome(peer: Peer, work: Work, kernel: str, direction: str) -> dict[str, Tensor]:
    """The output and, for `BOTH`, the gradients of image and θ; that of θ goes through the peer's own matrix."""
    size = tuple(work.image.shape[2:])
    call = peer.forward(kernel)
    if direction != BOTH:
        with torch.no_grad():
            return {"output": peer.result(call(peer.image(work.image), peer.where(work.theta, size)))}
    image = work.image.detach().requires_grad_()
    theta = work.theta.double().requires_grad_()
    where = peer.where(theta, size)
    leaf = where.detach().to(work.theta.dtype).requires_grad_()
    output = call(image, leaf)
    d_image, d_leaf = torch.autograd.grad(output, (image, leaf), work.grad)
    (d_theta,) = torch.autograd.grad(where, theta, d_leaf.to(where.dtype))
    return {"output": output.detach(), "image": d_image, "theta": d_theta}


def relative(ours: Tensor, theirs: Tensor) -> float:
    """‖theirs − ours‖ / ‖ours‖; infinite where shapes differ or a value is not finite."""
    if ours.shape != theirs.shape:
        return math.inf
    apart = _norm(theirs.to(ours.dtype) - ours)
    if not math.isfinite(apart):
        return math.inf
    size = _norm(ours)
    return apart / size if size else apart


def _norm(values: Any) -> float:
    return float(torch.linalg.vector_norm(values, dtype=torch.float64))
