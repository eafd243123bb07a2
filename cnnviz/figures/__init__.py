"""Functions from arrays to plotly figures. No Streamlit in here."""

from cnnviz.figures.losses import losses_by_rate, losses_so_far
from cnnviz.figures.probabilities import chances, percent

__all__ = ["chances", "losses_by_rate", "losses_so_far", "percent"]
