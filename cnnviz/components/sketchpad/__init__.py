"""The sketchpad: a square to draw on, with undo, redo and clear."""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np

from cnnviz.components.files import register
from cnnviz.components.packing import pack
from cnnviz.inputs import InputError, Stroke, parse_strokes
from cnnviz.inputs.links import MAX_CHARACTERS
from cnnviz.inputs.strokes import MAX_POINTS, MAX_STROKES, MAX_WIDTH, MIN_WIDTH, parse_stroke

EMPTY = {"history": [], "cursor": 0, "width": 0.06, "live": False}
"""A sketch as the browser sends it: strokes and clearings (None) in order, of which the first `cursor` count. A stroke
is the text that `toText` in component.js writes, or, where Python has put it there, as `parse_strokes` reads it."""

MAX_HISTORY = 60
"""Strokes and clearings that can be undone, where there is a clearing to begin behind."""

_mount = register("sketchpad", "elements", "unpack", apart=True)


def sketchpad(
    key: str, sketch: dict[str, Any], revision: int, seen: dict[str, Any] | None = None
) -> dict[str, Any] | None:
    """Show the sketchpad.

    Args:
        key: of the component.
        sketch: what it shows when it appears, or when `revision` has changed.
        revision: changed by the caller when it, not the pen, has changed the sketch.
        seen: what this returned last.

    Returns:
        The sketch as it is now; None while nobody has touched it.

    Raises:
        InputError: the browser sent something that is no sketch.
    """
    limits = {"strokes": MAX_STROKES, "points": MAX_POINTS, "history": MAX_HISTORY}
    # Packed, because a dict makes Streamlit import pandas to look for data frames in it: 80 MB and half a second.
    data = pack({"sketch": sketch, "revision": revision, "limits": limits}, {})
    message = _mount(key=key, data=data, on_sketch_change=lambda: None).sketch
    return None if message is None else checked(message, seen)


def checked(message: Any, seen: dict[str, Any] | None = None) -> dict[str, Any]:
    """The sketch that a message holds, undone and cleared strokes too, and nothing else that it holds.

    What is kept here goes back into the browser and is drawn on: it has to be whole. A stroke that was in the sketch
    which was `seen` before it is.

    Raises:
        InputError: it is none.
    """
    strokes(message)
    if len(message["history"]) > MAX_HISTORY + MAX_STROKES:
        raise InputError(
            f"The sketch has more than {MAX_HISTORY + MAX_STROKES:,} steps. Reload the page and draw again."
        )
    history, whole = [], {step for step in seen["history"] if isinstance(step, str)} if seen else set()
    for step in message["history"]:
        if step is not None and not (isinstance(step, str) and step in whole):
            parse_stroke(as_stroke(step))
        history.append({"points": step["points"], "width": step["width"]} if isinstance(step, dict) else step)
    width = message.get("width")
    fits = type(width) in (int, float) and MIN_WIDTH <= width <= MAX_WIDTH
    return {"history": history, "cursor": message["cursor"], "width": width if fits else EMPTY["width"],
            "live": message.get("live") is True, "link": link(message)}  # fmt: skip


def strokes(sketch: Any) -> tuple[Stroke, ...]:
    """The strokes that one sees: those since the last clearing.

    Raises:
        InputError: the browser sent something that is no sketch.
    """
    if not isinstance(sketch, dict) or not isinstance(sketch.get("history"), list):
        raise InputError("The sketch could not be read. Clear it and draw again.")
    cursor = sketch.get("cursor")
    if type(cursor) is not int or not 0 <= cursor <= len(sketch["history"]):
        raise InputError("The sketch could not be read: its history is damaged. Clear it and draw again.")
    done = sketch["history"][:cursor]
    seen = done[len(done) - done[::-1].index(None) :] if None in done else done
    return parse_strokes([as_stroke(step) for step in seen])


def as_stroke(step: Any) -> Any:
    """A stroke for `parse_stroke`: a text is base64 of 16-bit numbers, its width and its points in ten-thousandths.

    Raises:
        InputError: the text is damaged.
    """
    if not isinstance(step, str):
        return step
    try:
        numbers = np.frombuffer(base64.b64decode(step, validate=True), "<i2").astype(np.float32) / 10_000
    except ValueError:
        raise InputError("The sketch could not be read: a stroke is damaged. Clear it and draw again.") from None
    if not numbers.size:
        raise InputError("The sketch could not be read: a stroke is empty. Clear it and draw again.")
    return {"points": numbers[1:], "width": float(numbers[0])}


def link(sketch: Any) -> str | None:
    """The sketch as an address holds it (see cnnviz/inputs/links.py); None where it is empty or too large for one."""
    text = sketch.get("link")
    return text if isinstance(text, str) and re.fullmatch(f"[A-Za-z0-9_-]{{1,{MAX_CHARACTERS}}}", text) else None


def replaced(sketch: dict[str, Any], drawing: list[dict]) -> dict[str, Any]:
    """The sketch cleared and drawn anew, so that undo leads back to what was there."""
    done = sketch["history"][: sketch["cursor"]]
    history = [*done, *([None] if done else []), *drawing]
    return {**sketch, "history": history, "cursor": len(history)}
