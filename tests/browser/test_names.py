"""What somebody typed is shown as it was typed, on every page: never as HTML or Markdown."""

import os
import re
import shutil
import time

import pytest
from playwright.sync_api import Page, expect
from walking import until

from cnnviz.access import identity
from cnnviz.nets.weights import SHIPPED
from cnnviz.training import runs
from cnnviz.training.config import TrainingConfig

TYPED = "<img src=x onerror=hacked=1> **b** [x](http://y.z) `c` $m$"
CONFIG = TrainingConfig("digits", preset="small-digits", epochs=2)


@pytest.fixture
def made(page):
    """made(title): a run of this visitor's, done."""
    page.goto("/")
    until(page.locator("[data-testid=stSidebar] [data-testid=stSelectbox]"))
    page.wait_for_function("document.cookie.includes('cnnviz_visitor=')")
    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "cnnviz_visitor")
    made = []

    def create(title: str, done: bool = True) -> runs.Run:
        run = runs.create(CONFIG, title, identity("cookie", token))
        made.append(run)
        if done:
            for name in ("weights.npz", "epochs/000.npz", "epochs/001.npz"):
                shutil.copy(SHIPPED / "small-digits.npz", run.folder / name)
            log = runs.Log(run.folder)
            log.say("started", device="CPU", backend="x", batches=9, batch_size=128, epochs=2, from_epoch=0)
            log.say("epoch", epoch=1, loss=0.2, accuracy=0.9, val_loss=0.3, val_accuracy=0.9, seconds=1.0)
            log.say("done", epoch=1, test_accuracy=0.91, test_loss=0.3, message="")
        return run

    assert runs.runs_folder().samefile(os.environ["CNNVIZ_RUNS"])
    yield create
    for run in made:
        run.delete()


def shown(page: Page, where: str) -> None:
    """The words stand there as they were typed; the joiners that keep addresses from becoming links are not seen."""
    until(page.locator(where).filter(has_text=re.compile("onerror")))
    texts = [text.replace("\u2060", "") for text in page.locator(where).all_inner_texts()]
    assert any(TYPED in text for text in texts), texts
    harmless(page)


def harmless(page: Page) -> None:
    """Nothing of it has become an element, and nothing was executed."""
    assert page.evaluate("window.hacked") is None
    for element in "img[src=x]", "a[href*='y.z']", ".katex":
        expect(page.locator(element)).to_have_count(0)


def test_a_name_is_shown_as_it_was_typed_on_every_page(made, page):
    first = made("first")
    time.sleep(1.1)  # ids begin with the second
    made("second")
    page.goto("/runs")
    grid = page.locator(".st-key-runs [data-testid=stDataFrame]")
    until(grid.locator("canvas"))
    row = page.locator(".st-key-runs [role=gridcell]").filter(has_text="first")
    until(row)
    box = grid.bounding_box()
    page.mouse.click(box["x"] + 15, box["y"] + 40 + 35 + 15)  # the second line's box: the older run
    until(page.get_by_role("button", name="Rename"))
    page.get_by_role("button", name="Rename").first.click()
    field = page.get_by_label("New name")
    expect(field).to_have_value("first")
    field.fill(TYPED)
    field.press("Enter")
    page.get_by_role("button", name="Rename").last.click()
    until(page.locator(".st-key-runs [role=gridcell]").filter(has_text="onerror"))
    assert runs.find(first.id).title == TYPED
    cells = page.locator(".st-key-runs [role=gridcell]").all_text_contents()
    assert TYPED in cells
    harmless(page)

    page.mouse.click(box["x"] + 15, box["y"] + 40 + 15)  # both: curves with a legend, and what differs
    until(page.locator(".st-key-runs .legendtext").filter(has_text="onerror"))
    assert any(TYPED in text for text in page.locator(".st-key-runs .legendtext").all_text_contents())
    shown(page, ".st-key-runs [data-testid=stMarkdown]")

    page.goto(f"/training?run={first.id}")
    shown(page, ".st-key-train-progress h3")
    page.goto(f"/layers?model=run-{first.id}")
    shown(page, "[data-testid=stMain] h3")
    shown(page, "[data-testid=stSidebar] [data-testid=stMarkdown]")
    expect(page.get_by_role("combobox", name="Network")).to_have_value(f"{TYPED} ({first.id[-4:]})")
    page.goto(f"/convolution?model=run-{first.id}")
    until(page.locator(".st-key-lab option").filter(has_text="onerror"))
    assert any(TYPED in text for text in page.locator(".st-key-lab option").all_text_contents())
    harmless(page)

    made(TYPED, done=False)  # waits, as far as anybody can see
    page.goto("/draw")
    page.goto("/")
    shown(page, ".st-key-own-progress [data-testid=stMarkdown]")


@pytest.mark.parametrize("name", ["convolution", "pooling", "step"])
def test_html_in_a_link_is_text(name, page):
    forged = "%3Cimg%20src%3Dx%20onerror%3Dhacked%3D1%3E"
    names = ["layer", "filter", "cell", "input", "numbers", "kernel", "weights", "stride", "padding", "bias", "picture",
             "dilation", "activation", "size", "mode", "window", "values", "x", "k", "sample", "model"]  # fmt: skip
    page.goto(f"/{name}?" + "&".join(f"{one}={forged}" for one in names))
    until(page.locator("[data-role=formula] math"))
    harmless(page)
