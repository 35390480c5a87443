"""Backends: named, chosen, and a user's own."""

import threading

import pytest
import torch
from strategies import uniform

import warpkit as wk
from warpkit.sampling.backend import backends

IMAGE, THETA = uniform(0, 1, 1, 4, 5), 0.8 * torch.eye(2, 3, dtype=torch.float64).flatten()[None]


class Sevens(wk.Backend):
    """All outputs are 7; no integers."""

    def refuses(self, problem):
        return None if problem.stored.is_floating_point else "takes no integers"

    def pull(self, image, problem):
        return image.new_full((problem.where.shape[0], image.shape[1], *problem.target), 7)

    def push(self, values, problem, images):
        return values.new_full((images, values.shape[1], *problem.size), 7)


@pytest.fixture
def sevens():
    backends.register("sevens")(Sevens)
    yield
    del backends._registered["sevens"]


def test_the_reference_can_be_named():
    with wk.use_backend("reference"):
        named = wk.warp(IMAGE, "affine", THETA)
    torch.testing.assert_close(named, wk.warp(IMAGE, "affine", THETA))


def test_an_unknown_backend_is_told_with_the_nearest_name():
    with pytest.raises(wk.InputError, match=r"unknown backend 'referense'.*'reference'"), wk.use_backend("referense"):
        pass


def test_a_users_backend_is_used_inside_the_block_and_only_there(sevens):
    with wk.use_backend("sevens"):
        assert (wk.warp(IMAGE, "affine", THETA, size=(2, 2)) == 7).all()
        assert (wk.warp(IMAGE, "thin_plate_spline", torch.zeros(1, 32)) == 7).all()
        assert (wk.sample(IMAGE, torch.zeros(1, 3, 2)) == 7).all()
        with wk.use_backend("reference"):
            assert not (wk.warp(IMAGE, "affine", THETA) == 7).all()
    assert not (wk.warp(IMAGE, "affine", THETA) == 7).all()


def test_a_backend_that_is_named_and_cannot_says_why(sevens):
    with wk.use_backend("sevens"), pytest.raises(wk.InputError, match=r"'sevens'.*no integers"):
        wk.warp(IMAGE.long(), "affine", THETA)


def test_a_block_that_fails_leaves_no_backend_behind(sevens):
    with pytest.raises(ZeroDivisionError), wk.use_backend("sevens"):
        _ = 1 / 0
    assert not (wk.warp(IMAGE, "affine", THETA) == 7).all()


def test_another_thread_does_not_see_the_block(sevens):
    seen = []
    with wk.use_backend("sevens"):
        thread = threading.Thread(target=lambda: seen.append(wk.warp(IMAGE, "affine", THETA)))
        thread.start()
        thread.join()
    assert not (seen[0] == 7).all()


def _named(name, **changed):
    return type(name, (Sevens,), {"priority": 50, **changed})


def _raise(*_):
    raise RuntimeError("no accelerator found")


@pytest.mark.parametrize(
    "broken",
    [
        _named("NotMade", __init__=_raise),
        _named("NotAsked", refuses=_raise),
        _named("Ranked", priority=None),
        type("OfAnotherVersion", (wk.Backend,), {"priority": 50, "pull": Sevens.pull}),
    ],
    ids=lambda cls: cls.__name__,
)
@pytest.mark.filterwarnings("ignore:backend 'gpuish' is not used")
def test_a_strangers_backend_that_fails_is_passed_over(broken):
    backends.register("gpuish")(broken)
    try:
        assert not (wk.warp(IMAGE, "affine", THETA) == 7).all()
    finally:
        backends._registered.pop("gpuish")
        backends.revision += 1


def test_the_highest_priority_is_used_though_it_is_set_when_it_is_made():
    def made(self):
        self.priority = 99

    backends.register("first")(_named("First", __init__=made))
    try:
        assert (wk.warp(IMAGE, "affine", THETA) == 7).all()
        assert not (wk.warp(IMAGE.long(), "affine", THETA, kernel="nearest") == 7).all()  # which it refuses
    finally:
        backends._registered.pop("first")
        backends.revision += 1
