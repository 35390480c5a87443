"""The native backend against the reference, which says what is right, in every combination of what there is."""

import concurrent.futures
import itertools
import os
import subprocess
import sys

import pytest
import torch
from cases import KERNELS, kernel
from examples import Bending
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import MODES, alignments, any_modes, seeds, sizes, uniform
from torch import Tensor

import warpkit as wk
from warpkit.sampling import native

pytestmark = [
    pytest.mark.usefixtures("unchecked"),
    pytest.mark.skipif(native._missing is not None, reason="no compiler when warpkit was installed"),
]
dimensions = pytest.mark.parametrize("ndim", [1, 2, 3])


class Quadratic(wk.Kernel):
    """A B-spline with a joint in the middle of the cell."""

    radius, pieces, interpolating = 1.5, 2, False

    def forward(self, distance):
        d = distance.abs()
        return torch.where(d < 0.5, 0.75 - d**2, (1.5 - d) ** 2 / 2)


class Wide(wk.Kernel):
    """Eight taps whose weights do not sum to one."""

    radius, partition_of_unity = 4.0, False

    def forward(self, distance):
        return torch.sinc(distance) * torch.sinc(distance / 4)


def kernels_of(data: st.DataObject, ndim: int) -> tuple[wk.Kernel, ...]:
    made = [*map(kernel, KERNELS), Quadratic(), Wide(), Bending(), wk.get_kernel("bicubic", a=-0.4)]
    return tuple(data.draw(st.sampled_from(made)) for _ in range(ndim))


def on(backend: str, call, *inputs: Tensor) -> list[Tensor]:
    """What a call gives on a backend, and its gradient in each input."""
    inputs = [x.detach().clone(memory_format=torch.preserve_format).requires_grad_() for x in inputs]
    with wk.use_backend(backend):
        out = call(*inputs)
    weights = uniform(7, *out.shape).to(out.dtype)
    return [out, *torch.autograd.grad(out, inputs, weights)]


def near(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        scale = 1 + b.abs().max().item() if b.numel() else 1.0
        torch.testing.assert_close(a.double(), b.double(), rtol=0, atol=tolerance * scale)


@dimensions
@pytest.mark.parametrize("name", ["affine", "projective"])
@settings(max_examples=60)
@given(data=st.data(), seed=seeds, align_corners=alignments, last=st.booleans(), wide=st.booleans())
def test_a_matrix(name, ndim, data, seed, align_corners, last, wide):
    size, out = data.draw(sizes(ndim, 1, 9)), data.draw(sizes(ndim, 1, 20))
    batch, thetas, channels = data.draw(st.sampled_from([(2, 2, 1), (1, 3, 2), (3, 1, 3), (4, 4, 9), (1, 1, 5)]))
    made = wk.get_transform(name, ndim=ndim)
    image, theta = (
        uniform(seed, batch, channels, *size),
        made.identity() + 0.2 * uniform(seed + 1, thetas, made.num_params),
    )
    if last and ndim > 1:
        image = image.contiguous(memory_format=torch.channels_last if ndim == 2 else torch.channels_last_3d)
    how = {
        "kernel": kernels_of(data, ndim),
        "padding_mode": data.draw(any_modes(ndim)),
        "fill": data.draw(st.sampled_from([0.0, 2.5])),
        "align_corners": align_corners,
    }
    expected = on("reference", lambda u, t: wk.warp(u, made, t, size=out, **how), image, theta)
    given_image = image if wide else image.float()
    found = on("native", lambda u, t: wk.warp(u, made, t, size=out, **how), given_image, theta)
    assert found[0].dtype == given_image.dtype
    near(found, expected, 1e-9 if wide else 2e-4)


@dimensions
@settings(max_examples=60)
@given(data=st.data(), seed=seeds, align_corners=alignments, wide=st.booleans())
def test_points(ndim, data, seed, align_corners, wide):
    size = data.draw(sizes(ndim, 1, 9))
    batch, sets, channels = data.draw(st.sampled_from([(2, 2, 1), (1, 3, 2), (3, 1, 3), (4, 4, 9)]))
    image, coords = uniform(seed, batch, channels, *size), 1.5 * uniform(seed + 1, sets, 3, 30, ndim)
    coords[0, 0, 0] = float("nan")
    how = {
        "kernel": kernels_of(data, ndim),
        "padding_mode": data.draw(any_modes(ndim)),
        "fill": data.draw(st.sampled_from([0.0, 2.5])),
        "align_corners": align_corners,
    }
    expected = on("reference", lambda u, c: wk.sample(u, c, **how), image, coords)
    found = on("native", lambda u, c: wk.sample(u, c, **how), image if wide else image.float(), coords)
    near(found, expected, 1e-9 if wide else 2e-4)


@dimensions
def test_a_kernels_own_parameters_learn(ndim):
    image, coords = uniform(0, 2, 3, *(6, 7, 5)[:ndim]), uniform(1, 2, 40, ndim)
    phi = Bending()
    gradients = []
    for backend in ("reference", "native"):
        with wk.use_backend(backend):
            out = wk.sample(image, coords, kernel=phi)
        gradients.append(torch.autograd.grad(out.square().sum(), list(phi.parameters())))
    near(gradients[1], gradients[0], 1e-10)


@pytest.mark.parametrize("channels", [1, 3, 12])
@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("kernel_name", ["bilinear", "bicubic"])
def test_any_number_of_threads_gives_the_same_bits(kernel_name, batch, channels):
    image, theta = uniform(0, batch, channels, 140, 190).float(), torch.eye(2, 3).flatten()[None] * 0.9
    theta = theta + 0.3 * uniform(1, batch, 6).float()
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 4):
            torch.set_num_threads(threads)
            results.append(
                on("native", lambda u, t: wk.warp(u, "affine", t, kernel=kernel_name, size=(150, 270)), image, theta)
            )
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def _large():
    """Each way with each mode and zoom, once; the other batches are exhaustive."""
    ways = itertools.product(enumerate((1.0, 6.0)), enumerate(("affine", "projective", "points")), enumerate(MODES))
    for ((z, zoom), (n, name), (m, mode)), (b, batch) in itertools.product(ways, enumerate([(1, 1), (2, 2), (1, 3)])):
        marks = () if b == (z + n + m) % 3 else pytest.mark.exhaustive
        yield pytest.param(zoom, *batch, name, mode, marks=marks)


