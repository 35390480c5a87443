"""What `watch` measures, warns of, and leaves alone; and what `Penalty` charges for."""

import copy
import functools
import math
import pickle
import re
import warnings

import pytest
import torch
from strategies import uniform
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import warpkit as wk
from warpkit.datasets import digits
from warpkit.transforms.base import transforms
from warpkit.watching import watch as watching
from warpkit.watching.later import Later
from warpkit.watching.measures import FIGURES, measure, spread

IMAGE = uniform(0, 6, 1, 12, 14, dtype=torch.float32)
AFFINE = {ndim: {"type": "affine", "ndim": ndim} for ndim in (1, 2, 3)}


class Told(nn.Module):
    """Features that are what the test says, for each image of its own."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.say(torch.zeros(1, count))

    def say(self, features: Tensor) -> None:
        self.features = features

    def forward(self, image: Tensor) -> Tensor:
        return self.scale * self.features.expand(len(image), -1)


def told(transform="affine", **options) -> wk.SpatialTransformer:
    """A transformer whose θ is `init` plus what its localization network is told."""
    transform = transforms.own(transform)
    count = transform.num_params
    made = wk.SpatialTransformer(Told(count), transform, features=count, **options)
    with torch.no_grad():
        made.regression.weight.copy_(torch.eye(count))
    return made


def figures(transform, theta: Tensor, **options) -> dict[str, float]:
    made = wk.SpatialTransformer("conv_localization", transform, **options)
    return dict(zip(FIGURES, measure(made, theta).tolist(), strict=True))


def linear(matrix: Tensor) -> Tensor:
    """θ of an affine transform without translation."""
    return torch.cat([matrix, torch.zeros(*matrix.shape[:-1], 1)], dim=-1).flatten(-2)


class TestMeasures:
    @pytest.mark.parametrize("ndim", [1, 2, 3])
    @pytest.mark.parametrize("s", [1.0, 0.3, -0.5, 2.0])
    def test_the_area_of_a_scaling_is_its_power(self, ndim, s):
        found = figures(AFFINE[ndim], linear(s * torch.eye(ndim))[None])
        assert found["area"] == pytest.approx(s**ndim, rel=1e-5)
        assert found["area_spread"] == pytest.approx(0, abs=1e-5)
        assert found["folds"] == 0
        assert found["outside"] == pytest.approx(1 - 0.5**ndim if s == 2 else 0)

    @pytest.mark.parametrize("ndim", [1, 2, 3])
    def test_the_area_of_a_matrix_is_its_determinant(self, ndim):
        matrices = uniform(ndim, 5, ndim, ndim, dtype=torch.float32)
        determinants = torch.linalg.det(matrices)
        found = figures(AFFINE[ndim], linear(matrices))
        assert found["area"] == pytest.approx(determinants.mean().item(), abs=1e-5)
        assert found["area_spread"] == pytest.approx(determinants.std(correction=0).item(), abs=1e-5)

    @pytest.mark.parametrize(("shift", "outside"), [(0.0, 0), (1.0, 0.5), (-0.5, 0.25), (2.0, 1), (math.nan, 1)])
    def test_a_shift_leaves_half_as_much(self, shift, outside):
        assert figures("affine", torch.tensor([[1.0, 0, shift, 0, 1, 0]]))["outside"] == outside

    def test_what_wraps_has_no_outside(self):
        far = torch.tensor([[1.0, 0, 2, 0, 1, 1]])
        assert figures("affine", far, padding_mode=("wrap", "zeros"))["outside"] == 0.5
        assert figures("affine", far, padding_mode="wrap")["outside"] == 0
        assert figures("affine", far * math.nan, padding_mode="wrap")["outside"] == 1

    def test_the_identity_of_every_transform_measures_nothing(self):
        for name in ("affine", "attention", "projective", "thin_plate_spline"):
            identity = wk.get_transform(name).identity()
            expected = {key: float(key == "area") for key in FIGURES}
            assert figures(name, identity.expand(3, -1)) == pytest.approx(expected, abs=1e-6)

    def test_the_area_of_a_spline_is_the_mean_of_its_jacobian(self):
        spline = wk.get_transform("thin_plate_spline")
        theta = spline.identity() + 0.1 * uniform(1, 3, 32, dtype=torch.float32)
        dense = torch.linalg.det(spline.jacobian(theta, wk.lattice((100, 100))[None]))
        found = figures("thin_plate_spline", theta)
        assert found["area"] == pytest.approx(dense.mean().item(), abs=0.01)
        assert found["area_spread"] == pytest.approx(dense.std().item(), rel=0.1)

    def test_control_points_that_change_places_fold_the_image(self):
        spline = wk.get_transform("thin_plate_spline")
        swapped = spline.identity().reshape(4, 4, 2)[:, [0, 2, 1, 3]].reshape(1, 32)
        mirrored = spline.identity().reshape(4, 4, 2)[:, [3, 2, 1, 0]].reshape(1, 32)
        assert figures("thin_plate_spline", swapped)["folds"] > 0.2
        assert figures("thin_plate_spline", mirrored)["folds"] == 0
        assert figures("thin_plate_spline", mirrored)["area"] == pytest.approx(-1, rel=1e-5)

    def test_points_behind_a_horizon_are_outside_and_have_no_area(self):
        found = figures("projective", torch.tensor([[1.0, 0, 0, 0, 1, 0, 2.0, 0]]))
        assert 0.2 < found["outside"] < 1
        assert math.isfinite(found["area"])

    def test_distance_and_variety_are_those_of_theta(self):
        theta = torch.tensor([[1.0, 0, 0.6, 0, 1, 0], [1.0, 0, 0, 0, 1, 0]])
        found = figures("affine", theta)
        assert found["distance"] == pytest.approx(math.sqrt(0.6**2 / 12))
        assert found["variety"] == pytest.approx(math.sqrt(0.3**2 / 6))

    def test_the_gradient_is_the_mean_of_its_norms(self):
        net = told()
        with wk.watch(net) as watched:
            theta = []
            net.register_theta_hook(lambda _, image, found: (found.retain_grad(), theta.append(found)))
            net(IMAGE).square().sum().backward()
        assert watched.metrics()["transformer/gradient"] == pytest.approx(theta[0].grad.norm(dim=1).mean().item())


class TestWatching:
    def test_keys_are_the_path_and_the_figure(self):
        eyes = wk.ConvLocalization((4,), 4)
        shared = wk.SpatialTransformer(eyes, steps=2)
        nested = wk.SpatialTransformer(nn.Sequential(wk.SpatialTransformer(eyes, "projective"), eyes))
        net = nn.Sequential(shared, shared, wk.Parallel([wk.SpatialTransformer(eyes), nested]))
        with wk.watch(net) as watched:
            net(IMAGE)
        paths = ["0", "2.transformers.0", "2.transformers.1", "2.transformers.1.localization.0"]
        assert list(watched.metrics()) == [f"{path}/{figure}" for path in paths for figure in FIGURES]

    @pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
    def test_paths_are_those_of_the_module_inside_a_wrapper(self, wrap):
        with wk.watch(wrap(nn.Sequential(told()))) as watched:
            assert watched.summary().splitlines()[1].split() == ["0"] + ["–"] * 7

    @pytest.mark.parametrize("ndim", [1, 2, 3])
    def test_it_works_in_every_dimension(self, ndim):
        net = told(AFFINE[ndim])
        with wk.watch(net) as watched:
            net(uniform(0, 2, 1, *(6, 5, 4)[:ndim], dtype=torch.float32)).sum().backward()
        assert watched.metrics()["transformer/area"] == 1
        assert "transformer/gradient" in watched.metrics()

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")])
    def test_it_works_in_every_mode(self, mode):
        net = told("thin_plate_spline")
        with wk.watch(net, every=1) as watched, mode():
            net(IMAGE), net(IMAGE)
        assert watched.metrics()["transformer/area"] == pytest.approx(1, abs=1e-6)
        assert "transformer/gradient" not in watched.metrics()

    def test_an_empty_batch_and_one_image(self):
        net = told()
        with wk.watch(net, every=1) as watched:
            net(IMAGE[:0])
            assert watched.metrics() == {}
            net(IMAGE[:1])
            assert "transformer/variety" not in watched.metrics()

    def test_it_measures_at_every_nth_call_in_training_alone(self):
        net = told()
        with wk.watch(net, every=3) as watched:
            seen = []
            for shift in range(49):
                net.localization.say(torch.tensor([[0.0, 0, shift / 10, 0, 0, 0]]))
                net.eval()(IMAGE)
                net.train()(IMAGE)
                seen.append(round(watched.metrics()["transformer/distance"] * math.sqrt(6) * 10))
        assert seen[:5] == [0, 0, 2, 2, 4]  # at first every second call
        assert seen[36:] == [36, 36, 38, 38, 38, 38, 42, 42, 42, 45, 45, 45, 48]

    def test_it_keeps_nothing_of_the_graph(self):
        net = told()
        with wk.watch(net) as watched:
            net(IMAGE).sum().backward()
        latest = watched._watched["transformer"].latest
        assert not latest.measured.numbers.requires_grad
        assert not latest.gradient.numbers.requires_grad
        assert net.looked is None

    def test_the_output_is_the_same(self):
        net = told("thin_plate_spline")
        expected = net(IMAGE)
        with wk.watch(net, every=1):
            assert torch.equal(net(IMAGE), expected)

    def test_a_table_sums_it_up(self):
        net = nn.Sequential(told())
        with wk.watch(net) as watched:
            net(IMAGE)
        head, row = watched.summary().splitlines()
        assert head.split() == ["transformer", *FIGURES, "gradient"]
        assert row.split() == ["0", "0", "1", "0", "0", "0", "0", "–"]

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize(("model", "options", "said"), [
        (nn.Linear(2, 2), {}, "Linear has no SpatialTransformer"),
        ("net", {}, "expected a module, got 'net'"),
        (told(), {"every": 0}, "every: expected 1 or more, got 0"),
    ])  # fmt: skip
    def test_what_cannot_be_watched(self, model, options, said):
        with pytest.raises(wk.InputError, match=said):
            wk.watch(model, **options)


class TestHooks:
    def test_a_hook_sees_theta_in_forward_alone_until_it_is_removed(self):
        net, calls = told(), []
        handle = net.register_theta_hook(lambda *given: calls.append(given))
        net.theta(IMAGE), net.coords(IMAGE)
        assert calls == []
        net(IMAGE)
        ((transformer, image, theta),) = calls
        assert transformer is net
        assert image is IMAGE
        assert torch.equal(theta, net.theta(IMAGE))
        handle.remove()
        net(IMAGE)
        assert len(calls) == 1

    def test_copies_and_files_go_without(self, tmp_path):
        net = wk.SpatialTransformer("conv_localization")
        net(IMAGE)
        with wk.watch(net, every=1) as watched:
            wk.save(net, tmp_path / "net.safetensors")
            assert wk.to_spec(net)["type"] == "spatial_transformer"
            net.watched, net.penalty = watched, wk.Penalty(net)  # as a training framework may keep them
            net(IMAGE)
            copies = copy.deepcopy(net), pickle.loads(pickle.dumps(net)), wk.load(tmp_path / "net.safetensors")
            for other in copies:
                assert torch.equal(other(IMAGE), net(IMAGE))
                other.register_theta_hook(lambda *_: None)
            assert watched._watched["transformer"].calls == 4

    def test_what_a_checkpoint_computes_again_is_not_seen_again(self):
        net = told()
        with wk.watch(net, every=1) as watched:
            checkpoint(net, IMAGE, use_reentrant=False).sum().backward()
            assert watched._watched["transformer"].calls == 1
        assert "transformer/gradient" in watched.metrics()

    @pytest.mark.usefixtures("compiler")
    def test_graphs_go_without(self):
        net, calls = wk.SpatialTransformer("conv_localization"), []
        net(IMAGE)
        net.register_theta_hook(lambda *given: calls.append(given))
        compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(IMAGE), IMAGE, rtol=0, atol=1e-6)
        torch.export.export(net, (IMAGE,))
        torch.func.vmap(lambda image: net(image[None]))(IMAGE)
        net.to("meta")(IMAGE.to("meta"))
        assert calls == []


def trained(net: wk.SpatialTransformer, steps: int, thetas, loss=torch.mean, image=IMAGE) -> list[str]:
    """Warnings while `net` is told `thetas(step)` and learns nothing of it."""
    with warnings.catch_warnings(record=True) as caught, wk.watch(net, every=1) as watched:
        warnings.simplefilter("always")
        for step in range(steps):
            net.localization.say(thetas(step) - net.init.float())
            loss(net(image)).backward()
    assert [str(c.message) for c in caught] == watched.warnings
    assert all(issubclass(c.category, wk.TransformerWarning) for c in caught)
    return watched.warnings


def near(theta: list[float], step: int) -> Tensor:
    """Around θ, another for each image."""
    return torch.tensor(theta) + 0.02 * uniform(step, len(IMAGE), len(theta), dtype=torch.float32)


SPLINE = wk.get_transform("thin_plate_spline").identity()


class TestTroubles:
    @pytest.mark.parametrize(("theta", "said"), [
        ([4.0, 0, 0, 0, 4, 0], "transformer: it looks outside of its image: 94% .* `fill=`"),
        ([1.0, 0, 3, 0, 1, 0], "it looks outside of its image: 100%"),
        ([0.01, 0, 0.2, 0, 0.02, 0], "it looks at a single point"),
        ([math.nan, 0, 0, 0, 1, 0], "θ is not finite"),
        ([math.inf, 0, 0, 0, 1, 0], "θ is not finite"),
    ])  # fmt: skip
    def test_each_is_warned_of_once(self, theta, said):
        (text,) = trained(told(), 8, lambda step: near(theta, step))
        assert re.search(said, text)

    def test_folds(self):
        swapped = SPLINE.reshape(4, 4, 2)[:, [0, 2, 1, 3]].flatten().tolist()
        (text,) = trained(told("thin_plate_spline"), 8, lambda step: near(swapped, step))
        assert re.search("it folds its image: .* turned over", text)

    @pytest.mark.parametrize("distance", [0, 1e-7, 1e-3, 0.1])
    def test_features_that_are_the_same_for_every_image(self, distance):
        (text,) = trained(told(), 8, lambda step: torch.tensor([[1.0, 0, distance, 0, 1, 0]]))
        assert re.search("θ is the same for every image, since .* the same features .* units may be dead", text)

    def test_images_that_are_all_the_same_have_the_same_features(self):
        assert (
            trained(told(), 8, lambda step: torch.tensor([[1.0, 0, 0, 0, 1, 0]]), image=IMAGE[:1].expand(6, -1, -1, -1))
            == []
        )

    def test_one_image_alone_gets_one_theta(self):
        """As where somebody tries whether a network can learn a single image."""
        image = IMAGE[:1].expand(6, -1, -1, -1)
        assert trained(told(), 8, lambda step: torch.tensor([[1.0, 0, 0.1, 0, 1, 0]]), image=image) == []

    @pytest.mark.parametrize(("distance", "is_told"), [(3e-4, True), (0.1, True), (3e-5, False)])
    def test_the_same_theta_whatever_the_features(self, distance, is_told):
        net = told()
        with torch.no_grad():
            net.regression.weight.zero_()
            net.regression.bias[2] = distance * math.sqrt(6)
        texts = trained(net, 8, lambda step: near([1.0, 0, 0, 0, 1, 0], step))
        assert ["θ is the same for every image (it varies by 0), though" in text for text in texts] == [True] * is_told

    def test_a_localization_network_that_is_cut_off(self):
        net = told()
        net.localization.register_forward_hook(lambda module, args, features: features.detach())
        (text,) = trained(net, 8, lambda step: near([1.0, 0, 0, 0, 1, 0], step))
        assert "no gradient reaches its localization network" in text

    @pytest.mark.parametrize("limits", [None, 0])
    def test_one_that_never_moves(self, limits):
        net = told(limits=limits)
        with torch.no_grad():
            net.regression.weight.zero_()
        (text,) = trained(net, 25, lambda step: near([1.0, 0, 0, 0, 1, 0], step))
        assert re.search("θ is still where it started after 20 .* optimizer .* `limits=0`", text)

    def test_one_that_no_gradient_reaches(self):
        (text,) = trained(told(), 25, lambda step: near([1.0, 0, 0, 0, 1, 0], step), loss=lambda out: (out * 0).sum())
        assert "no gradient has reached θ in 20 measurements" in text

    def test_a_resumed_training_is_not_warned_again(self):
        net = told()
        net.localization.say(torch.tensor([[3.0, 0, 0, 0, 3, 0]]))
        watched = wk.watch(net, every=1)
        for _ in range(5):
            net(IMAGE)
        with pytest.warns(wk.TransformerWarning):
            watched.close()
        with wk.watch(net, every=1) as resumed:
            resumed.load_state_dict(pickle.loads(pickle.dumps(watched.state_dict())))
            for _ in range(6):
                net(IMAGE)
        assert resumed.warnings == watched.warnings != []
        assert resumed.warnings[0] in resumed.summary()
        with pytest.raises(wk.InputError, match="state: expected that of transformer"):
            resumed.load_state_dict({})


class Eyes(nn.Module):
    """A small localization network, of whose units `bias` decides whether they live."""

    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(49, 16), nn.ReLU())
        nn.init.constant_(self.layers[2].bias, bias)

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


class Blind(Eyes):
    """The same of a blank image."""

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(0 * image)


def short_run(eyes: nn.Module, lr: float, seed: int = 0, seen: float = 1.0, adam: bool = False) -> list[str]:
    """The warnings of 50 steps on digits, with a classifier that sees the transformer's output times `seen`."""
    torch.manual_seed(seed)
    train, _ = digits()
    net = nn.Sequential(wk.SpatialTransformer(eyes, features=16), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, 10))
    optimizer = (torch.optim.Adam if adam else torch.optim.SGD)(net.parameters(), lr=lr)
    with warnings.catch_warnings(), wk.watch(net) as watched:
        warnings.simplefilter("ignore", wk.TransformerWarning)
        for _ in range(50):
            drawn = torch.randint(len(train.labels), (32,))
            warped = net[0](train.images[drawn])
            optimizer.zero_grad()
            nn.functional.cross_entropy(net[1:](warped * seen), train.labels[drawn]).backward()
            optimizer.step()
    return watched.warnings


