"""The arithmetic of shapes, against NumPy and against TensorFlow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.arithmetic import conv_parameters, dense_parameters, output_size, receptive_field, total_padding

small = st.integers(1, 40)


@given(n=small, k=small, s=st.integers(1, 5))
def test_valid_outputs_are_the_windows_that_fit(n, k, s):
    windows = len(range(0, n - k + 1, s))
    if windows:
        assert output_size(n, k, s) == windows
    else:
        with pytest.raises(ValueError, match=f"at most {n}"):
            output_size(n, k, s)


@given(n=small, k=small, s=st.integers(1, 5))
def test_same_padding_makes_as_many_outputs_as_strides_begin(n, k, s):
    assert output_size(n, k, s, "same") == len(range(0, n, s))
    assert 0 <= total_padding(n, k, s, "same") < max(k, 1)


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-3, 1, 1)])
def test_sizes_start_at_one(sizes):
    with pytest.raises(ValueError, match="start at 1"):
        output_size(*sizes)


def test_an_unknown_padding_is_named():
    with pytest.raises(ValueError, match="'full'"):
        output_size(3, 2, 1, "full")


def test_parameters_of_the_textbook():
    assert conv_parameters(5, 1, 6) == 156
    assert conv_parameters(5, 6, 16) == 2416
    assert dense_parameters(400, 120) == 48120


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=4))
def test_a_receptive_field_is_what_reaches_one_cell(layers):
    """Count the input cells that one output depends on, by pushing sets of indices through the layers."""
    size, jump = receptive_field(layers)
    cells = [{i} for i in range(size + jump)]
    for k, s in layers:
        cells = [set().union(*cells[i : i + k]) for i in range(0, len(cells) - k + 1, s)]
    # Where a stride is larger than the kernel, cells in between reach nothing.
    assert (min(cells[0]), max(cells[0])) == (0, size - 1)
    assert (min(cells[1]), max(cells[1])) == (jump, size + jump - 1)


def test_sizes_are_tensorflows():
    import tensorflow as tf

    for n in (1, 4, 7, 28):
        for k in (1, 2, 3, 5):
            for s in (1, 2, 3):
                for padding in ("valid", "same"):
                    if padding == "valid" and k > n:
                        continue
                    image, kernel = np.zeros((1, n, n, 1), np.float32), np.zeros((k, k, 1, 1), np.float32)
                    found = tf.nn.conv2d(image, kernel, s, padding.upper()).shape[1]
                    assert output_size(n, k, s, padding) == found, (n, k, s, padding)
