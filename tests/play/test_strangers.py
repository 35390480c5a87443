"""Bad input gets a sentence, and nobody but the page gets an answer."""

import re
from importlib.resources import files

import pytest
from play_pages import client, complaint, file, key, noise, opened, warped

from warpkit.play import app, pictures


@pytest.fixture
def page():
    return client()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"theta": [1, 2]}, "theta: expected [N, 6] for Affine"),
        ({"theta": "1"}, "theta: "),
        ({"theta": [1e999] * 6}, "theta.0: Input should be a finite number"),
        ({"theta": [0.0] * 300}, "theta: "),
        ({"kernel": "bilinea"}, "Did you mean 'bilinear'"),
        ({"padding": "mirror"}, "Did you mean 'reflection'"),
        ({"picture": "../../etc/passwd"}, "this picture is not kept any more"),
        ({"size": [0, 5]}, "size.0: "),
        ({"size": [5000, 5]}, "size.0: "),
        ({"size": [5]}, "size.1: "),
        ({"handles": [[0, 0]]}, "handles: expected 4 of them, got 1"),
        ({"handles": [[0, 0]] * 4, "moved": [4]}, "moved: expected numbers below 4"),
        ({"handles": [[0, 0]] * 4, "moved": [-1]}, "moved.0: "),
        ({"extra": 1}, "extra: "),
        ({"align_corners": 5}, "align_corners: "),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(page, change, message):
    asked = {"picture": key(page), "transform": "affine", "theta": [1, 0, 0, 0, 1, 0]}
    body = str({**asked, **change}).replace("'", '"').replace("inf", "1e999")
    assert message in complaint(page, "/warp", content=body)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100000])
def test_what_is_no_request_is_refused(page, body):
    for path in ("/warp", "/options", "/parameters", "/png"):
        assert complaint(page, path, content=body)


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/static/play.js", "/pictures/../../../etc/passwd", "/app.py"])
def test_no_path_leads_into_the_file_system(page, path):
    assert page.get(path).status_code == 404


@pytest.mark.parametrize("name", ["%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/etc/passwd", "index.html"])
def test_a_picture_s_name_is_no_path(page, name):
    assert page.get(f"/pictures/{name}").status_code in (400, 404)


@pytest.mark.parametrize("name", ["../../x.png", "/etc/passwd", "a\nb.png", "a\u202eb.png", "x" * 5000])
def test_a_file_s_name_is_text_alone(page, name):
    told = opened(page, file(noise(8, 8, 3).numpy()), name)
    assert told["name"].isprintable()
    assert len(told["name"]) <= 200
    told, _, _ = warped(page, picture=told["key"], transform="translation", theta=[0, 0])
    assert told["command"].count("\n") == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8000"},
        {"host": "127.0.0.1"},
        {"host": "127.0.0.1:8001"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://127.0.0.1:8000"},
        {"origin": "http://127.0.0.1:8888"},
        {"origin": "http://localhost:8000"},  # another origin than the host that is asked
    ],
)
def test_another_host_and_another_origin_are_refused(page, headers):
    for method, path in (("GET", "/"), ("POST", "/begin"), ("POST", "/warp"), ("OPTIONS", "/warp")):
        reply = page.request(method, path, headers=headers)
        assert reply.status_code == 403
        assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000"])
def test_the_page_itself_is_answered(page, host):
    assert page.post("/begin", headers={"host": host, "origin": f"http://{host}"}).status_code == 200
    assert page.get("/", headers={"host": host}).status_code == 200


def test_no_answer_lets_the_page_load_or_run_anything_from_elsewhere(page):
    for reply in (page.get("/"), page.post("/begin"), page.get("/nothing"), page.get("/", headers={"host": "x"})):
        assert reply.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    static = files("warpkit.play").joinpath("static")
    for held in static.iterdir():
        text = held.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z0-9.]+\.[a-z]{2,}/|@import|<style|style=", text), held.name


def test_a_file_that_is_too_large_is_refused(page, monkeypatch):
    monkeypatch.setattr(app, "_LARGEST", 2**20)
    assert "at most 1 MiB" in complaint(page, "/pictures", content=b"x" * (2**20 + 1))


def test_of_many_pictures_the_oldest_is_forgotten_but_never_the_first(page, monkeypatch):
    monkeypatch.setattr(pictures, "_KEPT", 3)
    first, data = key(page), file(noise(8, 8, 3).numpy())
    keys = [opened(page, data)["key"] for _ in range(4)]
    assert [page.get(f"/pictures/{it}").status_code for it in (first, *keys)] == [200, 400, 400, 200, 200]
    assert len({first, *keys}) == 5
