"""The arithmetic of convolutional networks in plain NumPy: sizes, parameter counts, receptive fields.

Formulas and notation: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning"
(arXiv:1603.07285): n inputs, kernel k, stride s, p zeros of padding in all.
"""

from cnnviz.arithmetic.sizes import conv_parameters, dense_parameters, output_size, receptive_field, total_padding

__all__ = ["conv_parameters", "dense_parameters", "output_size", "receptive_field", "total_padding"]
