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
THINNEST = 2.0
"""The least width of a line, in pixels of the box."""
FINE = 80
"""Smaller pictures are enlarged first: widths cannot be told well from a few pixels."""


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
    x, y, width, height = cv2.boundingRect((ink >= INK).view(np.uint8))
    if not width:
        raise InputError("There is no digit to see: the picture is empty.")
    return ink[y : y + height, x : x + width]


def even(ink: np.ndarray) -> np.ndarray:
    """A thin pen made thicker: its line will be THINNEST pixels wide, or more, once the digit is in the box of 20.

    A thin line on a large canvas would fade into grey when it is scaled down; MNIST's are 1.7 to 3.8 pixels wide
    (5 % to 95 % of its digits). A thick pen is left as it is: a line of uneven width, made thinner, breaks.

    Args:
        ink: uint8 (h, w), cropped.

    Returns:
        uint8 (h', w'), cropped; larger than `ink` where the line was made thicker, or the picture was very small.
    """
    side = max(ink.shape)
    if side < FINE:
        factor = -(-FINE // side)
        ink = crop(cv2.resize(np.pad(ink, 1), None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC))
        side = max(ink.shape)
    # From every pixel of ink to the nearest paper: 1, 2, … width / 2, … 2, 1 across a line.
    inside = cv2.distanceTransform((np.pad(ink, 1) >= 128).astype(np.uint8), cv2.DIST_L2, 5)
    width = max(4 * float(inside.sum()) / max(np.count_nonzero(inside), 1) - 2, 1)
    share = THINNEST / BOX
    if width >= share * side or not inside.any():
        return ink
    # The digit grows with its line, so the line has to grow a little more.
    reach = (share * side - width) / (1 - share) / 2
    ink = np.pad(ink, int(reach) + 2)
    outside = cv2.distanceTransform((ink < 128).astype(np.uint8), cv2.DIST_L2, 5)
    return crop(np.maximum(ink, np.clip((reach + 1 - outside) * 255, 0, 255).astype(np.uint8)))


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
    """Crop, thicken a thin pen, scale and centre.

    Args:
        ink: uint8 (h, w), 0 paper to 255 ink.

    Raises:
        InputError: there is no ink.
    """
    cropped = crop(ink)
    evened = even(cropped)
    scaled = scale(evened)
    centred = centre(scaled)
    steps = (Step("drawn", ink), Step("cropped", cropped), Step("pen evened", evened),
             Step("scaled to 20×20", scaled), Step("centred in 28×28", centred))  # fmt: skip
    return Input(as_pixels(centred), steps)


def raw(picture: np.ndarray) -> Input:
    """Squeezed to 28x28 and nothing else, for pictures that are in MNIST's form already. uint8 (h, w), ink bright."""
    pixels = picture if picture.shape == (FRAME, FRAME) else cv2.resize(
        picture, (FRAME, FRAME), interpolation=cv2.INTER_AREA)  # fmt: skip
    return Input(as_pixels(pixels), (Step("as it is", pixels),))


def as_pixels(picture: np.ndarray) -> np.ndarray:
    """uint8 (…, 28, 28), one picture or many, to float32 (…, 28, 28, 1) in [0, 1]."""
    return (picture.astype(np.float32) / 255)[..., None]


def fit(pixels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """An input as a network for images of another size, or with or without colours, is given it.

    Args:
        pixels: float32 (height, width, channels) in [0, 1].
        shape: the (height, width, channels) that is wanted.
    """
    height, width, channels = shape
    if pixels.shape[2] > channels:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
    if pixels.shape[:2] != (height, width):
        smaller = pixels.shape[0] > height
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return np.ascontiguousarray(np.broadcast_to(pixels.reshape(height, width, -1), shape))
