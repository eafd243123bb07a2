"""One cell's sum, term by term, is TensorFlow's number at that cell: on random layers, and in every preset."""

from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnnviz.arithmetic import (
    ACTIVATIONS,
    conv_window,
    dense_terms,
    field,
    flatten_index,
    flatten_place,
    output_size,
    pool_window,
    softmax_terms,
    total_padding,
)
from cnnviz.nets.describe import window
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import load_weights, shipped
from cnnviz.trace import assemble

MAPS = ("conv", "pool")
places = st.integers(0, 2**31)
"""Seeds for arrays, and for the cells that are compared."""


def cells(shape, rng, count=6):
    """Cells of an array: random ones, and as many at the border, where padding is."""
    for number in range(2 * count):
        place = [int(rng.integers(size)) for size in shape]
        if number % 2:
            axis = int(rng.integers(min(2, len(shape))))
            place[axis] = int(rng.choice([0, shape[axis] - 1]))
        yield tuple(place)


def close(found, expected, whole):
    """Equal to 1e-5 of the layer's largest number."""
    return abs(found - expected) <= 1e-5 * np.abs(whole).max()


@st.composite
def convolutions(draw):
    """(image, kernel, bias, stride, padding, dilation, seed)."""
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    padding = draw(st.sampled_from(["valid", "same", "full"]))
    kernel = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    smallest = [dilation * (k - 1) + 1 if padding == "valid" else 1 for k in kernel]
    size = [n + draw(st.integers(0, 8)) for n in smallest]
    channels, filters, seed = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(places)
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(*size, channels)).astype(np.float32)
    weights = rng.normal(size=(*kernel, channels, filters)).astype(np.float32)
    return image, weights, rng.normal(size=filters).astype(np.float32), stride, padding, dilation, seed


@settings(deadline=None, max_examples=300)
@given(convolutions())
def test_a_convolutions_cell_is_tensorflows(layer):
    import tensorflow as tf

    image, kernel, bias, stride, padding, dilation, seed = layer
    if padding == "full":
        ends = [[dilation * (k - 1)] * 2 for k in kernel.shape[:2]]
        padded = tf.pad(image, [*ends, [0, 0]])
        expected = tf.nn.conv2d(padded[None], kernel, stride, "VALID", dilations=dilation)
    else:
        expected = tf.nn.conv2d(image[None], kernel, stride, padding.upper(), dilations=dilation)
    expected = (expected + bias)[0].numpy()
    assume(np.abs(expected).max() > 1)  # else all that is left of the sums is TensorFlow's own round-off
    for row, column, number in cells(expected.shape, np.random.default_rng(seed)):
        found = conv_window(image, kernel, bias, number, row, column, stride, padding, dilation)
        assert close(found.pre_activation, expected[row, column, number], expected)
        assert np.array_equal(found.patch * found.kernel, found.products)
        assert np.allclose(found.products.sum(axis=(0, 1)), found.channel_sums)
        assert np.isclose(found.channel_sums.sum() + found.bias, found.pre_activation)
        assert not found.patch[~found.inside].any(), "padding is zero"
        for (i, j), inside in np.ndenumerate(found.inside):
            at = found.rows[i], found.columns[j]
            assert inside == (0 <= at[0] < image.shape[0] and 0 <= at[1] < image.shape[1])
            assert not inside or np.array_equal(found.patch[i, j], image[at])


@settings(deadline=None, max_examples=100)
@given(convolutions())
def test_a_dilated_kernel_is_a_larger_one_with_zeros_between(layer):
    """The same cell from a kernel spread out: not TensorFlow's dilation, which few use with a stride."""
    import tensorflow as tf

    image, kernel, bias, stride, padding, dilation, seed = layer
    spread = np.zeros((*(dilation * (k - 1) + 1 for k in kernel.shape[:2]), *kernel.shape[2:]), np.float32)
    spread[::dilation, ::dilation] = kernel
    if padding == "full":
        ends = [[k - 1, k - 1] for k in spread.shape[:2]]
        image_padded, scheme = np.pad(image, [*ends, [0, 0]]), "VALID"
    else:
        image_padded, scheme = image, padding.upper()
    expected = (tf.nn.conv2d(image_padded[None], spread, stride, scheme) + bias)[0].numpy()
    assume(np.abs(expected).max() > 1)
    for row, column, number in cells(expected.shape, np.random.default_rng(seed), 3):
        found = conv_window(image, kernel, bias, number, row, column, stride, padding, dilation)
        assert close(found.pre_activation, expected[row, column, number], expected)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(["max", "average"]), st.sampled_from(["valid", "same"]), st.integers(1, 3), st.integers(1, 4),
       st.integers(0, 8), st.integers(0, 8), st.integers(1, 3), places)  # fmt: skip
