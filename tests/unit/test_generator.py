"""The stroke generator: what it draws could have come from the sketchpad."""

import dataclasses

import numpy as np
import pytest

from cnnviz.data import generator
from cnnviz.inputs.strokes import MAX_WIDTH, MIN_WIDTH, parse_strokes


def test_the_same_seed_draws_the_same_and_another_does_not():
    def points(seed):
        return [stroke.points for strokes, _ in generator.digits(40, seed) for stroke in strokes]

    first, again, other = points(3), points(3), points(4)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_every_digit_comes_about_equally_often():
    counts = np.bincount([digit for _, digit in generator.digits(1_000, 5)], minlength=10)
    assert counts.min() > 65
    assert counts.max() < 140


@pytest.mark.parametrize("style", generator.STYLES, ids=lambda style: f"{style.digit} {style.name}")
def test_every_style_stays_on_the_canvas_and_fills_a_fifth_of_it_or_more(style):
    rng = np.random.default_rng(6)
    for _ in range(12):
        strokes = generator.sketch(style, generator.writer(rng), rng)
        assert 1 <= len(strokes) <= len(style.outlines)
        points = np.vstack([stroke.points for stroke in strokes])
        half = strokes[0].width / 2
        assert MIN_WIDTH <= strokes[0].width <= MAX_WIDTH
        assert np.isfinite(points).all()
        assert (points >= half - 1e-4).all()
        assert (points <= 1 - half + 1e-4).all()
        assert 0.19 <= np.ptp(points, axis=0).max() <= 0.98


def test_the_table_has_the_styles_that_mnist_lacks():
    names = {(style.digit, style.name) for style in generator.STYLES}
    assert {(0, "slashed"), (1, "flag and base"), (4, "one line, open"), (5, "bar last"), (7, "crossed")} <= names
    assert all(sum(style.digit == digit for style in generator.STYLES) >= 10 for digit in range(10))


def test_a_coarse_digit_in_one_line_may_have_eight_points():
    rng = np.random.default_rng(8)
    somebody = dataclasses.replace(generator.writer(rng), coarse=True, joins=1.0, straight=False)
    crossed = next(style for style in generator.STYLES if (style.digit, style.name) == (7, "crossed"))
    drawn = [generator.sketch(crossed, somebody, rng) for _ in range(200)]
    counts = [len(strokes[0].points) for strokes in drawn]
    assert {len(strokes) for strokes in drawn} == {1}, "the pen is not lifted"
    assert counts.count(generator.COARSE) > 60
    assert min(counts) == generator.COARSE
    assert max(counts) > 30


def test_a_pen_that_is_lifted_leaves_as_many_strokes_as_the_style_has():
    rng = np.random.default_rng(9)
    somebody = dataclasses.replace(generator.writer(rng), joins=0.0)
    for style in generator.STYLES:
        assert len(generator.sketch(style, somebody, rng)) == len(style.outlines)


def test_resampled_points_lie_at_equal_distances():
    line = generator.resample(np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0]]), 5)
    assert np.allclose(line, [[0, 0], [1, 0], [2, 0], [3, 0], [3, 1]])


def test_the_sketchpads_message_of_a_drawn_digit_reads_back_the_same():
    for strokes, _ in generator.digits(50, 10):
        message = [{"points": stroke.points.ravel().tolist(), "width": stroke.width} for stroke in strokes]
        for sent, read in zip(strokes, parse_strokes(message), strict=True):
            assert np.array_equal(sent.points, read.points)
            assert sent.width == read.width


def test_images_are_in_mnists_form():
    pictures, labels = generator.images(60, 11)
    assert pictures.shape == (60, 28, 28)
    assert pictures.dtype == labels.dtype == np.uint8
    assert [digit for _, digit in generator.digits(60, 11)] == labels.tolist()
    for picture in pictures:
        rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
        assert max(np.ptp(rows), np.ptp(columns)) in (18, 19), "the long side is 20 pixels, its edges maybe too faint"
        assert picture.max() > 200, "even the thinnest pen is well seen"
