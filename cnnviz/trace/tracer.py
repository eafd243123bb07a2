"""The tracer's side: forward passes that keep every layer's numbers. Runs in a worker, never in the web process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache

import numpy as np

from cnnviz.nets.presets import PRESETS
from cnnviz.nets.quiet import import_keras


@cache
def compiled(name: str) -> Callable:
    """A compiled function: (batch, *input_shape) to (batch, n), the arrays of `parts` one behind the other."""
    keras = import_keras()
    import tensorflow as tf

    from cnnviz.nets.build import load_model
    from cnnviz.trace.records import parts

    network = PRESETS[name]
    model = load_model(name)
    keep = {(layer.name, part) for layer, part, _ in parts(network)}

    @tf.function(input_signature=[tf.TensorSpec((None, *network.input_shape), tf.float32)])
    def every_layer(images):
        values, given = [], images
        for layer in network.layers:
            keras_layer = model.get_layer(layer.name)
            if (layer.name, "pre_activation") in keep:
                # Keras applies the activation inside the layer; we need the sum before it as well.
                activation, keras_layer.activation = keras_layer.activation, keras.activations.linear
                pre_activation = keras_layer(given)
                keras_layer.activation = activation
                values.append(pre_activation)
                given = activation(pre_activation)
            else:
                given = keras_layer(given)
            values.append(given)
        return tf.concat([tf.reshape(value, (tf.shape(images)[0], -1)) for value in values], axis=1)

    every_layer(np.zeros((1, *network.input_shape), np.float32))
    return every_layer


def trace(name: str, images: np.ndarray) -> np.ndarray:
    """Every layer's numbers for a batch of images.

    Args:
        name: a preset's.
        images: float32 (batch, height, width, channels) in [0, 1].

    Returns:
        float32 (batch, n), in the order of `cnnviz.trace.records.parts`.
    """
    return compiled(name)(images).numpy()


def warm_up() -> None:
    """Import TensorFlow and compile every preset, before anybody asks."""
    for name in PRESETS:
        compiled(name)
    # loky collects garbage once a second: half a second over TensorFlow's objects, unless they are set aside.
    gc.collect()
    gc.freeze()
