"""The page of one step of learning, in a browser."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect
from walking import READY, number

from cnnviz import data

pytestmark = pytest.mark.skipif(
    not data.is_here("mnist"), reason="MNIST is not here: run `python -m cnnviz datasets mnist`"
)


def test_a_step_by_key_a_weight_by_hand_and_a_rate_too_large(page):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/learning")
    losses = page.locator(".st-key-losses h4")
    expect(losses).to_contain_text("→", timeout=READY)
    first = losses.text_content()
    # One weight, worked through.
    expect(page.locator("[data-number=new]")).to_be_attached()
    for cell in ((0.02, 0.03), (0.7, 0.6)):
        panel = page.locator("[data-map=gradient]")
        panel.scroll_into_view_if_needed()
        box = panel.bounding_box()
        page.mouse.click(box["x"] + cell[0] * box["width"], box["y"] + cell[1] * box["height"])
        old, rate, gradient, new = (
            np.float32(page.locator(f"[data-number={name}]").text_content().strip("()").replace("−", "-"))
            for name in ("old", "rate", "gradient", "new")
        )
        assert new == old - rate * gradient
    panel.press("ArrowRight")
    expect(page.locator(".worked h4")).to_have_text(re.compile("filter 21, row 1, column 3"))
    # A step too far.
    slider = page.get_by_role("slider", name="Learning rate")
    slider.press("End")
    expect(page.get_by_text("A step too far")).to_be_visible()
    expect(page).to_have_url(re.compile("step_rate=10"))
    slider.press("Home")
    expect(page.get_by_text("A step too far")).to_be_hidden()
    # The next step.
    page.locator("h3").first.click()  # away from the slider
    page.keyboard.press("n")
    expect(page.locator("h3").first).to_have_text("Step 2")
    expect(losses).not_to_have_text(first)
    expect(page).to_have_url(re.compile("steps=0.0001"))
    page.keyboard.press("u")
    expect(page.locator("h3").first).to_have_text("Step 1")
    assert number(page, "rate") == 1e-4
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert errors == []
