"""Reading what the stepper shows, and moving it."""

import re
import time

import numpy as np
from playwright.sync_api import Locator, Page, expect

from cnnviz.inputs import normalise, parse_strokes, rasterise
from cnnviz.inputs.samples import samples
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import load_weights, shipped
from cnnviz.trace import Trace, assemble
from cnnviz.trace.tracer import trace

CHOSEN = ["lenet5", "lenet5-1998", "tf-tutorial"]
"""The presets whose every layer is read back in the browser: all that the others add is in random_app.py's."""

READY = 60_000  # TensorFlow may still be starting under the first test


def until(found: Locator, timeout: int = READY) -> None:
    """Wait until there is such an element. `expect` looks ever less often, in the end once a second: where something
    takes its time, like a page that opens, that adds half a second."""
    deadline = time.monotonic() + timeout / 1000
    while not found.count():
        if time.monotonic() > deadline:
            expect(found.first).to_be_attached(timeout=1)  # says what is missing
        found.page.wait_for_timeout(20)


def opened(page: Page, link: str) -> None:
    """Go to a page with a stepper and wait until it shows a cell."""
    page.goto(link, wait_until="commit")
    until(page.locator("[data-role=formula] math"))


def answered(page: Page, pattern: str) -> None:
    """Wait until the Draw page's answer fits a pattern."""
    until(page.locator(".st-key-prediction").filter(has_text=re.compile(pattern)))


def as_number(text: str) -> float:
    return float(text.replace("−", "-").replace("≈", ""))


def number(page: Page, name: str) -> float:
    """One of the numbers of the sum: sum, bias, pre, output, count."""
    return as_number(page.locator(f"[data-number={name}]").text_content())


def grid(page: Page, label: str) -> list[float]:
    """The numbers that a grid shows, row by row, padding left out."""
    values = page.locator(f'[data-map="{label}"] .numbers').evaluate(
        "box => [...box.querySelectorAll(':not(.pad)')].map((cell) => cell.value ?? cell.textContent)"
    )
    return [as_number(value) for value in values if value]


def where(page: Page) -> str:
    """The place that the stepper names: row 3, column 4."""
    return page.locator(".where").text_content().partition(" · ")[2]


def expect_place(page: Page, words: str) -> None:
    expect(page.locator(".where")).to_have_text(re.compile(f"· {words}$"))


def go(page: Page, cell: int) -> None:
    """Scrub to a cell."""
    page.locator(".scrub").evaluate(
        "(box, cell) => { box.value = cell; box.dispatchEvent(new Event('input', { bubbles: true })) }", str(cell)
    )


def expect_no_sideways_scrolling(page: Page) -> None:
    wide = page.locator(".stage").evaluate(
        "box => [box.scrollWidth - box.clientWidth, document.documentElement.scrollWidth - innerWidth]"
    )
    assert max(wide) <= 0, wide


def choose_layer(page: Page, name: str) -> None:
    chip = page.locator(f"[data-layer={name}]")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")


def truth(model: str, sample: str) -> Trace:
    """TensorFlow's numbers for a sample, computed here."""
    image = normalise(rasterise(parse_strokes(samples()[sample].strokes))).pixels
    return assemble(PRESETS[model], load_weights(PRESETS[model]), image, trace(shipped(PRESETS[model]), image[None])[0])


def close(found: float, expected: float, largest: float) -> bool:
    """Equal to 1e-5 of the layer's largest value."""
    return abs(found - expected) <= 1e-5 * max(largest, 1e-3)


def random_cells(count: int, rows: int, columns: int, rng: np.random.Generator) -> list[int]:
    """Some cells, corners and borders among them."""
    corners = [0, columns - 1, (rows - 1) * columns, rows * columns - 1]
    return sorted({*corners, *rng.integers(0, rows * columns, count).tolist()})


def choose(page: Page, key: str, option: str) -> None:
    """Pick an option of one of the form's select boxes."""
    page.locator(f".st-key-{key} [data-testid=stSelectbox] input, .st-key-{key} input").first.click()
    page.get_by_role("option", name=option, exact=True).click()


def still(element: Locator) -> Locator:
    """An element once nothing has moved it for half a second. What Streamlit's page loads late, a slider the first time
    that there is any, pushes what is below it down, from under a pointer that is about to click."""
    page, deadline = element.page, time.monotonic() + 60
    until(element)
    since, place = time.monotonic(), None
    while time.monotonic() < since + 0.5:
        assert time.monotonic() < deadline, "it does not come to rest"
        waits = page.get_by_test_id("stSkeleton").count() or not page.locator(
            '[data-test-script-state="notRunning"]').count()  # fmt: skip
        now = element.bounding_box()
        if waits or now != place:
            since, place = time.monotonic(), now
        page.wait_for_timeout(50)
    return element


def start_training(page: Page, epochs: int) -> None:
    """Start a run on the optical digits, with the sidebar's form."""
    page.locator(".st-key-train-form summary").click()
    until(page.locator(".st-key-t_dataset"))
    choose(page, "t_dataset", "Optical digits")
    expect(page.locator(".st-key-train-layers")).to_contain_text("8×8×16")
    box = page.locator(".st-key-t_epochs input")
    box.fill(str(epochs))
    box.press("Enter")
    still(page.locator(".st-key-t_start button")).click()


def at_epoch(page: Page, least: int) -> None:
    """Wait until the page tells of so many finished epochs."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = re.search(r"Epoch (\d+) of", page.locator(".st-key-train-progress").inner_text())
        if found and int(found[1]) > least:
            return
        page.wait_for_timeout(50)
    raise AssertionError(page.locator(".st-key-train-progress").inner_text())
