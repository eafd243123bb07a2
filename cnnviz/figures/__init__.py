"""Functions from arrays to plotly figures. No Streamlit in here."""

from cnnviz.figures.probabilities import percent, probability_bars

__all__ = ["percent", "probability_bars"]
