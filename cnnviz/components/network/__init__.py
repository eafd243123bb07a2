"""The network view: every layer from input to softmax, every map of every layer."""

from __future__ import annotations

from typing import Any

from cnnviz.components.files import register
from cnnviz.components.packing import pack
from cnnviz.nets.describe import FUNCTIONS, about, note
from cnnviz.nets.presets import Network
from cnnviz.trace import Trace

_mount = register("network", "unpack", "colours")


def network(key: str, trace: Trace, hint: str, chosen: tuple[str, int]) -> tuple[str, int] | None:
    """Show a trace.

    Args:
        key: of the component.
        trace: what is shown.
        hint: a sentence above the maps.
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
        "hint": hint,
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
            "note": note(layer),
            "about": about(layer, shape, parameters),
            "labels": network.classes if output_shape == (len(network.classes),) else None,
            "from": shape if layer.kind == "flatten" else None,
        })  # fmt: skip
        shape = output_shape
    return rows
