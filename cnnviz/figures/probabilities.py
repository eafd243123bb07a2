"""The answer as a bar chart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

TOP, REST = "#2f7fd1", "#9aa3ad"
"""The most probable class and the others; both are readable on the light and on the dark page."""


def percent(probability: float) -> str:
    """One decimal, and never 100 %: no softmax is that sure."""
    return "> 99.9 %" if probability > 0.9995 else f"{probability * 100:.1f} %"


def probability_bars(classes: Sequence[str], probabilities: np.ndarray) -> go.Figure:
    """A bar for each class, the most probable one in colour.

    Args:
        classes: names, in network order.
        probabilities: float32 (classes,), adding up to 1.
    """
    top = int(probabilities.argmax())
    bars = go.Bar(
        x=list(classes),
        y=probabilities.tolist(),
        marker_color=[TOP if i == top else REST for i in range(len(classes))],
        text=[percent(p) if p >= 0.99 else f"{p * 100:.0f} %" if p >= 0.005 else "" for p in probabilities.tolist()],
        textfont_size=14,
        textposition="outside",
        cliponaxis=False,
        constraintext="none",
        hovertemplate="%{x}: %{y:.7f}<extra></extra>",
    )
    figure = go.Figure(bars)
    figure.update_layout(
        height=190,
        margin={"l": 0, "r": 0, "t": 26, "b": 0},
        xaxis={"type": "category", "fixedrange": True, "tickfont_size": 16, "title": None},
        yaxis={"range": [0, 1], "fixedrange": True, "visible": False},
        bargap=0.25,
        transition_duration=0,
    )
    return figure
