"""The peers: warpkit, and others that do the same work, each through its own front door.

A call goes from a matrix to pixels. Each starts from its own kind of matrix (normalised or pixels, forward or inverse)
and its own layout, which are made before the clock starts: no peer pays for our conventions.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from warpkit.benchmark.peer import Peer, in_pixels
from warpkit.benchmark.workloads import Workload, get_kernel
from warpkit.distribution import NAME
from warpkit.errors import InputError, quoted, unknown
from warpkit.sampling.sampler import sample
from warpkit.warping import warp

_ANY: dict[str, Any] = {}
_GRID_SAMPLE = {"nearest": "nearest", "bilinear": "bilinear", "bicubic": "bicubic"}
_ORDERS = {"nearest": 0, "bilinear": 1, "bspline": 3}
_KORNIA_RS = {"bilinear": "bilinear"}  # as of 0.2, "nearest" is half a pixel off, and "bicubic" is "bilinear"
_FLAGS = {"nearest": "INTER_NEAREST", "bilinear": "INTER_LINEAR", "bicubic": "INTER_CUBIC"}


class Warpkit(Peer):
    """Our `warp` with "affine", and `sample`: they have every kernel, and take every type."""

    name, module, distributions = "warpkit", "warpkit", (NAME,)
    kernels = _ANY

    def lacks(self, workload: Workload, kernel: str, direction: str) -> str | None:
        """None: warpkit can do all of the work."""
        return None

    def where(self, theta: Tensor, size: tuple[int, ...]) -> Tensor:
        """θ [N, P], the matrix row by row."""
        return theta.flatten(1)

    def forward(self, kernel: str) -> Callable[[Any, Any], Any]:
        """The call as a user writes it; the transform's name is looked up each time."""
        given = get_kernel(kernel)
        return lambda image, theta: warp(image, "affine", theta, kernel=given)

    def sampling(self, kernel: str) -> Callable[[Any, Any], Any]:
        """The same for `sample`, at points that are given."""
        given = get_kernel(kernel)
        return lambda image, points: sample(image, points, kernel=given)


class OurBicubic(Warpkit):
    """Our own `bicubic`, as the peer of a kernel that no other library has."""

    name = "our bicubic"
    same_formula = False

    def lacks(self, workload: Workload, kernel: str, direction: str) -> str | None:
        """A reason for every kernel that other libraries have: those are compared with theirs."""
        return f"has {kernel}" if kernel in ("nearest", "bilinear", "bicubic", "bspline") else None

    def forward(self, kernel: str) -> Callable[[Any, Any], Any]:
        """The bicubic warp, whatever the kernel is."""
        return super().forward("bicubic")


class Torch(Peer):
    """PyTorch's own way: `affine_grid`, then `grid_sample`.

    Labels go as floats, made before the clock starts. Halves become floats in the call: in their own type, which
    `grid_sample` would take, coordinates are wrong by up to a pixel.
    """

    name, module, distributions = "torch", "torch", ("torch",)
    kernels = _GRID_SAMPLE
    dimensions = (2, 3)
    dtypes = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64)
    takes_points = True

    def image(self, image: Tensor) -> Tensor:
        """The image itself, or labels as floats."""
        return image if image.is_floating_point() else image.float()

    def forward(self, kernel: str) -> Callable[[Any, Any], Any]:
        """The two calls, with zeros outside and align_corners=False."""
        mode = self.kernels[kernel]

        def call(image: Tensor, theta: Tensor) -> Tensor:
            if image.dtype != torch.float32:
                return other(image, theta)
            grid = affine_grid(theta, list(image.shape), align_corners=False)
            return grid_sample(image, grid, mode=mode, padding_mode="zeros", align_corners=False)

        def other(image: Tensor, theta: Tensor) -> Tensor:
            wide = torch.promote_types(image.dtype, torch.float32)
            grid = affine_grid(theta.to(wide), list(image.shape), align_corners=False)
            found = grid_sample(image.to(wide), grid, mode=mode, padding_mode="zeros", align_corners=False)
            return found.to(image.dtype)

        return call

    def sampling(self, kernel: str) -> Callable[[Any, Any], Any]:
        """`grid_sample` alone, since the points are given."""
        mode = self.kernels[kernel]
        return lambda image, grid: grid_sample(image, grid, mode=mode, padding_mode="zeros", align_corners=False)


