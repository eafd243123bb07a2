"""The tracer's side: forward passes that keep every layer's numbers. Runs in a worker, never in the web process."""

from __future__ import annotations

import gc
from contextlib import suppress
from functools import lru_cache

import numpy as np

from cnnviz.nets.layers import Layer, Network, Shape
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.quiet import import_keras
from cnnviz.nets.weights import Model, WeightsError, shipped
from cnnviz.trace.records import parts

FIRST = ("lenet5", "lenet5-1998", "tf-tutorial")


class Compiled:
    """A network's compiled forward pass, and the weights that are in it now."""

    def __init__(self, network: Network) -> None:
        keras = import_keras()
        import tensorflow as tf

        from cnnviz.nets.build import build

        tf.get_logger().setLevel("ERROR")  # it warns of many compilations, and there are many networks

        self.model, self.weights = build(network), None
        keep = {(layer.name, part) for layer, part, _ in parts(network)}

        # Nothing here for AutoGraph to convert: the loop is over layers.
        @tf.function(input_signature=[tf.TensorSpec((None, *network.input_shape), tf.float32)], autograph=False)
        def every_layer(images):
            values, given = [], images
            for layer in network.layers:
                keras_layer = self.model.get_layer(layer.name)
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

        self.every_layer = every_layer
        every_layer(np.zeros((1, *network.input_shape), np.float32))

    def load(self, model: Model) -> None:
        """Take a model's weights, unless they are in already."""
        from cnnviz.nets.build import set_weights

        if self.weights != model:
            set_weights(self.model, model.weights())
            self.weights = model


@lru_cache(maxsize=32)
def compiled(input_shape: Shape, layers: tuple[Layer, ...]) -> Compiled:
    """Networks of the same layers share one."""
    return Compiled(Network("traced", "", "", "", input_shape, (), layers))


def trace(model: Model, images: np.ndarray) -> np.ndarray:
    """Every layer's numbers for a batch of images.

    Args:
        images: float32 (batch, height, width, channels) in [0, 1].

    Returns:
        float32 (batch, n), in the order of `cnnviz.trace.records.parts`.

    Raises:
        WeightsError: the weights can't be read.
    """
    ready = compiled(model.network.input_shape, model.network.layers)
    ready.load(model)
    return ready.every_layer(images).numpy()


def warm_up() -> None:
    """Import TensorFlow and compile some presets before anybody asks; the others take half a second when they are."""
    for name in FIRST:
        network = PRESETS[name]
        with suppress(WeightsError):  # who asks for that network is told
            compiled(network.input_shape, network.layers).load(shipped(network))
    # loky collects garbage once a second: half a second over TensorFlow's objects, unless they are set aside.
    gc.collect()
    gc.freeze()
