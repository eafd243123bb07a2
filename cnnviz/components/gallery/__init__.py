"""A row of small pictures, to look at or to pick from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnnviz.components.files import register
from cnnviz.components.packing import pack

_mount = register("gallery", "unpack")


def gallery(key: str, pictures: Mapping[str, tuple[str, np.ndarray]], size: int = 72, pick: bool = False) -> str | None:
    """Show pictures in a row.

    Args:
        key: of the component.
        pictures: by name: (caption, uint8 (h, w) or (h, w, 3)).
        size: side of each on the screen, in CSS pixels.
        pick: whether each can be clicked.

    Returns:
        The name of the picture that was clicked just now, else None.
    """
    header = {
        "pictures": list(pictures),
        "captions": [caption for caption, _ in pictures.values()],
        "size": size,
        "pick": pick,
    }
    arrays = {name: picture.reshape(*picture.shape[:2], -1) for name, (_, picture) in pictures.items()}
    return _mount(key=key, data=pack(header, arrays), on_picked_change=lambda: None).picked
