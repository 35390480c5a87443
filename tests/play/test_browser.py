"""The page in a real browser: Chromium, where Playwright and it are installed."""

import contextlib
import shutil
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from play_pages import file, noise

import warpkit as wk
from warpkit.play.notebook import Page
from warpkit.transforms.base import transforms

sync = pytest.importorskip("playwright.sync_api", reason="needs Playwright, which the extra dev brings")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium")

IMAGE = noise(1, 3, 48, 64)


class Squeeze(wk.Transform):
    """A plugin with one handle of its own."""

    ndim, num_params, param_names = 2, 1, ("how far",)

    def identity(self):
        return torch.ones(1)

    def forward(self, theta, points):
        return torch.stack([theta * points[..., 0], points[..., 1].expand(len(theta), -1)], -1)

    def handles(self, theta):
        return torch.stack([theta, torch.zeros_like(theta)], -1)


@pytest.fixture(scope="module")
def browser():
    with sync.sync_playwright() as playwright:
        held = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield held
        held.close()


@pytest.fixture(scope="module")
def served():
    patch = pytest.MonkeyPatch()
    patch.setitem(transforms._registered, "squeeze", Squeeze)
    made = Page(IMAGE, "affine")
    yield made
    made.stop()
    patch.undo()


@contextlib.contextmanager
def tab(browser, url: str, **how) -> Iterator:
    """A tab in which nothing may go wrong, and nothing may be asked of another machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True, **how)
    page, asked, wrong = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(url)
    page.wait_for_selector("body[data-shown]")
    yield page
    context.close()
    assert wrong == []
    assert all(it.startswith((url, f"blob:{url}")) for it in asked)


@pytest.fixture
def page(browser, served):
    with tab(browser, served.url) as page:
        yield page


def settled(page) -> None:
    """Wait until the page shows the answer to the last question."""
    before = None
    while before != (before := page.locator("body").get_attribute("data-shown")):
        page.wait_for_timeout(80)
        page.wait_for_selector("body[data-waits='0']")


def theta(page) -> list[float]:
    return [float(it.input_value()) for it in page.locator("#sliders input[type=number]").all()]


def pixels(page) -> np.ndarray:
    """What the canvas shows, [H, W, 3]."""
    script = """canvas => { const { width, height } = canvas;
        return [height, width, [...canvas.getContext('2d').getImageData(0, 0, width, height).data]]; }"""
    height, width, data = page.locator("#warped").evaluate(script)
    return np.array(data, np.uint8).reshape(height, width, 4)[..., :3]


def expected(page, transform: str, image: torch.Tensor = IMAGE, **how) -> np.ndarray:
    return wk.warp(image, transform, torch.tensor([theta(page)]), **how)[0].permute(1, 2, 0).numpy()


def drag(page, index: int, across: float, down: float) -> None:
    box = page.locator(".handle").nth(index).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across, y + down, steps=6)
    page.mouse.up()
    settled(page)


def centre(page, index: int) -> tuple[float, float]:
    box = page.locator(".handle").nth(index).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_handle_follows_the_pointer_and_the_picture_is_that_of_warp(page):
    before = centre(page, 0)
    drag(page, 0, 60, 40)
    after = centre(page, 0)
    assert after == pytest.approx((before[0] + 60, before[1] + 40), abs=0.5)
    assert (pixels(page) == expected(page, "affine")).all()
    drag(page, 3, -30, 10)  # the next drag begins where this one ended
    assert centre(page, 3) != after
    assert (pixels(page) == expected(page, "affine")).all()


def test_a_drag_beside_the_handles_moves_them_all(page):
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    settled(page)
    one, _, shift, *rest = theta(page)
    assert shift == pytest.approx(2 * 0.2 / 0.82, abs=0.01)
    np.testing.assert_allclose([one, *rest], [1, 0, 1, 0], atol=1e-4)


def test_sliders_numbers_and_choices_are_followed(page):
    page.get_by_role("slider", name="θ12", exact=True).fill("0.4")
    page.get_by_role("spinbutton", name="θ13").fill("0.25")
    page.get_by_label("Kernel").select_option("bicubic")
    page.get_by_label("Padding").select_option("reflection")
    page.get_by_label("align_corners").check()
    page.get_by_label("Height").fill("30")
    page.get_by_label("Height").press("Tab")
    settled(page)
    assert theta(page)[1:3] == [0.4, 0.25]
    how = {"kernel": "bicubic", "padding_mode": "reflection", "size": (30, 64), "align_corners": True}
    assert (pixels(page) == expected(page, "affine", **how)).all()
    assert "0.4" in page.locator("#python").text_content()
    assert page.locator("#command").text_content().startswith("warpkit warp image.png warped.png --transform affine")
    page.get_by_role("button", name="Reset").click()
    settled(page)
    assert theta(page) == [1, 0, 0, 0, 1, 0]


def test_handles_are_moved_with_the_keyboard(page):
    handle = page.get_by_role("slider", name="Handle 1", exact=True)
    before = handle.get_attribute("aria-valuetext")
    handle.focus()
    for key in ("ArrowRight", "Shift+ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    settled(page)
    assert (before, handle.get_attribute("aria-valuetext")) == ("0 % across, 0 % down", "6 % across, 1 % down")
    for key in ("ArrowLeft", "Shift+ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    settled(page)
    np.testing.assert_allclose(theta(page), [1, 0, 0, 0, 1, 0], atol=1e-4)


def test_a_finger_drags_a_handle(browser, served):
    with tab(browser, served.url, has_touch=True) as page:
        x, y = centre(page, 0)
        touch = page.context.new_cdp_session(page)
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for k in range(1, 5):
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x + 10 * k, "y": y}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        settled(page)
        assert centre(page, 0) == pytest.approx((x + 40, y), abs=0.5)


def test_a_plugin_is_bent_by_its_own_handle_and_slider(page):
    page.get_by_label("Transform").select_option("squeeze")
    page.wait_for_selector("#sliders >> text=how far")
    settled(page)
    assert page.locator(".handle").count() == 1
    drag(page, 0, -50, 0)
    assert 0.5 < theta(page)[0] < 0.9
    assert (pixels(page) == expected(page, "squeeze")).all()


def test_options_make_other_handles(page):
    page.get_by_label("Transform").select_option("thin_plate_spline")
    page.locator("#options input[name=grid]").fill("[2, 3]")
    page.locator("#options input[name=grid]").press("Enter")
    sync.expect(page.locator(".handle")).to_have_count(6)
    drag(page, 4, 0, -30)
    chosen = {"type": "thin_plate_spline", "grid": [2, 3]}
    assert (pixels(page) == expected(page, chosen)).all()


def test_an_option_that_is_missing_is_asked_for(page):
    page.get_by_label("Transform").select_option("compose")
    sync.expect(page.get_by_role("alert")).to_have_text("transform 'compose' needs its option 'of'")
    page.locator("#options input[name=of]").fill('["translation", "polar"]')
    page.locator("#options input[name=of]").press("Enter")
    page.wait_for_selector("#sliders >> text=1.c_x")
    settled(page)
    assert page.get_by_role("alert").is_hidden()
    assert (pixels(page) == expected(page, {"type": "compose", "of": ["translation", "polar"]})).all()


def test_what_is_wrong_is_said_and_the_picture_stays(page):
    page.get_by_label("Transform").select_option("thin_plate_spline")
    settled(page)
    before = pixels(page)
    page.locator("#options input[name=grid]").fill("[1, 1]")
    page.locator("#options input[name=grid]").press("Enter")
    sync.expect(page.get_by_role("alert")).to_contain_text("grid: expected (rows, cols), each at least 2")
    assert (pixels(page) == before).all()
    page.locator("#open").set_input_files({"name": "a.svg", "mimeType": "image/svg+xml", "buffer": b"<svg/>"})
    sync.expect(page.get_by_role("alert")).to_contain_text("a.svg is no picture that Pillow can read")
    drag(page, 5, 10, 10)
    sync.expect(page.get_by_role("alert")).to_be_hidden()


def test_two_tabs_with_two_pictures_do_not_disturb_each_other(browser, page, served):
    other = noise(32, 50, 3)
    with tab(browser, served.url) as second:
        name = {"name": "other one.png", "mimeType": "image/png", "buffer": file(other.numpy())}
        second.locator("#open").set_input_files(name)
        sync.expect(second.locator("#source")).to_have_text("50 × 32")
        settled(second)
        drag(second, 0, 40, 0)
        drag(page, 1, -40, 20)
        assert (pixels(second) == expected(second, "affine", other.permute(2, 0, 1)[None])).all()
        assert (pixels(page) == expected(page, "affine")).all()
        assert "'other one.png'" in second.locator("#command").text_content()


def test_the_picture_that_is_saved_is_the_one_that_is_shown(page):
    drag(page, 2, 20, -30)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG").click()
    assert download.value.suggested_filename == "warped.png"
    saved = Image.open(BytesIO(download.value.path().read_bytes()))
    assert (np.array(saved) == pixels(page)).all()


def test_lines_are_copied(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("[data-copies=command]").click()
    sync.expect(page.locator("[data-copies=command]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#command").text_content()


def test_a_foreign_page_is_refused(browser, served):
    """A page of another origin can neither read an answer nor show a picture of ours."""
    context = browser.new_context()
    page = context.new_page()
    page.route("http://evil.example/", lambda route: route.fulfill(body="<p>evil</p>", content_type="text/html"))
    page.goto("http://evil.example/")
    for how in ("{method: 'POST'}", "{method: 'POST', mode: 'no-cors'}", "{}"):
        script = f"fetch('{served.url}begin', {how}).then(r => r.text(), () => '')"
        assert page.evaluate(script) == ""
    context.close()


def test_nothing_sticks_out_in_light_and_dark_wide_and_narrow(page):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, ground[4:-1].split(","))) < 384) == (scheme == "dark")
