"""Figures of training runs: curves, and which class was taken for which."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import plotly.graph_objects as go

from cnnviz.training.runs import Story, thinned

COLOURS = ("#2f7fd1", "#dd7317", "#2a9d6f", "#a65bb5", "#b08900", "#6d7783")
"""One a run; readable on the light and on the dark page, and different in lightness."""


@dataclass(frozen=True)
class Learned:
    """What is drawn of one run: training images and validation images, each as x in epochs and y."""

    title: str
    epochs: int
    training: tuple[tuple[float, ...], tuple[float, ...]]
    validation: tuple[tuple[int, ...], tuple[float, ...]]


def curves(stories: Mapping[str, Story], name: str, live: bool = False) -> go.Figure:
    """Loss or accuracy over the epochs: thin, of the training images; thick with points, of the validation images.

    Args:
        stories: by title; each in a colour of its own.
        name: "loss" or "accuracy".
        live: whether it goes on; the axes then keep still.

    Returns:
        A figure that all who watch the same runs share.
    """
    learned = []
    for title, told in stories.items():
        per_epoch, points = told.started.get("batches", 1), thinned(told.batches)
        learned.append(Learned(
            title, told.started.get("epochs", 1),
            (tuple(point["epoch"] - 1 + point["batch"] / per_epoch for point in points),
             tuple(point[name] for point in points)),
            (tuple(epoch["epoch"] for epoch in told.epochs), tuple(epoch[f"val_{name}"] for epoch in told.epochs)),
        ))  # fmt: skip
    return _drawn(tuple(learned), name, live)


@lru_cache(maxsize=32)  # drawing takes longer than all else that is done for somebody who watches
def _drawn(learned: tuple[Learned, ...], name: str, live: bool) -> go.Figure:
    figure = go.Figure()
    several = len(learned) > 1
    for number, one in enumerate(learned):
        colour = COLOURS[number % len(COLOURS)]
        figure.add_scatter(
            x=one.training[0], y=one.training[1], mode="lines", line={"color": colour, "width": 1.4}, opacity=0.8,
            name="training images", legendgroup=one.title, showlegend=not several,
            hovertemplate=f"epoch %{{x:.2f}}: {name} %{{y:.4f}}<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=one.validation[0], y=one.validation[1], mode="lines+markers",
            line={"color": colour if several else COLOURS[1], "width": 3}, marker_size=7,
            name=html.escape(one.title) if several else "validation images", legendgroup=one.title,
            hovertemplate=f"epoch %{{x}}: validation {name} %{{y:.4f}}<extra></extra>",
        )  # fmt: skip
    most = max((one.epochs for one in learned), default=1)
    figure.update_xaxes(range=[0, most * 1.02], title="epochs", fixedrange=True)
    if name == "loss":
        figure.update_yaxes(rangemode="tozero", fixedrange=True)
    else:
        best = [accuracy for one in learned for accuracy in one.validation[1]]
        # While it goes on the whole range, so that nothing jumps; then from where there is something to tell apart.
        low = 0.0 if live or not best else max(0.0, np.floor(min(best) * 20 - 1) / 20)
        figure.update_yaxes(range=[low, 1 + 0.02 * (1 - low)], tickformat=".0%", fixedrange=True)
    figure.update_layout(
        title={"text": "Loss (cross-entropy)" if name == "loss" else "Accuracy", "x": 0, "font_size": 16},
        height=310, margin={"l": 0, "r": 8, "t": 36, "b": 0}, transition_duration=0, dragmode=False,
        legend={"orientation": "h", "y": -0.25, "x": 0, "yanchor": "top"},
    )  # fmt: skip
    return figure


def confusion(counts: np.ndarray, classes: Sequence[str]) -> go.Figure:
    """Which class (row) was taken for which (column). counts: int (classes, classes)."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    wrong = shares.copy()
    np.fill_diagonal(wrong, np.nan)
    heat = go.Heatmap(
        z=wrong, x=list(classes), y=list(classes), colorscale=[[0, "rgba(221,115,23,0)"], [1, "rgba(221,115,23,0.6)"]],
        zmin=0, zmax=max(0.02, float(np.nanmax(wrong))), showscale=False, customdata=counts, hoverongaps=True, xgap=1,
        ygap=1, hovertemplate="%{y} taken for %{x}: %{customdata} images<extra></extra>",
    )  # fmt: skip
    right = np.where(np.eye(len(classes), dtype=bool), shares, np.nan)
    diagonal = go.Heatmap(
        z=right, x=list(classes), y=list(classes), zmin=0, zmax=1, showscale=False, hoverinfo="skip", xgap=1, ygap=1,
        colorscale=[[0, "rgba(47,127,209,0)"], [1, "rgba(47,127,209,0.45)"]],
    )  # fmt: skip
    # Points carry the clicks: a heat map's cells can't be chosen. The chosen one gets a frame.
    rows, columns = np.divmod(np.arange(counts.size), len(classes))
    dots = go.Scatter(
        x=[classes[i] for i in columns], y=[classes[i] for i in rows], mode="markers", customdata=counts.reshape(-1),
        marker={"size": 28, "opacity": 0, "symbol": "square-open", "color": "#f0308f", "line": {"width": 3}},
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 0}},
        hovertemplate="%{y} taken for %{x}: %{customdata} images<extra></extra>",
    )  # fmt: skip
    figure = go.Figure([diagonal, heat, dots])
    # Not the points' own text: it would have to be of one colour on the light and on the dark page.
    figure.update_layout(annotations=[
        {"x": classes[column], "y": classes[row], "text": str(counts[row, column]), "showarrow": False,
         "font": {"size": 14}} for row, column in np.argwhere(counts).tolist()])  # fmt: skip
    figure.update_layout(
        height=440, margin={"l": 0, "r": 0, "t": 0, "b": 0}, showlegend=False, dragmode=False, transition_duration=0,
        xaxis={"title": "taken for", "type": "category", "fixedrange": True, "showgrid": False},
        yaxis={"title": "shown", "type": "category", "autorange": "reversed", "fixedrange": True, "showgrid": False},
    )  # fmt: skip
    return figure
