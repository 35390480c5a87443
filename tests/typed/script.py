"""What a user writes: it runs, and mypy and pyright find nothing wrong with it but what `wrong` means to be."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

import warpkit as wk


@wk.register_kernel("typed_triangle")
class Triangle(wk.Kernel):
    """A triangle."""

    radius = 1.0
    symmetric = True

    def forward(self, distance: Tensor) -> Tensor:
        return 1 - distance.abs()


@wk.register_kernel("typed_hat")
class Hat(wk.Kernel):
    """A triangle whose height may be learned."""

    radius = 2
    pieces = 1
    interpolating = False

    def __init__(self, height: float = 1.0) -> None:
        super().__init__()
        self.height = nn.Parameter(torch.tensor(height))

    def forward(self, distance: Float[Tensor, "*S"]) -> Float[Tensor, "*S"]:
        return self.height * (2 - distance.abs()) / 4


@wk.register_transform("typed_turn")
class Turn(wk.Transform):
    """A turn."""

    ndim = 2
    num_params = 1
    param_names = ("angle",)

    def identity(self) -> Tensor:
        return torch.zeros(1)

    def inverse(self, theta: Tensor) -> Tensor:
        return -theta

    def forward(self, theta: Tensor, points: Tensor) -> Tensor:
        x, y = points.unbind(-1)
        c, s = theta.cos(), theta.sin()
        return torch.stack([c * x - s * y, s * x + c * y], -1)


@wk.register_transform("typed_shift")
class Shift(wk.MatrixTransform):
    """A move along x."""

    ndim = 2
    num_params = 1
    is_affine = True

    def identity(self) -> Float[Tensor, " P"]:
        return torch.zeros(1)

    def matrix(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N E E"]:
        m = torch.eye(3).to(theta).repeat(len(theta), 1, 1)
        m[:, 0, 2] = theta[:, 0]
        return m

    def from_matrix(self, matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N P"]:
        return matrix[:, 0, 2:]


class Bump(wk.BasisTransform):
    """A bump."""

    ndim, num_params, param_names = 2, 2, ("x", "y")

    def identity(self) -> Tensor:
        return torch.zeros(2)

    def basis(self, points: Tensor) -> Tensor:
        return torch.exp(-points.square().sum(-1, keepdim=True))

    def coefficients(self, theta: Tensor) -> Tensor:
        return theta[:, None]


class Doubled(wk.FieldTransform):
    """A field, twice."""

    is_linear = True

    def displacement(self, theta: Tensor) -> Tensor:
        return 2 * theta


@wk.register_module("typed_head")
class Head(nn.Module):
    """A network."""

    def __init__(self, features: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.LazyLinear(features), nn.ReLU())

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.layers(image)
        return out


def main() -> None:
    image = torch.rand(2, 1, 16, 16)
    theta = torch.tensor([[0.1]])
    kernels = ("bicubic", Triangle(), {"type": "bicubic", "a": -0.5}, wk.Bicubic(a=-0.5), wk.get_kernel("typed_hat"))
    for kernel in kernels:
        warped: Tensor = wk.warp(image, Turn(), theta, kernel=kernel, padding_mode="border")
    warped = wk.warp(image, "typed_shift", theta, size=(8, 8), padding_mode=("zeros", "wrap"), fill=1.0, antialias=True)
    bent = wk.ThinPlateSpline(grid=(3, 3))
    names: tuple[str, ...] = bent.param_names
    radius: float = wk.BSpline(degree=3).radius
    both = wk.Compose([bent, "typed_turn", {"type": "affine"}])
    warped = wk.warp(image, both, both.identity()[None], kernel=["bilinear", "bicubic"])
    values = wk.sample(image, wk.lattice((4, 4))[None], kernel="nearest")
    pushed = wk.push(values, wk.lattice((4, 4))[None], (16, 16))
    back = wk.warp_points(torch.zeros(1, 3, 2), Turn(), theta, units="pixels", in_size=16)
    boxes = wk.warp_boxes(torch.zeros(1, 3, 4), "affine", torch.eye(2, 3).reshape(1, 6))
    matrix = wk.pixels.fit(torch.rand(4, 2), torch.rand(4, 2), "translation")
    at = wk.pixels.to_theta(matrix, wk.Affine(), in_size=(16, 16))
    transformer = wk.SpatialTransformer("typed_head", Turn(), kernel=wk.Mitchell(), limits=0.5, padding_mode="wrap")
    net = nn.Sequential(transformer, nn.Flatten(), nn.LazyLinear(2))
    net(image)
    spec = {"version": 1, "input": [1, 16, 16], "layers": ["Flatten", {"type": "Linear", "out_features": 2}]}
    built: nn.Module = wk.build(spec)
    described = wk.to_spec(built)
    torch.optim.Adam(wk.parameter_groups(net, lr=1e-3))
    with wk.watch(net, every=1) as watched:
        loss = net(image).square().mean()
        loss.backward()
    figures: dict[str, float] = watched.metrics()
    found = wk.align(image, warped, "translation", loss="ncc", kernel="bicubic")
    smooth = wk.losses.bending("displacement", torch.zeros(1, 2, 4, 4), (16, 16))
    with wk.use_backend("reference"):
        wk.warp(image, wk.Similarity(), torch.tensor([[1.0, 0, 0, 0]]))
    report = wk.testing.check_kernel(Triangle(), only=["symmetric"])
    try:
        wk.warp(image, "affine", theta)
    except wk.InputError as error:
        print(error.what, error.expected)
    print(*(tensor.shape for tensor in (pushed, back, boxes, at, found, smooth)))
    print(names, radius, described, figures, report.passed)


def wrong(image: Tensor, theta: Tensor) -> None:
    """What a type checker has to complain about, or it would say that its comment is not needed."""
    wk.warp(image, "affine", theta, padding_mode="zero")  # type: ignore[arg-type]
    wk.warp_points(image, "affine", theta, units="pixel")  # type: ignore[arg-type]
    wk.align(image, image, "affine", loss="mean")  # type: ignore[arg-type]
    wk.pixels.fit(theta, theta, "rigid")  # type: ignore[arg-type]
    wk.Bicubic(b=1.0)  # type: ignore[call-arg]
    print(wk.Afine)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