@pytest.mark.parametrize(("zoom", "batch", "thetas", "name", "mode"), [*_large()])
def test_a_large_image_whose_gradient_is_put_together_from_tiles(zoom, batch, thetas, name, mode):
    for last, shape, out in ((False, (2, 150, 190), (140, 300)), (True, (3, 40, 300), (300, 135))):
        image = uniform(0, batch, *shape).float()
        image = image.contiguous(memory_format=torch.channels_last) if last else image
        made = wk.get_transform("affine" if name == "points" else name)
        theta = zoom * made.identity() + 0.3 * uniform(1, thetas, made.num_params)

        def call(u, t, made=made, out=out):
            if name == "points":
                return wk.sample(u, made.on_lattice(t, out, False), padding_mode=mode, kernel="bicubic")
            return wk.warp(u, made, t, size=out, padding_mode=mode, kernel="bicubic")

        near(on("native", call, image, theta), on("reference", call, image.double(), theta), 2e-4)


def test_a_large_volume_and_a_long_line():
    for shape, out, name in (((1, 2, 20, 90, 140), (17, 100, 150), "affine"), ((1, 1, 40000), (50000,), "attention")):
        made = wk.get_transform(name, ndim=len(shape) - 2)
        image, theta = uniform(0, *shape).float(), made.identity() + 0.1 * uniform(1, 1, made.num_params)
        expected = on("reference", lambda u, t, m=made, o=out: wk.warp(u, m, t, size=o), image.double(), theta)
        near(on("native", lambda u, t, m=made, o=out: wk.warp(u, m, t, size=o), image, theta), expected, 2e-4)


def test_channels_last_stays_so():
    image = uniform(0, 2, 12, 8, 9).float().contiguous(memory_format=torch.channels_last)
    out = wk.warp(image, "affine", torch.eye(2, 3).flatten()[None] * 0.9)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_a_wide_image_is_sampled_where_the_matrix_says():
    # Alternating columns: an error in the coordinate is twice as large in the value.
    width = 16384
    image = (torch.arange(width) % 2).float().expand(1, 1, 2, width).contiguous()
    theta = torch.tensor([[1.0, 0.0, 2 * 0.25 / width, 0.0, 1.0, 0.0]])  # a quarter of a pixel to the right
    out = wk.warp(image, "affine", theta, padding_mode="wrap")
    expected = torch.where(torch.arange(width) % 2 == 0, 0.25, 0.75).expand_as(out)
    shift = (theta[0, 2].double() * width / 2 - 0.25).abs().item()  # of θ's own float32
    torch.testing.assert_close(out, expected, rtol=0, atol=2e-5 + 2 * shift)


