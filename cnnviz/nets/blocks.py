"""Networks put together from blocks: a convolution with its pooling, and hidden dense layers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnnviz import data
from cnnviz.nets.layers import Conv, Dense, Flatten, Layer, Network, Pool, Softmax

POOLINGS = ("max", "average", "none")


@dataclass(frozen=True)
class Block:
    """A convolution, then pooling over 2x2 windows unless `pool` is "none", then dropout."""

    filters: int
    kernel: int
    stride: int = 1
    padding: str = "same"
    activation: str = "relu"
    pool: str = "max"
    dropout: float = 0.0

    def __str__(self) -> str:
        """In a few words: 16 of 3x3 same, relu, max."""
        stride = f" stride {self.stride}" if self.stride > 1 else ""
        pool = f", {self.pool}" if self.pool != "none" else ""
        dropout = f", dropout {self.dropout:g}" if self.dropout else ""
        return f"{self.filters} of {self.kernel}x{self.kernel} {self.padding}{stride}, {self.activation}{pool}{dropout}"


@dataclass(frozen=True)
class Hidden:
    """A dense layer before the logits."""

    units: int
    activation: str = "relu"
    dropout: float = 0.0

    def __str__(self) -> str:
        """In a few words: 64, relu."""
        return f"{self.units}, {self.activation}" + (f", dropout {self.dropout:g}" if self.dropout else "")


class NetworkError(ValueError):
    """Blocks that can't be built; the message says which number to change."""


def input_shape(dataset: str) -> tuple[int, int, int]:
    """(height, width, channels) of a data set's images. Raises DataError: there is no such data set."""
    height, width, *colours = data.find(dataset).image_shape
    return height, width, *(colours or [1])


def network_of(
    name: str, title: str, about: str, dataset: str, blocks: Sequence[Block], hidden: Sequence[Hidden] = ()
) -> Network:
    """The network of these blocks for a data set, with logits and softmax at its end.

    Raises:
        NetworkError: a kernel or a pooling window is larger than what it is given.
        DataError: there is no such data set.
    """
    shape = input_shape(dataset)
    layers: list[Layer] = []

    def add(layer: Layer, number: int, change: str) -> None:
        nonlocal shape
        try:
            shape = layer.output_shape(shape)
        except ValueError:
            height, width, _ = shape
            raise NetworkError(f"Block {number} can't be built: {change.format(size=f'{height}x{width}')}.") from None
        layers.append(layer)

    for number, block in enumerate(blocks, 1):
        pooled = block.pool != "none"
        add(
            Conv(f"conv{number}", block.filters, block.kernel, block.padding, block.activation, block.stride,
                 0.0 if pooled else block.dropout),
            number,
            f"its kernel is {block.kernel}x{block.kernel} and it is given {{size}} cells. Choose a kernel of at most "
            f"{min(shape[:2])}, padding same, or a smaller stride before it",
        )  # fmt: skip
        if pooled:
            add(
                Pool(f"pool{number}", 2, block.pool, block.dropout),
                number,
                "its pooling window is 2x2 and it is given {size} cells. Choose no pooling here, before it padding "
                "same, a smaller kernel or a smaller stride, or fewer blocks",
            )
    layers.append(Flatten("flatten"))
    layers += [Dense(f"dense{number}", one.units, one.activation, one.dropout) for number, one in enumerate(hidden, 1)]
    classes = data.find(dataset).classes
    layers += [Dense("logits", len(classes), "linear"), Softmax("softmax")]
    return Network(name, title, about, dataset, input_shape(dataset), classes, tuple(layers))
