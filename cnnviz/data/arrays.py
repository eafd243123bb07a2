"""Arrays out of `.npz` files that somebody else may have written."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

MOST_BYTES = {"U": 40_000}
"""Of one item in a file, by its kind; of a number 8."""


class Unfit(ValueError):
    """An array that is missing, or of another shape or kind; the message is its name."""


def read_arrays(path: Path, expected: Mapping[str, tuple[tuple[int, ...], str]]) -> dict[str, np.ndarray]:
    """Read arrays of an `.npz`, and no others, each only after its header has said that it has the size expected: a
    small file may unpack to any number of bytes. Nothing in it is executed, and nothing of it is written anywhere.

    Args:
        expected: by name: the shape, and the kinds that it may be of, as `numpy.dtype.kind` names them ("f", "iu").

    Raises:
        FileNotFoundError: no such file. Unfit: see there. Or almost anything else: the file is damaged.
    """
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        here = set(archive.namelist())
        for name, (shape, kinds) in expected.items():
            member = f"{name}.npy"
            if member not in here:
                raise Unfit(name)
            with archive.open(member) as file:
                first = np.lib.format.read_magic(file) == (1, 0)
                header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
                found, _, kind = header(file)
            if found != shape or kind.kind not in kinds or kind.itemsize > MOST_BYTES.get(kind.kind, 8):
                raise Unfit(name)
            with archive.open(member) as file:
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays
