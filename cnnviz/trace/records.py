"""Trace: the records that the pages read. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from cnnviz.nets.layers import Layer, Network
from cnnviz.nets.weights import Weights


@dataclass(frozen=True)
class LayerTrace:
    """One layer at work on one image. Arrays are float32, without a batch axis, channels last.

    Attributes:
        layer: the row of the preset's table, with the layer's name, kind and configuration.
        input: what the layer was given.
        kernel: its weights, None where it has none. Convolution (k, k, channels, filters), dense (inputs, units).
        bias: (filters,) or (units,); None where it has none.
        pre_activation: the weighted sums. The output itself where the layer has no activation function;
            a softmax layer's are the logits that it is given.
        output: what the next layer is given.
    """

    layer: Layer
    input: np.ndarray
    kernel: np.ndarray | None
    bias: np.ndarray | None
    pre_activation: np.ndarray
    output: np.ndarray


@dataclass(frozen=True)
class Trace:
    """One image's way through a network, layer by layer in network order."""

    network: Network
    image: np.ndarray
    layers: tuple[LayerTrace, ...]

    @property
    def probabilities(self) -> np.ndarray:
        """float32 (classes,)."""
        return self.layers[-1].output

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.network.classes[int(self.probabilities.argmax())]


def parts(network: Network) -> Iterator[tuple[Layer, str, tuple[int, ...]]]:
    """What the tracer sends, in order: (layer, "pre_activation" or "output", shape).

    A layer without an activation function sends its output only.
    """
    for layer, shape in zip(network.layers, network.shapes(), strict=True):
        if layer.activation != "linear":
            yield layer, "pre_activation", shape
        yield layer, "output", shape


def assemble(network: Network, weights: Weights, image: np.ndarray, values: np.ndarray) -> Trace:
    """Name the tracer's numbers.

    Args:
        image: float32 (height, width, channels) in [0, 1].
        values: float32 (n,), the arrays of `parts` one behind the other.
    """
    arrays: dict[tuple[str, str], np.ndarray] = {}
    start = 0
    for layer, part, shape in parts(network):
        count = prod(shape)
        arrays[layer.name, part] = values[start : start + count].reshape(shape)
        start += count
    if start != values.size:
        raise ValueError(f"{network.name} has {start} values, the tracer sent {values.size}")
    layers, given = [], image
    for layer in network.layers:
        kernel, bias = weights.get(layer.name, (None, None))
        output = arrays[layer.name, "output"]
        linear = given if layer.kind == "softmax" else output
        pre_activation = arrays.get((layer.name, "pre_activation"), linear)
        layers.append(LayerTrace(layer, given, kernel, bias, pre_activation, output))
        given = output
    return Trace(network, image, tuple(layers))
