"""Measures antialiased warps beside others on scenes that are made smaller: docs/tools/antialiasing.py > TABLES.md

Error: the root mean square difference to the mean of 256 or more samples of each output pixel, divided by that mean's
own spread over the output. kornia and OpenCV cannot average while they warp: they make the whole image smaller first,
by the factor that the map has in its middle, and warp what is left. torch alone can only scale.
"""

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from canvas import whole_photo
from torch import Tensor
from torch.nn import functional

import warpkit as wk
from warpkit.benchmark.memory import peak

SIDE = 512  # of every scene, in pixels
ROUNDS = 15  # of each time, interleaved


class Case(NamedTuple):
    """A map to fewer pixels: of `SIDE` pixels, those who shrink first make `small`."""

    name: str
    transform: str
    theta: Tensor
    size: tuple[int, int]
    small: tuple[int, int]
    scales_only: bool = False


def turned(degrees: float, scale: float) -> Tensor:
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return torch.tensor([[c, -s, 0, s, c, 0]], dtype=torch.float64)


def horizon(bend: float) -> Tensor:
    """A plain seen aslant: its far edge is the upper edge of the output, where 1 + bend · y is least."""
    return torch.tensor([[1 - bend, 0, 0, 0, 1, bend, 0, bend]], dtype=torch.float64)


CASES = [
    Case("8 times smaller", "affine", turned(0, 1), (64, 64), (64, 64), scales_only=True),
    Case("8 times smaller, turned by 30°", "affine", turned(30, 47 / 64), (47, 47), (64, 64)),
    Case("3 times smaller, turned by 20°", "affine", turned(20, 0.75), (128, 128), (171, 171)),
    Case("8 times smaller along one axis", "affine", turned(0, 1), (64, 512), (64, 512), scales_only=True),
    Case("horizon: from enlarged to 28 times smaller", "projective", horizon(0.75), (128, 128), (293, 512)),
]


def noise() -> Tensor:
    return torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def zone_plate() -> Tensor:
    """Rings whose frequency grows from nothing in the middle to half a cycle a pixel at the edge."""
    x = (2 * torch.arange(SIDE) + 1) / SIDE - 1
    return 0.5 + 0.5 * torch.cos(math.pi / 4 * SIDE * (x**2 + x[:, None] ** 2))[None, None]


def photograph() -> Tensor:
    return whole_photo()[:, :, :SIDE].float() / 255


SCENES = {"noise": noise, "zone plate": zone_plate, "photograph": photograph}


def ours(antialias: bool | int) -> Callable[[Tensor, Case], Tensor]:
    def warp(image: Tensor, case: Case) -> Tensor:
        return wk.warp(image, case.transform, case.theta, size=case.size, padding_mode="border", antialias=antialias)

    return warp


def torchs(image: Tensor, case: Case) -> Tensor | None:
    if not case.scales_only:
        return None
    return functional.interpolate(image, case.size, mode="bilinear", antialias=True)


def pixels(case: Case) -> Tensor:
    return wk.pixels.from_theta(case.theta, case.transform, in_size=case.small, out_size=case.size)


def kornias(image: Tensor, case: Case) -> Tensor:
    from kornia.geometry import transform

    small = transform.resize(image, case.small, antialias=True)
    if case.scales_only:
        return small
    if case.transform == "affine":
        return transform.warp_affine(small, pixels(case)[:, :2].float(), case.size, padding_mode="border")
    return transform.warp_perspective(small, pixels(case).float(), case.size, padding_mode="border")


