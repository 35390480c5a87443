"""The server, the command and the page in a notebook."""

import re
import sys
import urllib.request

import numpy as np
import pytest
import torch
from play_pages import noise
from typer.testing import CliRunner

import warpkit as wk
from warpkit.cli import app
from warpkit.play.notebook import Page
from warpkit.play.pictures import sample
from warpkit.play.server import Server


@pytest.fixture
def page():
    made = Page(noise(1, 3, 9, 7), "affine")
    yield made
    made.stop()


def test_a_notebook_shows_the_page_in_a_frame(page):
    frame = page._repr_html_()
    address = re.search(r'<iframe src="(http://127\.0\.0\.1:\d+/)"', frame)[1]
    assert address == page.url
    with urllib.request.urlopen(address) as reply:
        assert b"<title>warpkit play</title>" in reply.read()
        assert "http://localhost:*" in reply.headers["content-security-policy"]


@pytest.mark.parametrize(
    "image", [np.zeros((5, 6)), np.zeros((4, 5, 6), np.float32), torch.rand(1, 1, 5, 6, requires_grad=True)]
)
def test_a_notebook_s_image_may_be_an_array_or_a_tensor(image):
    made = Page(image)
    made.stop()


@pytest.mark.parametrize("image", [np.zeros((5, 6, 3)), torch.zeros(2, 3, 4, 4), "photo.jpg", np.zeros((3, 0, 4))])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(wk.InputError, match="image: expected"):
        Page(image)


def test_a_port_that_is_taken_is_refused(page):
    with pytest.raises(wk.InputError, match=r"--port \d+ cannot be used: Address already in use"):
        Server(sample(), "affine", {}, page.server.port)
    with pytest.raises(wk.InputError, match="cannot be used"):
        Server(sample(), "affine", {}, 70000)


def test_it_listens_to_this_machine_alone(page):
    assert page.server._socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jpg"], "missing.jpg cannot be read: No such file or directory"),
        ([__file__], "no picture that Pillow can read"),
        (["--transform", "affin"], "Did you mean 'affine'"),
        (["--set", "grid"], "--set: expected key=value"),
        (["--port", "70000"], "--port 70000 cannot be used"),
    ],
)
def test_the_command_refuses_what_it_cannot_show(arguments, message):
    done = CliRunner().invoke(app, ["play", "--no-browser", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    done = CliRunner().invoke(app, ["play", "--no-browser"])
    assert done.exit_code == 2
    assert "this needs Starlette: in a clone of warpkit, pip install '.[play]'" in done.stderr
