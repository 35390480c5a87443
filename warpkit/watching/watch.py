"""A watch on spatial transformers while they learn: figures for a logger, warnings for a person."""

import functools
import warnings
from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from warpkit.errors import require
from warpkit.modules.spatial_transformer import SpatialTransformer
from warpkit.watching.later import Later
from warpkit.watching.measures import FIGURES, measure, spread
from warpkit.watching.transformers import transformers_of
from warpkit.watching.troubles import MANY, Figures, trouble

_WARM = 2 * MANY  # calls, of which every second one is measured
_UNTOLD = ("learns", "cut", "seen", "features")


class TransformerWarning(UserWarning):
    """A warning that a spatial transformer goes wrong."""


def watch(model: nn.Module, *, every: int = 10) -> "Watch":
    """Measure the spatial transformers of a model while it is trained, and warn once of each thing that goes wrong.

    At each `every`-th call of a transformer in training mode, and in the first 40 at every second one, so that a short
    run is told too, its θ is measured, on 8 × 8 cells from edge to edge of its
    output (8 in 1-D, 8 × 8 × 8 in 3-D), in normalised coordinates:

    - `outside`: the share of cells whose middle is sampled from outside of the image, or from nowhere (not finite);
    - `area`: the mean of the determinant of ∂T/∂p over cells and images, 1 at the identity: how much of the image the
      output covers (the length in 1-D, the volume in 3-D), negative where it is mirrored;
    - `area_spread`: its standard deviation over cells and images;
    - `folds`: the share of cells whose determinant is ≤ 0 (≥ 0 in an image that is mirrored as a whole, which is not
      folded);
    - `distance`: of θ from `init`, root mean square over images and parameters;
    - `variety`: of θ from its mean over the batch, likewise; left out for a batch of one image;
    - `gradient`: the norm for each image of the gradient of what `backward` was called on (a scaled loss with a scaler)
      with respect to θ, averaged; left out until there is one.

    What is measured is read, and judged, at the next measurement, when the gradient has come; where a GPU has not got
    so far yet, at a later one: nothing waits for it but what asks for numbers (`metrics`, `summary`, `state_dict` and
    `close`). Parts that are compiled
    or exported, or run under `torch.func`, are not measured: leave a transformer that should be watched eager. Copies
    and files of the model are not watched.

    Args:
        model: any module; of one in `DataParallel`, `DistributedDataParallel` or `torch.compile` the paths are those of
            the module inside.
        every: at least 1.

    Raises:
        InputError: for a model without spatial transformers.

    >>> import torch
    >>> net = nn.Sequential(SpatialTransformer("conv_localization"), nn.Flatten(), nn.Linear(784, 10))
    >>> with watch(net) as watched:
    ...     loss = net(torch.rand(8, 1, 28, 28)).logsumexp(1).mean()
    >>> round(watched.metrics()["0/area"], 3)
    1.0
    """
    return Watch(model, every)


