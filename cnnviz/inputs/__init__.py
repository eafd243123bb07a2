"""Pixels in: what somebody drew, photographed or chose, made into the array that a network expects."""

from cnnviz.inputs.errors import InputError
from cnnviz.inputs.normalise import Input, Step, fit, normalise, raw
from cnnviz.inputs.strokes import Stroke, parse_strokes, rasterise

__all__ = ["Input", "InputError", "Step", "Stroke", "fit", "normalise", "parse_strokes", "rasterise", "raw"]
