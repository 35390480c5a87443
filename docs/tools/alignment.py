"""Measures `wk.align` beside three others on random warps of photographs: docs/tools/alignment.py [PAIRS] > TABLE.md

Both images of a pair are cut from a larger photograph, so that both are full: FIXED by sampling the photograph where
the random warp says, MOVING as it is. The photographs come with scikit-learn (china.jpg, flower.jpg) and Matplotlib
(Grace Hopper). Peers that are not installed are left out: kornia, opencv-python-headless, pystackreg.

Each peer gets what its documentation offers for large motions. kornia's ImageRegistrator: its pyramid of 5 levels, its
l1 loss, 250 steps a level at a rate of 3e-3 (the best of those tried; its affine model is the homography). OpenCV's
findTransformECC, which has no pyramid of its own: one of 4 levels, its default 5 × 5 filter, 200 steps a level.
pystackreg: its built-in pyramid. The last two take grey images and get the mean of the channels.
"""

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

import warpkit as wk

SIDE = 256
CORNERS = torch.tensor([[[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]], dtype=torch.float64)
Method = Callable[[Tensor, Tensor, str, wk.Transform], Tensor]  # moving, fixed, kind, transform → corners' images


def photographs() -> list[Tensor]:
    """Photographs as tensors [1, 3, H, W] in 0 … 1."""
    sklearn = importlib.util.find_spec("sklearn")
    assert sklearn is not None, "the photographs need scikit-learn"
    assert sklearn.origin is not None
    folder = Path(sklearn.origin).parent / "datasets/images"
    paths = [folder / "china.jpg", folder / "flower.jpg"]
    paths.append(Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg")
    return [torch.from_numpy(np.array(Image.open(p).convert("RGB"))).permute(2, 0, 1)[None] / 255 for p in paths]


def random_warp(kind: str, rng: np.random.Generator) -> tuple[wk.Transform, Tensor]:
    """Affine: ±20°, scale 0.8 … 1.25, shift ±10 %. Projective: corners moved by ≤ 8 %. Spline: nodes by ≤ 5 %."""
    transform = wk.get_transform(kind)
    if kind == "affine":
        angle, scale = np.radians(rng.uniform(-20, 20)), np.exp(rng.uniform(np.log(0.8), np.log(1.25)))
        c, s, (x, y) = scale * np.cos(angle), scale * np.sin(angle), 2 * rng.uniform(-0.1, 0.1, 2)
        return transform, torch.tensor([[c, -s, x, s, c, y]])
    if kind == "projective":
        moved = CORNERS + torch.from_numpy(2 * rng.uniform(-0.08, 0.08, (1, 4, 2)))
        rows, goal = [], []
        for (x, y), (u, v) in zip(CORNERS[0].tolist(), moved[0].tolist(), strict=True):
            rows += [[x, y, 1, 0, 0, 0, -x * u, -y * u], [0, 0, 0, x, y, 1, -x * v, -y * v]]
            goal += [u, v]
        return transform, torch.linalg.solve(torch.tensor(rows), torch.tensor(goal))[None].double()
    theta = transform.identity().double()
    return transform, (theta + torch.from_numpy(2 * rng.uniform(-0.05, 0.05, len(theta))))[None]


def pairs(kind: str, count: int) -> Iterator[tuple[Tensor, Tensor, wk.Transform, Tensor]]:
    """moving and fixed [1, 3, 256, 256] uint8, and the transform and the θ between them."""
    rng, whole = np.random.default_rng(0), photographs()
    while count:
        photo = whole[rng.integers(len(whole))]
        size = torch.tensor(photo.shape[:1:-1], dtype=torch.float64)
        corner = torch.from_numpy(rng.integers(0, size - SIDE + 1)).double()
        transform, theta = random_warp(kind, rng)
        theta = theta.double()

        def in_photo(points: Tensor, transform: Any = transform, theta: Any = theta, corner: Any = corner) -> Tensor:
            return (corner + (transform(theta, points) + 1) * SIDE / 2) / size * 2 - 1  # noqa: B023

        if in_photo(wk.lattice((33, 33), align_corners=True, dtype=torch.float64)[None]).abs().max() > 0.995:
            continue  # the warp looks out of the photograph
        count -= 1
        x, y = map(int, corner)
        fixed = wk.sample(
            photo, in_photo(wk.lattice((SIDE, SIDE), dtype=torch.float64)[None]).float(), kernel="bicubic"
        )
        moving = photo[:, :, y : y + SIDE, x : x + SIDE]
        yield *((image.clamp(0, 1) * 255).round().byte() for image in (moving, fixed)), transform, theta


def warpkit(loss: str) -> Method:
    def method(moving: Tensor, fixed: Tensor, kind: str, transform: wk.Transform) -> Tensor:
        return transform(wk.align(moving, fixed, kind, loss=loss).double(), CORNERS)

    return method


def kornia(moving: Tensor, fixed: Tensor, kind: str, transform: wk.Transform) -> Tensor:
    from kornia.geometry.transform import ImageRegistrator

    register = ImageRegistrator("homography", lr=3e-3, num_iterations=250, tolerance=1e-6)
    matrix = register.register(moving.float() / 255, fixed.float() / 255)
    return through(matrix.detach().double())


def ecc(moving: Tensor, fixed: Tensor, kind: str, transform: wk.Transform) -> Tensor:
    import cv2

    m, f = (image[0].float().mean(0).numpy() for image in (moving, fixed))
    stacks = [[m], [f]]
    for stack in stacks:
        for _ in range(3):
            stack.append(cv2.pyrDown(stack[-1]))
    matrix = np.eye(3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-6)
    for level in (3, 2, 1, 0):
        half = np.diag([2.0**level, 2.0**level, 1.0])  # pyrDown keeps every second pixel: index 2i becomes i
        there = (np.linalg.inv(half) @ matrix @ half).astype(np.float32)
        motion = cv2.MOTION_AFFINE if kind == "affine" else cv2.MOTION_HOMOGRAPHY
        rows = 2 if kind == "affine" else 3
        try:
            _, found = cv2.findTransformECC(stacks[1][level], stacks[0][level], there[:rows], motion, stop, None, 5)
        except cv2.error:  # it did not converge: the level before has the last word
            break
        matrix = half @ np.concatenate([found, there[rows:]]) @ np.linalg.inv(half)
    return in_pixels(torch.from_numpy(matrix).double())


def pystackreg(moving: Tensor, fixed: Tensor, kind: str, transform: wk.Transform) -> Tensor:
    from pystackreg import StackReg

    m, f = (image[0].float().mean(0).numpy() for image in (moving, fixed))
    return in_pixels(torch.from_numpy(StackReg(StackReg.AFFINE).register(f, m)).double())


def through(matrix: Tensor) -> Tensor:
    points = CORNERS @ matrix[..., :2, :2].mT + matrix[..., :2, 2]
    return points / (CORNERS @ matrix[..., 2:, :2].mT + matrix[..., 2:, 2])


def in_pixels(matrix: Tensor) -> Tensor:
    """The corners after a matrix of pixel indices."""
    half = torch.tensor([[2 / SIDE, 0, 1 / SIDE - 1], [0, 2 / SIDE, 1 / SIDE - 1], [0, 0, 1]], dtype=torch.float64)
    return through((half @ matrix @ torch.linalg.inv(half))[None])


PEERS: dict[str, tuple[str, str, Method, tuple[str, ...]]] = {
    "kornia ImageRegistrator": ("kornia", "l1", kornia, ("affine", "projective")),
    "OpenCV findTransformECC": ("cv2", "correlation", ecc, ("affine", "projective")),
    "pystackreg": ("pystackreg", "mean square", pystackreg, ("affine",)),
}


def row(name: str, kind: str, words: str, method: Method, count: int, contrast: bool = False) -> str:
    errors, seconds = [], []
    for moving, fixed, transform, theta in pairs(kind, count):
        if contrast:
            fixed = (fixed * 0.6 + 40).round().byte()
        start = time.process_time()
        found = method(moving, fixed, kind, transform)
        seconds.append(time.process_time() - start)
        errors.append(float((found - transform(theta, CORNERS)).norm(dim=-1).mean()) * SIDE / 2)
    share = np.mean(np.array(errors) < 0.5)
    cells = [f"{share:.0%}", f"{np.median(errors):.3f}", f"{np.mean(errors):.3f}", f"{np.median(seconds):.2f}"]
    return f"| {name} | {kind}{', contrast changed' if contrast else ''} | {words} | {count} | {' | '.join(cells)} |"


def table(count: int) -> Iterator[str]:
    """`count` affine warps, a third of that of the others."""
    yield "| method | warps | loss | pairs | under half a pixel | median error | mean error | CPU seconds a pair |"
    yield "|---|---|---|---:|---:|---:|---:|---:|"
    for kind, share in (("affine", 1), ("projective", 3), ("thin_plate_spline", 3)):
        pairs_of = -(-count // share)
        yield row("warpkit", kind, "mse", warpkit("mse"), pairs_of)
        yield row("warpkit", kind, "ncc", warpkit("ncc"), pairs_of, contrast=True)
        for name, (module, words, method, kinds) in PEERS.items():
            if kind in kinds and importlib.util.find_spec(module):
                yield row(name, kind, words, method, pairs_of)


if __name__ == "__main__":
    torch.set_num_threads(1)  # pairs this small gain nothing from more
    for line in table(int(sys.argv[1]) if sys.argv[1:] else 100):
        print(line, flush=True)
