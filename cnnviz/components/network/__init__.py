"""The network view: every layer from input to softmax, every map of every layer."""

from __future__ import annotations

from typing import Any

from cnnviz.components.files import register
from cnnviz.components.packing import pack
from cnnviz.nets.presets import Layer, Network, Shape
from cnnviz.trace import Trace

_mount = register("network", "unpack", "colours")

FUNCTIONS = {"relu": "ReLU", "tanh": "tanh", "linear": ""}


def network(key: str, trace: Trace, note: str, chosen: tuple[str, int]) -> tuple[str, int] | None:
    """Show a trace.

    Args:
        key: of the component.
        trace: what is shown.
        note: a sentence above the maps.
        chosen: layer name and filter that are shown large when the view appears.

    Returns:
        The layer name and filter that were clicked last; None while none was.
    """
    arrays = {"input/output": trace.image}
    for record in trace.layers:
        name = record.layer.name
        arrays[f"{name}/output"] = record.output
        if record.layer.activation != "linear":
            arrays[f"{name}/pre_activation"] = record.pre_activation
        if record.layer.kind == "conv":
            arrays[f"{name}/kernel"], arrays[f"{name}/bias"] = record.kernel, record.bias
    layer, filter = chosen
    header = {
        "model": trace.network.name,
        "layers": layer_table(trace.network),
        "note": note,
        "chosen": {"layer": layer, "filter": filter},
    }
    clicked = _mount(key=key, data=pack(header, arrays), on_chosen_change=lambda: None).chosen
    return as_choice(trace.network, clicked) if clicked else None


def as_choice(network: Network, message: Any) -> tuple[str, int] | None:
    """The layer and filter that a message from outside names; None where the network has no such map."""
    try:
        layer, filter = str(message["layer"]), int(message["filter"])
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    shapes = {"input": network.input_shape}
    shapes |= {layer.name: shape for layer, shape in zip(network.layers, network.shapes(), strict=True)}
    return (layer, filter) if 0 <= filter < shapes.get(layer, (0,))[-1] else None


def layer_table(network: Network) -> list[dict[str, Any]]:
    """What the browser needs to know of each layer, the input first."""
    shape = network.input_shape
    rows = [{"name": "input", "kind": "input", "shape": shape, "activation": "linear", "function": "", "note": "image",
             "about": "What the network is given: ink is 1, paper is 0.", "labels": None, "from": None}]  # fmt: skip
    for layer, output_shape, parameters in zip(network.layers, network.shapes(), network.parameters(), strict=True):
        rows.append({
            "name": layer.name,
            "kind": layer.kind,
            "shape": output_shape,
            "activation": layer.activation,
            "function": FUNCTIONS[layer.activation],
            "note": note_of(layer),
            "about": about(layer, shape, parameters),
            "labels": network.classes if output_shape == (len(network.classes),) else None,
            "from": shape if layer.kind == "flatten" else None,
        })  # fmt: skip
        shape = output_shape
    return rows


def note_of(layer: Layer) -> str:
    """The layer in a few words, as a column's heading has room for."""
    match layer.kind:
        case "conv":
            return f"{layer.kernel}×{layer.kernel} {layer.padding}, {FUNCTIONS[layer.activation]}"
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
            return (f"Each filter slides over all {shape[-1]} input map{'s' * (shape[-1] > 1)}, "
                    f"stride {layer.stride}, padding {layer.padding}. {parameters:,} parameters.")  # fmt: skip
        case "pool":
            return f"Keeps the {'largest' if layer.mode == 'max' else 'mean'} of each {layer.window}×{layer.window} window."
        case "flatten":
            return "The maps in one row: by row, then column, then map."
        case "dense":
            return f"Each unit weighs all {shape[-1]} inputs and adds a bias. {parameters:,} parameters."
    return "exp of each logit, divided by their sum: ten numbers that add up to 1."
