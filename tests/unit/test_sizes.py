"""The arithmetic of shapes, against NumPy and against TensorFlow."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.arithmetic import conv_parameters, dense_parameters, output_size, receptive_field, total_padding

small = st.integers(1, 40)


def starts(first, last, span, s):
    """Where windows of this span may start so as to stay between the first cell and the last."""
    return range(first, last - span + 2, s)


@given(n=small, k=small, s=st.integers(1, 5), d=st.integers(1, 4))
def test_valid_outputs_are_the_windows_that_fit(n, k, s, d):
    windows = len(starts(0, n - 1, (k - 1) * d + 1, s))
    if windows:
        assert output_size(n, k, s, "valid", d) == windows
        return
    with pytest.raises(ValueError, match="choose a kernel of at most") as refused:
        output_size(n, k, s, "valid", d)
    advised = int(str(refused.value).rstrip(".").split()[-1])
    assert output_size(n, advised, s, "valid", d) >= 1, "what it advises fits"
    with pytest.raises(ValueError, match=f"kernel of {advised + 1} "):
        output_size(n, advised + 1, s, "valid", d)


@given(n=small, k=small, s=st.integers(1, 5), d=st.integers(1, 4))
def test_same_padding_makes_as_many_outputs_as_strides_begin(n, k, s, d):
    assert output_size(n, k, s, "same", d) == len(range(0, n, s))
    assert 0 <= total_padding(n, k, s, "same", d) <= d * (k - 1)


@given(n=small, k=small, s=st.integers(1, 5), d=st.integers(1, 4))
def test_full_padding_starts_and_ends_with_one_cell_in_common(n, k, s, d):
    reach = d * (k - 1)
    assert output_size(n, k, s, "full", d) == len(starts(-reach, n - 1 + reach, reach + 1, s))
    assert total_padding(n, k, s, "full", d) == 2 * reach


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-3, 1, 1), (5, 3, 1, "valid", 0)])
def test_sizes_start_at_one(sizes):
    with pytest.raises(ValueError, match="start at 1"):
        output_size(*sizes)


def test_an_unknown_padding_is_named():
    with pytest.raises(ValueError, match="not 'causal'"):
        output_size(3, 2, 1, "causal")


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

    for n, k, s, d in itertools.product((1, 4, 7, 28), (1, 2, 3, 5), (1, 2, 3), (1, 2, 3)):
        for padding in ("valid", "same"):
            if padding == "valid" and d * (k - 1) + 1 > n:
                continue
            image, kernel = np.zeros((1, n, n, 1), np.float32), np.zeros((k, k, 1, 1), np.float32)
            found = tf.nn.conv2d(image, kernel, s, padding.upper(), dilations=d).shape[1]
            assert output_size(n, k, s, padding, d) == found, (n, k, s, padding, d)
