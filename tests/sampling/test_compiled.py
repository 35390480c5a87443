"""`torch.compile(fullgraph=True)` and `torch.export`, against the same call without."""

import io
import subprocess
import sys

import pytest
import torch
from cases import KERNELS, ONCE, TRANSFORMS, kernel
from examples import Bending, Swirl
from problems import problem, same
from strategies import MODES, uniform
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.func import grad, hessian, jacfwd, jvp, vmap

import warpkit as wk

pytestmark = pytest.mark.usefixtures("compiler")
OTHERS = [case for case in TRANSFORMS if case not in ONCE]  # each transform in its other dimensions


def each_transform(now, later):
    """Of every transform in every dimension, what is to be tried by default, and what is exhaustive."""
    cases = [*now, *(pytest.param(*case, marks=pytest.mark.exhaustive) for case in later)]
    return pytest.mark.parametrize(("name", "ndim"), cases)


IMAGE, THETA = uniform(0, 1, 1, 5, 5), 0.8 * torch.eye(2, 3, dtype=torch.float64).flatten()[None]


def compiled(function, backend="aot_eager"):
    """In one graph; "aot_eager" traces the backward as well, "eager" the forward alone, in a third of the time."""
    return torch.compile(function, fullgraph=True, backend=backend)


def agrees_with_its_gradients(warp, image: Tensor, theta: Tensor) -> None:
    a, b = ((image.clone().requires_grad_(), theta.clone().requires_grad_()) for _ in range(2))
    out, expected = compiled(warp)(*a), warp(*b)
    same(out, expected)
    out.square().sum().backward()
    expected.square().sum().backward()
    for x, y in zip(a, b, strict=True):
        same(x.grad, y.grad)


@each_transform(ONCE, OTHERS)
def test_every_transform(name, ndim):
    made, image, theta = problem(name, ndim, torch.float32, batch=2)
    agrees_with_its_gradients(lambda u, t: wk.warp(u, made, t), image, theta)


@each_transform(OTHERS, ONCE)
def test_every_transform_in_float64(name, ndim):
    made, image, theta = problem(name, ndim, batch=2)
    same(compiled(lambda u, t: wk.warp(u, made, t), "eager")(image, theta), wk.warp(image, made, theta))


@pytest.mark.parametrize(("ndim", "dtype"), [(1, torch.float32), (2, torch.float64)])
@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel(name, ndim, dtype):
    made, image, theta = problem("affine", ndim, dtype)
    agrees_with_its_gradients(lambda u, t: wk.warp(u, made, t, kernel=name), image, theta)


@pytest.mark.parametrize("mode", MODES)
def test_sample(mode):
    image, coords = uniform(0, 2, 2, 4, 5), uniform(1, 2, 6, 2)

    def sample(image, coords):
        return wk.sample(image, coords, kernel=("bilinear", "nearest"), padding_mode=mode, fill=(0.5, 1.0))

    agrees_with_its_gradients(sample, image, coords)


@pytest.mark.parametrize("transform", ["affine", {"type": "thin_plate_spline", "grid": [2, 3]}], ids=str)
@pytest.mark.parametrize("kernel_name", ["bilinear", {"type": "bicubic", "a": -0.61}], ids=str)
def test_names_and_tables_that_nobody_has_used_before(transform, kernel_name):
    theta = torch.zeros(1, wk.get_transform("affine").num_params * (1 if transform == "affine" else 2)).double()

    def warp(image, theta):
        return wk.warp(image, transform, theta, kernel=kernel_name)

    out = compiled(warp, "eager")(IMAGE, theta)
    same(out, warp(IMAGE, theta))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.bfloat16])
@pytest.mark.parametrize("kernel_name", ["nearest", "bilinear"])
def test_other_types(dtype, kernel_name):
    image, theta = (10 * IMAGE).to(dtype), torch.tensor([[0.9, 0.2, 0, -0.1, 0.8, 0.1]])
    warp = compiled(lambda u, t: wk.warp(u, "affine", t, kernel=kernel_name), "eager")
    assert torch.equal(warp(image, theta), wk.warp(image, "affine", theta, kernel=kernel_name))