@pytest.mark.parametrize("kind", ["affine", "shifts"])
def test_the_operators_are_what_torch_expects(kind):
    image = uniform(0, 2, 3, 5, 6).float()
    where = (
        uniform(1, 2, 4, 6, 2).float() if kind == "shifts" else torch.eye(3, dtype=torch.float64).expand(2, 3, 3) * 0.9
    )
    table = wk.get_kernel("bicubic").table().flatten()
    how = (kind, [1, 4, 3, 1, 0, 0] * 2, [0, 0], [5, 6], [4, 6], [5, 6], [0, 0], [4, 6], [0, 0], False)
    rest = (torch.empty(0, dtype=torch.float64), *how)
    inputs = [x.clone().requires_grad_() for x in (image, where.contiguous(), table)]
    torch.library.opcheck(torch.ops.warpkit.pull.default, (*inputs, *rest, "native"))
    values = uniform(2, 2, 3, 4, 6).float().requires_grad_()
    torch.library.opcheck(torch.ops.warpkit.push.default, (values, *inputs[1:], *rest, 2, "native"))


@pytest.mark.usefixtures("compiler")
@pytest.mark.skipif(torch.__version__ < "2.12", reason="its compiler takes no module for a constant")
def test_a_compiled_and_an_exported_graph_keep_the_operator():
    class Warp(torch.nn.Module):
        def forward(self, image, theta):
            return wk.warp(image, "affine", theta, kernel="bicubic")

    inputs = uniform(0, 1, 2, 6, 7).float(), torch.eye(2, 3).flatten()[None]
    exported = torch.export.export(Warp(), inputs)
    targets = [
        str(n.target) for m in exported.graph_module.modules() for n in getattr(m, "graph", exported.graph).nodes
    ]
    assert "warpkit.pull.default" in targets
    seen = []

    def keep(graph, example):
        seen.append(str(graph.graph))
        return graph

    torch.compile(Warp(), fullgraph=True, backend=keep)(*inputs)
    assert "warpkit.pull" in seen[0]


@pytest.mark.parametrize(
    ("image", "how", "reason"),
    [
        (torch.zeros(1, 1, 3, 3, dtype=torch.int64), {}, "int64"),
        (torch.zeros(1, 1, 3, 3), {"fill": torch.zeros(1, requires_grad=True)}, "fill"),
        (torch.zeros(1, 1, 3, 3, device="meta"), {}, "meta"),
    ],
)
def test_what_it_cannot_do_it_says_when_it_is_named(image, how, reason):
    theta = torch.eye(2, 3, device=image.device).flatten()[None]
    wk.warp(image, "affine", theta, **how)
    with wk.use_backend("native"), pytest.raises(wk.InputError, match=rf"'native'.*{reason}"):
        wk.warp(image, "affine", theta, **how)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel_name", ["nearest", "bilinear", "bicubic"])
