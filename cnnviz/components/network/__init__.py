"""The network view: every layer from input to softmax, every map of every layer."""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple

from cnnviz.components.files import register
from cnnviz.components.layers import layer_table, trace_arrays
from cnnviz.components.packing import pack
from cnnviz.nets.layers import Network
from cnnviz.nets.weights import Model
from cnnviz.trace import Trace

_mount = register("network", "elements", "unpack", "colours", "numbers", "maps", "network/sheet", apart=True)


class Clicked(NamedTuple):
    """What was clicked in the network view: a map to see it large, or a cell (or None) to step through it now."""

    chosen: tuple[str, int] | None
    step: dict[str, str] | None


class Learned(NamedTuple):
    """Kernels and biases of a network's convolutions, which the browser keeps: a name for them, and what is to be sent
    by `deliver(network=learned.data)`."""

    name: str
    data: bytes | None


def learned(model: Model) -> Learned:
    """What the browser is to keep of a network. Raises WeightsError: its weights can't be read."""
    weights = model.weights()
    arrays = {f"{layer.name}/{part}": array for layer in model.network.layers if layer.kind == "conv"
              for part, array in zip(("kernel", "bias"), weights[layer.name], strict=True)}  # fmt: skip
    name = hashlib.blake2b(b"".join(array.tobytes() for array in arrays.values()), digest_size=8).hexdigest()
    return Learned(name, pack({"name": name}, arrays))


def network(key: str, trace: Trace, hint: str, chosen: tuple[str, int], kept: str = "") -> Clicked:
    """Show a trace.

    Args:
        key: of the component.
        trace: what is shown.
        hint: a sentence above the maps.
        chosen: layer name and filter that are shown large when the view appears.
        kept: the name of the kernels that the page has delivered. Without one they are sent with the trace.

    Returns:
        The map that was clicked last, and the place that somebody just now asked to step through.
    """
    layer, filter = chosen
    header = {
        "model": trace.network.name,
        "layers": layer_table(trace.network),
        "hint": hint,
        "chosen": {"layer": layer, "filter": filter},
        "kept": kept,
    }
    data = pack(header, trace_arrays(trace, [] if kept else ["conv"]))
    clicked = _mount(key=key, data=data, on_chosen_change=lambda: None, on_step_change=lambda: None)
    return Clicked(as_choice(trace.network, clicked.chosen), as_place(trace.network, clicked.step))


def as_choice(network: Network, message: Any) -> tuple[str, int] | None:
    """The layer and filter that a message from outside names; None where the network has no such map."""
    try:
        layer, filter = str(message["layer"]), int(message["filter"])
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    shapes = {"input": network.input_shape}
    shapes |= {layer.name: shape for layer, shape in zip(network.layers, network.shapes(), strict=True)}
    return (layer, filter) if 0 <= filter < shapes.get(layer, (0,))[-1] else None


def as_place(network: Network, message: Any) -> dict[str, str] | None:
    """The layer, filter and cell that a message asks to step through, as query parameters; None if there is none."""
    chosen = as_choice(network, message)
    if not chosen or chosen[0] == "input":
        return None
    place, cell = {"layer": chosen[0], "filter": str(chosen[1])}, message.get("cell")
    is_cell = isinstance(cell, str) and re.fullmatch("[0-9]{1,4}(,[0-9]{1,4})?", cell)
    return {**place, "cell": cell} if is_cell else place
