"""What the browser is told of a network and of what an image does in it."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

import numpy as np

from cnnviz.nets.describe import FUNCTIONS, about, note, parameters_formula, window
from cnnviz.nets.layers import Network
from cnnviz.trace import Trace


@lru_cache(maxsize=64)
def layer_table(network: Network) -> list[dict[str, Any]]:
    """What the browser needs to know of each layer, the input first."""
    shape = network.input_shape
    rows = [{"name": "input", "kind": "input", "shape": shape, "activation": "linear", "function": "", "note": "image",
             "about": "What the network is given: ink is 1, paper is 0.", "labels": None, "from": None}]  # fmt: skip
    for layer, output_shape, parameters in zip(network.layers, network.shapes(), network.parameters(), strict=True):
        slides = window(layer)
        rows.append({
            "name": layer.name,
            "kind": layer.kind,
            "shape": output_shape,
            "activation": layer.activation,
            "function": FUNCTIONS[layer.activation],
            "note": note(layer),
            "about": about(layer, shape, parameters),
            "labels": network.classes if output_shape == (len(network.classes),) else None,
            "from": shape if layer.kind == "flatten" else None,
            "window": slides and {"size": slides[0], "stride": slides[1], "padding": layer.padding},
            "mode": layer.mode if layer.kind == "pool" else None,
            "parameters": parameters,
            "parameters_formula": parameters_formula(layer, shape),
        })  # fmt: skip
        shape = output_shape
    return rows


def trace_arrays(trace: Trace, weights_of: Collection[str]) -> dict[str, np.ndarray]:
    """Every layer's numbers as `LAYER/output`, `/pre_activation` (where it is another), `/kernel` and `/bias`.

    A ReLU's output that equals its sums with nothing below 0 is left out, a third of all: `withOutputs` in unpack.js
    puts it in again.

    Args:
        weights_of: the kinds of layer whose kernel and bias are wanted.
    """
    arrays = {"input/output": trace.image}
    for record in trace.layers:
        name, activation = record.layer.name, record.layer.activation
        if activation != "linear":
            arrays[f"{name}/pre_activation"] = record.pre_activation
        if activation != "relu" or not np.array_equal(record.output, np.maximum(record.pre_activation, 0)):
            arrays[f"{name}/output"] = record.output
        if record.layer.kind in weights_of:
            arrays[f"{name}/kernel"], arrays[f"{name}/bias"] = record.kernel, record.bias
    return arrays
