"""One output cell of a layer with every term of its sum, and the input cells that it reads.

Sums are of float64. A convolution here is a cross-correlation, as in every network: the kernel is not turned over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnviz.arithmetic.sizes import output_size, total_padding

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
"""A layer's activation function by its name in Keras; from pre-activations to outputs."""


@dataclass(frozen=True)
class ConvWindow:
    """One cell of one filter's feature map: the sum over its window.

    Attributes:
        rows, columns: int (k_h,), int (k_w,), which input cells it reads; those outside of the input are padding.
        inside: bool (k_h, k_w), False where it reads padding.
        patch: float64 (k_h, k_w, c), the input there, zero in the padding.
        kernel: float64 (k_h, k_w, c), the filter's weights.
        products: float64 (k_h, k_w, c), patch times kernel, weight by weight.
        channel_sums: float64 (c,), the products of each input channel in one sum.
        bias: the filter's.
        pre_activation: the channel sums and the bias in one sum.
    """

    rows: np.ndarray
    columns: np.ndarray
    inside: np.ndarray
    patch: np.ndarray
    kernel: np.ndarray
    products: np.ndarray
    channel_sums: np.ndarray
    bias: float
    pre_activation: float


@dataclass(frozen=True)
class PoolWindow:
    """One cell of one channel of a pooling layer.

    Attributes:
        rows, columns: int (k,), which input cells it reads; those outside of the input are padding.
        inside: bool (k, k), False where it reads padding.
        patch: float64 (k, k), the input there, zero in the padding.
        winner: (row, column) in the patch of the largest cell inside, the first of several; None for a mean.
        count: how many cells are inside: what a mean is divided by.
        output: the maximum or the mean of the cells inside.
    """

    rows: np.ndarray
    columns: np.ndarray
    inside: np.ndarray
    patch: np.ndarray
    winner: tuple[int, int] | None
    count: int
    output: float


@dataclass(frozen=True)
class DenseTerms:
    """One unit of a dense layer.

    Attributes:
        contributions: float64 (n,), each input times its weight.
        order: int (n,), the inputs by the magnitude of their contribution, largest first.
        bias: the unit's.
        pre_activation: the contributions and the bias in one sum.
    """

    contributions: np.ndarray
    order: np.ndarray
    bias: float
    pre_activation: float


@dataclass(frozen=True)
class SoftmaxTerms:
    """All outputs of a softmax.

    Attributes:
        exponentials: float64 (n,), exp(logit - largest logit), so that none overflows; the quotients are the same.
        total: the sum of the exponentials.
        probabilities: float64 (n,), exponentials / total.
    """

    exponentials: np.ndarray
    total: float
    probabilities: np.ndarray


def positions(index: int | np.ndarray, k: int, s: int, padding_before: int, d: int = 1) -> np.ndarray:
    """The input rows (or columns) that one output reads.

    Args:
        index: the output's row (or column); an array (m, 1) for m of them at once.
        k: kernel or window size.
        s: stride.
        padding_before: zeros before the first cell, `total_padding(...) // 2`.
        d: dilation.

    Returns:
        int (k,), or (m, k). Those below 0 or past the input's end are padding.
    """
    return index * s - padding_before + d * np.arange(k)


def conv_window(
    image: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray,
    filter: int,
    row: int,
    column: int,
    stride: int = 1,
    padding: str = "valid",
    dilation: int = 1,
) -> ConvWindow:
    """One cell of a convolution's output.

    Args:
        image: the layer's input, (height, width, c).
        kernel: (k_h, k_w, c, filters).
        bias: (filters,).
        filter, row, column: which output cell, counted from 0.
        stride, dilation: the same along both axes.
        padding: "valid", "same" or "full", see `total_padding`.

    Raises:
        IndexError: no such filter, row or column.
        ValueError: the kernel does not fit into the padded input, or is for another number of channels.
    """
    if image.shape[2] != kernel.shape[2]:
        raise ValueError(f"The kernel is for {kernel.shape[2]} channels, and the input has {image.shape[2]}.")
    _check("filter", filter, kernel.shape[3])
    rows = _reads("row", row, image.shape[0], kernel.shape[0], stride, padding, dilation)
    columns = _reads("column", column, image.shape[1], kernel.shape[1], stride, padding, dilation)
    patch, inside = _patch(image, rows, columns)
    weights = kernel[..., filter].astype(np.float64)
    products = patch * weights
    channel_sums = products.sum(axis=(0, 1))
    pre_activation = float(channel_sums.sum() + bias[filter])
    return ConvWindow(
        rows, columns, inside, patch, weights, products, channel_sums, float(bias[filter]), pre_activation
    )


