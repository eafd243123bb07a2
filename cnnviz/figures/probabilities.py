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
    """A bar for each class, the most probable one in colour; upright under figures, lying beside names.

    Args:
        classes: names, in network order.
        probabilities: float32 (classes,), adding up to 1.
    """
    top = int(probabilities.argmax())
    names, values = ("y", "x") if max(map(len, classes)) > 2 else ("x", "y")
    bars = go.Bar(
        {names: list(classes), values: probabilities.tolist()},
        orientation="h" if names == "y" else "v",
        marker_color=[TOP if i == top else REST for i in range(len(classes))],
        text=[percent(p) if p >= 0.99 else f"{p * 100:.0f} %" if p >= 0.005 else "" for p in probabilities.tolist()],
        textfont_size=14,
        textposition="outside",
        cliponaxis=False,
        constraintext="none",
        hovertemplate=f"%{{{names}}}: %{{{values}:.7f}}<extra></extra>",
    )
    figure = go.Figure(bars)
    axes = {
        names: {"type": "category", "fixedrange": True, "tickfont_size": 16, "title": None},
        values: {"range": [0, 1], "fixedrange": True, "visible": False},
    }
    if names == "y":
        axes["y"] |= {"autorange": "reversed", "automargin": True, "tickfont_size": 14, "ticksuffix": " "}
    figure.update_layout(
        height=190 if names == "x" else 24 * len(classes),
        margin={"l": 0, "r": 0, "t": 26, "b": 0} if names == "x" else {"l": 0, "r": 60, "t": 0, "b": 0},
        xaxis=axes["x"],
        yaxis=axes["y"],
        bargap=0.25,
        transition_duration=0,
    )
    return figure
