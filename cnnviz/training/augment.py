"""Changes that leave a digit the same digit: moved, turned, slanted, bent, drawn with another pen. No Keras in here."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Labelled = tuple[np.ndarray, np.ndarray]
"""Images, uint8 (n, height, width, channels), and their labels, int32 (n,)."""

STRIP = 1000
"""Images warped at once, one below the other: cv2.remap takes pictures of fewer than 32,768 rows."""


def affine(count: int, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Random 2x3 matrices about the centre: turned ±12°, slanted ±0.25, each side scaled 0.85 to 1.15, moved ±1.5 px.

    Returns:
        float32 (count, 2, 3), from output to input coordinates in pixels.
    """
    turn, slant, grow_x, grow_y, shift_x, shift_y = rng.uniform(-1, 1, (6, count)) * strength
    cos, sin = np.cos(0.21 * turn), np.sin(0.21 * turn)
    scale_x, scale_y = 1 + 0.15 * grow_x, 1 + 0.15 * grow_y
    rows = [[cos * scale_x, (0.25 * slant * cos - sin) * scale_x, 1.5 * shift_x],
            [sin * scale_y, (0.25 * slant * sin + cos) * scale_y, 1.5 * shift_y]]  # fmt: skip
    return np.array(rows, np.float32).transpose(2, 0, 1)


def elastic(count: int, side: int, rng: np.random.Generator, strength: float = 1.0, grid: int = 5) -> np.ndarray:
    """Random smooth displacements: a coarse grid of them, blown up with cubic interpolation.

    Source: P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional neural networks applied to visual
    document analysis" (2003); there with a Gaussian blur, which is slower.

    Returns:
        float32 (count, 2, side, side), in pixels, x before y; of standard deviation 0.9 x strength on the grid.
    """
    blow_up = cv2.resize(np.eye(grid, dtype=np.float32), (grid, side), interpolation=cv2.INTER_CUBIC)
    coarse = rng.standard_normal((count, 2, grid, grid), dtype=np.float32) * (0.9 * strength)
    return blow_up @ coarse @ blow_up.T


def warp(images: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Affine and elastic changes at random, different for every image. uint8 (n, side, side) in and out."""
    side = images.shape[1]
    warped = np.empty_like(images)
    y, x = np.mgrid[:side, :side].astype(np.float32) - (side - 1) / 2
    for start in range(0, len(images), STRIP):
        strip = np.ascontiguousarray(images[start : start + STRIP])
        count = len(strip)
        matrix = affine(count, rng, strength)[..., None, None]
        maps = elastic(count, side, rng, strength) + matrix[:, :, 0] * x + matrix[:, :, 1] * y + matrix[:, :, 2]
        # Clipped to the image's own rows, so that no neighbour in the strip shows.
        maps = np.clip(maps + (side - 1) / 2, 0, side - 1)
        maps[:, 1] += np.arange(count, dtype=np.float32)[:, None, None] * side
        at_x, at_y = (np.ascontiguousarray(maps[:, axis]).reshape(-1, side) for axis in (0, 1))
        drawn = cv2.remap(strip.reshape(-1, side), at_x, at_y, cv2.INTER_LINEAR)
        warped[start : start + count] = drawn.reshape(-1, side, side)
    return warped


def thicken(images: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """A thicker (amount > 0) or thinner (< 0) pen, by up to about a pixel on either side of the line.

    Args:
        images: uint8 (n, side, side).
        amount: (n,) in [-1, 1], how much of the change from the image to its dilated or eroded self is made.
    """
    count, side, _ = images.shape
    # A column of images with an empty row between them: one call for all of them, and no neighbour leaks in.
    column = np.pad(images, ((0, 0), (0, 1), (0, 0))).reshape(-1, side)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    result = images.astype(np.float32)
    for operation, share in ((cv2.dilate, np.maximum(amount, 0)), (cv2.erode, np.maximum(-amount, 0))):
        changed = operation(column, cross).reshape(count, side + 1, side)[:, :side]
        result += (changed.astype(np.float32) - images) * share.astype(np.float32)[:, None, None]
    return np.round(result).astype(np.uint8)


def shift(images: np.ndarray, rng: np.random.Generator, most: int = 2) -> np.ndarray:
    """Every image moved by up to `most` pixels each way, what comes in being 0. uint8 (n, height, width, channels)."""
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
    moved = np.empty_like(images)
    by = rng.integers(0, 2 * most + 1, (len(images), 2))
    for down, right in np.ndindex(2 * most + 1, 2 * most + 1):
        chosen = (by == (down, right)).all(axis=1)
        moved[chosen] = padded[chosen, down : down + height, right : right + width]
    return moved


def mirror(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every second image, on average, mirrored left to right."""
    return np.where(rng.random((len(images), 1, 1, 1)) < 0.5, images[:, :, ::-1], images)


SKETCHED, UNTOUCHED, STRENGTH, PEN, THINNEST, THICKEST = 0.35, 0.2, 0.5, 0.6, -0.35, 0.7
"""Of "sketches": the share of drawn digits, of images that are not warped, how much the others are, the share that gets
another pen, and how thin and thick that is."""


def changed(
    kind: str, train: Labelled, rng: np.random.Generator, sketches: Callable[[], Labelled] | None = None
) -> Labelled:
    """The images of one epoch.

    Args:
        kind: a name in `cnnviz.training.config.AUGMENTATIONS`.
        train: what there is to learn from; as many images come back, in the same order unless digits are mixed in.
        sketches: gives the drawn digits that "sketches" mixes in.
    """
    images, labels = train
    match kind:
        case "shift":
            return shift(images, rng), labels
        case "flip":
            return mirror(shift(images, rng), rng), labels
        case "warp":
            return warp(images[..., 0], rng)[..., None], labels
        case "sketches":
            drawn, drawn_labels = sketches()
            mixed, count = rng.random(len(images)) < SKETCHED, len(images)
            which = rng.permutation(np.resize(np.arange(len(drawn)), mixed.sum()))
            images, labels = images[..., 0].copy(), labels.copy()
            images[mixed], labels[mixed] = drawn[which], drawn_labels[which]
            images = np.where(rng.random((count, 1, 1)) < UNTOUCHED, images, warp(images, rng, STRENGTH))
            amount = rng.uniform(THINNEST, THICKEST, count)
            return thicken(images, amount * (rng.random(count) < PEN))[..., None], labels
    return train