class Watch:
    """The result of `watch`: the latest figures, and the warnings. A context manager that ends with `close()`."""

    def __init__(self, model: nn.Module, every: int) -> None:
        require(isinstance(every, int) and every >= 1, "every", expected="1 or more", given=every)
        self.every = every
        self._watched = {path: _Watched() for path in transformers_of(model)}
        self._said: dict[str, dict[str, str]] = {path: {} for path in self._watched}
        found = transformers_of(model).items()
        self._handles = [t.register_theta_hook(functools.partial(self._see, path)) for path, t in found]

    @property
    def warnings(self) -> list[str]:
        """The texts of all warnings so far."""
        return [text for said in self._said.values() for text in said.values()]

    def metrics(self) -> dict[str, float]:
        """The latest figures under `path/figure`, as `layers.0/outside`; unknown ones are left out."""
        return {
            f"{path}/{figure}": value
            for path, watched in self._watched.items()
            for figure, value in watched.figures().items()
            if figure not in _UNTOLD
        }

    def summary(self) -> str:
        """The latest figures as a table, a row for each transformer, and the warnings below."""
        head, metrics = [*FIGURES, "gradient"], self.metrics()
        rows = [["transformer", *head]]
        for path in self._watched:
            values = [metrics.get(f"{path}/{figure}") for figure in head]
            rows.append([path, *("–" if v is None else f"{v:.3g}" for v in values)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
        return "\n".join([*lines, *self.warnings])

    def state_dict(self) -> dict[str, Any]:
        """The measurements and warnings so far: a resumed training is judged as if it had not been stopped."""
        for path, watched in self._watched.items():
            self._judge(path, watched, wait=True)
        return {
            "warnings": {path: dict(said) for path, said in self._said.items()},
            "calls": {path: watched.calls for path, watched in self._watched.items()},
            "history": {path: [dict(figures) for figures in w.history] for path, w in self._watched.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a `state_dict`; `InputError` for the state of other transformers."""
        parts = [state.get(name) if isinstance(state, Mapping) else None for name in ("warnings", "calls", "history")]
        right = all(isinstance(part, Mapping) and part.keys() == self._said.keys() for part in parts)
        require(right, "state", expected=f"that of {', '.join(self._said)}", given=state)
        self._said = {path: dict(each) for path, each in state["warnings"].items()}
        for path, watched in self._watched.items():
            watched.calls, watched.latest = state["calls"][path], None
            watched.unjudged.clear()
            watched.history = deque((dict(figures) for figures in state["history"][path]), maxlen=MANY)

    def close(self) -> None:
        """Judge the last measurement, and stop watching."""
        for handle in self._handles:
            handle.remove()
        for path, watched in self._watched.items():
            self._judge(path, watched, wait=True)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_handles": []}  # a copy looks at nothing

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _see(self, path: str, transformer: Any, image: Tensor, theta: Tensor) -> None:
        if not transformer.training or len(theta) == 0:
            return
        watched = self._watched[path]
        watched.calls += 1
        if (watched.calls - 1) % (min(2, self.every) if watched.calls <= _WARM else self.every) == 0:
            self._judge(path, watched)
            watched.latest = _Measurement(transformer, theta)
            watched.unjudged.append(watched.latest)

    def _judge(self, path: str, watched: "_Watched", wait: bool = False) -> None:
        """Judge the measurements that are here; with `wait` all."""
        while watched.unjudged and (wait or watched.unjudged[0].is_here()):
            measured = watched.unjudged.popleft()
            watched.history.append(measured.figures())
            found = trouble(watched.history, measured.ndim)
            if found is not None and found[0] not in self._said[path]:
                kind, text = found
                self._said[path][kind] = f"{path}: {text}"
                warnings.warn(self._said[path][kind], TransformerWarning, stacklevel=2)


class _Watched:
    """One transformer: the count of its calls, its latest measurement, those to be judged, and figures of others."""

    def __init__(self) -> None:
        self.calls = 0
        self.latest: _Measurement | None = None
        self.unjudged: deque[_Measurement] = deque()
        self.history: deque[Figures] = deque(maxlen=MANY)

    def figures(self) -> Figures:
        """The latest figures; until there are any, the last ones before the training was stopped."""
        return self.latest.figures() if self.latest else self.history[-1] if self.history else {}


class _Measurement:
    """A few numbers, which stay on the device until somebody asks; the gradient comes later."""

    def __init__(self, transformer: SpatialTransformer, theta: Tensor) -> None:
        self.images, self.ndim = len(theta), transformer.transform.ndim
        eyes, looked = list(transformer.localization.parameters()), transformer.looked
        learning = any(p.requires_grad for p in eyes)
        own = any(p.requires_grad for p in transformer.regression.parameters())
        self.facts = {"learns": theta.requires_grad and (learning or own)}
        measured = measure(transformer, theta)
        if looked is not None:
            self.facts["cut"] = learning and torch.is_grad_enabled() and not looked.has_graph
            spreads = torch.stack([spread(looked.seen), spread(looked.features)])
            measured = torch.cat([measured, spreads.to(measured)])
        self.measured = Later(measured)
        self.gradient: Later | None = None
        if theta.requires_grad:
            theta.register_hook(self._see)  # type: ignore[no-untyped-call]

    def is_here(self) -> bool:
        """Whether the figures can be read at once."""
        return self.measured.is_here() and (self.gradient is None or self.gradient.is_here())

    def figures(self) -> Figures:
        """The figures by name; waits for the device."""
        found = dict(zip((*FIGURES, "seen", "features"), self.measured.read(), strict=False)) | self.facts
        if self.images == 1:
            found = {key: value for key, value in found.items() if key not in ("variety", "seen", "features")}
        if self.gradient is not None:
            (found["gradient"],) = self.gradient.read()
        return found

    def _see(self, gradient: Tensor) -> None:
        self.gradient = Later(gradient.detach().flatten(1).norm(dim=1).mean()[None])
