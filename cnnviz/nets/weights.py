"""Weights in files that need no Keras to read: one `.npz`, and beside it a `.json` card that says where from."""

from __future__ import annotations

import json
import zipfile
from functools import cache
from pathlib import Path

import numpy as np

from cnnviz.nets.presets import Network

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "weights"

Weights = dict[str, tuple[np.ndarray, np.ndarray]]
"""For each layer that has any: (kernel, bias). Convolution (k, k, channels, filters), dense (inputs, units)."""


class WeightsError(ValueError):
    """A weights file that is missing, damaged or made for another network; the message says so in one sentence."""


@cache
def shipped_weights(network: Network) -> Weights:
    """The weights in assets/weights, read once."""
    return load_weights(network)


def load_weights(network: Network, folder: Path = SHIPPED) -> Weights:
    """Read `folder/<network.name>.npz` as float32.

    Raises:
        WeightsError: no such file, a damaged one, or shapes that do not fit the network.
    """
    path = folder / f"{network.name}.npz"
    try:
        with np.load(path, allow_pickle=False) as packed:
            arrays = {key: packed[key].astype(np.float32) for key in packed.files}
    except FileNotFoundError:
        raise WeightsError(f"There are no weights for {network.name}: run `make weights` to train them.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"The weights file {path.name} is damaged ({error}): run `make weights`.") from error
    weights: Weights = {}
    shape = network.input_shape
    for layer, output_shape, count in zip(network.layers, network.shapes(), network.parameters(), strict=True):
        if count:
            kernel, bias = arrays.get(f"{layer.name}/kernel"), arrays.get(f"{layer.name}/bias")
            expected = (layer.kernel, layer.kernel, shape[-1], layer.filters) if layer.kind == "conv" else (
                shape[-1], output_shape[-1])  # fmt: skip
            if kernel is None or bias is None or kernel.shape != expected or bias.shape != expected[-1:]:
                raise WeightsError(f"The weights file {path.name} does not fit {network.name}: {layer.name} differs.")
            weights[layer.name] = (kernel, bias)
        shape = output_shape
    return weights


def save_weights(network: Network, weights: Weights, card: dict, folder: Path = SHIPPED) -> Path:
    """Write `<network.name>.npz` and its card, each beside its name first and then renamed onto it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{network.name}.npz"
    partial = folder / f".{network.name}.npz"
    with partial.open("wb") as file:
        np.savez_compressed(file, **{f"{name}/{part}": array for name, pair in weights.items()
                                     for part, array in zip(("kernel", "bias"), pair, strict=True)})  # fmt: skip
    partial.replace(path)
    partial = folder / f".{network.name}.json"
    partial.write_text(json.dumps(card, indent=2) + "\n")
    partial.replace(path.with_suffix(".json"))
    return path


def load_card(network: Network, folder: Path = SHIPPED) -> dict:
    """The card beside the weights; empty where there is none."""
    try:
        return json.loads((folder / f"{network.name}.json").read_text())
    except (OSError, ValueError):
        return {}
