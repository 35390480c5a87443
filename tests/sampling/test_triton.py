"""The Triton backend against the reference, on Triton's interpreter.

    TRITON_INTERPRET=1 pytest tests/sampling/test_triton.py

Triton reads the variable when it is imported, so it has to be set for the whole process. What the interpreter cannot
say is whether the kernels compile: they are compiled for an NVIDIA and an AMD GPU, neither of which need be there.
"""

import dataclasses
import importlib
import importlib.util
import io
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from strategies import uniform
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

import warpkit as wk
from warpkit.sampling import backend as backend_module
from warpkit.sampling import gpu, triton
from warpkit.sampling.backend import backends, choose
from warpkit.sampling.problem import Problem
from warpkit.testing.backends import backend_checks, derivatives, storage
from warpkit.testing.backends.case import MATRICES, REFERENCE, Case, deterministic
from warpkit.testing.backends.kernels import EVERY, STANDARD
from warpkit.testing.report import Status
from warpkit.testing.session import Session

needs = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
interpreted = pytest.mark.skipif(not gpu.INTERPRETED, reason="TRITON_INTERPRET=1 is not set")
pytestmark = [
    pytest.mark.usefixtures("unchecked"),
    pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning"),  # NumPy's, as it interprets
]
DOORS = ("points", "shifts", "affine", "projective")
MODES = ("zeros", "border", "reflection", "wrap", "none")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several programs for each image, each with a part that is masked."""
    for module, name in (("maps", "blocks"), ("derivatives", "blocks"), ("ordered", "walked")):
        loaded = importlib.import_module(f"warpkit.sampling.gpu.{module}")
        monkeypatch.setattr(loaded, name, lambda channels, last: (8, 2))
    monkeypatch.setattr(importlib.import_module("warpkit.sampling.gpu.launch"), "_ENOUGH", 1)  # so they take turns


def backend() -> triton.Triton:
    return backends.shared("triton", torch.device("cpu"))


def near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    scale = 1 + (expected.double().abs().max().item() if expected.numel() else 0)
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * scale, equal_nan=True)


def generated(seed: int, **fixed) -> Case:
    """A small problem of any kind, near nothing that rounding decides."""
    draw = random.Random(seed)
    d = 1 + seed % 3
    door = fixed.pop("door", DOORS[seed % 4])
    images, sets = draw.choice([(2, 2), (1, 2), (2, 1)])
    kernels = tuple(draw.choice(EVERY[:2] if d == 3 else EVERY) for _ in range(d))
    paddings = fixed.pop("paddings", MODES)
    return Case(**{
        "door": door, "images": images, "sets": sets, "channels": draw.choice((1, 3)),
        "size": tuple(draw.randint(1, 6) for _ in range(d)),
        "out": (draw.randint(3, 9),) if door == "points" else tuple(draw.randint(1, 4) for _ in range(d)),
        "kernels": kernels, "padding": tuple(draw.choice(paddings) for _ in range(d)),
        "fill": draw.choice((0.0, 2.5)), "aligned": draw.random() < 0.5,
        "dtype": draw.choice((torch.float32, torch.float64)), "seed": 2 * draw.randint(0, 500),
        **fixed,
    })  # fmt: skip


def results(case: Case, one, image: Tensor, where: Tensor) -> list[Tensor]:
    """What is pulled, what is pushed, and the gradients in image, place and Φ."""
    image, where = image.detach().requires_grad_(), where.detach().requires_grad_()
    phi = [p for kernel in case.kernels for p in kernel.parameters()][:1]
    pulled = case.sample(one, image, derivatives._free(case, where))
    weights = torch.linspace(-1, 2, pulled.numel(), dtype=pulled.dtype).reshape(pulled.shape)
    with torch.no_grad():
        pushed = case.push(one, weights, where)
    return [pulled.detach(), pushed, *torch.autograd.grad(pulled, [image, where, *phi], weights)]


@needs
@interpreted
@pytest.mark.parametrize("seed", range(12))
def test_pull_push_and_gradients(seed):
    case = generated(seed)
    found, expected = (results(case, one, case.image(), case.where()) for one in (backend(), REFERENCE))
    for a, b in zip(found, expected, strict=True):
        near(a, b, 1e-9 if case.dtype == torch.float64 else 1e-4)


@needs
@interpreted
@pytest.mark.parametrize(("axis", "door"), [(0, "points"), (1, "affine")])
def test_differentiated_tables(axis, door):
    case = Case(door=door, channels=2, out=(2, 3), kernels=(EVERY[1], EVERY[3]), padding=("zeros", "wrap"), fill=2.0)
    image, where = case.image(), case.where()
    slope = case.problem(image, where).derivative(axis)
    near(backend().pull(image, slope), REFERENCE.pull(image, slope), 1e-9)


@needs
@interpreted
@pytest.mark.parametrize("door", DOORS)
def test_a_part_has_the_bits_and_the_gradients_of_the_whole(door):
    """Of the output, and of the image, whose pixels beyond the part no output needs."""
    case = Case(door=door, channels=2, size=(9, 8), out=(5, 6), kernels=(EVERY[1], EVERY[4]), dtype=torch.float32)
    image, where = case.image(), 0.2 * case.where().float() if door == "points" else case.where()
    if door in MATRICES:
        where[:, :2] *= 0.3
    elif door == "shifts":
        where = 0.2 * where - 0.6 * wk.lattice(case.out, dtype=torch.float64)
    part = (slice(None), slice(None), slice(1, 4), slice(2, 6))
    stored = image[..., 1:8, 1:7]
    whole = case.problem(image, where)
    one = whole._replace(size=(7, 6), begin=(1, 1))
    if door != "points":
        one = one._replace(target=(3, 4), origin=(1, 2), where=where[:, 1:4, 2:6] if door == "shifts" else where)
    pulled = backend().pull(image, whole)
    assert torch.equal(backend().pull(stored, one), pulled if door == "points" else pulled[part])
    grad = torch.linspace(-1, 1, 2 * 3 * 4).reshape(1, 2, 3, 4) if door != "points" else torch.ones_like(pulled)
    with deterministic(True):
        found = backend().gradients(grad, stored, one, (True, True, False))
    inputs = stored.clone().requires_grad_(), one.where.clone().requires_grad_()
    expected = torch.autograd.grad(REFERENCE.pull(inputs[0], one._replace(where=inputs[1])), inputs, grad)
    for a, b in zip(found[:2], expected, strict=True):
        near(a, b, 1e-4)


@needs
@interpreted
def test_pixels_stored_beyond_the_edge_change_no_bit():
    case = Case(channels=2, size=(6,), out=(40,), kernels=(EVERY[1],), padding=("border",))
    image, where = case.image().float(), case.where().float().clamp(-0.5, 0.5)
    problem = case.problem(image, where)
    stored = torch.nn.functional.pad(image, (37, 37), mode="replicate")
    found = backend().pull(stored, problem._replace(size=(6 + 2 * 37,), begin=(-37,)))
    assert torch.equal(found, backend().pull(image, problem))


@needs
@interpreted
@pytest.mark.parametrize("dtype", [
    torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.uint16, torch.int16, torch.int32,
], ids=str)  # fmt: skip
def test_numbers_are_read_as_they_are_stored(dtype):
    points = 1.4 * uniform(1, 1, 30, 1)
    image = 120 * uniform(0, 1, 2, 9)
    image = (image if dtype.is_signed else image.abs()).to(dtype)
    found, expected = (on(name, image, points, kernel="bicubic", fill=3) for name in ("triton", "reference"))
    assert found.dtype == dtype
    rtol, atol = (torch.finfo(dtype).eps, 1e-4) if dtype.is_floating_point else (0, 0)  # summed in float32
    torch.testing.assert_close(found, expected, rtol=rtol, atol=atol)


@needs
@interpreted
def test_a_half_is_rounded_to_the_even_number():
    image = torch.tensor([[[2, 3, 4, 7]]], dtype=torch.uint8)
    assert on("triton", image, torch.tensor([[[-0.5], [0.0], [0.5]]])).tolist() == [[[2, 4, 6]]]


def on(name: str, image: Tensor, points: Tensor, **how) -> Tensor:
    with wk.use_backend(name):
        return wk.sample(image, points, **how)


@needs
@interpreted
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.complex64, torch.float16], ids=str)
def test_labels_are_copied(dtype, small_blocks):
    image = (9 * uniform(0, 2, 3, 4, 5)).to(torch.int8).to(dtype)
    points = 1.5 * uniform(1, 2, 4, 2)
    points[0, 1] = torch.nan
    fill = True if dtype == torch.bool else 7
    found, expected = (on(name, image, points, kernel="nearest", fill=fill) for name in ("triton", "reference"))
    assert torch.equal(found, expected)


@needs
@interpreted
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("seed", [1, 4, 6])
def test_nothing_outside_is_read_or_written(seed, fixed, monkeypatch):
    """Image, places and outputs lie in larger buffers full of NaN, and whole numbers among −7."""
    guarded = []

    def fresh(shape, dtype, device, zeros=False):
        count = torch.Size(shape).numel()
        buffer = torch.full((count + 64,), torch.nan if dtype.is_floating_point else -7, dtype=dtype)
        inner = buffer[32 : 32 + count].view(shape)
        guarded.append(buffer)
        return inner.zero_() if zeros else inner

    case = generated(seed, channels=3, paddings=("zeros",) if seed == 6 else MODES, images=2)
    expected = results(case, REFERENCE, case.image(), case.where())
    for module in ("launch", "derivatives", "ordered"):
        monkeypatch.setattr(importlib.import_module(f"warpkit.sampling.gpu.{module}"), "fresh", fresh)
    monkeypatch.setattr(importlib.import_module("warpkit.sampling.gpu.ordered"), "_MANY", 2)
    found = within(case, fixed)
    for a, b in zip(found, expected, strict=True):
        near(a, b, 1e-9 if case.dtype == torch.float64 else 1e-4)
    assert guarded
    for buffer in guarded:
        edge = torch.cat([buffer[:32], buffer[-32:]])
        assert bool((edge.isnan() if buffer.is_floating_point() else edge == -7).all())


def within(case: Case, fixed: bool) -> list[Tensor]:
    """The results of the backend, for an image and places that are views of poisoned buffers."""
    image, where = case.image(), case.where()
    if case.door in DOORS[:2]:
        buffer = torch.full([n + 2 for n in where.shape], torch.nan, dtype=where.dtype)
        inner = buffer[tuple(slice(1, -1) for _ in where.shape)]
        where = inner.copy_(where)
    buffer = torch.full([n + 4 for n in image.shape], torch.nan, dtype=image.dtype)
    image = buffer[tuple(slice(2, -2) for _ in image.shape)].copy_(image)
    with deterministic(fixed):
        return results(case, backend(), image, where)


@needs
@interpreted
@pytest.mark.parametrize(("seed", "door", "paddings"), [
    (1, "affine", ("zeros",)), (2, "affine", ("zeros",)), (4, "points", MODES), (5, "projective", MODES),
    (7, "affine", ("border", "zeros")), (8, "shifts", MODES), (3, "affine", ("zeros",)),
])  # fmt: skip
def test_the_deterministic_way_back_is_right_and_adds_nothing_in_a_race(seed, door, paddings, monkeypatch):
    pushing = importlib.import_module("warpkit.sampling.gpu.push")
    monkeypatch.setattr(pushing, "push", None)
    case = generated(seed, door=door, paddings=paddings)
    with deterministic(True):
        found = [case.push(backend(), case.values(), case.where()) for _ in range(2)]
    assert torch.equal(*found)
    near(found[0], case.push(REFERENCE, case.values(), case.where()), 1e-9 if case.dtype == torch.float64 else 1e-4)


@needs
@interpreted
@pytest.mark.parametrize(("images", "sets"), [(2, 2), (1, 2), (2, 1)])
def test_cells_with_many_points_are_summed_by_themselves(images, sets, monkeypatch):
    ordered = importlib.import_module("warpkit.sampling.gpu.ordered")
    monkeypatch.setattr(ordered, "_MANY", 4)
    monkeypatch.setattr(ordered, "walked", lambda channels, last: (16, 4))
    case = Case(
        images=images, sets=sets, channels=3, size=(3, 4), out=(33,), padding=("border", "wrap"), dtype=torch.float32
    )
    where = case.where()
    where[:, :20] = torch.tensor([4.0, 0.3])  # one cell of 20 points, others of a few
    with deterministic(True):
        found = [case.push(backend(), case.values(), where) for _ in range(2)]
        monkeypatch.setattr(ordered, "_MANY", 64)
        alone = case.push(backend(), case.values(), where)
    assert torch.equal(*found)
    assert not torch.equal(found[0], alone)  # in another order
    near(found[0], case.push(REFERENCE, case.values(), where), 1e-6)


@needs
@interpreted
@pytest.mark.parametrize("rows", [
    [[0.0, 0, 0.1], [0, 0, 0.2]], [[0.5, 1, 0], [0.25, 0.5, 0]], [[0.1, 0, 0], [0, 4, 0]],
    [[0, -1, 0.01], [1, 0, 0.02]], [[torch.nan, 0, 0], [0, 1, 0]], [[1e300, 1e300, 0], [-1e300, 1e300, 0]],
], ids=["collapsed", "singular", "stretched", "turned", "no number", "huge"])  # fmt: skip
def test_a_gather_by_any_matrix(rows):
    case = Case(door="affine", channels=2, size=(4, 5), out=(6, 7), kernels=(EVERY[1], EVERY[0]))
    where = torch.tensor([[*rows, [0, 0, 1.0]]], dtype=torch.float64)
    with deterministic(True):
        found = case.push(backend(), case.values(), where)
    near(found, case.push(REFERENCE, case.values(), where), 1e-9)


@needs
@interpreted
@pytest.mark.parametrize("value", [torch.nan, -torch.inf, 1e30])
@pytest.mark.parametrize("modes", [("zeros", "none"), ("wrap", "border")])
def test_coordinates_that_are_no_numbers(value, modes):
    case = Case(channels=2, out=(5,), padding=modes, fill=0.25, kernels=(EVERY[1], EVERY[0]))
    where = case.where()
    where[0, 1, 0] = where[0, 3, 1] = value
    found, expected = (results(case, one, case.image(), where) for one in (backend(), REFERENCE))
    for a, b in zip(found, expected, strict=True):
        assert not a.isnan().any()
        near(a, b, 1e-9)


@needs
@interpreted
@pytest.mark.parametrize(("door", "kernel"), [("points", STANDARD[2]), ("points", STANDARD[0]), ("affine", EVERY[4])])
def test_joints(door, kernel):
    case = Case(door=door, size=(3,), out=(3,), kernels=(kernel,), padding=("zeros",))
    derivatives.agrees_on_joints(backend(), 41, case, torch.float32)


@needs
@interpreted
@pytest.mark.parametrize("layout", ["channels last", "transposed", "expanded", "sliced"])
def test_layouts(layout):
    storage.agrees_on_layouts(backend(), Case(images=2, sets=2, channels=3, out=(2, 3)), layout)


@needs
@interpreted
def test_the_result_is_laid_out_like_the_image():
    image = uniform(0, 1, 5, 4, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    with wk.use_backend("triton"):
        out = wk.warp(image, "affine", 0.9 * torch.eye(2, 3).flatten()[None])
        out.square().sum().backward()
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert image.grad.is_contiguous(memory_format=torch.channels_last)


@needs
@interpreted
def test_many_channels_are_shared_among_programs(small_blocks):
    case = Case(images=2, sets=2, channels=7, out=(11,), kernels=(EVERY[5], EVERY[0]), fill=(1.0, 2, 3, 4, 5, 6, 7))
    found, expected = (results(case, one, case.image(), case.where()) for one in (backend(), REFERENCE))
    for a, b in zip(found, expected, strict=True):
        near(a, b, 1e-9)


@needs
@interpreted
def test_what_is_stored_goes_on_beyond_the_edge():
    image, points = uniform(0, 1, 2, 6, 5), 1.3 * uniform(1, 1, 9, 2)
    for padding in ("zeros", "reflection"):
        with wk.use_backend("triton"):
            found = wk.sample(image, points, kernel="bspline", padding_mode=padding, fill=0.5)
        near(found, on("reference", image, points, kernel="bspline", padding_mode=padding, fill=0.5), 1e-9)


@needs
@interpreted
def test_indices_of_64_bits(monkeypatch):
    launch = importlib.import_module("warpkit.sampling.gpu.launch")
    monkeypatch.setattr(launch, "_span", lambda tensor: 2**31)
    case = generated(1, channels=3)
    found, expected = (results(case, one, case.image(), case.where()) for one in (backend(), REFERENCE))
    for a, b in zip(found, expected, strict=True):
        near(a, b, 1e-9 if case.dtype == torch.float64 else 1e-4)


@needs
@interpreted
@pytest.mark.parametrize("strides", [(0, 2**31, 8, 1), (0, 8, 2**30, 1), (0, 8, 2, 2**31)], ids=["C", "y", "x"])
def test_indices_beyond_32_bits(strides):
    """In a view across 2 GiB, of which next to nothing is touched."""
    view = torch.empty(2**31 + 64, dtype=torch.uint8).as_strided((1, 2, 3, 2), strides)
    image = view.copy_(torch.arange(12).reshape(view.shape)).contiguous()
    points = 0.8 * uniform(0, 1, 6, 2)
    assert torch.equal(on("triton", view, points), on("reference", image, points))


@needs
@interpreted
def test_equal_tables_are_brought_to_the_device_once():
    """Compiled graphs and derivatives make the same numbers anew at each call."""
    packed = importlib.import_module("warpkit.sampling.gpu.tables").packed
    problem = Case().problem(Case().image(), Case().where())
    again, other = (problem._replace(table=table) for table in (problem.table.clone(), 2 * problem.table))
    assert packed(problem, torch.float32) is packed(again, torch.float32)
    assert torch.equal(packed(other, torch.float32)[:-2], other.table.float())


@needs
@interpreted
@pytest.mark.parametrize("points", [2**31 - 3, 2**31 + 5])
def test_more_points_than_32_bits_count(points, monkeypatch):
    """Of 2 GiB of output the last block alone, whose points that are not there have indices of more than 31 bits."""
    maps = importlib.import_module("warpkit.sampling.gpu.maps")
    interpreter = importlib.import_module("triton.runtime.interpreter")

    def start(kernel, programs, device, *given):
        last = interpreter.TensorHandle(np.array([programs - 1], np.int32), interpreter.tl.int32)
        monkeypatch.setattr(interpreter.interpreter_builder, "create_get_program_id", lambda axis: last)
        kernel[(1,)](*given)

    monkeypatch.setattr(maps, "start", start)
    monkeypatch.setattr(maps, "blocks", lambda channels, last: (64, 1))
    case = Case(door="affine", size=(5,), out=(points,), kernels=EVERY[:1], padding=("border",))
    image, first = (99 * case.image()).to(torch.uint8), (points - 1) // 64 * 64
    whole = case.problem(image, case.where())
    part = whole._replace(target=(points - first,), origin=(first,))
    assert torch.equal(backend().pull(image, whole)[..., first:], REFERENCE.pull(image, part))


@needs
@interpreted
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(("images", "sets", "out"), [(0, 1, (3,)), (1, 0, (3,)), (2, 2, (0,))])
def test_nothing_at_all(images, sets, out, fixed):
    case = Case(images=images, sets=sets, channels=2, out=out)
    pushed = torch.zeros(0 if 0 in (images, sets) else 2, 2, *out, dtype=torch.float64)
    with deterministic(fixed):
        found = case.sample(backend(), case.image(), case.where())
        image = case.push(backend(), pushed, case.where())
        problem = case.problem(case.image(), case.where())
        gradients = backend().gradients(pushed, case.image(), problem, (True, True, True))
    assert found.shape == (len(pushed), 2, *out)
    assert image.shape == (images, 2, 4, 5)
    assert [g.shape for g in gradients] == [image.shape, (len(pushed), *out, 2), problem.table.shape]
    assert not image.any()
    assert not any(g.any() for g in gradients)


@needs
@interpreted
def test_compiled_exported_and_in_mixed_precision(compiler):
    image, theta = uniform(0, 1, 2, 5, 4).float(), 0.8 * torch.eye(2, 3).flatten()[None]

    def step(u, t):
        return wk.warp(u, "affine", t, kernel="bicubic", padding_mode="reflection")

    class Warp(torch.nn.Module):
        def forward(self, u, t):
            return step(u, t)

    grads = []
    with wk.use_backend("triton"):
        for call in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
            u, t = image.clone().requires_grad_(), theta.clone().requires_grad_()
            call(u, t).square().sum().backward()
            grads.append((u.grad, t.grad))
        file = io.BytesIO()
        torch.export.save(torch.export.export(Warp(), (image, theta)), file)
        file.seek(0)
        exported = torch.export.load(file).module()
        with torch.autocast("cpu", torch.bfloat16):
            half = step(image.bfloat16(), theta)
    for a, b in zip(*grads, strict=True):
        near(a, b, 1e-6)
    near(exported(image, theta), step(image, theta), 1e-5)
    near(half.float(), step(image, theta), 2e-2)


@needs
@interpreted
@pytest.mark.parametrize("narrow", [False, True], ids=["float32", "autocast"])
def test_a_network_learns_as_with_the_reference(narrow):
    """A step of a network with a transformer between its layers, whose image is bfloat16 under autocast."""
    u, targets = uniform(0, 3, 1, 8, 8).float(), torch.tensor([0, 1, 1])
    learned = []
    for name in ("triton", "reference"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            transformer = wk.SpatialTransformer(nn.Sequential(nn.Flatten(), nn.Linear(128, 5)), "affine", features=5)
            model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), transformer, nn.Flatten(), nn.Linear(128, 2))
            for parameter in transformer.parameters():  # not the identity
                nn.init.normal_(parameter, std=0.05)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        with wk.use_backend(name), torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            loss = nn.functional.cross_entropy(model(u), targets)
            loss.backward()
        optimizer.step()
        learned.append([loss.detach(), *(p.detach() for p in model.parameters())])
    for found, expected in zip(*learned, strict=True):
        near(found, expected, 1e-2 if narrow else 1e-5)


@needs
@interpreted
@pytest.mark.parametrize("name", backend_checks.names())
def test_a_few_examples_of_each_check_of_backends(name):
    check = dataclasses.replace(backend_checks[name], needs=())
    result = Session(backend_checks, backend(), examples=3).result(check)
    assert result.status is (Status.SKIPPED if name.startswith("works_under") else Status.PASSED), result


@needs
@interpreted
def test_it_is_used_where_it_is_named_and_nowhere_else_on_the_cpu():
    problem = Case().problem(Case().image(), Case().where())
    assert choose(problem)[0] != "triton"
    with wk.use_backend("triton"):
        assert choose(problem)[0] == "triton"
    assert "interpreted" in backend().describe()


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is not interpreted, whose tensors may say that they lie on a GPU, with a choice that is fresh."""
    monkeypatch.setattr(triton, "INTERPRETED", False)
    monkeypatch.setattr(triton, "_known", {"damage": ""})
    monkeypatch.setattr(backend_module, "_rankings", {})
    monkeypatch.setattr(backend(), "priority", triton.Triton().priority)
    with FakeTensorMode():
        yield