def test_a_pooled_cell_is_tensorflows(mode, padding, stride, side, extra_rows, extra_columns, channels, seed):
    import tensorflow as tf

    smallest = side if padding == "valid" else 1
    rng = np.random.default_rng(seed)
    # All below zero, so that a padding of zeros that took part would win, and would lift the mean.
    image = -rng.random((smallest + extra_rows, smallest + extra_columns, channels), np.float32) - 0.1
    pool = tf.nn.max_pool2d if mode == "max" else tf.nn.avg_pool2d
    expected = pool(image[None], side, stride, padding.upper())[0].numpy()
    for row, column, channel in cells(expected.shape, rng):
        found = pool_window(image, side, mode, channel, row, column, stride, padding)
        assert close(found.output, expected[row, column, channel], expected)
        assert found.count == found.inside.sum() > 0
        if mode == "max":
            i, j = found.winner
            assert found.inside[i, j]
            assert image[found.rows[i], found.columns[j], channel] == found.output
        else:
            assert found.winner is None


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.integers(1, 20), places)
def test_a_units_sum_is_tensorflows(count, units, seed):
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    inputs, kernel, bias = (rng.normal(size=size).astype(np.float32) for size in (count, (count, units), units))
    expected = (tf.linalg.matvec(kernel, inputs, transpose_a=True) + bias).numpy()
    for (unit,) in cells((units,), rng):
        found = dense_terms(inputs, kernel, bias, unit)
        assert close(found.pre_activation, expected[unit], np.append(expected, 1))
        assert np.isclose(found.contributions.sum() + found.bias, found.pre_activation)
        assert sorted(found.order) == list(range(count))
        assert (np.diff(np.abs(found.contributions[found.order])) <= 0).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 20), st.sampled_from([1, 10, 1000]), places)
def test_probabilities_are_tensorflows(count, scale, seed):
    import tensorflow as tf

    logits = (np.random.default_rng(seed).normal(size=count) * scale).astype(np.float32)
    found = softmax_terms(logits)
    assert np.abs(found.probabilities - tf.nn.softmax(logits).numpy()).max() <= 1e-5
    assert found.exponentials.max() == 1, "the largest logit's, so that none overflows"
    assert np.isclose(found.exponentials.sum(), found.total)


@cache
def traced(name):
    """A preset at work on noise, which is nowhere zero."""
    from cnnviz.trace.tracer import trace

    image = np.random.default_rng(7).random(PRESETS[name].input_shape, np.float32)
    return assemble(PRESETS[name], load_weights(PRESETS[name]), image, trace(shipped(PRESETS[name]), image[None])[0])


@pytest.mark.parametrize(("name", "number"), [
    pytest.param(name, number, id=f"{name}-{layer.name}")
    for name, network in PRESETS.items() for number, layer in enumerate(network.layers)
])  # fmt: skip
def test_every_layer_of_every_preset_is_tensorflows(name, number):
    record = traced(name).layers[number]
    layer, sums, output = record.layer, record.pre_activation, record.output
    for place in cells(output.shape, np.random.default_rng(number), 100):
        match layer.kind:
            case "conv":
                row, column, filter = place
                found = conv_window(
                    record.input, record.kernel, record.bias, filter, row, column, layer.stride, layer.padding
                ).pre_activation
            case "pool":
                row, column, filter = place
                found = pool_window(
                    record.input, layer.window, layer.mode, filter, row, column, layer.stride, layer.padding
                ).output
            case "flatten":
                found = record.input[flatten_place(record.input.shape, *place)]
            case "dense":
                found = dense_terms(record.input, record.kernel, record.bias, *place).pre_activation
            case "softmax":
                assert close(softmax_terms(record.input).probabilities[place], output[place], output)
                continue
        assert close(found, sums[place], sums)
        assert close(ACTIVATIONS[layer.activation](found), output[place], output)