def test_a_users_own_whose_phi_moves_on_after_the_trace():
    made, k, theta = Swirl(), Bending(0.0).double(), torch.full((1, 1), 0.4, dtype=torch.float64)
    warp = compiled(lambda u, t: wk.warp(u, made, t, kernel=k))
    for bend in (0.0, 0.3, -0.7):
        with torch.no_grad():
            k.bend.fill_(bend)
        same(warp(IMAGE, theta), wk.warp(IMAGE, made, theta, kernel=k))


def test_an_option_that_changes_is_noticed():
    k = wk.get_kernel("bicubic")
    warp = compiled(lambda u, t: wk.warp(u, "affine", t, kernel=k), "eager")
    for a in (-0.75, -0.5, -1.0):
        k.a = a
        same(warp(IMAGE, THETA), wk.warp(IMAGE, "affine", THETA, kernel=wk.get_kernel("bicubic", a=a)))


def test_switching_between_training_and_evaluation_does_not_compile_again():
    k = kernel("bilinear")
    warp = compiled(lambda u, t: wk.warp(u, "affine", t, kernel=k), "eager")
    warp(IMAGE, THETA)
    with torch.compiler.set_stance("fail_on_recompile"):
        for training in (False, True) * 3:
            k.train(training)
            warp(IMAGE, THETA)


