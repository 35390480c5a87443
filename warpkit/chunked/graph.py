"""From tiles to a Dask array: one task a tile, which reads what it reaches."""

import contextlib
import hashlib
import inspect
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from warpkit.chunked.areas import antialiased_tile, pixels_met
from warpkit.chunked.axes import Layout
from warpkit.chunked.coefficients import read_along
from warpkit.chunked.fields import Field
from warpkit.chunked.reading import Box, MissingError, Read, intervals
from warpkit.chunked.sources import state_of, tensor_of
from warpkit.chunked.tiles import Sampling, plain_tile, reached
from warpkit.component import Component
from warpkit.geometry import Part
from warpkit.sampling.backend import use_backend
from warpkit.sampling.rule import Rule
from warpkit.transforms.base import leaves

Place = tuple[tuple[int, int], ...]  # first and one behind the last along each axis of the array


@dataclass(frozen=True, eq=False)
class Job:
    """All that a tile needs but its place, and but the image's pixels where Dask brings them."""

    sampling: Sampling
    theta: Any
    layout: Layout  # of the image's array
    lead: tuple[int, ...]  # the sizes of the output's axes that count images
    array: Any  # of Zarr; None where Dask brings what is read
    backend: str | None

    def images(self, place: Place) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], Any]]:
        """The images of a tile: each one's place in the output, in the image's array, and its θ."""
        named = dict(zip(self.layout.axes, place, strict=True))
        sizes = self.layout.size_of(self.layout.images)
        for index in itertools.product(*(range(*named[letter]) for letter in self.layout.images)):
            own = tuple(0 if n == 1 else at for at, n in zip(index, sizes, strict=True))
            flat = int(np.ravel_multi_index(index, self.lead)) if index else 0
            yield index, own, entry_of(self.theta, flat)

    def part(self, place: Place) -> tuple[Part, slice]:
        """What a place is of the output: a part of its space, and the channels."""
        named = dict(zip(self.layout.axes, place, strict=True))
        ends = [named[letter] for letter in self.layout.space]
        channels = slice(*named.get("C", (0, 1)))
        part = Part(tuple(stop - start for start, stop in ends), self.sampling.out, tuple(start for start, _ in ends))
        return part, channels

    def reader(self, array: Any, image: tuple[int, ...], channels: slice) -> Read:
        """What reads boxes of one image."""

        def read(box: Box) -> Tensor:
            return self.layout.to_images(tensor_of(array[self.layout.slices(image, channels, box)]))

        return read

    def chunks_met(self, place: Place, bounds: list[np.ndarray]) -> list[tuple[int, ...]]:
        """The chunks of the image's array that a tile reads; `bounds` are the chunks' ends along each axis."""
        part, channels = self.part(place)
        count = channels.stop - channels.start
        found: set[tuple[int, ...]] = set()
        with self.chosen():
            rule = self.sampling.rule(channels, count)
            for _, image, theta in self.images(place):
                for along in pixels_read(self.sampling, theta, part, rule, count):
                    needed: dict[str, Any] = dict(zip(self.layout.images, ([at] for at in image), strict=True))
                    needed |= {"C": list(range(channels.start, channels.stop))}
                    # Short gaps between pixels are read, too.
                    runs = [[np.arange(*ends) for ends in intervals(index)] for index in along]
                    needed |= {
                        letter: np.concatenate(each) for letter, each in zip(self.layout.space, runs, strict=True)
                    }
                    met = [
                        np.unique(np.searchsorted(ends, np.asarray(needed[letter]), side="right")).tolist()
                        for letter, ends in zip(self.layout.axes, bounds, strict=True)
                    ]
                    found.update(itertools.product(*met))
        return sorted(found)

    def digest(self, source: Any, chunks: Any) -> str:
        """A name that the same job has in any process: of what is read, how, and in which tiles."""
        sampling = self.sampling
        parts = (sampling.mapping, *sampling.kernels)
        learned = [t.detach() for part in parts for t in (*part.parameters(), *part.buffers())]
        each = [described(part) for part in parts]
        read = source.name if source is not None else state_of(self.array)
        words = (
            read,
            each,
            *(getattr(sampling, f) for f in ("padding", "fill", "align_corners", "size", "out", "most")),
        )
        found = hashlib.sha256(repr((words, sampling.dtype, self.lead, self.layout, self.backend, chunks)).encode())
        if isinstance(self.theta, Field):
            found.update(self.theta.name.encode())
        theta = [] if isinstance(self.theta, Field) else leaves(self.theta)
        for numbers in (*theta, *learned):
            found.update(numbers.cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return found.hexdigest()[:32]

    @contextlib.contextmanager
    def chosen(self) -> Iterator[None]:
        """The backend that was named where the array was made: a worker's thread knows of no choice of ours."""
        with torch.no_grad(), use_backend(self.backend) if self.backend else contextlib.nullcontext():
            yield


def entry_of(theta: Any, k: int) -> Any:
    """One θ of a batch, or the one that there is."""
    if isinstance(theta, tuple):
        return tuple(entry_of(part, k) for part in theta)
    if isinstance(theta, Field):
        return theta.of(k)
    return theta if theta.shape[0] == 1 else theta[k : k + 1]


def run(job: Job, place: Place, blocks: Sequence[Any] = (), offsets: Sequence[tuple[int, ...]] = ()) -> Any:
    """One tile, as NumPy has it. `blocks`: the chunks that it reads, and where each begins."""
    array = job.array if job.array is not None else Blocks(blocks, offsets)
    part, channels = job.part(place)
    count = channels.stop - channels.start
    tile = antialiased_tile if job.sampling.most else plain_tile
    with job.chosen():
        rule = job.sampling.rule(channels, count)
        warped = [
            tile(job.sampling, theta, job.reader(array, image, channels), part, rule, count)
            for _, image, theta in job.images(place)
        ]
    lead = [stop - start for letter, (start, stop) in zip(job.layout.axes, place, strict=True)
            if letter in job.layout.images]  # fmt: skip
    return np.ascontiguousarray(job.layout.from_images(torch.cat(warped), lead).numpy())


def pixels_read(sampling: Sampling, theta: Any, part: Part, rule: Rule, count: int) -> Iterator[list[Tensor]]:
    """What a tile reads: of each axis, rows first, pixels, all of whose combinations are read, or fewer."""
    for one in reached(sampling, theta, part, rule, count):
        yield read_along(one.reaches, sampling.dtype, sampling.size, rule)
    if sampling.most:
        yield from pixels_met(sampling, theta, part, rule, count)


def described(value: Any) -> Any:
    """Options, and components with theirs, as plain values, whose repr tells two apart and is the same elsewhere."""
    if isinstance(value, torch.nn.Module):
        options = value.spec_options() if isinstance(value, Component) else {}
        plain = {
            k: v for k, v in vars(value).items() if isinstance(v, bool | int | float | str | tuple) and k[0] != "_"
        }
        inner = [described(part) for part in value.children()]
        kind = type(value)
        # A class of a script or a notebook keeps its name when it is written anew; a package's has a version.
        is_own = kind.__module__ == "__main__" or "<locals>" in kind.__qualname__
        code = [code_of(f) for f in vars(kind).values() if is_own and hasattr(f, "__code__")]
        return kind.__module__, kind.__qualname__, code, described(options), described(plain), inner
    if isinstance(value, dict):
        return {k: described(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(described, value))
    return value.tolist() if hasattr(value, "tolist") else value


def code_of(function: Any) -> Any:
    """What a function does, as plain values that are the same in another process."""

    def inside(code: Any) -> Any:
        if not hasattr(code, "co_code"):
            return sorted(map(repr, code)) if isinstance(code, frozenset) else repr(code)
        return code.co_code, code.co_names, [inside(constant) for constant in code.co_consts]

    held = inspect.getclosurevars(function).nonlocals.values()
    plain = [value for value in held if isinstance(value, bool | int | float | str)]
    return inside(function.__code__), described(function.__defaults__), plain


class Blocks:
    """Some chunks of an array, which are sliced as the whole would be."""

    def __init__(self, blocks: Sequence[Any], offsets: Sequence[tuple[int, ...]]) -> None:
        self.blocks = [(np.asarray(block), offset) for block, offset in zip(blocks, offsets, strict=True)]

    def __getitem__(self, where: tuple[slice, ...]) -> np.ndarray:
        """The part of the array; every number of it lies in one of the chunks."""
        shape = [each.stop - each.start for each in where]
        found = np.empty(shape, dtype=self.blocks[0][0].dtype)
        filled = 0
        for block, offset in self.blocks:
            low = [max(each.start, at) for each, at in zip(where, offset, strict=True)]
            high = [min(each.stop, at + n) for each, at, n in zip(where, offset, block.shape, strict=True)]
            if all(a < b for a, b in zip(low, high, strict=True)):
                into = tuple(slice(a - e.start, b - e.start) for a, b, e in zip(low, high, where, strict=True))
                found[into] = block[tuple(slice(a - at, b - at) for a, b, at in zip(low, high, offset, strict=True))]
                filled += math.prod(b - a for a, b in zip(low, high, strict=True))
        if filled != found.size:  # nothing is ever made up
            raise MissingError(f"warpkit: {found.size - filled} numbers of {where} are in no chunk that was asked for")
        return found


def bounds_of(array: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Where the chunks of a Dask array begin along each axis, and where they end."""
    starts = [np.cumsum((0, *along)) for along in array.chunks]
    return starts, [along[1:] for along in starts]


def dask_array(job: Job, source: Any, chunks: tuple[tuple[int, ...], ...], dtype: Any) -> Any:
    """The lazy output; `source`: a Dask array whose chunks the tasks depend on, or None."""
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    name = f"warpkit-{job.digest(source, chunks)}"
    key = f"{name}-job"
    graph: dict[Any, Any] = {key: job}
    ends = [np.cumsum((0, *along)) for along in chunks]
    starts, bounds = ([], []) if source is None else bounds_of(source)
    for index in itertools.product(*(range(len(along)) for along in chunks)):
        place = tuple((int(e[k]), int(e[k + 1])) for e, k in zip(ends, index, strict=True))
        task: tuple[Any, ...] = (run, key, place)
        if source is not None:
            met = job.chunks_met(place, bounds)
            offsets = [tuple(int(s[k]) for s, k in zip(starts, at, strict=True)) for at in met]
            task = (*task, [(source.name, *at) for at in met], offsets)
        graph[(name, *index)] = task
    whole = HighLevelGraph.from_collections(name, graph, dependencies=[] if source is None else [source])
    return da.Array(whole, name, chunks, dtype=dtype)  # type: ignore[no-untyped-call]
