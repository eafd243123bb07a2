"""Ink to network input, the way MNIST was made.

MNIST's digits were scaled into 20x20 pixels with their proportions kept, and centred by their mass in 28x28
(Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits"). A sketch that is only squeezed to
28x28 is read right half as often as one that is brought into that form.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cnnviz.inputs.errors import InputError

BOX, FRAME = 20, 28
INK = 32
"""A pixel counts as ink from this value on (of 255)."""


@dataclass(frozen=True)
class Step:
    """One step from pixels to network input: its name, and the picture after it (uint8, grey or RGB)."""

    name: str
    picture: np.ndarray


@dataclass(frozen=True)
class Input:
    """What the network is given: float32 (28, 28, 1) in [0, 1], ink bright; and the steps that made it."""

    pixels: np.ndarray
    steps: tuple[Step, ...]


def crop(ink: np.ndarray) -> np.ndarray:
    """The smallest rectangle that holds all the ink. uint8 (h, w) in and out.

    Raises:
        InputError: there is no ink.
    """
    x, y, width, height = cv2.boundingRect((ink >= INK).astype(np.uint8))
    if not width:
        raise InputError("There is no digit to see: the picture is empty.")
    return ink[y : y + height, x : x + width]


def pen_width(ink: np.ndarray) -> float:
    """The typical width of the lines, in pixels: four times the mean distance of ink to paper."""
    inside = (np.pad(ink, 1) >= 128).astype(np.uint8)
    if not inside.any():
        return 1.0
    return float(4 * cv2.distanceTransform(inside, cv2.DIST_L2, 5)[inside > 0].mean())


def scale(ink: np.ndarray) -> np.ndarray:
    """Into BOX x BOX with the proportions kept. uint8 (h, w) to uint8 (<= 20, <= 20), one side 20."""
    height, width = ink.shape
    factor = BOX / max(height, width)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    return cv2.resize(ink, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)


def centre(ink: np.ndarray) -> np.ndarray:
    """Centred by mass in FRAME x FRAME, as far as the ink stays inside. uint8 to uint8 (28, 28)."""
    height, width = ink.shape
    frame = np.zeros((FRAME, FRAME), np.uint8)
    mass = ink.sum(dtype=np.float64) or 1.0
    top = round(FRAME / 2 - float((ink.sum(axis=1) * (np.arange(height) + 0.5)).sum()) / mass)
    left = round(FRAME / 2 - float((ink.sum(axis=0) * (np.arange(width) + 0.5)).sum()) / mass)
    top, left = min(max(top, 0), FRAME - height), min(max(left, 0), FRAME - width)
    frame[top : top + height, left : left + width] = ink
    return frame


def normalise(ink: np.ndarray) -> Input:
    """Crop, scale and centre.

    Args:
        ink: uint8 (h, w), 0 paper to 255 ink.

    Raises:
        InputError: there is no ink.
    """
    cropped = crop(ink)
    scaled = scale(cropped)
    centred = centre(scaled)
    steps = (Step("drawn", ink), Step("cropped", cropped), Step("scaled to 20×20", scaled),
             Step("centred in 28×28", centred))  # fmt: skip
    return Input(as_pixels(centred), steps)


def raw(picture: np.ndarray) -> Input:
    """Squeezed to 28x28 and nothing else, for pictures that are in MNIST's form already. uint8 (h, w), ink bright."""
    pixels = picture if picture.shape == (FRAME, FRAME) else cv2.resize(
        picture, (FRAME, FRAME), interpolation=cv2.INTER_AREA)  # fmt: skip
    return Input(as_pixels(pixels), (Step("as it is", pixels),))


def as_pixels(picture: np.ndarray) -> np.ndarray:
    """uint8 (28, 28) to float32 (28, 28, 1) in [0, 1]."""
    return (picture.astype(np.float32) / 255)[..., None]
