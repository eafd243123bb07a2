"""The tracer's process is killed under the page, and nobody who draws notices."""

import re

import psutil
from playwright.sync_api import expect

SEVEN = [[(0.3, 0.25), (0.5, 0.24), (0.7, 0.26), (0.6, 0.5), (0.5, 0.8)]]
CROSSBAR = [[(0.4, 0.52), (0.66, 0.5)]]
ANSWER = re.compile(r"^\s*\d")


def tracers(pid: int) -> list[psutil.Process]:
    """The web process's workers."""
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if "loky.backend.popen_loky" in " ".join(child.cmdline())]


def test_a_killed_tracer_is_replaced(page, server, draw):
    page.goto("/")
    prediction = page.locator(".st-key-prediction")
    draw(page, SEVEN)
    expect(prediction).to_have_text(ANSWER, timeout=60_000)  # TensorFlow may still be starting
    # With an empty sketchpad there is no answer on the page: the next one is new.
    page.locator('.st-key-sketchpad [data-action="clear"]').click()
    expect(prediction).not_to_have_text(ANSWER)

    (tracer,) = tracers(server.pid)
    tracer.kill()
    draw(page, SEVEN + CROSSBAR)
    expect(prediction).to_have_text(ANSWER, timeout=10_000)  # what the requirement allows
    for error in ".stException", '[data-testid="stException"]', ".stAlert":
        expect(page.locator(error)).to_have_count(0)
    (replacement,) = tracers(server.pid)
    assert replacement.pid != tracer.pid
