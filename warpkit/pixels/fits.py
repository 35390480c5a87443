"""Least squares: the matrix that takes points to other points, from four clicked corners or a thousand matches."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.errors import require, unknown
from warpkit.pixels.given import ArrayLike, as_floats, together
from warpkit.precision import wide
from warpkit.transforms.matrix import reject, scaled, with_last_row

Model = Literal["translation", "euclidean", "similarity", "affine", "projective"]
_FLAT = 1e-9  # of the largest extent: points that lie closer to a line, or to one point, than that determine nothing


def fit(
    source: ArrayLike, target: ArrayLike, model: Model = "affine", weights: ArrayLike | None = None
) -> Float[Tensor, "N E E"]:
    """The matrix of a model that takes points of the input to points of the output, best in the least squares.

    Pixels as in OpenCV, the first pixel's centre at 0, 0; `to_theta` makes θ of the result. Other units do as well.

    Args:
        source: `[N, M, D]` or `[M, D]`, x, y, z: where the points are in the input.
        target: the same for the output. One set of points with N others is shared.
        model: "translation"; "euclidean" (turn and translation) and "similarity" (a scale, too), without mirroring, in
            2-D and 3-D; "affine"; "projective", by the normalised direct linear transform.
        weights: `[N, M]` or `[M]`, not negative: how much each point counts; alike unless given.

    Returns:
        `[N, D + 1, D + 1]`, differentiable in points and weights, to second order, also where singular values meet, as
        those of a regular grid of points do. A homography's last entry is 1 where it can be.

    Raises:
        InputError: for wrong shapes and names, and for points that do not determine the model (too few, or on a line),
            naming the entries of the batch.

    Sources: S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", IEEE PAMI
    13(4), 1991. B. K. P. Horn, "Closed-form solution of absolute orientation using unit quaternions", JOSA A 4, 1987.
    R. Hartley, "In defense of the eight-point algorithm", IEEE PAMI 19(6), 1997.

    >>> corners = torch.tensor([[0.0, 0], [4, 0], [4, 4], [0, 4]])
    >>> fit(corners, 2 * corners + 1, "similarity").round(decimals=4).tolist()
    [[[2.0, 0.0, 1.0], [0.0, 2.0, 1.0], [0.0, 0.0, 1.0]]]
    """
    if model not in _MODELS:
        raise unknown("model", model, _MODELS)
    source, target, w = _checked(source, target, weights)
    kind, d = source.dtype, source.shape[-1]
    least = {"translation": 1, "affine": d + 1, "projective": d + 2}.get(model, 2 if d == 2 else 3)
    require(source.shape[1] >= least, f"pairs of points for {model} in {d}-D", expected=f"at least {least}",
            given=source.shape[1])  # fmt: skip
    source, target, w = (t.to(wide(t.device)) for t in (source, target, w))
    reject("no point of any weight", ~(w.detach().sum(1) > 0))
    found = _MODELS[model](source, target, (w / w.sum(1, keepdim=True))[..., None])
    return found.to(kind)


def _checked(source: ArrayLike, target: ArrayLike, weights: ArrayLike | None) -> tuple[Tensor, Tensor, Tensor]:
    """Points [N, M, D] and weights [N, M] of one batch."""
    source, target = together(source=source, target=target)
    for name, points in (("source", source), ("target", target)):
        right = points.ndim in (2, 3) and points.shape[-1] in (1, 2, 3)
        require(right, name, expected="[N, M, D] or [M, D], D of 1 to 3", given=list(points.shape))
    source, target = (points if points.ndim == 3 else points[None] for points in (source, target))
    require(source.shape[1:] == target.shape[1:], "target", expected=f"points as source has, {list(source.shape)}",
            given=list(target.shape))  # fmt: skip
    w = torch.ones_like(source[:1, :, 0]) if weights is None else as_floats("weights", weights).to(source)
    w = w if w.ndim == 2 else w[None]
    require(w.ndim == 2 and w.shape[1] == source.shape[1], "weights", expected=f"[N, {source.shape[1]}]",
            given=list(w.shape))  # fmt: skip
    require(bool((w.detach() >= 0).all()), "weights", expected="numbers of 0 or more", given="others")
    batches = {len(source), len(target), len(w)} - {1}
    require(len(batches) <= 1, "batches of points", expected="one size, or 1", given=sorted(batches))
    n = max(batches, default=1)
    for name, points in (("source", source), ("target", target), ("weights", w)):
        reject(f"{name} that is not finite", ~points.detach().isfinite().flatten(1).all(1))
    return source.expand(n, -1, -1), target.expand(n, -1, -1), w.expand(n, -1)


def _translation(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
    one = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
    return _moved(one, x, y, w)


def _euclidean(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
    return _moved(_turn(x, y, w)[0], x, y, w)


def _similarity(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
    turn, scale = _turn(x, y, w)
    return _moved(scale * turn, x, y, w)


def _affine(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
    (_, x0, size), (_, y0, _) = _centred(x, w), _centred(y, w)
    x0 = x0 / size
    products = (w * x0).mT @ x0
    values = torch.linalg.eigvalsh(products.detach())
    reject("points on a line (plane), which determine no affine matrix,", ~(values[:, 0] > _FLAT**2 * values[:, -1]))
    return _moved(torch.linalg.solve(products, (w * x0).mT @ y0).mT / size, x, y, w)


def _projective(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
    """h with A · h = 0: for each coordinate i of a point, h_i · [x, 1] − y_i · h_last · [x, 1] = 0."""
    d = x.shape[-1]
    (xm, x0, xs), (ym, y0, ys) = _centred(x, w), _centred(y, w)
    p, q = torch.cat([x0 / xs, torch.ones_like(x0[..., :1])], dim=-1), y0 / ys
    zero = torch.zeros_like(p)
    rows = [torch.cat([*(p if j == i else zero for j in range(d)), -q[..., i : i + 1] * p], dim=-1) for i in range(d)]
    a = torch.cat([_root(w) * row for row in rows], dim=1)
    _, values, vectors = torch.linalg.svd(a.detach(), full_matrices=True)
    reject(
        "points that determine no homography, as three on a line,", ~(values[:, (d + 1) ** 2 - 2] > 1e-8 * values[:, 0])
    )
    least = values[:, -1].square() if values.shape[1] == (d + 1) ** 2 else torch.zeros_like(values[:, 0])
    h = _eigenvector(lambda v: (a.mT @ (a @ v[..., None]))[..., 0], a.mT @ a, vectors[:, -1], least)
    square = h.reshape(-1, d + 1, d + 1)
    # From normalised points back to the given ones.
    back = with_last_row(torch.cat([ys * torch.eye(d, dtype=x.dtype, device=x.device), ym.mT], dim=-1))
    there = with_last_row(torch.cat([torch.eye(d, dtype=x.dtype, device=x.device) / xs, -xm.mT / xs], dim=-1))
    return scaled(back @ square @ there)


_MODELS: dict[Model, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "translation": _translation,
    "euclidean": _euclidean,
    "similarity": _similarity,
    "affine": _affine,
    "projective": _projective,
}


def _root(w: Tensor) -> Tensor:
    """√w, with a zero gradient at 0: a point of no weight has no say."""
    positive = w > 0
    return torch.where(positive, torch.where(positive, w, 1.0).sqrt(), 0.0)


def _centred(x: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean [N, 1, D], the points less that, and their root mean square distance from it [N, 1, 1]."""
    mean = (w * x).sum(1, keepdim=True)
    rest = x - mean
    square = (w * rest.square()).sum((1, 2), keepdim=True)
    extent = x.detach().abs().amax((1, 2))
    reject("all points at one place", ~(square.detach()[:, 0, 0].sqrt() > _FLAT * extent))
    return mean, rest, square.sqrt()


