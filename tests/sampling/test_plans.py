"""Calls that were met before skip their checks: they give the same, and what differs is noticed."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import warpkit as wk
from warpkit.sampling import plans

COORDS = torch.tensor([[[-0.5, 0.25], [0.3, -0.8], [1.5, 0.1]]])
THETA = torch.tensor([[0.8, 0.1, 0.05, -0.2, 0.9, 0.1]])


@pytest.fixture
def image():
    """An image that was sampled and warped before, so that plans for its like are kept."""
    made = torch.rand(1, 2, 5, 6, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        wk.sample(made, COORDS)
        wk.warp(made, "affine", THETA)
    return made


@pytest.mark.parametrize(
    "wrong",
    [
        {"align_corners": 0}, {"align_corners": np.False_}, {"padding_mode": ["zero"] * 2}, {"kernel": 1},
        {"kernel": ["bilinear"]}, {"fill": 1j}, {"fill": [0.0, 0.0, 0.0]}, {"padding_mode": ("zeros",)},
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_is_noticed_after_the_right_words_were_met(image, wrong, unchecked):
    with pytest.raises(wk.InputError):
        wk.sample(image, COORDS, **wrong)
    with pytest.raises(wk.InputError):
        wk.warp(image, "affine", THETA, **wrong)


@pytest.mark.parametrize(
    ("image", "coords"),
    [
        ([[1.0]], COORDS),
        (torch.rand(1, 2, 5, 6).to_sparse(), COORDS),
        (torch.rand(1, 2, 5, 6), COORDS[0, 0]),
        (None, None),
    ],
    ids=["list", "sparse", "axes", "nothing"],
)
def test_what_is_no_image_is_told(image, coords, unchecked):
    with pytest.raises(wk.InputError):
        wk.sample(image, coords)


@pytest.mark.parametrize(
    "words",
    [{}, {"padding_mode": ("zeros", "wrap")}, {"padding_mode": ["border", "zeros"]}, {"kernel": ("nearest", "bicubic")},
     {"fill": 0}, {"fill": -0.0}, {"align_corners": True}],
    ids=str,
)  # fmt: skip
def test_a_call_that_is_repeated_gives_the_same(image, words):
    with wk.use_backend("reference"):
        sampled, warped = wk.sample(image, COORDS, **words), wk.warp(image, "affine", THETA, **words)
    for _ in range(3):
        torch.testing.assert_close(wk.sample(image, COORDS, **words), sampled)
        torch.testing.assert_close(wk.warp(image, "affine", THETA, **words), warped)


def test_numbers_that_are_yet_to_be_negated_or_conjugated_are_read_as_they_are_meant():
    """Their memory holds something else; an image of one pixel lies in a row all the same."""
    center = torch.zeros(1, 1, 2)
    turned = torch.tensor([1 + 2j]).conj()
    negative, conjugate = turned.imag.reshape(1, 1, 1, 1), turned.reshape(1, 1, 1, 1)
    assert negative.is_neg()
    assert conjugate.is_conj()
    for _ in range(2):
        wk.sample(torch.ones(1, 1, 1, 1), center)
        wk.sample(torch.ones(1, 1, 1, 1, dtype=torch.complex64), center, kernel="nearest")
        assert wk.sample(negative, center).item() == -2
        assert wk.sample(conjugate, center, kernel="nearest").item() == 1 - 2j
        assert wk.warp(negative, "affine", torch.eye(2, 3).flatten()[None]).item() == -2
    pushed = wk.push(torch.tensor([1 + 2j]).conj().imag.reshape(1, 1, 1), center, 1)
    assert pushed.item() == -2


def test_gradients_are_those_of_the_reference_whoever_asks(image):
    def found(*wanted):
        given = [t.double().requires_grad_(k in wanted) for k, t in (("u", image), ("p", COORDS), ("θ", THETA))]
        u, p, theta = given
        out = wk.sample(u, p).square().sum() + wk.warp(u, "affine", theta).pow(3).sum()
        first = torch.autograd.grad(out, [t for t in given if t.requires_grad], create_graph=True)
        total = sum(g.square().sum() for g in first)
        return *first, *torch.autograd.grad(total, [t for t in given if t.requires_grad])

    for wanted in ("u", "pθ", "upθ", "u"):
        with wk.use_backend("reference"):
            expected = found(*wanted)
        for _ in range(2):
            for a, b in zip(found(*wanted), expected, strict=True):
                torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.uint8])
def test_images_that_are_not_summed_as_they_are_learn_after_they_were_read(image, dtype):
    narrow = (image * 100).to(dtype)
    for _ in range(2):
        plain = wk.sample(narrow, COORDS)
        coords = COORDS.clone().requires_grad_()
        out = wk.sample(narrow, coords)
        assert torch.equal(out, plain)
        if dtype.is_floating_point:
            (grad,) = torch.autograd.grad(out.float().sum(), coords)
            assert grad.isfinite().all()
            assert grad.abs().sum() > 0


def test_function_transforms_and_forward_mode_see_what_was_met(image):
    def f(p):
        return wk.sample(image, p).sum()

    with wk.use_backend("reference"):
        expected = torch.func.grad(f)(COORDS)
    torch.testing.assert_close(torch.func.grad(f)(COORDS), expected)
    tangent = torch.ones_like(COORDS)
    torch.testing.assert_close(torch.func.jvp(f, (COORDS,), (tangent,))[1], expected.sum())
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(COORDS, tangent)
        slope = torch.autograd.forward_ad.unpack_dual(f(dual)).tangent
    torch.testing.assert_close(slope, expected.sum())
    batched = torch.vmap(lambda p: wk.sample(image, p))(torch.stack([COORDS, COORDS]))
    torch.testing.assert_close(batched[1], wk.sample(image, COORDS))


def test_a_dispatch_mode_sees_an_operator(image):
    seen = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    plain = wk.sample(image, COORDS)
    with Watch():
        watched = wk.sample(image, COORDS)
    assert torch.equal(watched, plain)
    assert any("warpkit" in name for name in seen)


def test_a_trace_keeps_the_call_and_not_its_result(image):
    """`make_fx` traces with real tensors."""
    graph = torch.fx.experimental.proxy_tensor.make_fx(lambda u, p: wk.sample(u, p))(image, COORDS)
    other = image.flip(-1) + 1
    torch.testing.assert_close(graph(other, COORDS), wk.sample(other, COORDS))


def test_a_backend_that_is_named_is_used(image):
    class Twice(wk.Backend):
        def pull(self, image, problem):
            return 2 * wk.sampling.reference.Reference().pull(image, problem)

        def push(self, values, problem, images):
            raise NotImplementedError

    wk.sampling.backend.backends.register("twice")(Twice)
    plain = wk.sample(image, COORDS)
    with wk.use_backend("twice"):
        torch.testing.assert_close(wk.sample(image, COORDS), 2 * plain)
    torch.testing.assert_close(wk.sample(image, COORDS), plain)


def test_a_kernel_that_is_registered_again_is_the_new_one():
    image = torch.rand(1, 1, 4, 4)

    def register(value):
        class PlansTestBox(wk.Kernel):
            radius = 0.5
            partition_of_unity = False

            def forward(self, distance):
                return torch.full_like(distance, value)

        PlansTestBox.__qualname__ = "PlansTestBox"
        wk.register_kernel("plans_test_box")(PlansTestBox)
        return wk.sample(image, torch.zeros(1, 1, 2), kernel="plans_test_box").item()

    once = register(1.0)
    assert register(2.0) == pytest.approx(4 * once)  # two on each axis


def test_what_is_kept_is_bounded():
    for n in range(1, 400):
        wk.sample(torch.ones(1, 1, 2, 2), torch.zeros(1, n, 2))
    assert len(plans.plans._made) <= 256


@pytest.mark.parametrize("size", [(3, 3), (3, 3, 3)])
def test_an_image_with_as_many_channels_as_rows_and_columns_keeps_its_order(size):
    """[N, *S, C] is then of the shape [N, C, *S]."""
    form = torch.channels_last if len(size) == 2 else torch.channels_last_3d
    image = torch.rand(2, 3, *size).contiguous(memory_format=form)
    same = torch.eye(len(size), len(size) + 1).flatten()[None]
    for _ in range(2):
        assert torch.equal(wk.warp(image, "affine", same), image)
        assert torch.equal(wk.warp((9 * image).byte(), "affine", same, kernel="nearest"), (9 * image).byte())


@pytest.mark.parametrize(
    ("pack", "unpack"),
    [
        (torch.Tensor.bfloat16, torch.Tensor.float),
        (torch.Tensor.half, torch.Tensor.half),
        (torch.Tensor.detach, lambda x: x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x),
        (torch.Tensor.detach, lambda x: x.mT.contiguous().mT),
    ],
)
def test_what_a_hook_gives_back_for_what_was_saved_is_read_as_it_is(pack, unpack):
    image, grid = torch.rand(4, 3, 6, 6), 1.6 * torch.rand(4, 5, 2) - 0.8
    theta = torch.tensor([[1, 0.1, 0, 0, 1, 0.1]]).repeat(4, 1)

    def gradients():
        given = [t.clone().requires_grad_() for t in (image, grid, theta)]
        out = wk.sample(given[0], given[1]).sum() + wk.warp(given[0], "affine", given[2]).square().sum()
        return out, given

    out, given = gradients()
    expected = torch.autograd.grad(out, given)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: pack(x.detach()), unpack):
        out, given = gradients()
    for found, right in zip(torch.autograd.grad(out, given), expected, strict=True):
        torch.testing.assert_close(found, right, atol=0.5 if pack is not torch.Tensor.detach else 1e-4, rtol=0.1)


def test_many_gradients_at_once_are_those_of_one_after_the_other():
    image = torch.rand(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    coords = COORDS.double().requires_grad_()
    out = wk.sample(image, coords)
    each = torch.rand(3, *out.shape, dtype=torch.float64)
    together = torch.autograd.grad(out, (image, coords), each, is_grads_batched=True, retain_graph=True)
    for k, grad in enumerate(each):
        for a, b in zip(together, torch.autograd.grad(out, (image, coords), grad, retain_graph=True), strict=True):
            torch.testing.assert_close(a[k], b)


@pytest.mark.filterwarnings("ignore")
def test_torchscript_traces_what_the_reference_backend_does(image, unchecked):
    traced = torch.jit.trace(lambda u: wk.sample(u, COORDS), (image,), check_trace=False)
    other = image.flip(-1) + 1
    torch.testing.assert_close(traced(other), wk.sample(other, COORDS))


@pytest.mark.parametrize("padding", ["zeros", "border", "none"])
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_a_point_gets_is_no_affair_of_its_neighbours(channels, kernel, padding):
    """One of sixteen meets a NaN, or lies far away, where a tile is read in another way."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, channels, 16, 16, generator=generator)
    image[..., 8, 8] = torch.nan
    near = 0.4 * torch.rand(1, 16, 2, generator=generator) + 0.7
    found = []
    for last in (0.9, 0.06):
        coords = near.clone()
        coords[0, 15] = last
        coords.requires_grad_()
        out = wk.sample(image, coords, kernel=kernel, padding_mode=padding)[..., :15]
        found.append((out, torch.autograd.grad(out.sum(), coords)[0][:, :15]))
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)
    line = torch.ones(1, 1, 100_000, dtype=torch.float16)
    line[..., 0] = torch.inf
    ends = [torch.tensor([[[-1 + 0.6e-5], [x]]], dtype=torch.float64) for x in (-0.9999, 0.99)]
    first, second = (wk.sample(line, end, kernel=kernel, padding_mode=padding)[0, 0, 0] for end in ends)
    torch.testing.assert_close(first, second, atol=0, rtol=0, equal_nan=True)


@pytest.mark.parametrize("wrong", ["table", "where", "grad", "batch", "channels", "size"])
def test_graphs_are_refused_what_would_be_read_past_its_end(wrong, unchecked):
    image, coords = torch.rand(3, 2, 8, 8), torch.rand(3, 7, 2)
    rule = wk.sampling.sampler.rule_for(image, "bilinear", "zeros", 0.0, False)
    problem = rule.problem(image, coords, "points", (8, 8), (7,))
    grad = torch.rand(3, 2, 7)
    problem = problem._replace(table=problem.table.float()) if wrong == "table" else problem
    problem = problem._replace(where=coords.half()) if wrong == "where" else problem
    grad = {"grad": grad.double(), "batch": grad[:1], "channels": grad[:, :1]}.get(wrong, grad)
    image = image[..., :5] if wrong == "size" else image
    args = wk.sampling.problem.flat(problem)
    with pytest.raises((ValueError, RuntimeError), match="warpkit"):
        torch.ops.warpkit.gradients(grad, image, *args, True, True, False, "native")
