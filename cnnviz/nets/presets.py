"""The zoo: every preset as a table of its layers. Plain data, so that the web process can read it without Keras."""

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
    kind = "conv"

    def output_shape(self, shape: Shape) -> Shape:
        height, width, _ = shape
        return (*(output_size(n, self.kernel, self.stride, self.padding) for n in (height, width)), self.filters)

    def parameters(self, shape: Shape) -> int:
        return conv_parameters(self.kernel, shape[-1], self.filters)


@dataclass(frozen=True)
class Pool:
    """Max or average pooling, channel by channel; the stride is the window's size."""

    name: str
    window: int
    mode: str
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
    kind = "dense"

    def output_shape(self, shape: Shape) -> Shape:
        return (self.units,)

    def parameters(self, shape: Shape) -> int:
        return dense_parameters(shape[-1], self.units)


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
    """A preset: what goes in, and the layers in order."""

    name: str
    title: str
    about: str
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
        return tuple(
            layer.parameters(shape)
            for layer, shape in zip(self.layers, (self.input_shape, *self.shapes()), strict=False)
        )


DIGITS = tuple("0123456789")


def _lenet(name: str, title: str, about: str, activation: str, pool: str) -> Network:
    return Network(name, title, about, (28, 28, 1), DIGITS, (
        Conv("conv1", filters=6, kernel=5, padding="same", activation=activation),
        Pool("pool1", window=2, mode=pool),
        Conv("conv2", filters=16, kernel=5, padding="valid", activation=activation),
        Pool("pool2", window=2, mode=pool),
        Flatten("flatten"),
        Dense("dense1", units=120, activation=activation),
        Dense("dense2", units=84, activation=activation),
        Dense("logits", units=10, activation="linear"),
        Softmax("softmax"),
    ))  # fmt: skip


PRESETS: dict[str, Network] = {
    network.name: network
    for network in (
        _lenet("lenet5", "LeNet-5, modern", "LeNet-5 with today's parts: ReLU and max pooling.", "relu", "max"),
        _lenet("lenet5-1998", "LeNet-5, 1998",
               "Close to the network of LeCun, Bottou, Bengio and Haffner (1998): tanh and average pooling.",
               "tanh", "average"),
        Network("tf-tutorial", "TensorFlow tutorial",
                "The network of TensorFlow's tutorial \"Convolutional Neural Network (CNN)\", here on MNIST.",
                (28, 28, 1), DIGITS, (
            Conv("conv1", filters=32, kernel=3, padding="valid", activation="relu"),
            Pool("pool1", window=2, mode="max"),
            Conv("conv2", filters=64, kernel=3, padding="valid", activation="relu"),
            Pool("pool2", window=2, mode="max"),
            Conv("conv3", filters=64, kernel=3, padding="valid", activation="relu"),
            Flatten("flatten"),
            Dense("dense1", units=64, activation="relu"),
            Dense("logits", units=10, activation="linear"),
            Softmax("softmax"),
        )),
    )
}  # fmt: skip
