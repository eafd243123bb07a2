"""Figures of sweeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

LOW, HIGH = "#a9b0b8", "#d1600a"
"""The worst run and the best; both are readable on the light and on the dark page."""


@dataclass(frozen=True)
class Scale:
    """One upright axis: a value for each run.

    Attributes:
        kind: "linear", "log" or "words".
    """

    title: str
    values: Sequence[Any]
    kind: str = "linear"


def parallel(scales: Sequence[Scale], accuracies: Sequence[float]) -> go.Figure:
    """Parallel coordinates: a line for each run, through its value on each axis to its validation accuracy.

    Args:
        accuracies: of each run, 0 to 1; the colours follow them.
    """
    dimensions = []
    for scale in scales:
        if scale.kind == "words":
            names = sorted({*scale.values})
            places = [names.index(value) for value in scale.values]
            ticks = dict(enumerate(names))
        else:
            place = math.log10 if scale.kind == "log" else float
            places = [place(value) for value in scale.values]
            ticks = {place(value): f"{value:g}" for value in _marks(scale)}
        dimensions.append({"label": scale.title.replace(" ", "<br>"), "values": places, "tickvals": list(ticks),
                           "ticktext": list(ticks.values()), "range": _around(places)})  # fmt: skip
    dimensions.append({"label": "validation<br>accuracy", "values": list(accuracies), "tickformat": ".3~p",
                       "range": _around(accuracies)})  # fmt: skip
    figure = go.Figure(go.Parcoords(
        dimensions=dimensions, labelside="top", labelfont_size=13, tickfont_size=13,
        rangefont={"size": 1, "color": "rgba(0,0,0,0)"},  # the ends of the axes say nothing
        line={"color": list(accuracies), "colorscale": [[0, LOW], [1, HIGH]]},
    ))  # fmt: skip
    figure.update_layout(height=380, margin={"l": 56, "r": 64, "t": 64, "b": 16})
    return figure


def _marks(scale: Scale, most: int = 6) -> list[float]:
    """What is written beside an axis: the least and the largest, which it reaches, and something between.

    That is powers of ten that are not too near to them, if there are any, else some of the values.
    """
    values = sorted({*scale.values})
    low, high = values[0], values[-1]
    if scale.kind == "log" and len(values) > most:
        near = (high / low) ** 0.1
        tens = [10.0**power for power in range(-9, 10) if low * near <= 10.0**power <= high / near]
        if tens:
            return [low, *tens, high]
    few = min(len(values), most)
    return [values[round(number * (len(values) - 1) / max(few - 1, 1))] for number in range(few)]


def _around(places: Sequence[float]) -> list[float]:
    """A range with all of them in it that is no point."""
    low, high = min(places), max(places)
    room = (high - low) * 0.03 or 0.5 * max(abs(low), 0.02)
    return [low - room, high + room]
