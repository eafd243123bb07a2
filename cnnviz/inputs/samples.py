"""Drawings to start from, shipped in assets/samples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "sketches.json"


@dataclass(frozen=True)
class Sample:
    """A drawing: its title, and its strokes as the sketchpad sends them."""

    title: str
    strokes: list[dict]


@cache
def samples() -> dict[str, Sample]:
    """All samples by the name that a link gives them, in the order they are shown."""
    return {item["name"]: Sample(item["title"], item["strokes"]) for item in json.loads(FILE.read_text("utf-8"))}
