"""Arrays for the browser: one bytes object, because Streamlit leaves bytes as they are only with nothing around them.

Layout: uint32 little-endian length of the header, the header (JSON, UTF-8, padded with spaces to a multiple of four),
then the arrays one behind the other, each padded to a multiple of four. `unpack` in unpack.js reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

TYPES = {"float32": "float32", "uint8": "uint8"}


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """One bytes object from a JSON-able header and named float32 or uint8 arrays.

    Raises:
        KeyError: an array of another type.
    """
    table, chunks, offset = {}, [], 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        table[name] = {"type": TYPES[array.dtype.name], "shape": array.shape, "offset": offset}
        chunks += [data, b"\0" * (-len(data) % 4)]
        offset += len(data) + -len(data) % 4
    text = json.dumps({**header, "arrays": table}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([len(text).to_bytes(4, "little"), text, *chunks])
