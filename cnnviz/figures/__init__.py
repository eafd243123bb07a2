"""Functions from arrays to plotly figures. No Streamlit in here."""

from cnnviz.figures.probabilities import probability_bars

__all__ = ["probability_bars"]
