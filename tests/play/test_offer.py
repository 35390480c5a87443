"""What there is to choose from, plugins included."""

import pytest
import torch
from play_pages import client, complaint, key, warped

import warpkit as wk
from warpkit.kernels.base import kernels
from warpkit.transforms.base import transforms


class Squeeze(wk.Transform):
    """Narrower by `by`.

    A plugin with a name for its parameter, and an option.
    """

    ndim, num_params, param_names = 2, 1, ("how far",)

    def __init__(self, by: float = 2.0):
        super().__init__()
        self.by = by

    def identity(self):
        return torch.ones(1)

    def forward(self, theta, points):
        return torch.stack([theta**self.by * points[..., 0], points[..., 1].expand(len(theta), -1)], -1)

    def handles(self, theta):
        return torch.stack([theta, torch.zeros_like(theta)], -1)


class Loud(Squeeze):
    """A plugin that fails."""

    def forward(self, theta, points):
        raise RuntimeError("no luck\nat all")


@pytest.fixture
def page():
    return client()


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(transforms, "_registered", {"squeeze": Squeeze, "loud": Loud})
    monkeypatch.setattr(transforms, "_shared", type(transforms._shared)())


def parameters(page, transform: str, **options: str) -> dict:
    reply = page.post("/parameters", json={"picture": key(page), "transform": transform, "options": options})
    assert reply.status_code == 200, reply.text
    return reply.json()


def options(page, transform: str) -> list[dict]:
    return page.post("/options", json={"picture": key(page), "transform": transform}).json()


def test_every_transform_is_offered_or_said_why_not(page):
    told = page.post("/begin").json()
    withheld = {it["name"]: it["why"] for it in told["withheld"]}
    assert {*told["transforms"], *withheld} == set(wk.list_transforms())
    assert {"affine", "compose", "free_form", "squeeze", "thin_plate_spline"} <= set(told["transforms"])
    assert "free_form has control points" in withheld["displacement"]
    assert told["kernels"] == wk.list_kernels()


def test_a_plugin_that_cannot_be_made_stops_nothing(page, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError("it is gone")

    monkeypatch.setattr(Squeeze, "__init__", fail)
    monkeypatch.setattr(kernels, "_registered", {"broken": type("Broken", (wk.Kernel,), {"__init__": fail})})
    told = page.post("/begin").json()
    assert {"name": "squeeze", "why": "OSError: it is gone"} in told["withheld"]
    assert "broken" not in told["kernels"]


def test_sliders_are_named_and_lie_around_the_identity(page):
    params = parameters(page, "similarity")["params"]
    assert [it["name"] for it in params] == ["a", "b", "t_x", "t_y"]
    assert params[0] == {"name": "a", "start": 1.0, "low": -0.5, "high": 2.5}


def test_without_an_identity_it_begins_with_zeros_and_says_so(page):
    told = parameters(page, "polar")
    assert [it["start"] for it in told["params"]] == [0, 0]
    assert "no identity" in told["what"]


def test_options_are_texts_and_a_turn_is_one_in_pixels(page):
    assert options(page, "euclidean") == [{"name": "aspect", "value": "1.5"}]
    assert {"name": "grid", "value": "[4, 4]"} in options(page, "thin_plate_spline")
    assert options(page, "compose")[0] == {"name": "of", "value": ""}
    assert len(parameters(page, "thin_plate_spline", grid="[2,3]")["params"]) == 12


def test_a_composition_of_given_parts_is_bent_too(page):
    told = parameters(page, "compose", of='["translation", "polar"]')
    assert [it["name"] for it in told["params"]] == ["0.t_x", "0.t_y", "1.c_x", "1.c_y"]


def test_a_plugin_has_its_own_handles_options_and_names(page):
    assert parameters(page, "squeeze")["params"][0]["name"] == "how far"
    assert parameters(page, "squeeze")["what"] == "Narrower by by."
    asked = {"picture": key(page), "transform": "squeeze", "options": {"by": "1"}, "theta": [1.0]}
    told, _, _ = warped(page, **asked)
    assert told["handles"] == [[1.0, 0.5]]
    told, _, _ = warped(page, **asked, handles=[[0.75, 0.5]], moved=[0])
    assert told["theta"] == [0.5]
    assert '{"type": "squeeze", "by": 1}' in told["python"]
    assert "--set by=1 --theta 0.5" in told["command"]


def test_a_plugin_s_error_is_told_in_one_line(page):
    asked = {"picture": key(page), "transform": "loud", "theta": [1.0]}
    assert complaint(page, "/warp", 500, json=asked) == "RuntimeError: no luck"


@pytest.mark.parametrize(
    ("transform", "options", "message"),
    [
        ("affin", {}, "Did you mean 'affine'"),
        ("displacement", {}, "its θ is a field"),
        ("affine", {"ndim": "3"}, "affine is in 3-D"),
        ("compose", {}, "needs its option 'of'"),
        ("thin_plate_spline", {"grid": "[1, 1]"}, "each at least 2"),
        ("thin_plate_spline", {"grid": "[[["}, "neither JSON nor TOML"),
        ("free_form", {"grid": "30000"}, "at most 200 parameters"),
        ("squeeze", {"no": "1"}, "unknown option of transform 'squeeze' 'no'"),
    ],
)
def test_what_cannot_be_chosen_is_refused(page, transform, options, message):
    asked = {"picture": key(page), "transform": transform, "options": options}
    assert message in complaint(page, "/parameters", json=asked)
    assert message in complaint(page, "/warp", json={**asked, "theta": [1.0]})
