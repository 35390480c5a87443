"""Types, devices, copies, files and graphs of modules."""

import copy
import io
import pickle

import pytest
import torch
from examples import Bending
from strategies import uniform
from torch import nn

import warpkit as wk

IMAGE = uniform(0, 2, 1, 12, 14, dtype=torch.float32)
KINDS = ["affine", "projective", "thin_plate_spline", {"type": "compose", "of": ["affine", "thin_plate_spline"]}]


def model(transform="thin_plate_spline", **options) -> wk.SpatialTransformer:
    torch.manual_seed(0)
    options = {"kernel": "bicubic", "limits": 0.4} | options
    made = wk.SpatialTransformer(wk.ConvLocalization(channels=(4,), features=8), transform, **options)
    made(IMAGE)
    with torch.no_grad():
        made.regression.weight.normal_(std=0.1)
        made.regression.bias.normal_(std=0.1)
    return made


@pytest.mark.parametrize("transform", KINDS, ids=str)
def test_copies_pickles_and_states_give_the_same(transform):
    made = model(transform, kernel=Bending(0.3))
    out = made(IMAGE)
    file = io.BytesIO()
    torch.save(made.state_dict(), file)
    file.seek(0)
    loaded = wk.SpatialTransformer(
        wk.ConvLocalization(channels=(4,), features=8), transform, kernel=Bending(), limits=0.4
    )
    loaded.load_state_dict(torch.load(file))  # into lazy layers that have seen nothing
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made)), loaded):
        assert torch.equal(other(IMAGE), out)


def test_a_state_holds_parameters_and_nothing_the_framework_keeps():
    made = model(kernel=Bending(0.3))
    assert set(made.state_dict()) == {name for name, _ in made.named_parameters()}


def test_a_copy_of_a_module_that_has_seen_nothing():
    made = copy.deepcopy(wk.SpatialTransformer("conv_localization"))
    assert torch.equal(made(IMAGE), IMAGE)
    assert torch.equal(pickle.loads(pickle.dumps(wk.SpatialTransformer("conv_localization")))(IMAGE), IMAGE)


