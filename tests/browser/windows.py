"""A real Chromium: pages of three kinds, drawing on the sketchpad, and a screenshot of every page when a test fails."""

import contextlib
import re
from collections.abc import Iterator

import pytest
from find_browser import ARGUMENTS, MISSING, find_browser
from playwright.sync_api import Page, expect, sync_playwright
from walking import until

LAPTOP = {"viewport": {"width": 1400, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
USES = 20  # tests that one window is good for
CANVAS = ".st-key-sketchpad canvas"

expect.set_options(timeout=20_000)  # on a busy machine the first page of a server takes its time


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """One Chromium for the whole run."""
    path = find_browser()
    if not path:
        pytest.fail(MISSING, pytrace=False)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser, server):
    """new_page(**options): a window of its own, as another visitor has it. `page.goto("/")` opens the app."""
    contexts = []

    def opened(**options) -> Page:
        contexts.append(browser.new_context(**{"base_url": server.url, **LAPTOP, **options}))
        return contexts[-1].new_page()

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def kept():
    """The windows that go from test to test, and how often each has: in a new one the app takes twice as long to
    open."""
    return {}


@contextlib.contextmanager
def lent(kind: str, options: dict, browser, server, kept, request) -> Iterator[Page]:
    """A window that remembers nothing of the tests before; a new one after a failure, and now and then, because
    Chromium's memory grows with what was open in it."""
    window, uses = kept.pop(kind, (None, 0))
    if not window:
        window = browser.new_context(base_url=server.url, **options).new_page()
    failed = request.session.testsfailed
    yield window
    if request.session.testsfailed > failed or uses + 1 >= USES:
        window.context.close()
        return
    if window.url.startswith("http"):
        window.evaluate("sessionStorage.clear(); localStorage.clear()")
    window.context.clear_cookies()
    window.goto("about:blank")
    window.mouse.move(0, 0)
    kept[kind] = window, uses + 1


@pytest.fixture
def page(browser, server, kept, request):
    """A laptop's window."""
    with lent("laptop", LAPTOP, browser, server, kept, request) as window:
        yield window


@pytest.fixture
def phone(browser, server, kept, request):
    """A phone's window, with touch."""
    with lent("phone", PHONE, browser, server, kept, request) as window:
        yield window


@pytest.fixture
def dark_page(page):
    """A laptop's window that prefers dark colours."""
    page.emulate_media(color_scheme="dark")
    yield page
    page.emulate_media(color_scheme="null")


@pytest.fixture
def calm_page(page):
    """A laptop's window that prefers reduced motion."""
    page.emulate_media(reduced_motion="reduce")
    yield page
    page.emulate_media(reduced_motion="null")


STILL = """canvas => new Promise(done => {
  let last = "", frames = 0;
  const look = () => {
    const {x, y, width} = canvas.getBoundingClientRect();
    frames = last === (last = `${x} ${y} ${width}`) ? frames + 1 : 0;
    frames < 12 ? requestAnimationFrame(look) : done();
  };
  look();
})"""


def on_canvas(page: Page, strokes) -> list[list[tuple[float, float]]]:
    """Strokes of (x, y) in 0..1 as points of the window, the canvas scrolled into it, and at rest there: while a page
    opens, what comes in above the canvas moves it."""
    canvas = page.locator(CANVAS)
    until(canvas)
    canvas.scroll_into_view_if_needed()
    canvas.evaluate(STILL)
    box = canvas.bounding_box()
    return [[(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke] for stroke in strokes]


@pytest.fixture
def draw():
    """draw(page, strokes): with the mouse. Strokes are lists of (x, y) in 0..1 over the canvas."""

    def with_mouse(page: Page, strokes) -> None:
        for first, *others in on_canvas(page, strokes):
            page.mouse.move(*first)
            page.mouse.down()
            for point in others:
                page.mouse.move(*point)
            page.mouse.up()

    return with_mouse


@pytest.fixture
def draw_touch():
    """draw_touch(phone, strokes): with a finger."""

    def with_finger(page: Page, strokes) -> None:
        session = page.context.new_cdp_session(page)

        def touch(kind: str, *points) -> None:
            touches = [{"x": x, "y": y} for x, y in points]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

        for first, *others in on_canvas(page, strokes):
            touch("touchStart", first)
            for point in others:
                touch("touchMove", point)
            touch("touchEnd")
        session.detach()

    return with_finger


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With a failed test, keep a screenshot of every page that is open and say where."""
    report = yield
    browser = getattr(item, "funcargs", {}).get("browser")
    if report.failed and browser and call.when != "teardown":
        folder = item.funcargs["tmp_path_factory"].getbasetemp() / "screenshots"
        folder.mkdir(exist_ok=True)
        name = re.sub(r"\W+", "-", item.name)
        pages = [page for context in browser.contexts for page in context.pages]
        for number, page in enumerate(pages):
            path = folder / f"{name}-{number}.png"
            page.screenshot(path=path)
            report.sections.append(("screenshot", str(path)))
    return report
