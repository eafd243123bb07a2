"""A network with random weights at work on a random picture: everything to look at, and no training."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnviz.arithmetic import total_padding
from cnnviz.arithmetic.windows import ACTIVATIONS
from cnnviz.nets.layers import Network
from cnnviz.nets.weights import Weights
from cnnviz.trace import Trace, assemble


def random_weights(network: Network, rng: np.random.Generator) -> Weights:
    weights, shape = {}, network.input_shape
    for layer, output_shape in zip(network.layers, network.shapes(), strict=True):
        if layer.kind in ("conv", "dense"):
            sides = (layer.kernel, layer.kernel) if layer.kind == "conv" else ()
            kernel = rng.normal(0, (2 / np.prod([*sides, shape[-1]])) ** 0.5, (*sides, shape[-1], output_shape[-1]))
            weights[layer.name] = (kernel.astype(np.float32), rng.normal(0, 0.1, output_shape[-1]).astype(np.float32))
        shape = output_shape
    return weights


def windows(x: np.ndarray, k: int, stride: int, padding: str) -> np.ndarray:
    """(rows, columns, channels, k, k)"""
    pads = [total_padding(n, k, stride, padding) for n in x.shape[:2]]
    padded = np.pad(x, [*((pad // 2, pad - pad // 2) for pad in pads), (0, 0)])
    return sliding_window_view(padded, (k, k), axis=(0, 1))[::stride, ::stride]


def random_trace(network: Network, seed: int = 1) -> Trace:
    rng = np.random.default_rng(seed)
    weights, values = random_weights(network, rng), []
    image = given = rng.random(network.input_shape, np.float32)
    for layer in network.layers:
        if layer.kind == "conv":
            kernel, bias = weights[layer.name]
            given = np.einsum("rcmij,ijmf->rcf", windows(given, layer.kernel, layer.stride, layer.padding), kernel,
                              optimize=True) + bias  # fmt: skip
        elif layer.kind == "pool":
            reduce = {"max": np.max, "average": np.mean}[layer.mode]
            given = reduce(windows(given, layer.window, layer.stride, "valid"), axis=(3, 4))
        elif layer.kind == "flatten":
            given = given.ravel()
        elif layer.kind == "dense":
            kernel, bias = weights[layer.name]
            given = given @ kernel + bias
        else:
            given = np.exp(given - given.max()) / np.exp(given - given.max()).sum()
        if layer.activation != "linear":
            values.append(given.ravel())
            given = ACTIVATIONS[layer.activation](given)
        values.append(given.ravel())
    return assemble(network, weights, image, np.concatenate(values).astype(np.float32))
