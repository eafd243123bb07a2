"""From the sketchpad's message to the network's input."""

import base64
import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.components.sketchpad import EMPTY, checked, replaced, strokes
from cnnviz.inputs import InputError, normalise, parse_strokes, rasterise
from cnnviz.inputs.samples import samples
from cnnviz.inputs.strokes import MAX_POINTS, MAX_STROKES, PIECE, SIDE, Stroke, smooth

LINE = {"points": [0.2, 0.2, 0.8, 0.8], "width": 0.05}


def sketch(*history, cursor=None):
    return {**EMPTY, "history": list(history), "cursor": len(history) if cursor is None else cursor}


def test_a_stroke_is_read():
    (stroke,) = parse_strokes([LINE])
    assert stroke.points.dtype == np.float32
    assert stroke.points.tolist() == np.float32([[0.2, 0.2], [0.8, 0.8]]).tolist()


@pytest.mark.parametrize(
    "message",
    [None, {}, "x", [None], [[]], [{"points": []}], [{"points": [1], "width": 1}], [{"points": [[0, 0]], "width": 1}],
     [{"points": ["<b>", 0], "width": 1}], [{"points": [0, float("nan")], "width": 1}],
     [{"points": [0, float("inf")], "width": 1}], [{"points": [0, 0], "width": float("nan")}],
     [{"points": [0, 10**400], "width": 1}], [{"points": [0, 0], "width": "wide"}]],
)  # fmt: skip
def test_a_forged_message_is_refused(message):
    with pytest.raises(InputError):
        parse_strokes(message)


KEYS = ["points", "width", "history", "cursor"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@given(anything)
def test_whatever_the_browser_sends_is_drawn_or_refused(message):
    with contextlib.suppress(InputError):
        assert rasterise(strokes(message)).shape == (SIDE, SIDE)


def test_limits_hold_at_and_past_their_number():
    assert len(parse_strokes([LINE] * MAX_STROKES)) == MAX_STROKES
    with pytest.raises(InputError, match="500 is the most"):
        parse_strokes([LINE] * (MAX_STROKES + 1))
    longest = {"points": [0.5] * (2 * MAX_POINTS), "width": 0.05}
    assert len(parse_strokes([longest])[0].points) == MAX_POINTS
    with pytest.raises(InputError, match="more than 20,000 points"):
        parse_strokes([longest, {"points": [0, 0], "width": 0.05}])


def test_undo_redo_and_clear_are_read_from_the_history():
    one, two = LINE, {**LINE, "width": 0.1}
    assert len(strokes(sketch(one, two))) == 2
    assert len(strokes(sketch(one, two, cursor=1))) == 1
    assert strokes(sketch(one, two, None)) == ()
    assert len(strokes(sketch(one, two, None, cursor=2))) == 2
    assert [stroke.width for stroke in strokes(sketch(one, None, two))] == [0.1]
    for bad in (sketch(one, cursor=2), sketch(one, cursor=-1), sketch(one, cursor=None) | {"cursor": "1"}):
        with pytest.raises(InputError):
            strokes(bad)


def as_text(*numbers):
    return base64.b64encode(np.array(numbers, "<i2").tobytes()).decode()


def test_a_stroke_as_the_browser_writes_it():
    (stroke,) = strokes(sketch(LINE, None, as_text(500, 2000, -300, 8000, 10050)))
    assert stroke.width == np.float32(0.05)
    assert stroke.points.tolist() == np.float32([[0.2, -0.03], [0.8, 1.005]]).tolist()


@pytest.mark.parametrize("text", ["", "A", "é", "AAA=", "<b>x</b>", as_text(500), as_text(500, 1)])
def test_a_damaged_stroke_is_refused(text):
    with pytest.raises(InputError):
        strokes(sketch(text))


def test_a_damaged_stroke_behind_one_that_was_seen_is_refused():
    whole, damaged = as_text(500, 2000, -300, 8000, 10050), as_text(500, 1)
    seen = checked(sketch(whole))
    assert checked(sketch(whole, whole), seen)["history"] == [whole, whole]
    with pytest.raises(InputError):
        checked(sketch(whole, damaged, cursor=1), seen)


def test_a_sample_can_be_undone():
    before = sketch(LINE)
    after = replaced(before, [LINE, LINE])
    assert len(strokes(after)) == 2
    assert strokes({**after, "cursor": 1})[0].width == strokes(before)[0].width


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=1, max_size=20),
       st.sampled_from([0, PIECE / SIDE]))  # fmt: skip
def test_the_curve_goes_through_every_point(points, shortest):
    points = np.array(points, np.float32)
    curve = smooth(points, shortest)
    distance = np.linalg.norm(curve[None] - points[:, None], axis=2).min(axis=1)
    assert distance.max() < 1e-3
    assert np.isfinite(curve).all()
    # Centripetal: it does not swing far out between two points.
    assert (curve >= points.min(axis=0) - 0.3).all()
    assert (curve <= points.max(axis=0) + 0.3).all()


def test_a_tap_is_a_dot_of_the_pens_width():
    ink = rasterise((Stroke(np.float32([[0.5, 0.5]]), 0.1),))
    across = (ink[140] > 127).sum()
    assert abs(int(across) - 28) <= 2


def test_the_input_is_centred_by_mass_in_a_box_of_20():
    shapes = [
        [LINE],
        [{"points": [0.1, 0.1, 0.3, 0.1, 0.2, 0.3], "width": 0.03}],
        [{"points": [0.9, 0.2, 0.9, 0.9], "width": 0.02}],
        samples()["two"].strokes,
    ]
    for message in shapes:
        pixels = normalise(rasterise(parse_strokes(message))).pixels
        assert pixels.shape == (28, 28, 1)
        assert pixels.dtype == np.float32
        assert 0.5 < pixels.max() <= 1
        rows, columns = np.nonzero(pixels[..., 0])
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
        mass = pixels[..., 0] / pixels.sum()
        assert abs((mass.sum(axis=1) * (np.arange(28) + 0.5)).sum() - 14) <= 0.51
        assert abs((mass.sum(axis=0) * (np.arange(28) + 0.5)).sum() - 14) <= 0.51


def test_where_and_how_large_one_draws_does_not_matter():
    def drawn(size, left, top):
        points = np.float32([[0, 0], [1, 0], [0.4, 1]]) * size + [left, top]
        return normalise(rasterise((Stroke(points.astype(np.float32), 0.09 * size),))).pixels

    whole = drawn(0.8, 0.1, 0.1)
    for other in (drawn(0.4, 0.55, 0.05), drawn(0.4, 0.05, 0.55), drawn(0.6, 0.3, 0.3)):
        assert np.abs(other - whole).mean() < 0.03


def test_an_empty_sketch_has_nothing_to_see():
    with pytest.raises(InputError, match="empty"):
        normalise(rasterise(()))


def test_every_sample_can_be_drawn():
    assert len(samples()) >= 10
    for sample in samples().values():
        normalise(rasterise(parse_strokes(sample.strokes)))
