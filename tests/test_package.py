"""What `import warpkit` does, and what it does not."""

import importlib.metadata
import json
import subprocess
import sys
import textwrap
import typing

import cases
import pytest

import warpkit as wk
from warpkit.alignment.energy import PENALTIES, Regularization
from warpkit.alignment.losses import LOSSES, LossName
from warpkit.kernels.base import KernelName
from warpkit.pixels.fits import _MODELS, Model
from warpkit.transforms.given import TransformName

PUBLIC = [
    "warp",
    "sample",
    "lattice",
    "get_transform",
    "get_kernel",
    "list_transforms",
    "list_kernels",
    "list_modules",
    "register_transform",
    "register_kernel",
    "register_module",
    "Kernel",
    "Transform",
    "MatrixTransform",
    "BasisTransform",
    "Compose",
    "SpatialTransformer",
    "Parallel",
    "ConvLocalization",
    "DenseLocalization",
    "build",
    "Backend",
    "use_backend",
    "InputError",
    "watch",
    "TransformerWarning",
    "Penalty",
    "parameter_groups",
    "align",
    "Space",
]


BUILT_IN = [
    point
    for group in ("transforms", "kernels")
    for point in importlib.metadata.entry_points(group=f"warpkit.{group}")
    if point.dist.name == "torch-warpkit"
]


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """What a Python of its own has imported, beside torch and numpy: after the import, after listing, after a warp."""
    program = """
        import importlib.metadata, json, sys
        import torch, numpy
        importlib.metadata.entry_points()
        before, after = set(sys.modules), {}
        def note(what):
            after[what] = sorted(set(sys.modules) - before)
        import warpkit as wk
        note("import")
        wk.list_transforms(), wk.list_kernels(), wk.list_modules()
        note("list")
        wk.warp(torch.zeros(1, 1, 4, 4), "affine", torch.zeros(1, 6))
        note("warp")
        print(json.dumps(after))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True)
    return {what: set(names) for what, names in json.loads(done.stdout).items()}


def test_every_public_name_is_there():
    assert [name for name in PUBLIC if not hasattr(wk, name)] == []
    assert set(wk.__all__) >= set(PUBLIC)


@pytest.mark.parametrize("point", BUILT_IN, ids=lambda point: point.name)
def test_the_class_of_every_built_in_name_is_public(point):
    cls = point.load()
    assert cls.__name__ in wk.__all__
    assert getattr(wk, cls.__name__) is cls


def test_editors_complete_the_built_in_names():
    """Names, modes and other words are types: each list of them is the one that is meant."""
    built_in = {
        group: {p.name for p in BUILT_IN if p.group == group} for group in ("warpkit.transforms", "warpkit.kernels")
    }
    assert set(typing.get_args(TransformName)) == built_in["warpkit.transforms"]
    assert set(typing.get_args(KernelName)) == built_in["warpkit.kernels"]
    assert set(typing.get_args(LossName)) == set(LOSSES)
    assert set(typing.get_args(Regularization)) == set(PENALTIES)
    assert set(typing.get_args(Model)) == set(_MODELS)


def test_dir_is_the_public_face_and_nothing_more():
    assert dir(wk) == sorted([*wk.__all__, "__version__", "chunked", "datasets", "testing"])


def test_a_star_gives_every_public_name():
    names = {}
    exec("from warpkit import *", names)
    assert set(wk.__all__) <= set(names)
    assert not hasattr(wk, "Afine")


def test_importing_it_imports_no_heavy_library(imported):
    heavy = {"typer", "rich", "pydantic", "matplotlib", "PIL", "yaml", "scipy", "mlxtend", "lightning", "click"}
    heavy |= {"sympy"}  # what torch.compile brings, a second of it
    assert {name.partition(".")[0] for name in imported["import"]} & heavy == set()
    assert "torch._dynamo" not in imported["import"]


def test_importing_it_imports_no_plugin(imported):
    public = (wk.Compose, wk.SpatialTransformer, wk.Parallel, wk.RandomWarp, wk.ConvLocalization, wk.DenseLocalization)
    groups = ("transforms", "kernels", "modules", "backends")
    points = [p for group in groups for p in importlib.metadata.entry_points(group=f"warpkit.{group}")]
    assert {"warpkit.transforms.affine", "warpkit.kernels.bicubic"} <= {p.module for p in points}
    own = {cls.__module__ for cls in public} | {"warpkit.modules.sequential"}
    assert imported["import"] & {p.module for p in points} == own


def test_listing_imports_nothing_more(imported):
    assert imported["list"] == imported["import"]


def test_a_first_warp_imports_what_it_uses_alone(imported):
    assert {"warpkit.transforms.affine", "warpkit.kernels.bilinear"} <= imported["warp"]
    assert {"warpkit.transforms.thin_plate_spline", "warpkit.kernels.bicubic"} & imported["warp"] == set()


def test_every_registered_component_serves_some_dimension():
    """Or the claims that are tested over all of them would skip it in silence."""
    assert {name for name, _ in cases.TRANSFORMS} == set(wk.list_transforms())


@pytest.mark.parametrize("name", wk.list_kernels())
def test_every_kernel_says_what_it_is(name):
    assert type(wk.get_kernel(name)).__doc__


@pytest.mark.parametrize("name", wk.list_transforms())
def test_every_transform_says_what_it_is(name):
    assert type(cases.transform(name, next(d for n, d in cases.TRANSFORMS if n == name))).__doc__
