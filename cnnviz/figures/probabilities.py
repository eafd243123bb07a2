"""Probabilities, in words and as bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from cnnviz.figures.losses import BLUE, GREY


def percent(probability: float) -> str:
    """One decimal, and never 100 %: no softmax is that sure."""
    number = "> 99.9" if probability > 0.9995 else f"{probability * 100:.1f}"
    return f"{number}\u00a0%"  # on one line


def chances(before: np.ndarray, after: np.ndarray, classes: Sequence[str], label: str) -> go.Figure:
    """Ten probabilities before and after a step, side by side; what is no number has no bar.

    Args:
        before, after: float32 (classes,).
        label: the class that is right, which is marked.
    """
    figure = go.Figure()
    for name, values, colour in (("before", before, GREY), ("after", after, BLUE)):
        figure.add_bar(
            x=list(classes), y=[float(value) for value in values], name=name, marker={"color": colour},
            customdata=[str(value) for value in values], hovertemplate=f"%{{x}} {name}: %{{customdata}}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        height=260,
        margin={"l": 0, "r": 8, "t": 8, "b": 0},
        dragmode=False,
        bargap=0.25,
        bargroupgap=0,
        xaxis={
            "type": "category",
            "fixedrange": True,
            "title": "class",
            "tickvals": list(classes),
            "ticktext": [f"<b>{name}<br>label</b>" if name == label else name for name in classes],
        },
        yaxis={"fixedrange": True, "rangemode": "tozero", "title": "probability"},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
    )
    return figure
