"""What one image does inside a network: every layer's input, weights, pre-activation and output."""

from cnnviz.trace.records import LayerTrace, Trace, assemble

__all__ = ["LayerTrace", "Trace", "assemble"]
