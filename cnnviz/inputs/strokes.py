"""Pen strokes: checked as they come from the browser, and drawn as the sketchpad draws them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from cnnviz.inputs.errors import InputError

SIDE = 280
"""Side of the square that strokes are drawn into, in pixels."""
PIECES = 6
"""Straight pieces of a curve between two points of a stroke."""
PIECE = 2
"""Pixels that such a piece has when it is drawn, at least: a pen says where it is more often than an eye can see."""
MAX_STROKES = 500
MAX_POINTS = 20_000
MIN_WIDTH, MAX_WIDTH = 0.005, 0.2
"""Pen widths, as a share of the canvas's side."""


@dataclass(frozen=True)
class Stroke:
    """One line from pen down to pen up.

    points: float32 (n, 2), x to the right and y down, in [0, 1] over the canvas. width: share of the canvas's side.
    """

    points: np.ndarray
    width: float


def parse_strokes(message: Any) -> tuple[Stroke, ...]:
    """Read the sketchpad's message: a list of {"points": [x0, y0, x1, y1, …], "width": w}.

    Raises:
        InputError: anything else, more than MAX_STROKES or MAX_POINTS, a number that is no finite number.
    """
    if not isinstance(message, list):
        raise InputError("The sketch could not be read: it is not a list of strokes.")
    if len(message) > MAX_STROKES:
        raise InputError(f"The sketch has {len(message):,} strokes; {MAX_STROKES:,} is the most.")
    strokes = tuple(map(parse_stroke, message))
    if sum(len(stroke.points) for stroke in strokes) > MAX_POINTS:
        raise InputError(f"The sketch has more than {MAX_POINTS:,} points; clear it and draw again.")
    return strokes


def parse_stroke(message: Any) -> Stroke:
    """Read one stroke of the sketchpad's message.

    Raises:
        InputError: it is none, or has more than MAX_POINTS.
    """
    try:
        given, width = np.asarray(message["points"]), message["width"]
    except (TypeError, KeyError, ValueError):
        raise InputError("The sketch could not be read: a stroke has no points or no width.") from None
    if given.dtype.kind not in "iuf" or type(width) not in (int, float):
        raise InputError("The sketch could not be read: a stroke has something that is no number.")
    if given.ndim != 1 or not given.size or given.size % 2:
        raise InputError("The sketch could not be read: a stroke's points do not come in pairs.")
    if given.size > 2 * MAX_POINTS:
        raise InputError(f"The sketch has more than {MAX_POINTS:,} points; clear it and draw again.")
    if not np.isfinite(given).all() or not abs(width) < math.inf:
        raise InputError("The sketch could not be read: a stroke has a number that is not finite.")
    # A pen may leave the canvas while it draws: what lies outside is drawn there, unseen.
    points = given.clip(-1, 2).astype(np.float32).reshape(-1, 2)
    return Stroke(points, float(min(max(width, MIN_WIDTH), MAX_WIDTH)))


def smooth(points: np.ndarray, shortest: float = 0) -> np.ndarray:
    """A centripetal Catmull-Rom curve through all points, as the sketchpad draws it.

    Passes through every point, and neither loops nor overshoots at sharp corners.

    Args:
        points: float32 (n, 2).
        shortest: length of a straight piece; there are PIECES between two points, fewer where they would be shorter.

    Returns:
        float32 (m, 2).

    Source: C. Yuksel, S. Schaefer, J. Keyser, "Parameterization and applications of Catmull-Rom curves" (2011).
    """
    points = points[np.r_[True, (np.diff(points, axis=0) ** 2).sum(axis=1) > 1e-10]]
    if len(points) < 3:
        return points
    ends = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    p0, p1, p2, p3 = ends[:-3], ends[1:-2], ends[2:-1], ends[3:]
    apart = np.sqrt(np.linalg.norm(np.diff(ends, axis=0), axis=1))[:, None]
    d1, d2, d3 = apart[:-2], apart[1:-1], apart[2:]
    # The same curve as cubic Bézier pieces, which is what a canvas can draw.
    b1 = (d1**2 * p2 - d2**2 * p0 + (2 * d1**2 + 3 * d1 * d2 + d2**2) * p1) / (3 * d1 * (d1 + d2))
    b2 = (d3**2 * p1 - d2**2 * p3 + (2 * d3**2 + 3 * d3 * d2 + d2**2) * p2) / (3 * d3 * (d3 + d2))
    pieces = np.full(len(p1), PIECES)
    if shortest:
        pieces = (d2[:, 0] ** 2 / shortest).clip(1, PIECES).astype(int)
    between = np.repeat(np.arange(len(p1)), pieces)
    number = np.arange(len(between)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    t = (number / pieces[between]).astype(np.float32)[:, None]
    p1, b1, b2, p2 = (p[between] for p in (p1, b1, b2, p2))
    curve = (1 - t) ** 3 * p1 + 3 * (1 - t) ** 2 * t * b1 + 3 * (1 - t) * t**2 * b2 + t**3 * p2
    return np.vstack([curve, points[-1:]]).astype(np.float32)


def rasterise(strokes: tuple[Stroke, ...], side: int = SIDE) -> np.ndarray:
    """Draw strokes with round ends on an empty square.

    Returns:
        uint8 (side, side), 0 paper to 255 ink.
    """
    ink = np.zeros((side, side), np.uint8)
    shift = 4
    for stroke in strokes:
        line = np.round(smooth(stroke.points, PIECE / side) * (side * 2**shift)).astype(np.int32)
        thickness = max(round(stroke.width * side), 1)
        if len(line) == 1:
            cv2.circle(ink, tuple(line[0].tolist()), thickness * 2 ** (shift - 1), 255, -1, cv2.LINE_AA, shift)
        else:
            cv2.polylines(ink, [line], False, 255, thickness, cv2.LINE_AA, shift)
    return ink
