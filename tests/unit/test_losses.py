"""The figures of one step of learning: every number to the last digit, and what is no number is told as such."""

import numpy as np

from cnnviz.figures import chances, losses_by_rate, losses_so_far

LOSS = float(np.float32(2.3350971))


def test_a_loss_is_told_to_the_last_digit():
    figure = losses_by_rate((0.1, 1.0), 2.5, (LOSS, float("inf")), 0.1)
    assert list(figure.data[0].customdata) == ["2.335097", "no number: float32 overflowed"]
    before, after = losses_so_far([(LOSS, 1.5)], LOSS).data[-2:]
    assert list(before.customdata) == ["2.335097", "2.335097"]
    assert list(after.customdata) == ["1.5"]


def test_probabilities_stand_side_by_side_and_the_label_is_marked():
    chosen = np.float32([0.1, 0.9])
    before, after = chances(chosen, np.float32([np.nan, 1]), "ab", "b").data
    assert [before.name, after.name] == ["before", "after"]
    assert np.array_equal(np.float32(before.y), chosen)
    assert list(before.customdata) == ["0.1", "0.9"]
    assert np.isnan(after.y[0])
    assert after.y[1] == 1
    names = chances(chosen, chosen, "ab", "b").layout.xaxis.ticktext
    assert names[0] == "a"
    assert "label" in names[1]
