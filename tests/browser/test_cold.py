"""The first minute of a fresh server."""

import re

import pytest
from playwright.sync_api import expect

from cnnviz.inputs.samples import samples


@pytest.fixture
def fresh(fresh_server, browser):
    context = browser.new_context(base_url=fresh_server.url)
    yield context.new_page()
    context.close()


def test_a_stroke_drawn_while_tensorflow_starts_is_kept_and_answered(fresh, draw):
    fresh.goto("/")
    stroke = samples()["two"].strokes[0]["points"]
    draw(fresh, [list(zip(stroke[::2], stroke[1::2], strict=True))])
    expect(fresh.locator(".st-key-prediction")).to_contain_text("warming up")
    expect(fresh.locator(".st-key-prediction")).to_have_text(re.compile("^2"), timeout=60_000)
    expect(fresh.locator("[data-testid=stException]")).to_have_count(0)


def test_the_first_visit_may_be_a_link_to_any_page(fresh):
    fresh.goto("/layers?model=lenet5-1998")
    expect(fresh.get_by_text("LeNet-5, 1998: 61,706 parameters")).to_be_visible()
    expect(fresh.get_by_role("link", name="Draw")).to_be_visible()