class Kornia(Peer):
    """kornia's `warp_affine`: its matrix is in pixels, from source to destination; it samples by `grid_sample`."""

    name, module, distributions = "kornia", "kornia", ("kornia",)
    kernels = _GRID_SAMPLE

    def where(self, theta: Tensor, size: tuple[int, ...]) -> Tensor:
        """The inverse matrix [N, 2, 3] in pixels, as kornia inverts it again."""
        inverse: Tensor = torch.linalg.inv(in_pixels(theta, size))
        return inverse[:, :-1].float()

    def forward(self, kernel: str) -> Callable[[Any, Any], Any]:
        """The call with align_corners=False: a pixel matrix reads the same pixels under both, at the same cost."""
        mode, call = self.kernels[kernel], self.library.geometry.transform.warp_affine
        return lambda image, matrix: call(image, matrix, image.shape[2:], mode=mode, align_corners=False)


class TorchInterpol(Peer):
    """torch-interpol's `grid_pull` with B-splines. Its `affine_grid` takes no batch (0.3.0): the product is ours."""

    name, module, distributions = "torch-interpol", "interpol", ("torch-interpol",)
    kernels = _ORDERS
    dimensions = (2, 3)

    def where(self, theta: Tensor, size: tuple[int, ...]) -> Tensor:
        """The matrix [N, D, D + 1] in voxels, its axes in the order of the image's."""
        matrix, d = in_pixels(theta, size), len(size)
        order = [*range(d - 1, -1, -1), d]
        return matrix[:, order][:, :, order][:, :-1].float()

    def forward(self, kernel: str) -> Callable[[Any, Any], Any]:
        """The call with `extrapolate`: then taps outside are zero, as ours, and not whole points."""
        order, identity, pull = self.kernels[kernel], self.library.identity_grid, self.library.grid_pull

        def call(image: Tensor, matrix: Tensor) -> Any:
            size = list(image.shape[2:])
            pixels = identity(size, dtype=matrix.dtype).reshape(1, -1, len(size))
            points = torch.baddbmm(matrix[:, None, :, -1], pixels.expand(len(matrix), -1, -1), matrix[..., :-1].mT)
            grid = points.reshape(-1, *size, len(size))
            return pull(image, grid, interpolation=order, bound="zero", extrapolate=True, prefilter=False)

        return call


