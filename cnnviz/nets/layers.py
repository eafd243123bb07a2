"""A network as a table of its layers. Plain data, so that the web process can read it without Keras.

`dropout` is the share of a layer's outputs that is set to 0 at random while the network learns, and only then.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from cnnviz.arithmetic import conv_parameters, dense_parameters, output_size

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Conv:
    """A two-dimensional convolution with a bias; `kernel` is the side of a square."""

    name: str
    filters: int
    kernel: int
    padding: str
    activation: str
    stride: int = 1
    dropout: float = 0.0
    kind = "conv"

    def output_shape(self, shape: Shape) -> Shape:
        height, width, _ = shape
        return (*(output_size(n, self.kernel, self.stride, self.padding) for n in (height, width)), self.filters)

    def parameters(self, shape: Shape) -> int:
        return conv_parameters(self.kernel, shape[-1], self.filters)

    def multiplications(self, shape: Shape) -> int:
        return prod(self.output_shape(shape)) * self.kernel**2 * shape[-1]


@dataclass(frozen=True)
class Pool:
    """Max or average pooling, channel by channel; the stride is the window's size."""

    name: str
    window: int
    mode: str
    dropout: float = 0.0
    activation = "linear"
    padding = "valid"
    kind = "pool"

    @property
    def stride(self) -> int:
        return self.window

    def output_shape(self, shape: Shape) -> Shape:
        height, width, channels = shape
        return (*(output_size(n, self.window, self.stride, self.padding) for n in (height, width)), channels)

    def parameters(self, shape: Shape) -> int:
        return 0


@dataclass(frozen=True)
class Flatten:
    """Every cell in one row: by row, then column, then channel."""

    name: str
    activation = "linear"
    kind = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def parameters(self, shape: Shape) -> int:
        return 0


@dataclass(frozen=True)
class Dense:
    """A weighted sum of every input plus a bias, for each unit."""

    name: str
    units: int
    activation: str
    dropout: float = 0.0
    kind = "dense"

    def output_shape(self, shape: Shape) -> Shape:
        return (self.units,)

    def parameters(self, shape: Shape) -> int:
        return dense_parameters(shape[-1], self.units)

    def multiplications(self, shape: Shape) -> int:
        return shape[-1] * self.units


@dataclass(frozen=True)
class Softmax:
    """Logits to probabilities: exp(z) / sum of exp(z)."""

    name: str
    activation = "linear"
    kind = "softmax"

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape) -> int:
        return 0


Layer = Conv | Pool | Flatten | Dense | Softmax


@dataclass(frozen=True)
class Network:
    """What goes in, and the layers in order.

    Attributes:
        name: unique among presets and runs; what the address calls it.
        dataset: the name of the data set that it is made for.
    """

    name: str
    title: str
    about: str
    dataset: str
    input_shape: Shape
    classes: tuple[str, ...]
    layers: tuple[Layer, ...]

    def shapes(self) -> tuple[Shape, ...]:
        """The output shape of every layer, without a batch axis, channels last."""
        shapes, shape = [], self.input_shape
        for layer in self.layers:
            shape = layer.output_shape(shape)
            shapes.append(shape)
        return tuple(shapes)

    def parameters(self) -> tuple[int, ...]:
        """The number of trained weights of every layer."""
        return tuple(layer.parameters(shape) for layer, shape in self._with_inputs())

    def multiplications(self) -> tuple[int, ...]:
        """How often a weight is multiplied for one image, of every layer that has weights."""
        return tuple(layer.multiplications(shape) for layer, shape in self._with_inputs() if layer.parameters(shape))

    def _with_inputs(self) -> zip[tuple[Layer, Shape]]:
        return zip(self.layers, (self.input_shape, *self.shapes()), strict=False)
