"""A preset as a Keras model. Imports Keras: never used by the web process."""

from __future__ import annotations

import random
from collections.abc import Iterator

import keras

from cnnviz.nets.layers import Conv, Dense, Flatten, Layer, Network, Pool, Softmax
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import Weights, load_weights

POOLING = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}


INITIALIZERS = {
    "glorot_uniform": keras.initializers.GlorotUniform,
    "he_normal": keras.initializers.HeNormal,
    "random_normal": keras.initializers.RandomNormal,
}
SEEDS = 1_000_000_000
"""Seeds of layers go from 1 to this."""


def keras_layers(layer: Layer, initializer: str, draw: random.Random) -> Iterator[keras.layers.Layer]:
    """The Keras layer that a row of the table stands for, of the same name, and its dropout, if it has any."""
    # A new object for each layer: one that is used twice gives the same numbers twice. And a seed for each, drawn as
    # Keras would, but not from Python's global generator, which other threads draw from too (Dask's).
    first = INITIALIZERS[initializer](seed=draw.randint(1, SEEDS))
    start = {"kernel_initializer": first, "activation": layer.activation, "name": layer.name}
    match layer:
        case Conv():
            yield keras.layers.Conv2D(layer.filters, layer.kernel, layer.stride, layer.padding, **start)
        case Pool():
            yield POOLING[layer.mode](pool_size=layer.window, padding=layer.padding, name=layer.name)
        case Flatten():
            yield keras.layers.Flatten(name=layer.name)
        case Dense():
            # The logits stay in 32 bits where the rest is trained with 16: a softmax of 16 bits overflows.
            yield keras.layers.Dense(layer.units, dtype="float32" if layer.name == "logits" else None, **start)
        case Softmax():
            yield keras.layers.Softmax(name=layer.name, dtype="float32")
    if getattr(layer, "dropout", 0):
        yield keras.layers.Dropout(layer.dropout, name=f"{layer.name}_dropout", seed=draw.randint(1, SEEDS))


def build(network: Network, initializer: str = "glorot_uniform", seed: int | None = None) -> keras.Model:
    """An untrained model: (batch, *input_shape) float32 in [0, 1] to (batch, classes) probabilities.

    Args:
        seed: decides its first weights, and what its dropout drops.
    """
    draw = random.Random(seed)
    layers = (made for layer in network.layers for made in keras_layers(layer, initializer, draw))
    return keras.Sequential([keras.Input(network.input_shape), *layers], name=network.name)


def weights_of(model: keras.Model) -> Weights:
    """Every layer's kernel and bias, float32."""
    return {layer.name: tuple(keras.ops.convert_to_numpy(part) for part in layer.weights)
            for layer in model.layers if layer.trainable_variables}  # fmt: skip


def set_weights(model: keras.Model, weights: Weights) -> None:
    """Give every layer its kernel and bias."""
    for layer, arrays in weights.items():
        model.get_layer(layer).set_weights(arrays)


def load_model(name: str) -> keras.Model:
    """A preset with its shipped weights."""
    network = PRESETS[name]
    model = build(network)
    set_weights(model, load_weights(network))
    return model
