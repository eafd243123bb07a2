"""Strokes of many styles, replayed on the real page, are read as what was meant."""

import numpy as np
from walking import answered

from cnnviz.data.generator import digits

COUNT, SEED, FLOOR = 40, 2_000_000, 0.9
POINTS = 12  # of each stroke: the browser takes one a frame


def thinned(count: int) -> np.ndarray:
    """Which of a stroke's points are drawn: the first, the last and evenly between."""
    return np.unique(np.linspace(0, count - 1, POINTS).round().astype(int))


def test_generated_strokes_are_read(page, draw):
    page.goto("/")
    answer = page.locator(".st-key-prediction")
    clear = page.locator(".st-key-sketchpad [data-action=clear]")
    answered(page, "Draw a digit")
    wrong = []
    for strokes, meant in digits(COUNT, SEED):
        draw(page, [stroke.points[thinned(len(stroke.points))].tolist() for stroke in strokes])
        answered(page, "^[0-9]")
        read = answer.inner_text()[0]
        if read != str(meant):
            wrong.append(f"{meant} as {read}")
        clear.click()
        answered(page, "Draw a digit")
    assert len(wrong) <= (1 - FLOOR) * COUNT, wrong
