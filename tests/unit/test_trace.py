"""A trace is TensorFlow's own numbers, named."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cnnviz.components.layers import layer_table, trace_arrays
from cnnviz.components.network import as_choice, as_place
from cnnviz.components.packing import pack
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import load_weights, shipped
from cnnviz.trace import assemble
from cnnviz.trace.tracer import trace

each_preset = pytest.mark.parametrize("network", PRESETS.values(), ids=PRESETS)


def images_for(network):
    return np.random.default_rng(5).random((3, *network.input_shape), np.float32)


def traced(network):
    images = images_for(network)
    return assemble(network, load_weights(network), images[0], trace(shipped(network), images)[0])


@each_preset
def test_the_last_layer_is_what_keras_predicts(network):
    from cnnviz.nets.build import load_model

    images = images_for(network)
    expected = load_model(network.name).predict(images, verbose=0)
    for image, values, probabilities in zip(images, trace(shipped(network), images), expected, strict=True):
        found = assemble(network, load_weights(network), image, values)
        assert np.abs(found.probabilities - probabilities).max() < 1e-6
        assert found.label == network.classes[probabilities.argmax()]


@each_preset
def test_every_layer_is_what_keras_computes_from_its_input(network):
    from cnnviz.nets.build import load_model

    model = load_model(network.name)
    for record in traced(network).layers:
        output = np.asarray(model.get_layer(record.layer.name)(record.input[None]))[0]
        assert np.abs(output - record.output).max() <= 1e-5 * max(np.abs(output).max(), 1)


@each_preset
def test_a_pre_activation_is_the_sum_before_the_function(network):
    functions = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "linear": lambda x: x}
    for record in traced(network).layers:
        if record.layer.kind == "softmax":
            assert record.pre_activation is record.input
            continue
        expected = functions[record.layer.activation](record.pre_activation)
        assert np.abs(expected - record.output).max() < 1e-6
        if record.layer.kind == "dense":
            assert np.abs(record.input @ record.kernel + record.bias - record.pre_activation).max() < 1e-4


def test_each_layer_is_given_what_the_one_before_puts_out():
    layers = traced(PRESETS["lenet5"]).layers
    assert np.array_equal(layers[0].input, images_for(PRESETS["lenet5"])[0])
    for before, after in zip(layers, layers[1:], strict=False):
        assert after.input is before.output


def test_numbers_of_another_network_are_refused():
    network = PRESETS["lenet5"]
    with pytest.raises(ValueError, match="lenet5 has"):
        assemble(network, load_weights(network), images_for(network)[0], np.zeros(20_000, np.float32))


def test_packed_arrays_can_be_read_back():
    arrays = {"a": np.arange(5, dtype=np.uint8), "b/c": np.float32([[1.5, -2], [0.1, 3]])}
    packed = pack({"title": "ä"}, arrays)
    length = int.from_bytes(packed[:4], "little")
    header = json.loads(packed[4 : 4 + length])
    assert header["title"] == "ä"
    for name, array in arrays.items():
        entry = header["arrays"][name]
        start = 4 + length + entry["offset"]
        assert start % 4 == 0
        found = np.frombuffer(packed, entry["type"], array.size, start).reshape(entry["shape"])
        assert np.array_equal(found, array)
    with pytest.raises(KeyError):
        pack({}, {"wide": np.zeros(2)})


def test_the_browser_hears_of_every_layer():
    names = [row["name"] for row in layer_table(PRESETS["lenet5"])]
    assert names == ["input", "conv1", "pool1", "conv2", "pool2", "flatten", "dense1", "dense2", "logits", "softmax"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [({"layer": "conv2", "filter": "15"}, ("conv2", 15)), ({"layer": "conv2", "filter": 16}, None),
     ({"layer": "conv2", "filter": -1}, None), ({"layer": "<b>", "filter": 0}, None), ({}, None), (None, None),
     ({"layer": "conv1", "filter": "../x"}, None), ({"layer": "conv1", "filter": float("inf")}, None),
     ({"layer": "input", "filter": 0}, ("input", 0)), ("conv1", None)],
)  # fmt: skip
def test_only_maps_that_there_are_can_be_chosen(message, expected):
    assert as_choice(PRESETS["lenet5"], message) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [({"layer": "conv2", "filter": 3, "cell": "4,5"}, {"layer": "conv2", "filter": "3", "cell": "4,5"}),
     ({"layer": "conv2", "filter": 16, "cell": "4,5"}, None), ({"layer": "input", "filter": 0, "cell": ""}, None),
     (None, None), ("x", None)],
)  # fmt: skip
def test_only_maps_that_there_are_can_be_stepped_through(message, expected):
    assert as_place(PRESETS["lenet5"], message) == expected


def test_the_stepper_is_sent_every_number_of_the_trace():
    found = traced(PRESETS["lenet5"])
    arrays = trace_arrays(found, ["conv", "dense"])
    assert arrays["input/output"] is found.image
    for record in found.layers:
        if record.layer.activation == "relu":  # which the browser makes of its sums
            assert f"{record.layer.name}/output" not in arrays
            assert np.array_equal(record.output, np.maximum(record.pre_activation, 0))
        else:
            assert arrays[f"{record.layer.name}/output"] is record.output
        assert arrays.get(f"{record.layer.name}/kernel") is record.kernel
        assert arrays.get(f"{record.layer.name}/bias") is record.bias
        if record.layer.activation != "linear":
            assert arrays[f"{record.layer.name}/pre_activation"] is record.pre_activation


@pytest.mark.parametrize("odd", [np.nan, 0.5])
def test_a_relus_output_that_is_not_what_its_sums_make_is_sent(odd):
    found = traced(PRESETS["lenet5"])
    first = found.layers[0]
    output = first.output.copy()
    output[0, 0, 0] = odd
    arrays = trace_arrays(replace(found, layers=(replace(first, output=output), *found.layers[1:])), [])
    assert arrays["conv1/output"] is output
    assert "conv2/output" not in arrays
