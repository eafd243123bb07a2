"""Layers in words and formulas, for headings and tables."""

from __future__ import annotations

from cnnviz.arithmetic import receptive_field, total_padding
from cnnviz.nets.layers import Layer, Network, Shape

FUNCTIONS = {"relu": "ReLU", "tanh": "tanh", "sigmoid": "sigmoid", "linear": ""}


def note(layer: Layer) -> str:
    """The layer in a few words, as a column's heading has room for."""
    match layer.kind:
        case "conv":
            how = f"stride {layer.stride}" if layer.stride > 1 else layer.padding  # `about` says both
            return f"{layer.kernel}×{layer.kernel} {how}, {FUNCTIONS[layer.activation]}"
        case "pool":
            return f"{layer.mode} {layer.window}×{layer.window}"
        case "dense":
            return FUNCTIONS[layer.activation] or "weighted sums"
        case "softmax":
            return "probabilities"
    return "one row"


def about(layer: Layer, shape: Shape, parameters: int) -> str:
    """A sentence on what the layer does to an input of this shape."""
    match layer.kind:
        case "conv":
            return (f"Each filter slides over {f'all {shape[-1]} input maps' if shape[-1] > 1 else 'the input map'}, "
                    f"stride {layer.stride}, padding {layer.padding}. {parameters:,} parameters.")  # fmt: skip
        case "pool":
            kept = "largest" if layer.mode == "max" else "mean"
            return f"Keeps the {kept} of each {layer.window}×{layer.window} window."
        case "flatten":
            return "The maps in one row: by row, then column, then map."
        case "dense":
            return f"Each unit weighs all {shape[-1]} inputs and adds a bias. {parameters:,} parameters."
    return "exp of each logit, divided by their sum: ten numbers that add up to 1."


def window(layer: Layer) -> tuple[int, int] | None:
    """(size, stride) of what the layer slides over its input; None where it slides nothing."""
    match layer.kind:
        case "conv":
            return layer.kernel, layer.stride
        case "pool":
            return layer.window, layer.stride
    return None


def parameters_formula(layer: Layer, shape: Shape) -> str:
    """How the number of parameters comes about, with this layer's numbers; empty where it has none."""
    match layer.kind:
        case "conv":
            return f"({layer.kernel}·{layer.kernel}·{shape[-1]} + 1)·{layer.filters}"
        case "dense":
            return f"({shape[-1]} + 1)·{layer.units}"
    return ""


def size_formula(layer: Layer, shape: Shape, output_shape: Shape) -> str:
    """How the height of the output comes about: ⌊(n + p − d(k − 1) − 1)/s⌋ + 1; empty where nothing slides.

    The layers of the presets have dilation 1.
    """
    if not (slides := window(layer)):
        return ""
    k, s = slides
    p = total_padding(shape[0], k, s, layer.padding)
    return f"⌊({shape[0]} + {p} − 1·({k} − 1) − 1)/{s}⌋ + 1 = {output_shape[0]}"


def table(network: Network) -> list[dict[str, object]]:
    """One row a layer: its name, what it does, its output's size, its parameters and what it sees of the image."""
    rows, windows, field, shape = [], [], 1, network.input_shape
    for layer, output_shape, count in zip(network.layers, network.shapes(), network.parameters(), strict=True):
        if slides := window(layer):
            windows.append(slides)
            field = min(receptive_field(windows)[0], network.input_shape[0])
        elif layer.kind != "flatten":  # every unit sees all there is
            field = network.input_shape[0]
        rows.append({
            "Layer": layer.name,
            "What": f"{layer.kind} {note(layer)}",
            "Output": "×".join(map(str, output_shape)),
            "Height": size_formula(layer, shape, output_shape),
            "Parameters": count,
            "Formula": parameters_formula(layer, shape),
            "Sees": f"{field}×{field}",
        })  # fmt: skip
        shape = output_shape
    return rows
