"""A row of small pictures, to look at or to pick from."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from cnnviz.components.files import register
from cnnviz.components.packing import pack

_mount = register("gallery", "unpack", "pictures", style="pictures")


def gallery(
    key: str,
    pictures: Mapping[str, tuple[str, np.ndarray]],
    size: int = 72,
    pick: bool = False,
    title: str = "",
    chosen: str | None = None,
) -> str | None:
    """Show pictures in a row.

    Args:
        key: of the component.
        pictures: by name: (caption, uint8 (h, w) or (h, w, 3)).
        size: side of each on the screen, in CSS pixels.
        pick: whether each can be clicked.
        title: what stands above them.
        chosen: the one that is marked as picked. With it, the arrow keys go from one to the next, and captions stay.

    Returns:
        The name of the picture that was clicked just now, else None.
    """
    captions = [caption for caption, _ in pictures.values()]
    header = {"pictures": list(pictures), "captions": captions, "size": size, "pick": pick, "title": title,
              "chosen": chosen}  # fmt: skip
    picked = _mount(key=key, data=pack(header, arrays(pictures, size)), on_picked_change=lambda: None).picked
    return picked if isinstance(picked, str) and picked in pictures else None


def arrays(pictures: Mapping[str, tuple[str, np.ndarray]], size: int) -> dict[str, np.ndarray]:
    """The pictures, each with a channel axis, and none with more pixels than it has on the screen."""
    found = {}
    for name, (_, picture) in pictures.items():
        factor = size / max(picture.shape[:2])
        if factor < 1:
            picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        found[name] = picture.reshape(*picture.shape[:2], -1)
    return found
