"""Generated inputs: decimals that shrink to short ones, so that a counterexample can be read and typed in again."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from warpkit.errors import InputError
from warpkit.kernels.base import Kernel
from warpkit.transforms.base import Transform

START = "_warpkit_start"  # the attribute that holds the θ around which a transform is tried
_NEAR_PHI = 3
_PLACES = (-0.83, -0.41, 0.07, 0.29, 0.66, 0.94)  # of a kernel's radius: off the usual joints
_MANY = 16  # parameters; more of them are drawn as a seed: nobody reads them, and drawing takes time
_SPREAD, _FAR, _FARTHEST = 0.25, 2.0, 10.0  # of θ around where a transform starts
_M = TypeVar("_M", bound=nn.Module)
_LIST = st.SearchStrategy[list[float]]
_POINTS = st.SearchStrategy[list[list[float]]]

seeds = st.integers(0, 2**16)


def seed(_: Any) -> st.SearchStrategy[int]:
    """A seed, for inputs that nobody needs to read."""
    return seeds


def decimals(low: float, high: float, step: float = 1e-3) -> st.SearchStrategy[float]:
    """Multiples of `step` (1/n of a whole) strictly between low and high."""
    n = round(1 / step)
    return st.integers(math.floor(low * n) + 1, math.ceil(high * n) - 1).map(lambda i: i / n)


# For kernels


def distance(kernel: Kernel) -> st.SearchStrategy[float]:
    """A distance inside the radius, in pixels."""
    return decimals(-kernel.radius, kernel.radius)


def grid(kernel: Kernel) -> Tensor:
    """Distances all over the inside, 256 in each pixel, away from every joint at a simple fraction."""
    count = kernel.taps * 128
    middle = (torch.arange(count, dtype=torch.float64) + 0.4142) / count
    return ((2 * middle - 1) * kernel.radius).to(device(kernel))


def distances(kernel: Kernel) -> _LIST:
    """One to six distances inside the radius."""
    return st.lists(distance(kernel), min_size=1, max_size=6)


def special_distance(kernel: Kernel) -> st.SearchStrategy[float]:
    """A whole or half pixel, a declared joint, a distance a hair away from these, or any other."""
    n = 2 * kernel.pieces
    marks = [k / n for k in range(math.ceil(-kernel.radius * n) + 1, math.floor(kernel.radius * n))]
    near = [m + e for m in (-kernel.radius, *marks, kernel.radius) for e in (-1e-7, 1e-7)]
    inside = [d for d in sorted((*marks, *near), key=abs) if abs(d) < kernel.radius]
    return st.sampled_from(inside) | distance(kernel)


def fraction(_: Kernel) -> st.SearchStrategy[float]:
    """A fraction: how far the sampled place lies behind a pixel."""
    return st.sampled_from((0.5, 0.25, 0.75)) | decimals(0, 1)


def phi(kernel: Kernel) -> st.SearchStrategy[int]:
    """A number of a state of the parameters Φ, for `at_phi`: 0 leaves them as they are, others move them a little."""
    return st.integers(0, _NEAR_PHI if has_phi(kernel) else 0)


def wide_phi(component: nn.Module) -> st.SearchStrategy[int]:
    """A number as from `phi` or, half of the time, one that moves the parameters far."""
    return st.integers(0, 2 * _NEAR_PHI if has_phi(component) else 0)


def has_phi(component: nn.Module) -> bool:
    """Whether the component has parameters of its own."""
    return any(True for _ in component.parameters())


def at_phi(component: _M, phi: int) -> _M:
    """The component after its parameters have moved, as they do in training; in float64, so that facts are exact."""
    if not has_phi(component):
        return component
    moved = copy.deepcopy(component).double()
    if phi == 0:
        return moved
    far = 1.0 if phi <= _NEAR_PHI else 10.0
    with torch.no_grad():
        for i, p in enumerate(moved.parameters()):
            p.add_(far * (0.1 * p.abs() + 0.05) * uniform(97 * phi + i, *p.shape).to(p))
    return moved


def told(kernel: Kernel, phi: int) -> dict[str, object]:
    """The parameters, for a message, where they have moved."""
    return dict(kernel.named_parameters()) if phi else {}


# For transforms


def thetas(batch: int) -> Any:
    """θ [batch, P] near where the transform starts, as nested lists."""
    return lambda transform: _thetas(batch, transform, [_SPREAD] * transform.num_params)


def wide_thetas(batch: int) -> Any:
    """θ near where the transform starts or, most of the time, far from it; `_reach` says how far that is."""

    def strategy(transform: Transform) -> _POINTS:
        reach = _reach(transform)
        far, farthest = ([times * r for r in reach] for times in (_FAR, _FARTHEST))
        near: _POINTS = thetas(batch)(transform)
        return near | _thetas(batch, transform, far) | _thetas(batch, transform, farthest)

    return strategy


def _thetas(batch: int, transform: Transform, spread: list[float]) -> _POINTS:
    start = centre(transform).tolist()
    if len(start) > _MANY:
        drawn = seeds.map(lambda s: (torch.tensor(spread) * uniform(s, batch, len(start))).tolist())
    else:
        one = st.tuples(*(decimals(-far, far, step=min(max(1e-3, far / 1e3), 1.0)) for far in spread))
        drawn = st.lists(one, min_size=batch, max_size=batch)
    return drawn.map(lambda rows: [[round(a + b, 9) for a, b in zip(start, row, strict=True)] for row in rows])


def _reach(transform: Transform) -> list[float]:
    """How much of each number of θ moves points by half an image: degrees need more than radians do."""
    step = 1e-3
    try:
        fresh = copy.deepcopy(transform)
        begin = centre(fresh).to(device(fresh))
        at = scattered(fresh, 0, 100)
        with torch.no_grad():
            moved = fresh(begin + step * torch.eye(len(begin)).to(begin), at) - fresh(begin[None], at)
        slopes = moved.flatten(1).double().nan_to_num(0.0, 0.0, 0.0).abs().amax(1).cpu() / step
    except Exception:  # the checks tell
        return [1.0] * transform.num_params
    return [1.0 if slope == 0 else min(max(1.0, 1 / slope), 1e3) for slope in slopes.tolist()]


def is_near(transform: Transform, theta: list[list[float]]) -> bool:
    """Whether all these θ are near where the transform starts."""
    return bool(((torch.tensor(theta) - centre(transform)).abs() <= _SPREAD + 1e-6).all())


def points(low: int = 1, high: int = 4, reach: float = 1.0) -> Any:
    """Between `low` and `high` points [M, D] in −reach … reach, as nested lists."""

    def strategy(transform: Transform) -> _POINTS:
        one = st.lists(decimals(-reach, reach), min_size=transform.ndim, max_size=transform.ndim)
        return st.lists(one, min_size=low, max_size=high)

    return strategy


def scattered(transform: Transform, seed: int, count: int, reach: float = 1.1) -> Tensor:
    """Points [1, M, D] all over the image and a little around it."""
    return reach * uniform(seed, 1, count, transform.ndim).to(device(transform))


def centre(transform: Transform) -> Tensor:
    """The θ [P] to start from: the identity; ½ everywhere for a transform without (scales divide by zero at 0)."""
    given = getattr(transform, START, None)
    if given is not None:
        return given  # type: ignore[no-any-return]
    try:
        start = transform.identity()
    except InputError:
        return torch.full((transform.num_params,), 0.5, dtype=torch.float64)
    if not isinstance(start, Tensor) or start.shape != (transform.num_params,):  # the check of the identity tells
        return torch.full((transform.num_params,), 0.5, dtype=torch.float64)
    return start.detach().double().cpu()


# For both


def example(component: nn.Module, batch: int = 2) -> tuple[Tensor, ...]:
    """Inputs of a component, float64: distances [6] of a kernel; θ [batch, P] and points [1, 4, D] of a transform."""
    if isinstance(component, Kernel):
        return (tensor(component, _PLACES) * component.radius,)
    assert isinstance(component, Transform)
    start = centre(component).to(device(component))
    theta = start + 0.15 * uniform(5, batch, component.num_params).to(start)
    return theta, 0.9 * uniform(6, 1, 4, component.ndim).to(start)


def parameters(module: nn.Module) -> Tensor:
    """All numbers of the module's parameters as one vector, float64."""
    return torch.cat([p.detach().double().flatten() for p in module.parameters()])