class OpenCV(Peer):
    """OpenCV's `warpAffine` and `remap` on images of up to four channels, one by one, channels last; forward only."""

    name, module = "opencv", "cv2"
    distributions = (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    )
    kernels = _FLAGS
    dtypes = (torch.float32, torch.uint8)
    takes_points = True
    has_gradients = False
    coordinate_error = 1 / 64  # release 4 rounds coordinates to 1/32 pixel

    def lacks(self, workload: Workload, kernel: str, direction: str) -> str | None:
        """The reason why OpenCV cannot do this work, or None; it takes no more than four channels."""
        many = "takes up to 4 channels" if workload.shape[1] > 4 else None
        return super().lacks(workload, kernel, direction) or many

    def image(self, image: Tensor) -> Any:
        """The images as N arrays [H, W, C]."""
        return [np.ascontiguousarray(one.permute(1, 2, 0).numpy()) for one in image]

    def where(self, theta: Tensor, size: tuple[int, ...]) -> Tensor:
        """The matrix [N, 2, 3] in pixels, from destination to source."""
        return in_pixels(theta, size)[:, :-1]

    def forward(self, kernel: str) -> Callable[[Any, Any], Any]:
        """The calls, image by image, with zeros outside."""
        cv2 = self.library
        flags = getattr(cv2, self.kernels[kernel]) | cv2.WARP_INVERSE_MAP

        def call(images: list[Any], matrices: Tensor) -> list[Any]:
            each = zip(images, matrices.numpy(), strict=True)
            return [cv2.warpAffine(one, m, (one.shape[1], one.shape[0]), flags=flags) for one, m in each]

        return call

    def points(self, points: Tensor, size: tuple[int, ...]) -> Any:
        """The points in pixels, [N, H, W, 2]."""
        n = torch.tensor(size[::-1], dtype=points.dtype)
        return ((points + 1) * n - 1) / 2

    def sampling(self, kernel: str) -> Callable[[Any, Any], Any]:
        """`remap`, image by image, with zeros outside."""
        cv2, flag = self.library, getattr(self.library, self.kernels[kernel])
        return lambda images, points: [
            cv2.remap(one, where, None, flag) for one, where in zip(images, points.numpy(), strict=True)
        ]

    def result(self, given: Any) -> Tensor:
        """The images as one tensor [N, C, H, W]; OpenCV drops the axis of a single channel."""
        return torch.stack([torch.from_numpy(one.reshape(*one.shape[:2], -1)).permute(2, 0, 1) for one in given])


class KorniaRs(Peer):
    """kornia-rs's `warp_affine` on bytes of three channels, one by one, channels last; forward only."""

    name, module, distributions = "kornia-rs", "kornia_rs", ("kornia-rs",)
    kernels = _KORNIA_RS
    leaves_edges = True
    dtypes = (torch.uint8,)
    has_gradients = False
    coordinate_error = 1 / 64

    def lacks(self, workload: Workload, kernel: str, direction: str) -> str | None:
        """The reason why kornia-rs cannot do this work, or None; it takes three channels."""
        other = "takes 3 channels" if workload.shape[1] != 3 else None
        return super().lacks(workload, kernel, direction) or other

    def image(self, image: Tensor) -> Any:
        """The images as N arrays [H, W, C]."""
        return [np.ascontiguousarray(one.permute(1, 2, 0).numpy()) for one in image]

    def where(self, theta: Tensor, size: tuple[int, ...]) -> Tensor:
        """The inverse matrix [N, 2, 3] in pixels."""
        inverse: Tensor = torch.linalg.inv(in_pixels(theta, size))
        return inverse[:, :-1]

    def forward(self, kernel: str) -> Callable[[Any, Any], Any]:
        """The calls, image by image, with zeros outside."""
        call, mode = self.library.imgproc.warp_affine, self.kernels[kernel]
        return lambda images, matrices: [
            call(one, tuple(m), one.shape[:2], mode)
            for one, m in zip(images, matrices.flatten(1).tolist(), strict=True)
        ]

    def result(self, given: Any) -> Tensor:
        """The images as one tensor [N, C, H, W]."""
        return torch.stack([torch.from_numpy(np.asarray(one)).permute(2, 0, 1) for one in given])


OURS = Warpkit()
_ALL = (Torch(), Kornia(), TorchInterpol(), OpenCV(), KorniaRs(), OurBicubic())
PEERS: dict[str, Peer] = {p.name: p for p in _ALL}


def get_peer(name: str) -> Peer:
    """The peer of this name; `InputError` for an unknown one, and for one that is not installed."""
    if name not in PEERS:
        raise unknown("peer", name, PEERS)
    if not PEERS[name].installed():
        raise InputError(f"peer {quoted(name)} is not installed", hint=pip_line([PEERS[name]]))
    return PEERS[name]


def pip_line(peers: list[Peer]) -> str:
    """The command that installs these peers."""
    return f"pip install {' '.join(p.distributions[0] for p in peers)}"


def set_threads(threads: int) -> None:
    """Set the number of threads of every library that is installed."""
    torch.set_num_threads(threads)
    if PEERS["opencv"].installed():
        PEERS["opencv"].library.setNumThreads(threads)
