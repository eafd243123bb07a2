"""The loss: after a step by its learning rate, and over the steps so far."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

BLUE, ORANGE, GREY = "#2f7fd1", "#dd7317", "#8a929b"
"""Good, too far, and what both are measured by; readable on the light and on the dark page."""
ROOM = 1.3
"""How much higher than the loss before the step, or the first loss, a figure reaches; the rest sits at its edge."""


def _shown(loss: float, top: float) -> float:
    """Where a loss is drawn: at the upper edge if it is beyond it, or no number."""
    return loss if loss <= top else top


def _said(loss: float) -> str:
    return str(np.float32(loss)) if math.isfinite(loss) else "no number: float32 overflowed"


def _layout(figure: go.Figure, top: float, x_title: str, y_title: str) -> go.Figure:
    figure.update_layout(
        height=300,
        margin={"l": 0, "r": 8, "t": 8, "b": 0},
        showlegend=False,
        dragmode=False,
        hovermode="closest",
        yaxis={"range": [0, top * 1.06], "fixedrange": True, "title": y_title},
        xaxis={"fixedrange": True, "title": x_title},
        transition_duration=0,
    )
    return figure


def losses_by_rate(rates: Sequence[float], before: float, after: Sequence[float], chosen: float) -> go.Figure:
    """The loss after a step as a function of the learning rate.

    Args:
        before: the loss before the step.
        after: for each rate; what is no number lies at the upper edge.
        chosen: one of the rates, which is marked.
    """
    top = ROOM * before if math.isfinite(before) else 1
    far = [not loss <= before for loss in after]
    heights = [_shown(loss, top) for loss in after]
    figure = go.Figure()
    figure.add_hline(before, line={"color": GREY, "dash": "dash", "width": 1.5})
    figure.add_annotation(x=math.log10(rates[0]), y=before, text="loss before", showarrow=False, xanchor="left",
                          yanchor="bottom", font={"color": GREY, "size": 13})  # fmt: skip
    if any(far):
        # From the middle between the last good rate and the first that is too large.
        first = far.index(True)
        start = math.sqrt(rates[max(first - 1, 0)] * rates[first])
        figure.add_vrect(start, rates[-1] * 1.6, fillcolor=ORANGE, opacity=0.14, line_width=0, layer="below")
        figure.add_annotation(x=math.log10(rates[-1] * 1.4), y=0.45 * top, text="too far", showarrow=False,
                              xanchor="right", yanchor="bottom", font={"color": ORANGE, "size": 14})  # fmt: skip
    figure.add_scatter(
        x=list(rates), y=heights, mode="lines+markers", line={"color": GREY, "width": 1.5},
        marker={"size": 8, "color": [ORANGE if bad else BLUE for bad in far],
                "symbol": ["triangle-up" if not loss <= top else "circle" for loss in after]},
        customdata=[_said(loss) for loss in after],
        hovertemplate="rate %{x:g}<br>loss after: %{customdata}<extra></extra>",
    )  # fmt: skip
    at = list(rates).index(chosen)
    figure.add_scatter(
        x=[chosen], y=[heights[at]], mode="markers", hoverinfo="skip",
        marker={"size": 20, "symbol": "circle-open", "color": ORANGE if far[at] else BLUE, "line_width": 3},
    )  # fmt: skip
    _layout(figure, top, "learning rate", "loss after the step")
    ticks = [rate for rate in rates if math.log10(rate) % 1 == 0]
    figure.update_xaxes(type="log", range=[math.log10(rates[0]) - 0.12, math.log10(rates[-1]) + 0.2],
                         tickvals=ticks, ticktext=[f"{rate:g}" for rate in ticks])  # fmt: skip
    return figure


def losses_so_far(past: Sequence[tuple[float, float]], now: float) -> go.Figure:
    """The loss of every step's batch before the step, and on the same batch after it.

    Args:
        past: (before, after) of each step taken.
        now: the loss of the batch that comes next.
    """
    before = [*(loss for loss, _ in past), now]
    top = ROOM * before[0]
    figure = go.Figure()
    for number, (first, then) in enumerate(past):
        # One line for each step, as long as there are few enough to tell them apart.
        if len(past) <= 40:
            figure.add_scatter(x=[number + 1] * 2, y=[_shown(first, top), _shown(then, top)], mode="lines",
                               line={"color": GREY, "width": 1}, hoverinfo="skip", showlegend=False)  # fmt: skip
    for name, losses, colour, symbol in (
        ("before", before, BLUE, "circle"),
        ("after", [then for _, then in past], BLUE, "circle-open"),
    ):
        figure.add_scatter(
            x=list(range(1, len(losses) + 1)), y=[_shown(loss, top) for loss in losses], name=name,
            mode="lines+markers" if name == "before" else "markers", line={"color": colour, "width": 1.5},
            marker={"size": 7, "color": [colour if loss <= top else ORANGE for loss in losses],
                    "symbol": [symbol if loss <= top else "triangle-up" for loss in losses]},
            customdata=[_said(loss) for loss in losses],
            hovertemplate=f"step %{{x}}<br>loss {name}: %{{customdata}}<extra></extra>",
        )  # fmt: skip
    _layout(figure, top, "step", "loss of the step's batch")
    figure.update_xaxes(range=[0.5, max(len(past) + 1, 10) + 0.5], tickformat="d")
    figure.update_layout(showlegend=bool(past), legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1,
                                                         "yanchor": "top"})  # fmt: skip
    return figure
