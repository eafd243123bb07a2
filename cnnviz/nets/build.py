"""A preset as a Keras model. Imports Keras: never used by the web process."""

from __future__ import annotations

import keras

from cnnviz.nets.presets import PRESETS, Conv, Dense, Flatten, Layer, Network, Pool, Softmax
from cnnviz.nets.weights import load_weights

POOLING = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}


def keras_layer(layer: Layer) -> keras.layers.Layer:
    """The Keras layer that a row of the preset's table stands for, of the same name."""
    match layer:
        case Conv():
            return keras.layers.Conv2D(
                layer.filters, layer.kernel, layer.stride, layer.padding, activation=layer.activation, name=layer.name
            )
        case Pool():
            return POOLING[layer.mode](pool_size=layer.window, padding=layer.padding, name=layer.name)
        case Flatten():
            return keras.layers.Flatten(name=layer.name)
        case Dense():
            return keras.layers.Dense(layer.units, activation=layer.activation, name=layer.name)
        case Softmax():
            return keras.layers.Softmax(name=layer.name)
    raise TypeError(f"no such layer kind: {layer!r}")


def build(network: Network) -> keras.Model:
    """An untrained model: (batch, *input_shape) float32 in [0, 1] to (batch, classes) probabilities."""
    return keras.Sequential([keras.Input(network.input_shape), *map(keras_layer, network.layers)], name=network.name)


def load_model(name: str) -> keras.Model:
    """A preset with its shipped weights."""
    network = PRESETS[name]
    model = build(network)
    for layer, arrays in load_weights(network).items():
        model.get_layer(layer).set_weights(arrays)
    return model
