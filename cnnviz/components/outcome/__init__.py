"""What comes out: a bar for each class, and beside it how the ink became the network's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnnviz.components.files import register
from cnnviz.components.gallery import arrays
from cnnviz.components.packing import pack

SIZE = 70
"""Side of a picture on the screen, in CSS pixels."""


def title(pictures: Mapping[str, tuple[str, np.ndarray]]) -> str:
    """What stands above the pictures: not everything was ink."""
    return "From ink to network input" if "cropped" in pictures else "Network input"


_mount = register("outcome", "elements", "unpack", "numbers", "pictures", style="pictures", apart=True)


def outcome(
    key: str, classes: Sequence[str], probabilities: np.ndarray, pictures: Mapping[str, tuple[str, np.ndarray]]
) -> None:
    """Show probabilities, the most probable class in colour; bars stand on figures and lie beside names. And pictures.

    Args:
        key: of the component.
        classes: names, in network order.
        probabilities: float32 (classes,), adding up to 1.
        pictures: by name: (caption, uint8 (h, w) or (h, w, 3)).
    """
    header = {"classes": classes, "size": SIZE, "title": title(pictures), "pictures": list(pictures),
              "captions": [caption for caption, _ in pictures.values()]}  # fmt: skip
    _mount(key=key, data=pack(header, {"probabilities": probabilities, **arrays(pictures, SIZE)}))