def pool_window(
    image: np.ndarray, window: int, mode: str, filter: int, row: int, column: int, stride: int, padding: str = "valid"
) -> PoolWindow:
    """One cell of a pooling layer's output. As in TensorFlow, padding counts neither in the maximum nor in the mean.

    Args:
        image: the layer's input, (height, width, c).
        window: the side of the square that is pooled.
        mode: "max" or "average".
        filter, row, column: which output cell, counted from 0; the filter is also the input's channel.
        padding: "valid", "same" or "full", see `total_padding`.

    Raises:
        IndexError: no such filter, row or column.
        ValueError: the window does not fit into the padded input, or another mode.
    """
    if mode not in ("max", "average"):
        raise ValueError(f"Pooling is max or average, not {mode!r}.")
    _check("filter", filter, image.shape[2])
    rows = _reads("row", row, image.shape[0], window, stride, padding, 1)
    columns = _reads("column", column, image.shape[1], window, stride, padding, 1)
    patch, inside = _patch(image[..., filter], rows, columns)
    if mode == "max":
        winner = tuple(map(int, np.unravel_index(np.where(inside, patch, -np.inf).argmax(), patch.shape)))
        output = patch[winner]
    else:
        winner = None
        output = patch[inside].mean()
    return PoolWindow(rows, columns, inside, patch, winner, int(inside.sum()), float(output))


def dense_terms(inputs: np.ndarray, kernel: np.ndarray, bias: np.ndarray, unit: int) -> DenseTerms:
    """One unit of a dense layer.

    Args:
        inputs: (n,).
        kernel: (n, units).
        bias: (units,).

    Raises:
        IndexError: no such unit.
    """
    _check("unit", unit, kernel.shape[1])
    contributions = inputs.astype(np.float64) * kernel[:, unit]
    order = np.argsort(-np.abs(contributions), kind="stable")
    return DenseTerms(contributions, order, float(bias[unit]), float(contributions.sum() + bias[unit]))


def softmax_terms(logits: np.ndarray) -> SoftmaxTerms:
    """Logits (n,) to probabilities, with the exponentials and their sum."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max())
    total = float(exponentials.sum())
    return SoftmaxTerms(exponentials, total, exponentials / total)


def flatten_place(shape: tuple[int, int, int], index: int) -> tuple[int, int, int]:
    """(row, column, channel) of the cell that a flatten layer of input (height, width, c) puts at `index`.

    Raises:
        IndexError: no such index.
    """
    height, width, channels = shape
    _check("index", index, height * width * channels)
    return index // channels // width, index // channels % width, index % channels


def flatten_index(shape: tuple[int, int, int], row: int, column: int, channel: int) -> int:
    """Where a flatten layer of input (height, width, c) puts a cell: by row, then column, then channel.

    Raises:
        IndexError: no such row, column or channel.
    """
    for axis, place, size in zip(("row", "column", "channel"), (row, column, channel), shape, strict=True):
        _check(axis, place, size)
    return (row * shape[1] + column) * shape[2] + channel


def field(layers: Sequence[tuple[int, int, int, str, int]], index: int) -> np.ndarray:
    """The receptive field of one cell along one axis: the network's input rows (or columns) that it depends on.

    Args:
        layers: (n, k, s, padding, d) of each convolution or pooling layer from the network's input to the cell's
            layer: input size, kernel or window, stride, padding, dilation, along this axis. No layers: the input.
        index: the cell's row (or column) in the last layer's output.

    Returns:
        int (m,), sorted, clipped to the input. With a dilation or a stride beyond the kernel there may be gaps.

    Raises:
        IndexError: no such row or column. ValueError: a kernel that does not fit.
    """
    if layers:
        _check("row or column", index, output_size(*layers[-1]))
    cells = np.array([index])
    for n, k, s, padding, d in reversed(layers):
        cells = np.unique(positions(cells[:, None], k, s, total_padding(n, k, s, padding, d) // 2, d))
        cells = cells[(cells >= 0) & (cells < n)]
    return cells


def _check(what: str, index: int, count: int) -> None:
    """An IndexError unless 0 <= index < count: a negative one would be counted from the end."""
    if not 0 <= index < count:
        raise IndexError(f"There is no {what} {index}: choose one from 0 to {count - 1}.")


def _reads(axis: str, index: int, n: int, k: int, s: int, padding: str, d: int) -> np.ndarray:
    """`positions` of an output that must be there."""
    _check(axis, index, output_size(n, k, s, padding, d))
    return positions(index, k, s, total_padding(n, k, s, padding, d) // 2, d)


def _patch(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image, (height, width) or (height, width, c), at these rows and columns, zero in the padding; and, as
    bool (k_h, k_w), where it is not padding."""
    height, width = image.shape[:2]
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    patch = np.zeros((*inside.shape, *image.shape[2:]))
    at_rows, at_columns = np.nonzero(inside)
    patch[inside] = image[rows[at_rows], columns[at_columns]]
    return patch, inside