def with_parameters(module: nn.Module, vector: Tensor, *inputs: Tensor) -> Tensor:
    """The module's result when its parameters are taken from one vector."""
    parameters = dict(module.named_parameters())
    parts = torch.split(vector, [p.numel() for p in parameters.values()])
    given = {name: part.reshape(p.shape) for (name, p), part in zip(parameters.items(), parts, strict=True)}
    return torch.func.functional_call(module, given, inputs)  # type: ignore[no-any-return]


def along(module: nn.Module, way: Tensor, *inputs: Tensor) -> Callable[[Tensor], Tensor]:
    """The module's results while its parameters move along `way`: a function of steps [S] → [S, *R]."""
    start = parameters(module)
    return lambda steps: torch.stack([with_parameters(module, start + h * way, *inputs) for h in steps.to(start)])


def size(ndim: int, low: int = 1, high: int = 5) -> st.SearchStrategy[list[int]]:
    """The size of an image, rows first."""
    return st.lists(st.integers(low, high), min_size=ndim, max_size=ndim)


def padding(_: Any) -> st.SearchStrategy[str]:
    """A padding mode that extends the image."""
    return st.sampled_from(("zeros", "border", "reflection", "wrap"))


def aligned(_: Any) -> st.SearchStrategy[bool]:
    """True or False, for `align_corners`."""
    return st.booleans()


def uniform(seed: int, *shape: int) -> Tensor:
    """Random numbers in −1 … 1, float64, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1


def device(component: Any) -> torch.device:
    """The device of the component's tensors; the CPU for one without any."""
    held = (t.device for t in (*component.parameters(), *component.buffers()))
    return next(held, torch.device("cpu"))


def batch(transform: Transform, theta: list[list[float]], points: list[list[float]]) -> tuple[Tensor, Tensor]:
    """θ [N, P], and the points for each of them, moved a little from image to image: [N, M, D]."""
    t, p = tensor(transform, theta), tensor(transform, points)
    return t, p - 0.05 * torch.arange(len(t)).to(t)[:, None, None]


def tensor(component: Any, values: float | Sequence[Any]) -> Tensor:
    """Generated numbers as a float64 tensor on the component's device."""
    return torch.tensor(values, dtype=torch.float64, device=device(component))
