"""Names → classes: lazily, from packages that may be broken or at odds."""

import builtins
import sys
import textwrap
import threading

import pytest
import torch

import warpkit as wk
from warpkit.kernels.base import kernels
from warpkit.registry import Registry
from warpkit.transforms.base import transforms

KERNEL = """
import warpkit as wk
class {cls}(wk.Kernel):
    radius = {radius}
    def forward(self, distance):
        return 1 - distance.abs() / {radius}
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Makes a distribution: install("name", "kernel = module:Class", **modules)."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(distribution: str, *points: str, group: str = "warpkit.kernels", **modules: str) -> None:
        info = tmp_path / f"{distribution.replace('-', '_')}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n" + "\n".join(points) + "\n")
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))

    yield make
    for name in {p.stem for p in tmp_path.glob("*.py")}:
        sys.modules.pop(name, None)


@pytest.fixture
def fresh():
    """A registry of kernels that has read nothing yet."""
    return Registry("kernel", wk.Kernel)


def test_the_built_ins_are_there():
    assert {"affine", "attention", "projective", "thin_plate_spline"} <= set(wk.list_transforms())
    assert {"nearest", "bilinear", "bicubic"} <= set(wk.list_kernels())
    assert {"spatial_transformer", "parallel", "conv_localization", "dense_localization"} <= set(wk.list_modules())
    for names in (wk.list_transforms(), wk.list_kernels(), wk.list_modules()):
        assert names == sorted(names)


def test_a_plugin_is_listed_without_being_imported(install, fresh):
    install("tent-kernels", "tent = tent_kernels:Tent", tent_kernels="raise SystemExit('imported')")
    assert "tent" in fresh.names()
    (entry,) = fresh.entries("tent")
    assert (entry.origin, entry.value) == ("tent-kernels 1.5", "tent_kernels:Tent")
    assert "tent_kernels" not in sys.modules


def test_a_plugin_is_used_by_its_name(install, fresh):
    install("tent-kernels", "tent = tent_kernels:Tent", tent_kernels=KERNEL.format(cls="Tent", radius=1.0))
    out = wk.sample(torch.tensor([[[1.0, 3]]]), torch.tensor([[[0.0]]]), kernel=fresh.create("tent"))
    assert out.item() == 2.0


def test_a_plugin_that_is_installed_later_is_found(install):
    wk.list_kernels()
    install("late-kernels", "late = late_kernels:Late", late_kernels=KERNEL.format(cls="Late", radius=1.0))
    try:
        assert type(wk.get_kernel("late")).__name__ == "Late"
    finally:
        kernels._loaded.pop("late", None)
        kernels._declared = None


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("def oops(:", "SyntaxError"),
        ("class B(BaseException): pass\nraise B('x' * 10**6)", "B: xxx"),
        ("class E(Exception):\n    def __str__(self): 1 / 0\nraise E", "E"),
        ("Other = 3", "has no attribute 'Tent'|Tent"),
    ],
)
def test_a_plugin_that_fails_to_import_names_its_package_and_stops_no_other(install, fresh, source, words):
    install("faulty-kernels", "broken = faulty_kernels:Tent", faulty_kernels=source)
    with pytest.raises(wk.InputError, match=f"(?s)'broken'.*faulty-kernels 1.5.*faulty_kernels:Tent.*({words})"):
        fresh.load("broken")
    assert isinstance(fresh.create("bilinear"), wk.Kernel)
    assert "broken" in fresh.names()


@pytest.mark.parametrize("source", ["class Tent: pass", "Tent = 3", "import warpkit\nTent = warpkit.Transform"])
def test_a_plugin_that_is_no_kernel_names_its_package(install, fresh, source):
    install("odd-kernels", "odd = odd_kernels:Tent", odd_kernels=source)
    with pytest.raises(wk.InputError, match=r"'odd'.*odd-kernels 1\.5.*odd_kernels:Tent.*Kernel"):
        fresh.load("odd")
    assert isinstance(fresh.create("bilinear"), wk.Kernel)


def test_a_name_that_two_packages_claim_names_both_and_stops_no_other(install, fresh):
    for name in ("red", "blue"):
        source = KERNEL.format(cls="Tent", radius=1.0)
        install(
            f"{name}-kernels",
            f"tent = {name}_kernels:Tent",
            f"{name} = {name}_kernels:Tent",
            **{f"{name}_kernels": source},
        )
    with pytest.raises(
        wk.InputError, match=r"'tent'.*(red-kernels 1\.5.*blue-kernels 1\.5|blue-kernels 1\.5.*red-kernels 1\.5)"
    ):
        fresh.create("tent")
    assert type(fresh.create("red")).__module__ == "red_kernels"
    assert len(fresh.entries("tent")) == 2


def test_a_package_cannot_take_a_built_in_name(install, fresh):
    install("rude-kernels", "bilinear = rude_kernels:Tent", rude_kernels=KERNEL.format(cls="Tent", radius=1.0))
    with pytest.warns(UserWarning, match=r"rude-kernels 1\.5"):
        assert type(fresh.create("bilinear")).__module__.startswith("warpkit.")


def test_a_table_is_taken_for_a_name_with_options_beside_it():
    assert repr(wk.get_transform({"type": "attention", "scale": 0.5}, ndim=3)) == "Attention(scale=0.5, ndim=3)"
    assert repr(wk.get_kernel({"type": "bicubic"}, a=-0.5)) == "Bicubic(a=-0.5)"
    with pytest.raises(wk.InputError, match="kernel: expected a name, a table"):
        wk.get_kernel({"a": -0.5})


def test_an_unknown_name_gets_the_nearest_and_the_list():
    with pytest.raises(
        wk.InputError, match=r"unknown transform 'afine'. Did you mean 'affine'.*Known: affine, .*thin_plate_spline"
    ):
        wk.get_transform("afine")
    with pytest.raises(wk.InputError, match=r"unknown kernel 'xyz'\. Known: "):
        wk.get_kernel("xyz")


def test_a_decorator_registers_a_class(fresh):
    @fresh.register("mine")
    class Mine(wk.Kernel):
        radius = 0.5

    assert fresh.load("mine") is Mine
    assert "mine" in fresh.names()
    assert Mine.__module__ in fresh.entries("mine")[0].origin


def test_the_same_class_again_replaces_it_for_those_who_use_the_name():
    def define(value):
        @wk.register_kernel("again")
        class Again(wk.Kernel):
            radius = 0.5
            interpolating = partition_of_unity = False

            def forward(self, distance):
                return torch.full_like(distance, value)

    image, coords = torch.ones(1, 1, 3), torch.zeros(1, 1, 1)
    try:
        define(2.0)
        assert wk.sample(image, coords, kernel="again").item() == 2.0
        define(5.0)  # a notebook cell that is run again
        assert wk.sample(image, coords, kernel="again").item() == 5.0
    finally:
        kernels._registered.pop("again")


@pytest.mark.parametrize("name", ["bilinear", "taken"])
def test_another_class_under_a_taken_name_is_an_error(fresh, name):
    @fresh.register("taken")
    class First(wk.Kernel):
        radius = 0.5

    with pytest.raises(wk.InputError, match=f"'{name}' is taken by"):

        @fresh.register(name)
        class Second(wk.Kernel):
            radius = 0.5

    assert fresh.load("taken") is First


@pytest.mark.parametrize(("name", "cls"), [("x", int), ("x", torch.nn.ReLU), ("x", 3), ("", wk.Kernel), (3, wk.Kernel)])
def test_only_kernels_are_registered_as_kernels(unchecked, fresh, name, cls):
    with pytest.raises(wk.InputError, match="kernel"):
        fresh.register(name)(cls)


def test_transforms_and_modules_are_registered_likewise():
    from warpkit.modules.base import modules
    from warpkit.transforms.base import transforms

    @wk.register_transform("still")
    class Still(wk.Transform):
        ndim, num_params = 2, 1

        def forward(self, theta, points):
            return points.expand(theta.shape[0], -1, -1)

    @wk.register_module("flat")
    class Flat(torch.nn.Flatten):
        pass

    try:
        image = torch.rand(2, 1, 3, 3)
        torch.testing.assert_close(wk.warp(image, "still", torch.zeros(2, 1)), image)
        assert isinstance(wk.SpatialTransformer("flat").localization, Flat)
        with pytest.raises(wk.InputError, match="no subclass of Transform"):
            wk.register_transform("other")(Flat)
    finally:
        transforms._registered.pop("still")
        modules._registered.pop("flat")


def test_many_threads_load_a_plugin_once(install, fresh):
    source = "import time\ntime.sleep(0.05)\nimport builtins\nbuiltins._slow = getattr(builtins, '_slow', 0) + 1\n"
    install("slow-kernels", "slow = slow_kernels:Slow", slow_kernels=source + KERNEL.format(cls="Slow", radius=1.0))
    barrier, found = threading.Barrier(8), []

    def load():
        barrier.wait()
        found.append(fresh.load("slow"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert vars(builtins).pop("_slow") == 1


def test_threads_that_use_a_name_share_one_object(fresh):
    barrier, found = threading.Barrier(8), []

    def use():
        barrier.wait()
        found.append(fresh.shared("bicubic", torch.device("cpu")))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


class Holding(wk.Transform):
    """Moves points by a buffer of its own."""

    ndim, num_params = 2, 2

    def __init__(self, x):
        super().__init__()
        self.x = torch.nn.Parameter(torch.tensor(x))

    def forward(self, theta, points):
        return points + theta[:, None] * self.x


def test_a_table_with_an_object_in_it_uses_that_object_and_leaves_it_as_it_is():
    image, theta = torch.rand(1, 1, 6, 6), torch.tensor([[0.2, 0.1, 1.0, 0, 0, 0, 1, 0]])
    one, other = Holding(0.3), Holding(-2.0)
    seen = []
    for held in (one, other):
        table = {"type": "compose", "of": [held, "affine"]}
        seen.append(wk.warp(image, table, theta))
        assert torch.equal(seen[-1], wk.warp(image, wk.Compose([held, "affine"]), theta))
        assert held.x.requires_grad
    assert not torch.equal(*seen)
    assert wk.warp(image, {"type": "compose", "of": [one, "affine"]}, theta).requires_grad
    assert next(one.parameters()).device.type == "cpu"


def test_an_object_is_not_moved_by_being_held_in_a_table():
    held = Holding(0.3)
    made = transforms.shared({"type": "compose", "of": [held, "thin_plate_spline", "affine"]}, torch.device("meta"))
    assert made.transforms[0] is held
    assert held.x.device.type == "cpu"
    assert held.x.requires_grad


def test_tables_are_kept_by_their_data_and_only_so_many():
    registry = transforms
    points = torch.rand(200, 6, 2) * 2 - 1
    theta = torch.zeros(1, 12)
    for each in points:
        wk.warp(torch.zeros(1, 1, 3, 3), {"type": "thin_plate_spline", "points": each}, theta)
    assert len(registry._tables) <= 64
    assert sum("points" in key for key in vars(registry._shared)) <= 64
    table = {"type": "thin_plate_spline", "grid": [3, 4]}
    first = registry.shared(table, torch.device("cpu"))
    assert registry.shared({"grid": (3, 4), "type": "thin_plate_spline"}, torch.device("cpu")) is first


@pytest.mark.parametrize("content", [b"[console_scripts]\nno equals sign\n", b"[warpkit.kernels]\n\xff\xfe = x:y\n"])
def test_a_distribution_with_malformed_entry_points_stops_nobody(install, fresh, tmp_path, content):
    install("good-kernels", "good = good_kernels:Tent", good_kernels=KERNEL.format(cls="Tent", radius=1.0))
    broken = tmp_path / "broken_thing-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-thing\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_bytes(content)
    assert {"good", "bilinear"} <= set(fresh.names())
    assert type(fresh.create("good")).__module__ == "good_kernels"


def test_registering_while_others_look_things_up():
    """A class may be registered again in one thread while its name is used in another."""

    class Again(wk.Kernel):
        radius = 0.5

        def forward(self, distance):
            return torch.ones_like(distance)

    errors, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            try:
                kernels.shared("bilinear", torch.device("cpu"))
                kernels.shared({"type": "bicubic", "a": -0.4}, torch.device("cpu"))
            except Exception as error:
                errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(300):
            kernels.register("again")(Again)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
        kernels._registered.pop("again", None)
    assert not errors


def test_the_packages_of_these_names_can_be_imported():
    import warpkit.kernels.bicubic as bicubic
    import warpkit.modules.parallel as parallel
    import warpkit.transforms.affine as affine

    assert isinstance(wk.get_transform("affine"), affine.Affine)
    assert isinstance(wk.get_kernel("bicubic"), bicubic.Bicubic)
    assert parallel.Parallel is wk.Parallel