@pytest.mark.parametrize("transform", KINDS, ids=str)
def test_float64_is_used_where_it_is_asked_for(transform):
    made = model(transform)
    expected = made(IMAGE)
    made = made.double()
    assert made.theta(IMAGE.double()).dtype == torch.float64
    out = made(IMAGE.double())
    assert out.dtype == torch.float64
    torch.testing.assert_close(out.float(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("transform", KINDS, ids=str)
def test_theta_stays_float32_in_half_precision(transform, dtype):
    made = wk.SpatialTransformer("dense_localization", transform, kernel="bicubic")
    made(IMAGE)
    made = made.to(dtype)
    theta = made.theta(IMAGE.to(dtype))
    assert theta.dtype == torch.float32
    assert torch.equal(theta, made.transform.identity().float().expand(2, -1))
    assert made.coords(IMAGE.to(dtype)).dtype == torch.float32
    out = made(IMAGE.to(dtype))
    assert out.dtype == dtype
    torch.testing.assert_close(out, IMAGE.to(dtype), rtol=0, atol=2 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_init_does_not_lose_digits_in_half_precision(dtype):
    init = [0.1234567, 0, 0.7654321, 0, 0.2345678, 0]
    made = wk.SpatialTransformer(nn.Flatten(), init=init, features=168).to(dtype).float()
    torch.testing.assert_close(made.theta(IMAGE), torch.tensor([init] * 2), rtol=0, atol=1e-7)


@pytest.mark.parametrize("transform", KINDS, ids=str)
@pytest.mark.parametrize("steps", [1, 2])
def test_theta_and_coords_are_float32_under_autocast(transform, steps):
    if steps > 1 and transform not in ("affine", "projective"):
        pytest.skip("needs from_matrix")
    made = wk.SpatialTransformer("dense_localization", transform, steps=steps)
    made(IMAGE)
    with torch.autocast("cpu", torch.bfloat16):
        assert made.theta(IMAGE).dtype == torch.float32
        torch.testing.assert_close(made.theta(IMAGE), made.transform.identity().expand(2, -1), rtol=0, atol=0)
        coords = made.coords(IMAGE)
        torch.testing.assert_close(coords, wk.lattice((12, 14)).expand(2, -1, -1, -1), rtol=0, atol=1e-6)
        torch.testing.assert_close(made(IMAGE), IMAGE, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_coords_are_computed_in_float32_under_autocast(dtype):
    made = wk.get_transform("thin_plate_spline")
    theta = made.identity()[None] + 0.1 * uniform(1, 1, 32, dtype=torch.float32)
    points = wk.lattice((9, 9))[None]
    expected = made(theta, points)
    with torch.autocast("cpu", dtype):
        torch.testing.assert_close(made(theta, points), expected, rtol=0, atol=1e-6)


def plain(transform) -> wk.SpatialTransformer:
    return wk.SpatialTransformer(nn.Sequential(nn.Flatten(), nn.Linear(168, 8)), transform, limits=0.4, features=8)


@pytest.mark.parametrize("transform", KINDS, ids=str)
def test_a_network_made_on_meta_is_filled_by_loading_into_it(transform):
    made = plain(transform)
    nn.init.normal_(made.regression.weight, std=0.1)
    with torch.device("meta"):
        empty, assigned = plain(transform), plain(transform)
    assigned.load_state_dict(made.state_dict(), assign=True)
    empty.to_empty(device="cpu").load_state_dict(made.state_dict())
    for other in (assigned, empty, copy.deepcopy(assigned), pickle.loads(pickle.dumps(empty))):
        assert torch.equal(other(IMAGE), made(IMAGE))


@pytest.mark.parametrize("transform", KINDS, ids=str)
def test_a_module_that_went_to_meta_and_back_keeps_its_constants(transform):
    made = plain(transform)
    state = {name: value.clone() for name, value in made.state_dict().items()}
    out = made(IMAGE)
    back = made.to("meta").to_empty(device="cpu")
    back.load_state_dict(state)
    assert torch.equal(back(IMAGE), out)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("transform", KINDS, ids=str)
def test_a_narrow_default_type_moves_nothing(transform, dtype):
    """As Lightning's "bf16-true" and transformers' `from_pretrained` set it while a network is made."""
    torch.set_default_dtype(dtype)
    try:
        made = wk.SpatialTransformer(nn.Flatten(), transform, features=168)
        assert made.theta(IMAGE.to(dtype)).dtype == torch.float32
        assert torch.equal(made(IMAGE.to(dtype)), IMAGE.to(dtype))
        assert wk.lattice((3, 300)).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
    assert wk.lattice(300, dtype=dtype).dtype == dtype


@pytest.mark.usefixtures("compiler")
class TestGraphs:
    @pytest.mark.parametrize("transform", KINDS[:3], ids=str)
    def test_export(self, transform):
        made = model(transform).eval()
        exported = torch.export.export(made, (IMAGE,))
        other = uniform(5, 2, 1, 12, 14, dtype=torch.float32)
        torch.testing.assert_close(exported.module()(other), made(other), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("options", [{}, {"transform": "affine", "steps": 2}], ids=["spline", "steps"])
    def test_compile(self, options):
        made = model(**options, kernel="bilinear")
        compiled = torch.compile(made, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(IMAGE), made(IMAGE), rtol=0, atol=1e-5)

    def test_a_compiled_module_switches_between_training_and_evaluation(self):
        made = model("affine", kernel="bilinear")
        compiled = torch.compile(made, fullgraph=True, backend="aot_eager")
        for _ in range(12):  # more often than dynamo compiles one function again
            torch.testing.assert_close(compiled.train()(IMAGE), made(IMAGE), rtol=0, atol=1e-5)
            torch.testing.assert_close(compiled.eval()(IMAGE), made(IMAGE), rtol=0, atol=1e-5)