def opencvs(image: Tensor, case: Case) -> Tensor:
    import cv2

    array = np.ascontiguousarray(image[0].permute(1, 2, 0).numpy())
    small = cv2.resize(array, case.small[::-1], interpolation=cv2.INTER_AREA)
    if not case.scales_only:
        matrix = pixels(case)[0].numpy()
        small = cv2.warpPerspective(small, matrix, case.size[::-1], borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(small.reshape(*case.size, -1)).permute(2, 0, 1)[None]


WAYS: dict[str, Callable[[Tensor, Case], Tensor | None]] = {
    "plain": ours(False),
    "`antialias=True`": ours(True),
    "`antialias=8`": ours(8),
    "torch": torchs,
    "kornia": kornias,
    "OpenCV": opencvs,
}


def truth(image: Tensor, case: Case) -> tuple[Tensor, int]:
    """The mean over each output pixel, and the number of samples along each of its axes after which it settled."""
    samples, before = 16, mean_of_samples(image, case, 8)
    while True:
        mean = mean_of_samples(image, case, samples)
        if distance(before, mean) < 0.005 or samples == 64:
            return mean, samples
        samples, before = 2 * samples, mean


def mean_of_samples(image: Tensor, case: Case, samples: int) -> Tensor:
    fine = case._replace(size=(samples * case.size[0], samples * case.size[1]))
    found = ours(False)(image, fine)
    assert found is not None
    return functional.avg_pool2d(found, samples)


def distance(found: Tensor, mean: Tensor) -> float:
    return float((found.double() - mean.double()).square().mean().sqrt() / mean.double().std())


def errors() -> None:
    print("| scene | map | samples | " + " | ".join(WAYS) + " |")
    print("| --- | --- | --: |" + " --: |" * len(WAYS))
    for scene, make in SCENES.items():
        image = make()
        for case in CASES:
            mean, samples = truth(image, case)
            found = [way(image, case) for way in WAYS.values()]
            cells = ["–" if each is None else f"{distance(each, mean):.3f}" for each in found]
            print(f"| {scene} | {case.name} | {samples}² | " + " | ".join(cells) + " |", flush=True)


def sorted_times(calls: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Milliseconds of processor time of each call, sorted; all take turns, so that a busy moment hits each of them."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(ROUNDS + 2):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if turn >= 2:
                taken[name].append(1000 * (time.process_time() - start))
    return {name: sorted(times) for name, times in taken.items()}


def forward_calls(kind: str) -> dict[str, Callable[[], object]]:
    """1080 × 1920 to 270 × 480, turned by 5°."""
    import cv2

    image = torch.rand(1, 3, 1080, 1920, generator=torch.Generator().manual_seed(0))
    if kind == "bytes":
        image = (255 * image).to(torch.uint8)
    array = np.ascontiguousarray(image[0].permute(1, 2, 0).numpy())
    theta = wk.pixels.to_theta(wk.pixels.rotation((959.5, 539.5), 5), in_size=(1080, 1920))
    size = (270, 480)

    def shrunk_first() -> Tensor:
        small = torch.from_numpy(cv2.resize(array, size[::-1], interpolation=cv2.INTER_AREA))
        return wk.warp(small.permute(2, 0, 1)[None], "affine", theta, size=size)

    return {
        f"`INTER_AREA`, then plain warp, {kind}": shrunk_first,
        f"`antialias=True`, {kind}": lambda: wk.warp(image, "affine", theta, size=size, antialias=True),
        f"`antialias=2`, {kind}": lambda: wk.warp(image, "affine", theta, size=size, antialias=2),
        f"plain warp of the large image, {kind}": lambda: wk.warp(image, "affine", theta, size=size),
    }


def backward_calls() -> dict[str, Callable[[], object]]:
    """1080 × 1920 to 270 × 480, scaled only, and the gradient of the image."""
    image = torch.rand(1, 3, 1080, 1920, generator=torch.Generator().manual_seed(0)).requires_grad_()
    still = wk.get_transform("affine").identity()[None]
    learnt = still.clone().requires_grad_()
    size = (270, 480)

    def gradient(theta: Tensor) -> None:
        image.grad = None
        wk.warp(image, "affine", theta, size=size, antialias=True).sum().backward()

    def torchs_gradient() -> None:
        image.grad = None
        functional.interpolate(image, size, mode="bilinear", antialias=True).sum().backward()

    return {
        "torch's `interpolate`, scaling, gradient of the image": torchs_gradient,
        "`antialias=True`, scaling, gradient of the image": lambda: gradient(still),
        "`antialias=True`, scaling, gradients of image and θ": lambda: gradient(learnt),
    }


def times() -> None:
    print("| what | median, ms | least, ms |\n| --- | --: | --: |")
    for calls in (forward_calls("floats"), forward_calls("bytes"), backward_calls()):
        for name, taken in sorted_times(calls).items():
            print(f"| {name} | {statistics.median(taken):.1f} | {taken[0]:.1f} |", flush=True)


def print_peak(way: str) -> None:
    """Print how many bytes this process holds beyond the image, at most, while 4096² pixels become 512²."""
    theta = turned(5, 1)

    def run(image: Tensor, size: int) -> object:
        if way == "opencv":
            import cv2

            return cv2.resize(image[0, 0].numpy(), (size, size), interpolation=cv2.INTER_AREA)
        if way == "torch":
            return functional.interpolate(image, (size, size), mode="bilinear", antialias=True)
        if way == "horizon":
            return wk.warp(image, "projective", horizon(0.75), size=(size, size), antialias=True)
        return wk.warp(image, "affine", theta, size=(size, size), antialias=way == "antialias")

    run(torch.rand(1, 1, 128, 128), 16)
    image = torch.rand(1, 1, 4096, 4096)
    print(peak(lambda: run(image, 512)))


def memory() -> None:
    """In processes of their own, since a process keeps blocks from before."""
    print("| what | MiB beyond the image |\n| --- | --: |")
    for way, name in [
        ("plain", "plain warp, turned by 5°"),
        ("antialias", "`antialias=True`, turned by 5°"),
        ("horizon", "`antialias=True`, horizon"),
        ("torch", "torch's `interpolate(antialias=True)`, scaling"),
        ("opencv", "OpenCV's `INTER_AREA`, scaling"),
    ]:
        command = [sys.executable, __file__, "peak", way]
        found = int(subprocess.check_output(command, text=True))
        print(f"| {name} | {found / 2**20:.1f} |", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["peak"]:
        print_peak(sys.argv[2])
    else:
        import cv2

        cv2.setNumThreads(1)
        for part in [globals()[name] for name in sys.argv[1:]] or [errors, times, memory]:
            part()
            print()