class TestShortRuns:
    @pytest.mark.parametrize(("eyes", "options", "said"), [
        pytest.param(Eyes(bias=-50.0), {"lr": 1e-4}, "the same features for each", id="dead ReLUs"),
        pytest.param(Eyes(), {"lr": 30.0}, "outside|the same for every|single point", id="too large a rate"),
        pytest.param(Blind(), {"lr": 1e-3}, "θ is the same for every image", id="a constant θ"),
        pytest.param(Eyes(), {"lr": 1e-2, "seen": 0.0}, "θ is still where it started", id="no gradient"),
    ])  # fmt: skip
    def test_each_is_told_within_fifty_steps(self, eyes, options, said):
        (text, *_) = short_run(copy.deepcopy(eyes), **options)
        assert re.search(said, text)

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize(("lr", "adam"), [(1e-2, False), (1e-3, True)], ids=["SGD", "Adam"])
    def test_healthy_ones_are_told_nothing(self, seed, lr, adam):
        torch.manual_seed(seed)
        assert short_run(Eyes(), lr, seed, adam=adam) == []


class Slow(Later):
    """Numbers that are still on their way, until the test lets them arrive."""

    arrived = False

    def is_here(self) -> bool:
        return self.arrived

    def read(self) -> list[float]:
        assert self.arrived, "somebody would have waited"
        return super().read()