def _moved(linear: Tensor, x: Tensor, y: Tensor, w: Tensor) -> Float[Tensor, "N E E"]:
    """The linear map with the translation that takes the mean of x to the mean of y."""
    from_, to = (w * x).sum(1)[..., None], (w * y).sum(1)[..., None]
    return with_last_row(torch.cat([linear, to - linear @ from_], dim=-1))


def _turn(x: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """The rotation [N, D, D] that turns x about its mean best onto y about its own, and the best scale [N, 1, 1]."""
    d = x.shape[-1]
    require(d in (2, 3), "dimensions of the points", expected="2 or 3: nothing turns in 1-D", given=d)
    (_, x0, xs), (_, y0, ys) = _centred(x, w), _centred(y, w)
    m = (w * x0 / xs).mT @ (y0 / ys)  # [i, j]: of x_i and y_j
    if d == 2:
        along, across = m[:, 0, 0] + m[:, 1, 1], m[:, 0, 1] - m[:, 1, 0]
        size = along.square() + across.square()
        reject("points that no turn brings nearer, as mirrored ones,", ~(size.detach() > _FLAT**2))
        size = size.sqrt()
        turn = torch.stack([along, -across, across, along], dim=-1).reshape(-1, 2, 2) / size[:, None, None]
        return turn, (size[:, None, None] * ys / xs)
    turn = _turn_in_space(m)
    return turn, (turn.mT * m).sum((1, 2))[:, None, None] * ys / xs


def _turn_in_space(m: Float[Tensor, "N 3 3"]) -> Float[Tensor, "N 3 3"]:
    """Horn's: the quaternion is the eigenvector of the largest eigenvalue, so that no singular values meet."""
    trace = m.diagonal(dim1=1, dim2=2).sum(-1)
    twist = torch.stack([m[:, 1, 2] - m[:, 2, 1], m[:, 2, 0] - m[:, 0, 2], m[:, 0, 1] - m[:, 1, 0]], dim=-1)
    inner = m + m.mT - trace[:, None, None] * torch.eye(3, dtype=m.dtype, device=m.device)
    top = torch.cat([trace[:, None, None], twist[:, None]], dim=-1)
    k = torch.cat([top, torch.cat([twist[..., None], inner], dim=-1)], dim=1)
    values, vectors = torch.linalg.eigh(k.detach())
    reject("points on a line, or mirrored ones, which determine no turn,", ~(values[:, 3] - values[:, 2] > 1e-8))
    q = _eigenvector(lambda v: (k @ v[..., None])[..., 0], k, vectors[..., 3], values[:, 3])
    s, x, y, z = q.unbind(-1)
    entries = (
        *(s * s + x * x - y * y - z * z, 2 * (x * y - s * z), 2 * (x * z + s * y)),
        *(2 * (x * y + s * z), s * s - x * x + y * y - z * z, 2 * (y * z - s * x)),
        *(2 * (x * z - s * y), 2 * (y * z + s * x), s * s - x * x - y * y + z * z),
    )
    return torch.stack(entries, dim=-1).reshape(-1, 3, 3)


def _eigenvector(
    product: Callable[[Tensor], Tensor], k: Float[Tensor, "N K K"], vector: Tensor, value: Tensor
) -> Float[Tensor, "N K"]:
    """An eigenvector of unit length that is known, with derivatives: two of Newton's steps on K·v = λ·v, v·v = 1.

    The derivatives of a decomposition divide by the differences of all eigenvalues, also of those that do not matter;
    these here by the differences from this one alone.
    """
    one = torch.eye(k.shape[-1], dtype=k.dtype, device=k.device)
    for _ in range(2):
        border = torch.cat([k - value[:, None, None] * one, -vector[:, None]], dim=1)
        edge = torch.cat([-vector, torch.zeros_like(value[:, None])], dim=-1)
        rest = torch.cat(
            [value[:, None] * vector - product(vector), (vector.square().sum(-1, keepdim=True) - 1) / 2], dim=-1
        )
        step = torch.linalg.solve(torch.cat([border, edge[..., None]], dim=-1), rest)
        vector, value = vector + step[:, :-1], value + step[:, -1]
    return vector
