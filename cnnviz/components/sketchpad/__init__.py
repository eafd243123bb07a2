"""The sketchpad: a square to draw on, with undo, redo and clear."""

from __future__ import annotations

from typing import Any

from cnnviz.components.files import register
from cnnviz.components.packing import pack
from cnnviz.inputs import InputError, Stroke, parse_strokes
from cnnviz.inputs.strokes import MAX_POINTS, MAX_STROKES

EMPTY = {"history": [], "cursor": 0, "width": 0.06, "live": False}
"""A sketch as the browser sends it: strokes and clearings (None) in order, of which the first `cursor` count."""

_mount = register("sketchpad", "elements", "unpack")


def sketchpad(key: str, sketch: dict[str, Any], revision: int) -> dict[str, Any] | None:
    """Show the sketchpad.

    Args:
        key: of the component.
        sketch: what it shows when it appears, or when `revision` has changed.
        revision: changed by the caller when it, not the pen, has changed the sketch.

    Returns:
        The sketch as it is now; None while nobody has touched it.
    """
    limits = {"strokes": MAX_STROKES, "points": MAX_POINTS}
    # Packed, because a dict makes Streamlit import pandas to look for data frames in it: 80 MB and half a second.
    data = pack({"sketch": sketch, "revision": revision, "limits": limits}, {})
    return _mount(key=key, data=data, on_sketch_change=lambda: None).sketch


def strokes(sketch: Any) -> tuple[Stroke, ...]:
    """The strokes that one sees: those since the last clearing.

    Raises:
        InputError: the browser sent something that is no sketch.
    """
    if not isinstance(sketch, dict) or not isinstance(sketch.get("history"), list):
        raise InputError("The sketch could not be read. Clear it and draw again.")
    cursor = sketch.get("cursor")
    if not isinstance(cursor, int) or not 0 <= cursor <= len(sketch["history"]):
        raise InputError("The sketch could not be read: its history is damaged. Clear it and draw again.")
    done = sketch["history"][:cursor]
    return parse_strokes(done[len(done) - done[::-1].index(None) :] if None in done else done)


def link(sketch: Any) -> str | None:
    """The sketch as an address holds it (see cnnviz/inputs/links.py); None where it is empty or too large for one."""
    text = sketch.get("link") if isinstance(sketch, dict) else None
    return text if isinstance(text, str) and text else None


def replaced(sketch: dict[str, Any], drawing: list[dict]) -> dict[str, Any]:
    """The sketch cleared and drawn anew, so that undo leads back to what was there."""
    done = sketch["history"][: sketch["cursor"]]
    history = [*done, *([None] if done else []), *drawing]
    return {**sketch, "history": history, "cursor": len(history)}