@given(st.tuples(*[st.integers(1, 6)] * 3))
def test_flattening_goes_there_and_back(shape):
    row_of_all = np.arange(np.prod(shape)).reshape(shape)
    for place, index in np.ndenumerate(row_of_all):
        assert flatten_place(shape, index) == place
        assert flatten_index(shape, *place) == index


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 30),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.sampled_from(["valid", "same", "full"]),
                       st.integers(1, 2)), max_size=4),
    places,
)  # fmt: skip
def test_a_field_is_what_changes_the_cell(size, stack, seed):
    """Send every input cell on its own through sums of ones: the field is those that reach the output."""
    layers, reached = [], np.eye(size)  # (input cell, cell of the layer)
    for k, s, padding, d in stack:
        n = reached.shape[1]
        if padding == "valid" and d * (k - 1) + 1 > n:
            continue
        layers.append((n, k, s, padding, d))
        total = total_padding(n, k, s, padding, d)
        padded = np.pad(reached, ((0, 0), (total // 2, total - total // 2)))
        reached = np.stack([padded[:, start : start + d * (k - 1) + 1 : d].sum(axis=1)
                            for start in range(0, s * output_size(n, k, s, padding, d), s)], axis=1)  # fmt: skip
    for (index,) in cells(reached.shape[1:], np.random.default_rng(seed), 3):
        assert field(layers, index).tolist() == np.nonzero(reached[:, index])[0].tolist()


@pytest.mark.parametrize("name", PRESETS)
def test_a_cell_changes_with_its_field_and_with_nothing_else(name):
    """Through TensorFlow: new noise outside of the field leaves a cell as it is, new noise inside changes it."""
    from cnnviz.trace.tracer import trace

    network, rng = PRESETS[name], np.random.default_rng(8)
    image = traced(name).image
    shape, axes = network.input_shape, ([], [])
    for number, layer in enumerate(network.layers):
        if layer.kind not in MAPS:
            break
        for n, layers in zip(shape, axes, strict=False):
            layers.append((n, *window(layer), layer.padding, 1))
        shape = network.shapes()[number]
        for row, column, filter in cells(shape, rng, 2):
            seen = np.zeros(image.shape, bool)
            seen[np.ix_(field(axes[0], row), field(axes[1], column))] = True
            other = rng.random(image.shape, np.float32)
            changed = np.stack([np.where(seen, image, other), np.where(seen, other, image)])
            both = trace(shipped(network), changed)
            outside, inside = (assemble(network, {}, image, values) for values in both)
            before = traced(name).layers[number].pre_activation
            assert np.isclose(outside.layers[number].pre_activation[row, column, filter], before[row, column, filter],
                              atol=1e-5 * np.abs(before).max(), rtol=0)  # fmt: skip
            assert (inside.layers[number].pre_activation[row, column] != before[row, column]).any()


IMAGE, KERNEL, BIAS = np.zeros((6, 5, 2)), np.zeros((3, 3, 2, 4)), np.zeros(4)


@pytest.mark.parametrize(("call", "sentence"), [
    (lambda: conv_window(IMAGE, KERNEL, BIAS, 0, 4, 0), "There is no row 4: choose one from 0 to 3."),
    (lambda: conv_window(IMAGE, KERNEL, BIAS, 0, 0, 3), "There is no column 3: choose one from 0 to 2."),
    (lambda: conv_window(IMAGE, KERNEL, BIAS, 4, 0, 0), "There is no filter 4: choose one from 0 to 3."),
    (lambda: conv_window(IMAGE, KERNEL, BIAS, 0, -1, 0), "There is no row -1: choose one from 0 to 3."),
    (lambda: pool_window(IMAGE, 2, "max", 2, 0, 0, 2), "There is no filter 2: choose one from 0 to 1."),
    (lambda: pool_window(IMAGE, 2, "average", 0, 0, 2, 2), "There is no column 2: choose one from 0 to 1."),
    (lambda: dense_terms(np.zeros(3), np.zeros((3, 5)), np.zeros(5), 5), "There is no unit 5: choose one from 0 to 4."),
    (lambda: flatten_place((2, 3, 4), 24), "There is no index 24: choose one from 0 to 23."),
    (lambda: flatten_index((2, 3, 4), 0, 3, 0), "There is no column 3: choose one from 0 to 2."),
    (lambda: field([(6, 3, 1, "valid", 1)], 4), "There is no row or column 4: choose one from 0 to 3."),
])  # fmt: skip
def test_cells_that_are_not_there_are_refused_with_those_that_are(call, sentence):
    with pytest.raises(IndexError) as refused:
        call()
    assert str(refused.value) == sentence


def test_layers_that_can_not_be_are_refused():
    with pytest.raises(ValueError, match="choose a kernel of at most 2"):
        conv_window(IMAGE, KERNEL, BIAS, 0, 0, 0, dilation=4)
    with pytest.raises(ValueError, match="for 2 channels, and the input has 1"):
        conv_window(IMAGE[..., :1], KERNEL, BIAS, 0, 0, 0)
    with pytest.raises(ValueError, match="not 'min'"):
        pool_window(IMAGE, 2, "min", 0, 0, 0, 2)