def test_points_far_outside(kernel_name, mode):
    far = [0.3, 1e9, -1e9, 3e38, -3e38, float("inf"), float("nan"), 2.0**30, 1e-45]
    coords = torch.cartesian_prod(torch.tensor(far), torch.tensor(far))[None]
    image = uniform(0, 1, 2, 5, 7)

    def sample(u, c):
        return wk.sample(u, c, kernel=kernel_name, padding_mode=mode, fill=7.0)

    near(on("native", sample, image, coords), on("reference", sample, image, coords), 1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork() here")
def test_a_forked_process_waits_for_no_thread():
    code = (
        "import os, torch, warpkit as wk\n"
        "torch.set_num_threads(2)\n"
        "image, theta = torch.rand(4, 3, 200, 200), torch.tensor([[0.9, -0.2, 0.1, 0.2, 0.9, 0.0]])\n"
        "right = wk.warp(image, 'affine', theta).numpy().tobytes()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(wk.warp(image, 'affine', theta).numpy().tobytes() != right)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


class Turned(torch.utils.data.Dataset):
    """Warps in a worker process what it is asked for."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return wk.warp(uniform(index, 1, 3, 64, 64).float(), "affine", torch.eye(2, 3).flatten()[None] * 0.9)


def test_forked_workers_warp_too():
    expected = [Turned()[i] for i in range(8)]  # and torch's threads are at work before the fork
    loader = torch.utils.data.DataLoader(
        Turned(), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60
    )
    assert all(map(torch.equal, loader, expected))


def test_threads_of_python_warp_side_by_side():
    image, theta = uniform(0, 1, 3, 200, 300).float(), torch.eye(2, 3).flatten()[None] * 0.9

    def gradients(_):
        return on("native", lambda u, t: wk.warp(u, "affine", t, kernel="bicubic"), image, theta)

    expected = gradients(0)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found in pool.map(gradients, range(12)):
            assert all(map(torch.equal, found, expected))


def test_points_on_a_very_long_line_stay_in_their_tile():
    # float32 points are forgiven two pixels there, which a tile's box has to hold.
    image, coords = torch.ones(1, 1, 2**24, requires_grad=True), torch.rand(1, 40000, 1) * 1e-4 + 0.5
    wk.sample(image, coords).sum().backward()
    assert image.grad.double().sum() == pytest.approx(40000, rel=1e-6)


def test_a_row_between_two_that_overflow():
    image = torch.rand(2, 1, 257, 257, requires_grad=True)
    theta = torch.tensor([[1.0, 0, 0, 0, 1e308, 0]] * 2, dtype=torch.float64)
    wk.warp(image, "affine", theta, size=(3, 200), align_corners=True).sum().backward()
    assert image.grad.sum() == pytest.approx(400, rel=1e-5)


def test_an_exported_graph_takes_images_of_any_strides():
    class Warped(torch.nn.Module):
        def forward(self, image, theta):
            return wk.warp(image, "affine", theta)

    image, theta = uniform(0, 2, 3, 20, 20).float(), torch.tensor([[0.9, 0.1, 0, -0.1, 0.9, 0.1]] * 2)
    graph = torch.export.export(Warped(), (image, theta)).module()
    for other in (image.mT, image.to(memory_format=torch.channels_last), image[:1].expand(2, 3, 20, 20)):
        torch.testing.assert_close(graph(other, theta), Warped()(other, theta))


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_float32_row_meets_the_joints_that_a_float64_row_meets(align_corners):
    theta = torch.tensor([[1.0, 0.0]])
    for width in (1, 2, 7, 15, 28, 64):
        image = uniform(width, 1, 1, width).float()
        for size in range(1, 250, 3):
            how = {"size": size, "kernel": "nearest", "align_corners": align_corners}
            expected = wk.warp(image.double(), "affine", theta, **how).float()
            assert torch.equal(wk.warp(image, "affine", theta, **how), expected)


def test_forward_mode_over_a_backward_that_was_prepared_outside():
    image, coords = uniform(0, 1, 1, 5, 5).requires_grad_(), uniform(1, 1, 3, 3, 2)
    tangents = []
    for backend in ("native", "reference"):
        with wk.use_backend(backend):
            out = wk.sample(image, coords)
        pull = lambda v, out=out: torch.autograd.grad(out, image, v, retain_graph=True)[0]  # noqa: E731
        tangents.append(torch.func.jvp(pull, (torch.ones_like(out),), (torch.ones_like(out),))[1])
    torch.testing.assert_close(*tangents)
    assert tangents[0].abs().sum() > 1


def test_fake_tensors():
    with torch._subclasses.FakeTensorMode() as mode:
        image, theta, coords = (mode.from_tensor(torch.rand(*s)) for s in ((1, 1, 9, 9), (1, 6), (1, 5, 5, 2)))
        assert wk.warp(image, "affine", theta, fill=1.0).shape == (1, 1, 9, 9)
        assert wk.sample(image, coords, kernel="bicubic").shape == (1, 1, 5, 5)


HUGE = 2**31 + 1
WRONG = [
    {"kernels": (1, 2, 1, 1, 0, 0)},
    {"kernels": (1, 2, 3, 1, 0, 0) * 2},
    {"kernels": (HUGE, 2, 2**31 - 1, 1, 0, 0) * 2},  # whose product overflows
    {"kernels": (2**62, 4, 1, 1, 0, 0) * 2},
    {"kernels": (1, 2, 1, 1, 0, 2**63 - 1) * 2},
    {"kernels": (1, 0, 1, 1, 0, 0) * 2},
    {"kernels": (0, 2, 1, 1, 0, 0) * 2},
    {"kernels": (1, 2, -2, 1, 0, 0) * 2},
    {"kernels": (1, 2, 1, 1, -1, 0) * 2},
    {"kernels": (1, 17, 0, 1, 0, 0) * 2},
    {"padding": (0,)},
    {"padding": (0, 5)},
    {"padding": (-1, 0)},
    {"target": (5,)},
    {"target": (-5, -5)},
    {"target": (2**32, 2**32)},
    {"extent": (5,)},
    {"extent": (5, 0)},
    {"extent": (5, 2**62)},
    {"begin": (0,)},
    {"begin": (0, -(2**62))},
    {"kind": 4},
    {"kind": 0},
    {"where": (1, 2, 3)},
    {"where": (3, 3, 3)},
    {"where": (1, 3)},
    {"where": (3,)},
    {"wide": False},
    {"numbers": 3},
    {"fills": 2},
    {"shape": (2, 1, 0, 5)},
    {"shape": (2, 0, 5, 5)},
    {"shape": (2, 1, 2**40, 2**40)},
    {"shape": (2, 1, 5)},
    {"shape": (2, 1)},
    {"shape": (2, 1, 5, 5, 5, 5)},
    {"stored": -1},
    {"stored": 9},
    {"bytes": 0},
    {"copies": True},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_no_plan_is_made_of_what_would_be_read_past_its_end(wrong):
    table, fill = torch.zeros(64, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)
    given = {
        "shape": (2, 1, 5, 5), "where": (1, 3, 3), "kernels": (1, 2, 1, 1, 0, 0) * 2, "padding": (0, 0),
        "target": (5, 5), "extent": (5, 5), "begin": (0, 0), "whole": (5, 5),
        "origin": (0, 0), "last": False, "wide": True, "aligned": False, "copies": False, "stored": 0, "bytes": 4,
        "kind": 2, "table": table.data_ptr(), "numbers": 4,
        "fill": fill.data_ptr(), "fills": 0,
    }  # fmt: skip
    native._native.plan(*given.values())
    with pytest.raises(ValueError, match="warpkit"):
        native._native.plan(*(given | wrong).values())


@pytest.mark.parametrize("wrong", ["a", (1,), None, 2**70])
def test_the_extension_refuses_what_is_no_address_or_number(wrong):
    plan = native._native.plan(
        (1, 1, 2),
        (1, 1, 1),
        (1, 1, 0, 1, 0, 0),
        (0,),
        (1,),
        (2,),
        (0,),
        (1,),
        (0,),
        0,
        0,
        0,
        0,
        0,
        4,
        0,
        torch.ones(1).double().data_ptr(),
        1,
        0,
        0,
    )
    for call in (
        lambda: native._native.pull(plan, wrong, 0, 0),
        lambda: native._native.pull(wrong, 0, 0, 0),
        lambda: native._native.pull(plan, 0, 0, 0),  # nothing is read of no tensor
        lambda: native._native.push(plan, 0, 0),
        lambda: native._native.gradients(plan, 0, 0, 0, 0, 0, wrong),
        lambda: native._native.plan(*[wrong] * 20),
    ):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            call()


@pytest.mark.parametrize(("images", "sets"), [(3, 1), (1, 3), (3, 3)])
@pytest.mark.parametrize("kernel_name", ["bilinear", "bicubic"])
def test_second_derivatives_of_what_is_shared(images, sets, kernel_name):
    def second(name):
        image = uniform(1, images, 2, 5, 4).requires_grad_()
        coords = uniform(2, sets, 6, 2).requires_grad_()
        with wk.use_backend(name):
            output = wk.sample(image, coords, kernel=kernel_name)
        first = torch.autograd.grad((output * uniform(3, *output.shape)).sum(), (image, coords), create_graph=True)
        total = sum((g * uniform(4 + i, *g.shape)).sum() for i, g in enumerate(first))
        return torch.autograd.grad(total, (image, coords))

    for expected, found in zip(second("reference"), second("native"), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_copy_on_write_image_is_read_without_being_copied():
    image = torch.rand(1, 3, 16, 16)
    lazy = torch._lazy_clone(image)
    wk.warp(lazy, "affine", torch.eye(2, 3).flatten()[None])
    assert torch._C._is_cow_tensor(lazy)


@pytest.mark.parametrize("kernel_name", ["bilinear", "bicubic"])
@pytest.mark.parametrize("name", ["affine", "projective", "thin_plate_spline"])
def test_second_derivatives_are_those_of_the_reference_and_native(name, kernel_name, monkeypatch):
    """Made of pull and push: the reference backend is not asked."""
    made = wk.get_transform(name)
    image, theta = uniform(0, 2, 2, 5, 6), made.identity().double()[None] + 0.05 * uniform(1, 2, made.num_params)

    def second(backend):
        u, t = image.clone().requires_grad_(), theta.clone().requires_grad_()
        with wk.use_backend(backend):
            out = wk.warp(u, made, t, kernel=kernel_name, padding_mode="reflection")
        first = torch.autograd.grad(out.square().sum(), (u, t), create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), (u, t))

    expected = second("reference")

    def refuse(*_):
        raise AssertionError("the reference backend was asked")

    monkeypatch.setattr("warpkit.sampling.reference.Reference.pull", refuse)
    near(list(second("native")), list(expected), 1e-9)
