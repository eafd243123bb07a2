"""Output sizes, parameter counts and receptive fields."""

from collections.abc import Iterable


def total_padding(n: int, k: int, s: int, padding: str) -> int:
    """Zeros added to one axis, both ends together.

    Args:
        n: input size of the axis.
        k: kernel or window size.
        s: stride.
        padding: "valid" (none) or "same" (as many as make ceil(n / s) outputs, TensorFlow's rule).

    Raises:
        ValueError: the padding is neither.
    """
    if padding == "valid":
        return 0
    if padding == "same":
        return max((-(-n // s) - 1) * s + k - n, 0)
    raise ValueError(f"padding is valid or same, not {padding!r}")


def output_size(n: int, k: int, s: int = 1, padding: str = "valid") -> int:
    """⌊(n + p − k) / s⌋ + 1, the outputs along one axis.

    Raises:
        ValueError: the kernel does not fit into the padded input, or a size is below 1.
    """
    if min(n, k, s) < 1:
        raise ValueError(f"sizes and strides start at 1 (input {n}, kernel {k}, stride {s})")
    padded = n + total_padding(n, k, s, padding)
    if k > padded:
        raise ValueError(f"a kernel of {k} does not fit into an input of {padded}: choose at most {padded}")
    return (padded - k) // s + 1


def conv_parameters(k: int, channels: int, filters: int) -> int:
    """(k·k·c + 1)·f: each filter has a k x k kernel slice a channel, and one bias."""
    return (k * k * channels + 1) * filters


def dense_parameters(inputs: int, units: int) -> int:
    """(inputs + 1)·units: a weight an input and one bias, for each unit."""
    return (inputs + 1) * units


def receptive_field(layers: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """How much of the first layer's input one cell of the last layer sees along one axis.

    Args:
        layers: (kernel size, stride) of each convolution or pooling layer, in network order.

    Returns:
        (size, jump): the field's size in input cells, and how many input cells apart the fields of two
        neighbouring outputs start.

    Source: A. Araujo, W. Norris, J. Sim, "Computing receptive fields of convolutional neural networks", Distill 2019.
    """
    size, jump = 1, 1
    for k, s in layers:
        size += (k - 1) * jump
        jump *= s
    return size, jump
