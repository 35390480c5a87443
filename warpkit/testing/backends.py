"""The checks of backends: the whole contract of the sampler, held against the reference backend."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor, nn

from warpkit.kernels.base import Kernel
from warpkit.kernels.bicubic import Bicubic
from warpkit.kernels.bilinear import Bilinear
from warpkit.kernels.nearest import Nearest
from warpkit.sampling.backend import Backend, Rule
from warpkit.sampling.boundary import PADDING_MODES
from warpkit.sampling.reference import Reference
from warpkit.testing import inputs
from warpkit.testing.check import Checks, expect, expect_close
from warpkit.testing.differences import derivative

backend_checks = Checks("backend")
_REFERENCE = Reference()
_CLOSE = {torch.float64: 1e-9, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
_CHANNELS = 3


class Lopsided(Kernel):
    """Not symmetric, and its weights do not sum to one."""

    radius = 1.5
    interpolating = partition_of_unity = False

    def forward(self, distance: Tensor) -> Tensor:
        """A slope and a bend."""
        return 0.4 + 0.3 * distance - 0.2 * distance**2


class Tent(Kernel):
    """Joints at −1.5, 0 and 1.5: two pieces."""

    radius = 1.5
    pieces = 2
    interpolating = partition_of_unity = False

    def forward(self, distance: Tensor) -> Tensor:
        """A triangle three pixels wide."""
        return (1 - distance.abs() / 1.5) / 1.5


class Learned(Kernel):
    """Keys' cubic convolution with a as a parameter."""

    radius = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(-0.6, dtype=torch.float64))

    def forward(self, distance: Tensor) -> Tensor:
        """Keys' two cubics."""
        d, a = distance.abs(), self.a
        near = ((a + 2) * d - (a + 3)) * d**2 + 1
        return torch.where(d < 1, near, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a)


_KERNELS: tuple[Kernel, ...] = (Bilinear(), Bicubic(), Nearest(), Lopsided(), Tent())
_SMOOTH: tuple[Kernel, ...] = (Bicubic(), Bilinear(), Lopsided())


def _sizes(backend: Backend) -> st.SearchStrategy[list[int]]:
    """Of one to three axes."""
    return st.lists(st.integers(1, 5), min_size=1, max_size=3)


def _one_of(*values: Any) -> Callable[[Backend], st.SearchStrategy[Any]]:
    return lambda _: st.sampled_from(values)


def _count(low: int, high: int) -> Callable[[Backend], st.SearchStrategy[int]]:
    return lambda _: st.integers(low, high)


def _rule(size: list[int], kernel: Kernel, padding: str = "zeros", fill: Any = 0.0, aligned: bool = False) -> Rule:
    return Rule((kernel,) * len(size), (padding,) * len(size), fill, aligned)


