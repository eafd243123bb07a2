"""A drawing in a link. The sketchpad writes it (`toLink` in components/sketchpad/component.js)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from cnnviz.inputs.errors import InputError

MAX_CHARACTERS = 4000


def from_link(text: str) -> list[dict]:
    """The strokes that a link holds, as the sketchpad sends them.

    Args:
        text: base64 (URL's alphabet, no padding) of LEB128 numbers: for each stroke its width in thousandths of the
            canvas and the number of its points, then for each point the steps in x and y from the one before, in
            ten-thousandths, 2n for n >= 0 and -2n - 1 below.

    Raises:
        InputError: it is damaged, or longer than MAX_CHARACTERS.
    """
    damaged = InputError("The link's drawing is damaged: ask for the link again.")
    if len(text) > MAX_CHARACTERS:
        raise damaged
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        values = list(numbers(data))
        strokes, at = [], 0
        while at < len(values):
            width, count = values[at], values[at + 1]
            steps = values[at + 2 : at + 2 + 2 * count]
            if len(steps) < 2 * count or not count:
                raise damaged
            place, points = [0, 0], []
            for number, step in enumerate(steps):
                place[number % 2] += step // 2 if step % 2 == 0 else -(step + 1) // 2
                points.append(place[number % 2] / 10_000)
            strokes.append({"points": points, "width": width / 1000})
            at += 2 + 2 * count
    except (binascii.Error, ValueError, IndexError):
        raise damaged from None
    return strokes


def numbers(data: bytes) -> Iterator[int]:
    """LEB128: seven bits a byte, the lowest first, the eighth says that more follow. Raises ValueError: no such."""
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if shift > 35:
            raise ValueError("a number has more than 35 bits")
        if byte < 128:
            yield value
            value = shift = 0
    if shift:
        raise ValueError("the last number is cut off")