class NoWaiting(TorchDispatchMode):
    """A mode that refuses what reads a number from a device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.name() not in ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::nonzero", "aten::equal")
        return func(*args, **(kwargs or {}))


class TestWaiting:
    def test_no_step_waits_for_a_device(self, monkeypatch):
        monkeypatch.setattr(watching, "Later", Slow)
        net = told()
        net.localization.say(torch.tensor([[3.0, 0, 0, 0, 3, 0]]))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            watched = wk.watch(net, every=1)
            for _ in range(8):
                net(IMAGE).sum().backward()
            assert caught == []
            monkeypatch.setattr(Slow, "arrived", True)
            net(IMAGE)
            assert len(caught) == 1  # of all those that have come meanwhile
            assert len(watched._watched["transformer"].history) == 8
            watched.close()

    @pytest.mark.parametrize("transform", ["affine", "projective", "thin_plate_spline"])
    def test_measuring_reads_no_number(self, transform):
        mapping = wk.get_transform(transform)
        net = wk.SpatialTransformer("conv_localization", mapping)
        theta = mapping.identity().expand(3, -1)
        measure(net, theta)  # what is made once is made
        with NoWaiting():
            measure(net, theta)
            spread(IMAGE)
            with pytest.raises(AssertionError):
                theta.sum().item()


class TestNothingToWarnOf:
    @pytest.mark.parametrize("theta", [
        pytest.param([0.5, 0, 0.4, 0, 0.5, -0.4], id="crop"),
        pytest.param([28 / 60, 0, 0.5, 0, 28 / 60, 0.5], id="60 to 28"),
        pytest.param([0.0, -1, 0, 1, 0, 0], id="90 degrees"),
        pytest.param([0.7, -0.7, 0.2, 0.7, 0.7, 0.3], id="turned square, off the middle"),
        pytest.param([-1.0, 0, 0, 0, 1, 0], id="mirrored"),
    ])  # fmt: skip
    def test_one_that_does_its_work(self, theta):
        assert trained(told(), 25, lambda step: near(theta, step)) == []

    def test_a_spline_that_bends(self):
        thetas = lambda step: SPLINE + 0.15 * uniform(step, len(IMAGE), 32, dtype=torch.float32)  # noqa: E731
        assert trained(told("thin_plate_spline"), 25, thetas) == []

    def test_a_held_parameter(self):
        held = told(limits=[0, 0, 0.5, 0, 0, 0.5])
        assert trained(held, 25, lambda step: near([1.0, 0, 0, 0, 1, 0], step)) == []

    def test_one_that_is_frozen(self):
        net = told().requires_grad_(False)
        with wk.watch(net, every=1) as watched:
            for _ in range(25):
                net(IMAGE.clone().requires_grad_()).sum().backward()
        assert watched.warnings == []

    @pytest.mark.parametrize("transform", ["affine", "thin_plate_spline"])
    def test_training_on_turned_digits(self, transform):
        torch.manual_seed(0)
        train, _ = digits()
        look = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(49, 16), nn.Tanh())
        net = nn.Sequential(
            wk.SpatialTransformer(look, transform, features=16), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, 10)
        )
        optimizer = torch.optim.Adam(wk.parameter_groups(net, lr=5e-3))
        with wk.watch(net, every=2) as watched:
            for _ in range(60):
                drawn = torch.randint(len(train.labels), (32,))
                angle = math.pi / 2 * (2 * torch.rand(32) - 1)
                turn = torch.stack([angle.cos(), -angle.sin(), 0 * angle, angle.sin(), angle.cos(), 0 * angle], 1)
                scores = net(wk.warp(train.images[drawn], "affine", turn))
                optimizer.zero_grad()
                nn.functional.cross_entropy(scores, train.labels[drawn]).backward()
                optimizer.step()
        assert watched.warnings == []
        assert watched.metrics()["0/distance"] > 0.01


class TestPenalty:
    @pytest.mark.parametrize("theta", [[1.0, 0, 0, 0, 1, 0], [0.1, 0, 0.9, 0, 0.5, -0.5], [-1.0, 0, 0, 0, 1, 0]])
    def test_nothing_inside_the_image_is_charged(self, theta):
        net, penalty = self.penalised("affine", theta)
        charged = penalty()
        charged.backward()
        assert charged == 0
        assert net.regression.weight.grad.abs().max() == 0

    def test_what_lies_outside_costs_its_square(self):
        _, penalty = self.penalised("affine", [1.0, 0, 2, 0, 1, 0], outside=3.0)
        expected = (torch.linspace(-1, 1, 9) + 2 - 1).clamp(min=0).square().mean() / 2  # of two axes, one is outside
        torch.testing.assert_close(penalty(), 3 * expected)

    def test_folds_cost_their_square(self):
        swapped = SPLINE.reshape(4, 4, 2)[:, [0, 2, 1, 3]].flatten().tolist()
        _, penalty = self.penalised("thin_plate_spline", swapped, outside=0)
        assert penalty() > 0.1
        _, penalty = self.penalised("thin_plate_spline", swapped, outside=0, folds=0)
        assert penalty() == 0

    def test_it_is_for_what_was_seen_in_training_since_the_last_call(self):
        net, penalty = self.penalised("affine", [2.0, 0, 0, 0, 2, 0])
        assert penalty() > 0
        assert penalty() == 0
        net.eval()(IMAGE)
        assert penalty() == 0
        penalty.close()
        net.train()(IMAGE)
        assert penalty() == 0

    @pytest.mark.parametrize("transform", ["affine", "projective", "thin_plate_spline"])
    def test_its_gradient_is_right(self, transform):
        start = wk.get_transform(transform).identity().double()
        theta = (1.7 * start + 0.4 * uniform(3, 2, len(start))).requires_grad_()
        assert torch.autograd.gradcheck(functools.partial(self.charged, transform), theta)

    def test_a_horizon_and_its_batch_have_a_finite_gradient(self):
        theta = torch.tensor([[1.0, 0, 0, 0, 1, 0, 2, 0], [2.0, 0, 0, 0, 2, 0, 0, 0]], requires_grad=True)
        self.charged("projective", theta).backward()
        assert theta.grad.isfinite().all()
        assert theta.grad[1].abs().max() > 0

    def test_it_brings_one_that_has_fled_back(self):
        net, penalty = self.penalised("affine", [3.0, 0, 1, 0, 3, 0])
        optimizer = torch.optim.Adam(net.regression.parameters(), lr=0.05)
        for _ in range(100):
            net(IMAGE)
            optimizer.zero_grad()
            penalty().backward()
            optimizer.step()
        assert measure(net, net.theta(IMAGE))[0] < 0.1

    @pytest.mark.parametrize("options", [{"outside": -1}, {"folds": math.nan}, {"folds": math.inf}])
    def test_a_weight_that_is_none(self, options):
        with pytest.raises(wk.InputError, match="expected a finite number of at least 0"):
            wk.Penalty(told(), **options)

    def penalised(self, transform, theta, **options):
        net = told(transform)
        penalty = wk.Penalty(net, **options)
        net.localization.say(torch.tensor(theta) - net.init.float())
        net(IMAGE)
        return net, penalty

    def charged(self, transform, theta: Tensor) -> Tensor:
        net = told(transform).double()
        penalty = wk.Penalty(net)
        net.localization.say(theta - net.init)
        net(IMAGE[: len(theta)].double())
        return penalty()
