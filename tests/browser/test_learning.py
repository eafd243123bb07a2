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


def test_an_image_and_a_unit_are_chosen_by_pointer_and_by_key(page):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/learning?step_layer=dense1")
    chosen = page.locator(".st-key-batch [aria-pressed=true]")
    expect(chosen).to_have_count(1, timeout=READY)
    # An image.
    images = page.locator(".st-key-batch button")
    images.nth(4).click()
    expect(images.nth(4)).to_have_attribute("aria-pressed", "true")
    expect(chosen).to_have_count(1)
    label = images.nth(4).text_content().split()[0]
    expect(page.get_by_text(f"one image of the batch, a {label}")).to_be_visible()
    losses = page.locator(".st-key-image-loss h4")
    first = losses.text_content()
    images.nth(4).press("ArrowRight")
    expect(images.nth(5)).to_be_focused()
    images.nth(5).press("Enter")
    expect(images.nth(5)).to_have_attribute("aria-pressed", "true")
    expect(images.nth(5)).to_be_focused()  # still, when the pictures have been drawn again
    page.wait_for_url(re.compile("step_image=5"))
    expect(losses).not_to_have_text(first)
    # A unit: its steepest gradient is the number that stood in the picture of all.
    units = page.locator("[data-map=units]")
    units.scroll_into_view_if_needed()
    box = units.bounding_box()
    page.mouse.click(box["x"] + 10.5 / 32 * box["width"], box["y"] + 3.5 / 32 * box["height"])
    unit = 3 * 32 + 10
    expect(page.locator(".st-key-step_unit input")).to_have_value(str(unit))
    expect(page).to_have_url(re.compile(f"step_unit={unit}"))
    worked = page.locator(".worked h4")
    expect(worked).to_have_text(re.compile(f"unit {unit}, channel "))
    shown = page.locator(".worked p").first.text_content()
    page.locator("[data-map=units]").press("ArrowDown")
    expect(page.locator(".worked p").first).to_have_text(re.compile(f"unit {unit + 32}: "))
    page.locator("[data-map=units]").press("Enter")
    expect(worked).to_have_text(re.compile(f"unit {unit + 32}, channel "))
    assert shown.startswith(f"unit {unit}: ")
    # A link to another optimizer, and to a step of it.
    page.get_by_role("radio", name="Adam").click()
    expect(page.get_by_role("heading", name="Adam's direction")).to_be_visible()
    page.get_by_role("button", name="Take the step").click()
    expect(page).to_have_url(re.compile("steps=0.001"))
    page.reload()
    expect(page.get_by_role("heading", name="Adam's direction")).to_be_visible(timeout=READY)
    expect(page.locator("h3").first).to_have_text("Step 2")
    expect(page.locator(".st-key-step_unit input")).to_have_value(str(unit + 32))
    page.get_by_role("radio", name="Gradient descent").click()
    expect(page.locator("h3").first).to_have_text("Step 1")
    # The last layer as a whole.
    page.get_by_role("radio", name="logits").click()
    expect(worked).to_have_text(re.compile("unit [0-9], input [0-9]+$"))
    old, rate, gradient, new = (
        np.float32(page.locator(f"[data-number={name}]").text_content().strip("()").replace("−", "-"))
        for name in ("old", "rate", "gradient", "new")
    )
    assert new == old - rate * gradient
    # The steepest, as the table of all layers says.
    assert str(gradient).replace("-", "−") in page.locator(".st-key-step-table").text_content()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert errors == []