@pytest.mark.parametrize(
    ("name", "ndim", "kernel_name", "backend"),
    [
        ("affine", 1, "bicubic", "eager"),
        pytest.param("affine", 1, "bicubic", "aot_eager", marks=pytest.mark.exhaustive),
        pytest.param("projective", 1, "nearest", "aot_eager", marks=pytest.mark.exhaustive),
        pytest.param("projective", 2, "bilinear", "eager", marks=pytest.mark.exhaustive),
        pytest.param("thin_plate_spline", 2, "bilinear", "eager", marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.parametrize(
    "derivative",
    [
        lambda warp: lambda t: jvp(warp, (t,), (torch.full_like(t, 0.3),))[1],
        lambda warp: jacfwd(warp),
        lambda warp: grad(lambda t: warp(t).square().sum()),
        lambda warp: hessian(lambda t: warp(t).square().sum()),
        lambda warp: vmap(lambda t: warp(t[None])),
    ],
    ids=["jvp", "jacfwd", "grad", "hessian", "vmap"],
)
def test_function_transforms_inside(name, ndim, kernel_name, backend, derivative):
    made, image, theta = problem(name, ndim, batch=2)
    function = derivative(lambda t: wk.warp(image[:1], made, t, kernel=kernel_name, padding_mode="border"))
    torch.testing.assert_close(compiled(function, backend)(theta), function(theta), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["affine", "thin_plate_spline"])
def test_sizes_that_change(name):
    made = wk.get_transform(name)
    theta = made.identity().double()[None] + 0.05
    warp = torch.compile(lambda u, t: wk.warp(u, made, t), fullgraph=True, backend="eager", dynamic=True)
    for size in ((4, 5), (6, 7), (9, 8)):
        image = uniform(0, 1, 1, *size)
        same(warp(image, theta), wk.warp(image, made, theta))


class _Warp(nn.Module):
    def __init__(self, made: wk.Transform):
        super().__init__()
        self.transform = made

    def forward(self, image: Tensor, theta: Tensor) -> Tensor:
        return wk.warp(image, self.transform, theta)


@each_transform(ONCE, OTHERS)
def test_export(name, ndim):
    made, image, theta = problem(name, ndim, torch.float32)
    exported = torch.export.export(_Warp(made), (image, theta)).module()
    same(exported(image, 0.9 * theta), wk.warp(image, made, 0.9 * theta))


SAVED = [
    ("affine", "bilinear"),
    ("projective", "nearest"),
    ({"type": "thin_plate_spline", "grid": [3, 2]}, {"type": "bicubic", "a": -0.62}),
    ({"type": "compose", "of": ["affine", "thin_plate_spline"]}, "bicubic"),
]


@pytest.mark.parametrize(
    ("transform", "kernel_name", "backend"), [*((*both, "native") for both in SAVED), (*SAVED[2], "reference")], ids=str
)
def test_an_exported_network_is_saved_and_loaded_although_it_never_sampled_before(transform, kernel_name, backend):
    """Nothing of the filling of caches may be recorded."""
    net = nn.Sequential(wk.SpatialTransformer(nn.Flatten(), transform, kernel=kernel_name, features=30)).eval()
    image, file = uniform(0, 2, 1, 5, 6).float(), io.BytesIO()
    with wk.use_backend(backend):
        torch.export.save(torch.export.export(net, (image,)), file)
        expected = net(image)
    file.seek(0)
    same(torch.export.load(file).module()(image), expected)


def test_a_file_loads_where_nothing_was_sampled_yet(tmp_path):
    """`import warpkit` registers the operators that a graph names."""
    image, theta = uniform(0, 1, 1, 5, 6).float(), torch.tensor([[0.9, 0.1, 0, -0.1, 0.9, 0.1]])
    program = torch.export.export(_Warp(wk.get_transform("affine")), (image, theta))
    torch.export.save(program, tmp_path / "warp.pt2")
    torch.save((image, theta, wk.warp(image, "affine", theta)), tmp_path / "expected.pt")
    script = (
        "import torch, warpkit; u, t, v = torch.load('expected.pt');"
        "assert torch.equal(torch.export.load('warp.pt2').module()(u, t), v)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=120)


GROWING = {
    "sample": lambda u, t: wk.sample(u, u[:, 0, :, :2, None].expand(-1, -1, -1, 2)),
    "affine": lambda u, t: wk.warp(u, "affine", t[:, :6], kernel="bicubic"),
    "spline": lambda u, t: wk.warp(u, "thin_plate_spline", t),
    "push": lambda u, t: wk.push(u, u[:, 0, ..., None].expand(-1, -1, -1, 2), u.shape[2:]),
}


@pytest.mark.parametrize("name", GROWING)
def test_sizes_that_grow_need_no_graph_each(name):
    call = GROWING[name]
    traced = torch.compile(call, fullgraph=True, dynamic=True, backend="aot_eager")
    theta = wk.get_transform("thin_plate_spline").identity()[None] * 0.9
    torch._dynamo.utils.counters.clear()
    for k in range(4, 15):
        image = uniform(k, 2, 3, k, k + 2).float().requires_grad_()
        out, expected = traced(image, theta), call(image, theta)
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 2


@pytest.mark.parametrize("name", GROWING)
def test_an_exported_graph_takes_other_sizes(name):
    class Called(nn.Module):
        def forward(self, u, t):
            return GROWING[name](u, t)

    theta = wk.get_transform("thin_plate_spline").identity()[None] * 0.9
    free = {2: torch.export.Dim("h", min=4), 3: torch.export.Dim("w", min=4)}
    program = torch.export.export(Called(), (uniform(0, 1, 3, 5, 7).float(), theta), dynamic_shapes=(free, {}))
    other = uniform(1, 1, 3, 11, 6).float()
    torch.testing.assert_close(program.module()(other, theta), GROWING[name](other, theta), rtol=0, atol=1e-5)


@pytest.mark.parametrize("transform", ["affine", "thin_plate_spline"])
def test_a_mode_of_fake_tensors(transform):
    with FakeTensorMode():
        theta = torch.rand(1, 32)[:, : 6 if transform == "affine" else 32]
        assert wk.warp(torch.rand(1, 2, 8, 9), transform, theta, kernel="bicubic").shape == (1, 2, 8, 9)


class Shrinking(wk.Kernel):
    """A triangle whose width is learnt: its joint moves with Φ, and no table carries it."""

    radius = 1.0

    def __init__(self):
        super().__init__()
        self.width = nn.Parameter(torch.tensor(0.8))

    def forward(self, distance):
        return torch.relu(1 - distance.abs() / self.width)


@pytest.mark.filterwarnings("ignore:.*no polynomial of degree")
def test_a_learnt_kernel_without_a_table_is_right_wherever_its_parameter_goes():
    kernel = Shrinking()
    warp = compiled(lambda u, t: wk.warp(u, "affine", t, kernel=kernel))
    for width in (0.8, 0.3):
        with torch.no_grad():
            kernel.width.fill_(width)
        same(warp(IMAGE, THETA), wk.warp(IMAGE, "affine", THETA, kernel=kernel))
