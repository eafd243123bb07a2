"""Drawings in links: what the sketchpad writes is read back to the same points."""

import base64
import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.inputs import InputError
from cnnviz.inputs.links import MAX_CHARACTERS, from_link

coordinates = st.integers(-500, 10_500)
drawings = st.lists(
    st.tuples(st.integers(10, 200), st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=20)), max_size=5
)


def encoded(strokes) -> str:
    """The sketchpad's `toLink`, written once more: (width in thousandths, points in ten-thousandths)."""
    data = bytearray()

    def write(number):
        while number > 127:
            data.append(number & 127 | 128)
            number >>= 7
        data.append(number)

    for width, points in strokes:
        write(width)
        write(len(points))
        steps = np.diff(np.array([(0, 0), *points]), axis=0).ravel().tolist()
        for step in steps:
            write(2 * step if step >= 0 else -2 * step - 1)
    return base64.urlsafe_b64encode(bytes(data)).decode().rstrip("=")


@given(drawings)
def test_a_drawing_is_read_back(strokes):
    text = encoded(strokes)
    if len(text) > MAX_CHARACTERS:
        return
    found = [(round(s["width"] * 1000), np.reshape(s["points"], (-1, 2)).tolist()) for s in from_link(text)]
    assert found == [(width, [[x / 10_000, y / 10_000] for x, y in points]) for width, points in strokes]


@pytest.mark.parametrize("text", ["?", "A", "PA", "PAEA", "PP__", "é", "PAA", "A" * (MAX_CHARACTERS + 4)])
def test_a_damaged_link_is_refused(text):
    with pytest.raises(InputError, match="damaged"):
        from_link(text)


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_no_text_escapes(text):
    with contextlib.suppress(InputError):
        assert isinstance(from_link(text), list)