def gpu_problem() -> Problem:
    image, points = torch.zeros(1, 1, 4, 5, device="cuda"), torch.zeros(1, 3, 2, device="cuda")
    return Case().rule().problem(image, points, "points", (4, 5), (3,))


def test_it_is_chosen_by_itself_on_a_gpu(on_a_gpu, monkeypatch):
    monkeypatch.setattr(triton, "_is_there", True)
    assert choose(gpu_problem())[0] == "triton"


def test_a_gpu_without_triton_gets_the_reference_and_one_notice(on_a_gpu, monkeypatch):
    monkeypatch.setattr(triton, "_is_there", False)
    with pytest.warns(UserWarning, match="Triton, which is not installed") as said:
        assert [choose(gpu_problem())[0] for _ in range(2)] == ["reference"] * 2
    assert len(said) == 1


def test_without_triton_it_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(triton, "_is_there", False)
    case = Case()
    assert "needs Triton" in triton.Triton().refuses(case.problem(case.image(), case.where()))
    monkeypatch.setattr(triton, "INTERPRETED", False)
    assert triton.Triton().priority > backends.shared("native", torch.device("cpu")).priority
    assert triton.Triton().describe() == ""


def test_on_the_cpu_it_refuses_and_says_why(monkeypatch):
    monkeypatch.setattr(triton, "_is_there", True)
    monkeypatch.setattr(triton, "INTERPRETED", False)
    case = Case()
    problem = case.problem(case.image(), case.where())
    assert "the image is on the CPU" in triton.Triton().refuses(problem)
    monkeypatch.setattr(triton, "INTERPRETED", True)
    monkeypatch.setattr(triton, "_damage", lambda: "ImportError: no driver")
    assert triton.Triton().refuses(problem) == "cannot load Triton: ImportError: no driver"
    monkeypatch.setattr(triton, "_damage", lambda: "")
    assert "up to 8 bytes" in triton.Triton().refuses(Case(kernels=STANDARD[2:] * 2).problem(
        torch.zeros(1, 1, 4, 5, dtype=torch.complex128), case.where()))  # fmt: skip
    assert "int64" in triton.Triton().refuses(problem._replace(stored=torch.int64))


def test_kernels_are_loaded_when_a_gpu_needs_them():
    code = "import sys, torch, warpkit as wk\n"
    code += "wk.sample(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2)); print('warpkit.sampling.gpu.maps' in sys.modules)"
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@needs
def test_every_kernel_compiles_for_gpus_that_need_not_be_there(tmp_path):
    """What the interpreter lets pass and a compiler does not."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    script = Path(__file__).parent.parent / "compiled_kernels.py"
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    kernels = {"pull", "copy", "push", "slopes", "weights", "gather", "number", "crowd", "collect"}
    assert {line.split()[0] for line in done.stdout.splitlines()} == kernels
    assert {line.split()[1] for line in done.stdout.splitlines()} == {"cuda", "hip"}
