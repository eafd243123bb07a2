"""The arithmetic of convolutional networks in plain NumPy: sizes, parameter counts, receptive fields, and one output
cell of a layer with every term of its sum.

Formulas and notation: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning"
(arXiv:1603.07285): n inputs, kernel k, stride s, p zeros of padding in all, dilation d.
"""

from cnnviz.arithmetic.sizes import conv_parameters, dense_parameters, output_size, receptive_field, total_padding
from cnnviz.arithmetic.windows import (
    ACTIVATIONS,
    ConvWindow,
    DenseTerms,
    PoolWindow,
    SoftmaxTerms,
    conv_window,
    dense_terms,
    field,
    flatten_index,
    flatten_place,
    pool_window,
    positions,
    softmax_terms,
)

__all__ = [
    "ACTIVATIONS",
    "ConvWindow",
    "DenseTerms",
    "PoolWindow",
    "SoftmaxTerms",
    "conv_parameters",
    "conv_window",
    "dense_parameters",
    "dense_terms",
    "field",
    "flatten_index",
    "flatten_place",
    "output_size",
    "pool_window",
    "positions",
    "receptive_field",
    "softmax_terms",
    "total_padding",
]
