"""Generated digits to learn from: drawn once, on all cores, and kept in the data folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import loky
import numpy as np

from cnnviz import data
from cnnviz.data import generator
from cnnviz.data.arrays import read_arrays

COUNT, SEED = 80_000, 1
"""How many different ones there are to learn from, and their seed."""
CHUNK = 1_000
"""Sketches that are drawn in one go, from one seed."""


def draw(
    count: int, seed: int, progress: Callable[[int, int], None] = lambda done, of: None
) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (count, 28, 28), and digits, uint8 (count,); the same for the same seed on any number of cores."""
    chunks = -(-count // CHUNK)
    parts = []
    with loky.ProcessPoolExecutor() as executor:
        for part in executor.map(generator.images, [CHUNK] * chunks, range(seed * 10_000, seed * 10_000 + chunks)):
            parts.append(part)
            progress(min(count, len(parts) * CHUNK), count)
    images, labels = (np.concatenate(part)[:count] for part in zip(*parts, strict=True))
    return images, labels


def kept(progress: Callable[[int, int], None] = lambda done, of: None) -> tuple[np.ndarray, np.ndarray]:
    """COUNT sketches from SEED, read from the data folder, where they are put the first time."""
    file = data.data_folder() / f"sketches-{COUNT}-{SEED}.npz"
    try:
        drawn = read_arrays(file, {"images": ((COUNT, 28, 28), "u"), "labels": ((COUNT,), "iu")})
        return drawn["images"], drawn["labels"]
    except Exception:  # not there yet, or damaged, which raises almost anything
        images, labels = draw(COUNT, SEED, progress)
    partial = file.with_name(f".{file.name}")
    with contextlib.suppress(OSError):  # a folder that is full or can't be written: they are drawn again next time
        try:
            with partial.open("wb") as opened:
                np.savez(opened, images=images, labels=labels)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    return images, labels