def _image(seed: int, size: list[int], batch: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return inputs.uniform(seed, batch, _CHANNELS, *size).to(dtype)


def _coords(seed: int, size: list[int], count: int = 5, batch: int = 1, aligned: bool = False) -> Tensor:
    """Normalised, in and around the image; in pixels a twentieth or more off every multiple of a quarter."""
    u = (inputs.uniform(seed, batch, count, len(size), 2) + 1) / 2
    n = torch.tensor(size[::-1], dtype=torch.float64)
    pixels = ((u[..., 0] * (n + 4)).mul(4).floor() + 0.2 + 0.6 * u[..., 1]) / 4 - 2.5
    return 2 * pixels / (n - 1).clamp(min=1) - 1 if aligned else (2 * pixels + 1) / n - 1


def _matrix(seed: int, size: list[int], affine: bool, batch: int = 1) -> Tensor:
    """Near the identity, and by no whole number of pixels."""
    d = len(size)
    matrix = torch.eye(d + 1, dtype=torch.float64) + 0.13 * inputs.uniform(seed, batch, d + 1, d + 1)
    matrix[:, d, :d] *= 0.0 if affine else 0.5
    matrix[:, d, d] = 1.0
    return matrix


def _takes(backend: Backend, image: Tensor, rule: Rule) -> None:
    assume(backend.refuses(image, rule) is None)


def _same(backend: Backend, image: Tensor, coords: Tensor, rule: Rule, at: Mapping[str, object] | None = None) -> None:
    """Points through both: shape, type and values."""
    _takes(backend, image, rule)
    found, expected = backend.sample_points(image, coords, rule), _REFERENCE.sample_points(image, coords, rule)
    expect(found.dtype == image.dtype, f"a result in {found.dtype}", f"{image.dtype}, as the image")
    expect_close(found, expected, _CLOSE.get(image.dtype, 1e-9), "a value", at)


def _gradients_agree(backend: Backend, image: Tensor, rule: Rule, run: Callable[..., Tensor], *wanted: Tensor) -> None:
    """∂/∂wanted of a weighted sum of run(backend), beside the reference's."""
    _takes(backend, image, rule)
    results = []
    for one in (_REFERENCE, backend):
        output = run(one)
        weights = inputs.uniform(3, *output.shape).to(output)
        results.append(derivative(output * weights, *wanted))
    for expected, found in zip(*results, strict=True):
        expect_close(found, expected, 1e-8, "a gradient")


@backend_checks.add(seed=inputs.seed, size=_sizes, padding=_one_of(*PADDING_MODES))
def inputs_are_not_changed(backend: Backend, seed: int, size: list[int], padding: str) -> None:
    """Image, coordinates and matrix stay as they were.

    Why:
        They are used again: an image by the next layer, a lattice by the next batch.
    How:
        Compared with copies after the call, points outside and no numbers among them.
    Mend:
        Work on copies; no function that ends in an underscore on what was given.
    """
    image, coords, rule = _image(seed, size), _coords(seed + 1, size), _rule(size, Bicubic(), padding)
    coords[0, 0, 0] = torch.nan
    matrix = _matrix(seed, size, True)
    _takes(backend, image, rule)
    before = [x.clone() for x in (image, coords, matrix)]
    backend.sample_points(image, coords, rule)
    backend.sample_matrix(image, matrix, True, tuple(size), rule)
    for x, kept, what in zip(
        (image, coords, matrix), before, ("the image", "the coordinates", "the matrix"), strict=True
    ):
        expect_close(x, kept, 0.0, f"after the call in {what}")


@backend_checks.add("inputs_are_not_changed", seed=inputs.seed, size=_sizes)
def same_each_time(backend: Backend, seed: int, size: list[int]) -> None:
    """The same work gives the same bits, gradients too, whatever was done before.

    Why:
        Training that cannot be repeated cannot be debugged.
    How:
        The same call three times, others in between.
    Mend:
        Add up in a fixed order: no atomic additions; return new tensors.
    """
    image, coords = _image(seed, size).requires_grad_(), _coords(seed + 1, size, 40).requires_grad_()
    rule = _rule(size, Bicubic())
    _takes(backend, image, rule)
    first: list[Tensor] = []
    for _ in range(3):
        output = backend.sample_points(image, coords, rule)
        given = [output, *derivative(output, image, coords)]
        first = first or [x.detach().clone() for x in given]
        for x, kept, what in zip(given, first, ("a value", "a gradient in the image", "one in a point"), strict=True):
            expect_close(x, kept, 0.0, f"again {what}")
        backend.sample_points(image + 1, coords - 1, rule)
        expect_close(output, first[0], 0.0, "after another call, in the first result, a value")


@backend_checks.add(
    "inputs_are_not_changed",
    "same_each_time",
    seed=inputs.seed,
    size=_sizes,
    kernel=_one_of(*_KERNELS[:3]),
    count=_count(0, 6),
)
def agrees_on_points(backend: Backend, seed: int, size: list[int], kernel: Kernel, count: int) -> None:
    """sample_points gives the reference's values at points in and around an image.

    Why:
        A network must not change with the machine that it runs on.
    How:
        Images of one to three axes and generated points off the joints, in float64; no points at all, too.
    Mend:
        x, y, z are the last axis of the coordinates; −1 and 1 are outer edges: ((x + 1) · n − 1) / 2.
    """
    _same(backend, _image(seed, size), _coords(seed + 1, size, count), _rule(size, kernel))


@backend_checks.add(
    "agrees_on_points",
    seed=inputs.seed,
    size=_sizes,
    out=_count(1, 4),
    kernel=_one_of(*_KERNELS[:2]),
    affine=_one_of(True, False),
    aligned=inputs.aligned,
)
def agrees_on_matrices(
    backend: Backend, seed: int, size: list[int], out: int, kernel: Kernel, affine: bool, aligned: bool
) -> None:
    """sample_matrix gives the reference's values, for affine and projective matrices and any output size.

    Why:
        It is the way of every affine, attention and projective transformer.
    How:
        Generated matrices near the identity.
    Mend:
        The matrix takes normalised output coordinates to normalised input coordinates; divide by the last row unless
        `is_affine`; `size` is the output's, rows first.
    """
    image, matrix, rule = _image(seed, size), _matrix(seed, size, affine), _rule(size, kernel, aligned=aligned)
    _takes(backend, image, rule)
    target = tuple(out + i for i in range(len(size)))
    arguments = image, matrix, affine, target, rule
    expect_close(backend.sample_matrix(*arguments), _REFERENCE.sample_matrix(*arguments), 1e-9, "a value")


@backend_checks.add(
    "agrees_on_matrices", seed=inputs.seed, size=_sizes, images=_one_of(1, 3, 0), points=_one_of(3, 1, 0)
)
def agrees_on_shared_batches(backend: Backend, seed: int, size: list[int], images: int, points: int) -> None:
    """One image serves N sets of points, and one set N images; an empty batch gives an empty result.

    Why:
        Sharing without a copy is what the sampler promises.
    How:
        Batches of none, one and three, with points and with a matrix.
    Mend:
        Either batch may be 1; the result has the other's.
    """
    assume(images == points or 1 in (images, points))
    image, rule = _image(seed, size, images), _rule(size, Bilinear())
    _same(backend, image, _coords(seed + 1, size, batch=points), rule)
    arguments = image, _matrix(seed, size, True, points), True, tuple(size), rule
    expect_close(backend.sample_matrix(*arguments), _REFERENCE.sample_matrix(*arguments), 1e-9, "by a matrix a value")


@backend_checks.add(
    "agrees_on_shared_batches",
    seed=inputs.seed,
    size=lambda _: st.lists(st.integers(2, 5), min_size=2, max_size=3),
    layout=_one_of("channels last", "transposed", "expanded", "sliced"),
)
def agrees_on_layouts(backend: Backend, seed: int, size: list[int], layout: str) -> None:
    """Images and coordinates of any strides give the same values.

    Why:
        Networks run channels-last, and crops and flips are views.
    How:
        Channels-last, transposed, expanded and sliced tensors.
    Mend:
        Read strides, or call `.contiguous()` first.
    """
    image, coords = _image(seed, size, 2), _coords(seed + 1, size, batch=2)
    if layout == "channels last":
        image = image.to(memory_format=torch.channels_last if len(size) == 2 else torch.channels_last_3d)
    elif layout == "transposed":
        image, coords = image.mT.contiguous().mT, coords.mT.contiguous().mT
    elif layout == "expanded":
        image, coords = image[:1].expand_as(image), coords[:1].expand_as(coords)
    else:
        image, coords = image.repeat_interleave(2, -1)[..., ::2], coords.repeat_interleave(2, 1)[:, ::2]
    _same(backend, image, coords, _rule(size, Bilinear()))


@backend_checks.add(
    "agrees_on_points",
    seed=inputs.seed,
    size=_sizes,
    kernel=_one_of(*_KERNELS),
    other=_one_of(*_KERNELS),
    learned=_one_of(False, True),
)
def agrees_on_kernels(
    backend: Backend, seed: int, size: list[int], kernel: Kernel, other: Kernel, learned: bool
) -> None:
    """Every kernel gives the reference's values: lopsided ones, in pieces, with parameters, and one for each axis.

    Why:
        Users bring kernels of their own, and rely on them being sampled as their formula says.
    How:
        Two kernels in turn along the axes.
    Mend:
        Read the table as it is: [pieces, taps, degree + 1], tap t at i0 + t with i0 = floor(x − r + ε) + 1; assume no
        symmetry, no sum of one and no single piece.
    """
    chosen = (Learned() if learned else kernel, other, kernel)[: len(size)]
    _same(backend, _image(seed, size), _coords(seed + 1, size), _rule(size, kernel)._replace(kernels=chosen))


@backend_checks.add("agrees_on_points", seed=inputs.seed, size=_sizes, aligned=inputs.aligned)
def agrees_on_padding(backend: Backend, seed: int, size: list[int], aligned: bool) -> None:
    """Outside of the image every padding mode, with either alignment, gives the reference's values, mixed ones too.

    Why:
        Most warps look beyond the border somewhere.
    How:
        Points in and up to two pixels around images that may be one pixel wide.
    Mend:
        The rule maps the index of each tap: reflection about −½ and n − ½, or about 0 and n − 1 with align_corners;
        wrapping modulo n.
    """
    image, coords = _image(seed, size), _coords(seed + 1, size, 8, aligned=aligned)
    for i in range(4):
        for mixed in (False, True):
            modes = tuple(PADDING_MODES[(i + axis * mixed) % 4] for axis in range(len(size)))
            rule = _rule(size, Bicubic(), aligned=aligned)._replace(padding=modes)
            _same(
                backend, image, coords, rule, {"padding": modes, "align_corners": aligned, "size": size, "seed": seed}
            )


@backend_checks.add(
    "agrees_on_kernels", seed=inputs.seed, size=_sizes, each=_one_of(False, True), kernel=_one_of(*_KERNELS)
)
def agrees_on_fill(backend: Backend, seed: int, size: list[int], each: bool, kernel: Kernel) -> None:
    """Taps outside have the value `fill`, one number or one for each channel.

    Why:
        A background of −1, as normalised images have, would be black instead.
    How:
        Points around the image, kernels whose weights sum to one and others.
    Mend:
        An output is Σ of weights inside times pixels, plus `fill` times (1 − Σ of weights inside).
    """
    fill: Any = torch.tensor([0.5, -2.0, 7.0], dtype=torch.float64) if each else -1.5
    _same(backend, _image(seed, size), _coords(seed + 1, size), _rule(size, kernel, fill=fill))


@backend_checks.add(
    "agrees_on_kernels",
    seed=inputs.seed,
    size=_sizes,
    kernel=_one_of(*_KERNELS[:4]),
    dtype=_one_of(*_CLOSE, torch.uint8, torch.int16, torch.int64, torch.bool),
)
def agrees_on_types(backend: Backend, seed: int, size: list[int], kernel: Kernel, dtype: torch.dtype) -> None:
    """Images of every type give a result of that type; whole numbers are rounded and saturate.

    Why:
        Photographs are bytes, labels whole numbers, networks run in half precision.
    How:
        float16, bfloat16, float32, float64, integers and booleans, as far as the backend does not refuse them.
    Mend:
        Compute in float32 at least, round once at the end; refuse (`refuses`) what cannot be done.
    """
    scaled = inputs.uniform(seed, 1, _CHANNELS, *size) * (1 if dtype.is_floating_point else 100)
    image = scaled.abs().to(dtype) if dtype == torch.uint8 else scaled.to(dtype)
    _same(backend, image, _coords(seed + 1, size), _rule(size, kernel))


@backend_checks.add(
    "agrees_on_shared_batches",
    "agrees_on_kernels",
    "agrees_on_padding",
    seed=inputs.seed,
    size=_sizes,
    kernel=_one_of(*_SMOOTH),
    padding=_one_of(*PADDING_MODES),
    shared=_one_of(False, True),
)
def gradient_in_image(backend: Backend, seed: int, size: list[int], kernel: Kernel, padding: str, shared: bool) -> None:
    """The gradient in the image is the reference's; for a shared image it is the sum.

    Why:
        It is what the layers before the sampler are trained with.
    How:
        A weighted sum of the output, differentiated by both.
    Mend:
        Each tap's weight goes back to the pixel that it was read from, through the same padding.
    """
    image = _image(seed, size, 1 if shared else 2).requires_grad_()
    coords, rule = _coords(seed + 1, size, batch=2), _rule(size, kernel, padding)
    _gradients_agree(backend, image, rule, lambda one: one.sample_points(image, coords, rule), image)


@backend_checks.add(
    "agrees_on_shared_batches",
    "agrees_on_kernels",
    "agrees_on_padding",
    "agrees_on_fill",
    seed=inputs.seed,
    size=_sizes,
    kernel=_one_of(*_SMOOTH),
    padding=_one_of(*PADDING_MODES),
    shared=_one_of(False, True),
)
def gradient_in_points(
    backend: Backend, seed: int, size: list[int], kernel: Kernel, padding: str, shared: bool
) -> None:
    """The gradient in the coordinates is the reference's; for shared points it is the sum.

    Why:
        It is what θ is trained with.
    How:
        A weighted sum of the output, differentiated by both, at points off the joints.
    Mend:
        The derivative of the table's polynomials, times the pixels, times n / 2 (a normalised unit in pixels).
    """
    image, rule = _image(seed, size, 2), _rule(size, kernel, padding, fill=0.3)
    coords = _coords(seed + 1, size, batch=1 if shared else 2).requires_grad_()
    _gradients_agree(backend, image, rule, lambda one: one.sample_points(image, coords, rule), coords)


@backend_checks.add(
    "gradient_in_image",
    "gradient_in_points",
    seed=inputs.seed,
    size=_sizes,
    kernel=_one_of(*_SMOOTH),
    affine=_one_of(True, False),
)
def gradient_in_matrix(backend: Backend, seed: int, size: list[int], kernel: Kernel, affine: bool) -> None:
    """The gradients in the matrix and in the image are the reference's.

    Why:
        θ of an affine or projective transformer learns through it.
    How:
        A weighted sum of the output, differentiated by both.
    Mend:
        The gradient in the coordinates times each output point, summed; with the division's own derivative for a
        projective matrix. The last row of an affine one has none.
    """
    image = _image(seed, size, 2).requires_grad_()
    matrix, rule, target = _matrix(seed, size, affine, 2).requires_grad_(), _rule(size, kernel), tuple(size)

    def run(one: Backend) -> Tensor:
        used = torch.cat([matrix[:, :-1], matrix[:, -1:].detach()], 1) if affine else matrix
        return one.sample_matrix(image, used, affine, target, rule)

    _gradients_agree(backend, image, rule, run, matrix, image)


@backend_checks.add("agrees_on_kernels", seed=inputs.seed, size=_sizes)
def gradient_in_kernel(backend: Backend, seed: int, size: list[int]) -> None:
    """The gradient in a kernel's own parameters Φ is the reference's.

    Why:
        A kernel that learns would stay as it is.
    How:
        Keys' cubic with its a as a parameter, along every axis.
    Mend:
        Give the table a gradient: `kernel.table(dtype)` is differentiable in Φ.
    """
    kernel, image = Learned(), _image(seed, size)
    rule, coords = _rule(size, kernel), _coords(seed + 1, size)
    _gradients_agree(backend, image, rule, lambda one: one.sample_points(image, coords, rule), kernel.a)


@backend_checks.add(
    "gradient_in_image", "gradient_in_points", seed=inputs.seed, size=_sizes, kernel=_one_of(*_SMOOTH[:2])
)
def second_derivatives(backend: Backend, seed: int, size: list[int], kernel: Kernel) -> None:
    """The gradient can be differentiated again, and gives the reference's second derivatives.

    Why:
        Gradient penalties and Newton steps use them; a missing one that passes as zero is the worst case.
    How:
        The gradients' weighted sum, differentiated again in image and coordinates.
    Mend:
        Let the backward of the operator be differentiable too: through the reference backend, if not of its own.
    """
    image, coords = _image(seed, size).requires_grad_(), _coords(seed + 1, size).requires_grad_()
    rule = _rule(size, kernel)

    def run(one: Backend) -> Tensor:
        output = one.sample_points(image, coords, rule)
        first = derivative(output * inputs.uniform(4, *output.shape), image, coords)
        return torch.stack([(g * inputs.uniform(5 + i, *g.shape)).sum() for i, g in enumerate(first)])

    _gradients_agree(backend, image, rule, run, image, coords)


@backend_checks.add(
    "gradient_in_points",
    seed=inputs.seed,
    size=_count(2, 300),
    kernel=_one_of(*_KERNELS),
    dtype=_one_of(torch.float32, torch.float64),
)
def agrees_on_joints(backend: Backend, seed: int, size: int, kernel: Kernel, dtype: torch.dtype) -> None:
    """On the joints, where an identity warp has all its points, the reference's side is taken.

    Why:
        Coordinates carry rounding. Without its forgiveness two machines take different one-sided derivatives at every
        pixel, and `nearest` different pixels at a half.
    How:
        The pixels' own coordinates and the places half-way, as float32 and float64 round them: values, and gradients
        in the points.
    Mend:
        i0 = floor(x − r + ε) + 1 with ε = 2 · eps(the coordinates' dtype, float32 at least) · n, x computed as
        ((x + 1) · n − 1) / 2; the fraction may be −ε.
    """
    image, rule = _image(seed, [size]), _rule([size], kernel)
    _takes(backend, image, rule)
    half = torch.arange(2 * size - 1, dtype=torch.float64) / 2
    coords = ((2 * half + 1) / size - 1).to(dtype)[None, :, None]
    results = []
    for one in (_REFERENCE, backend):
        at = coords.clone().requires_grad_()
        output = one.sample_points(image, at, rule)
        results.append([output, derivative(output, at)[0] * (2 / size)])
    for expected, found, what in zip(*results, ("a value", "a gradient in the pixel coordinate"), strict=True):
        where = half.expand_as(found) if what == "a value" else half.reshape(found.shape)
        expect_close(found, expected, 1e-4 if dtype == torch.float32 else 1e-8, what, at={"pixel": where})


@backend_checks.add(
    "gradient_in_image",
    "gradient_in_points",
    seed=inputs.seed,
    size=_sizes,
    padding=_one_of(*PADDING_MODES),
    kernel=_one_of(*_KERNELS[:2]),
    value=_one_of(float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 3e9),
)
def agrees_on_nonfinite_points(
    backend: Backend, seed: int, size: list[int], padding: str, kernel: Kernel, value: float
) -> None:
    """A coordinate that is no number gets `fill` in every mode, a huge one is outside; no gradient becomes NaN.

    Why:
        A horizon, or a step too far in training, must not poison a batch, nor read memory that is not the image's.
    How:
        One such coordinate among others: values, gradients in image and points.
    Mend:
        Test `isfinite` first and select; limit finite pixel coordinates before they become integers.
    """
    image, coords = _image(seed, size).requires_grad_(), _coords(seed + 1, size)
    coords[0, 1, 0] = value
    coords.requires_grad_()
    rule = _rule(size, kernel, padding, fill=0.25)
    _takes(backend, image, rule)
    results = []
    for one in (_REFERENCE, backend):
        output = one.sample_points(image, coords, rule)
        results.append([output, *derivative(output, image, coords)])
    for expected, found, what in zip(*results, ("a value", "a gradient in the image", "one in a point"), strict=True):
        expect_close(found, expected, 1e-7, what)
