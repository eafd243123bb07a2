"""Output sizes, parameter counts and receptive fields."""

from collections.abc import Iterable


def total_padding(n: int, k: int, s: int, padding: str, d: int = 1) -> int:
    """Zeros added to one axis, both ends together; total // 2 of them come before the first cell, as in TensorFlow.

    Args:
        n: input size of the axis.
        k: kernel or window size.
        s: stride.
        padding: "valid" (none), "same" (as many as make ceil(n / s) outputs, TensorFlow's rule) or "full"
            (d(k - 1) at each end: every place where kernel and input share a cell).
        d: dilation, the step from one cell that the kernel reads to the next.

    Raises:
        ValueError: the padding is none of these.
    """
    match padding:
        case "valid":
            return 0
        case "same":
            return max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        case "full":
            return 2 * d * (k - 1)
    raise ValueError(f"The padding is valid, same or full, not {padding!r}.")


def output_size(n: int, k: int, s: int = 1, padding: str = "valid", d: int = 1) -> int:
    """⌊(n + p − d(k − 1) − 1) / s⌋ + 1, the outputs along one axis.

    Raises:
        ValueError: the kernel does not fit into the padded input, or a size is below 1.
    """
    if min(n, k, s, d) < 1:
        raise ValueError(f"Sizes, strides and dilations start at 1 (input {n}, kernel {k}, stride {s}, dilation {d}).")
    padded, span = n + total_padding(n, k, s, padding, d), d * (k - 1) + 1
    if span > padded:
        raise ValueError(f"A kernel of {k} with dilation {d} spans {span} cells, and the padded input has {padded}: "
                         f"choose a kernel of at most {(padded - 1) // d + 1}.")  # fmt: skip
    return (padded - span) // s + 1


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
