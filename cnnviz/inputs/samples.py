"""Drawings to start from, shipped in assets/samples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "samples"
COLOURS = FOLDER / "colours.png"
"""Shapes in red, green, blue and white, to see what a kernel with three channels does."""


@dataclass(frozen=True)
class Sample:
    """A drawing: its title, and its strokes as the sketchpad sends them."""

    title: str
    strokes: list[dict]


@cache
def samples() -> dict[str, Sample]:
    """All samples by the name that a link gives them, in the order they are shown."""
    items = json.loads((FOLDER / "sketches.json").read_text("utf-8"))
    return {item["name"]: Sample(item["title"], item["strokes"]) for item in items}
