"""Weights in files that need no Keras to read: one `.npz`, and beside it a `.json` card that says where from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnviz.data.arrays import Unfit, read_arrays
from cnnviz.nets.layers import Network

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "weights"

Weights = dict[str, tuple[np.ndarray, np.ndarray]]
"""For each layer that has any: (kernel, bias). Convolution (k, k, channels, filters), dense (inputs, units)."""


class WeightsError(ValueError):
    """A weights file that is missing, damaged or made for another network; the message says so in one sentence."""


def load_weights(network: Network, folder: Path = SHIPPED) -> Weights:
    """Read `folder/<network.name>.npz` as float32. Raises WeightsError as `read_weights` does."""
    return read_weights(network, folder / f"{network.name}.npz")


@dataclass(frozen=True)
class Model:
    """A network and the file of its weights. `changed` tells one state of that file from another."""

    network: Network
    file: Path
    changed: int = 0

    def weights(self) -> Weights:
        """Read once and kept for a while. Raises WeightsError as `read_weights` does."""
        return _kept(self)


_read: dict[tuple[Network, Path], tuple[int, Weights]] = {}
KEPT = 16
"""Files of weights that are kept in memory, each as it was read last."""


def _kept(model: Model) -> Weights:
    key = model.network, model.file
    changed, weights = _read.get(key, (None, {}))
    if changed != model.changed:
        weights = read_weights(*key)
        _read[key] = model.changed, weights
        while len(_read) > KEPT:
            _read.pop(next(iter(_read)), None)
    return weights


def shipped(network: Network) -> Model:
    """A preset with the weights in assets/weights."""
    return Model(network, SHIPPED / f"{network.name}.npz")


def model_of(network: Network, file: Path) -> Model:
    """A network with a file of weights that may be written anew."""
    try:
        return Model(network, file, file.stat().st_mtime_ns)
    except OSError:
        return Model(network, file)


def weight_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """The shape of every array in a file of the network's weights, by its name there."""
    shapes, shape = {}, network.input_shape
    for layer, output_shape, count in zip(network.layers, network.shapes(), network.parameters(), strict=True):
        if count:
            kernel = (layer.kernel, layer.kernel, shape[-1], layer.filters) if layer.kind == "conv" else (
                shape[-1], output_shape[-1])  # fmt: skip
            shapes |= {f"{layer.name}/kernel": kernel, f"{layer.name}/bias": kernel[-1:]}
        shape = output_shape
    return shapes


def read_weights(network: Network, path: Path) -> Weights:
    """Read one `.npz` as float32.

    Raises:
        WeightsError: no such file, a damaged one, shapes that do not fit the network, or a weight that is no finite
            number.
    """
    ours = path.parent == SHIPPED
    try:
        arrays = read_arrays(path, {name: (shape, "f") for name, shape in weight_shapes(network).items()})
    except FileNotFoundError:
        raise WeightsError(f"There are no weights for {network.name}"
                           f"{': run `make weights` to train them' if ours else ''}.") from None  # fmt: skip
    except Unfit as error:
        layer = str(error).partition("/")[0]
        raise WeightsError(f"The weights file {path.name} does not fit {network.name}: {layer} differs.") from None
    except Exception as error:  # a damaged zip or array raises almost anything
        advice = ": run `make weights`" if ours else ""
        raise WeightsError(f"The weights file {path.name} is damaged{advice}.") from error
    with np.errstate(over="ignore"):
        arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise WeightsError(f"The weights file {path.name} is damaged: {name} holds what is no finite number.")
    layers = [name.removesuffix("/kernel") for name in arrays if name.endswith("/kernel")]
    return {layer: (arrays[f"{layer}/kernel"], arrays[f"{layer}/bias"]) for layer in layers}


def write_weights(path: Path, weights: Weights, compressed: bool = False) -> None:
    """Write one `.npz`. Raises OSError: it can't be written."""
    arrays = {f"{name}/{part}": array for name, pair in weights.items()
              for part, array in zip(("kernel", "bias"), pair, strict=True)}  # fmt: skip
    with path.open("wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, **arrays)


HALF_FROM = 100_000
"""Weights from which on a layer is shipped with 16 bits each, of which the last four of the fraction are 0."""


def shortened(weights: Weights) -> Weights:
    """Large kernels as float16 with 6 bits of fraction: a third of the size on disk. The others are left alone."""

    def short(array: np.ndarray) -> np.ndarray:
        if array.size < HALF_FROM:
            return array
        bits = array.astype(np.float16).view(np.uint16)
        return ((bits + np.uint16(8)) & np.uint16(0xFFF0)).view(np.float16)

    return {name: tuple(map(short, pair)) for name, pair in weights.items()}


def save_weights(network: Network, weights: Weights, card: dict, folder: Path = SHIPPED) -> Path:
    """Write `<network.name>.npz` and its card, each beside its name first and then renamed onto it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{network.name}.npz"
    partial = folder / f".{network.name}.npz"
    write_weights(partial, weights, compressed=True)
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
