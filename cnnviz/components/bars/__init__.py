"""The answer as a bar chart: a bar for each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.components.files import register
from cnnviz.components.packing import pack

_mount = register("bars", "elements", "unpack", "numbers", apart=True)


def bars(key: str, classes: Sequence[str], probabilities: np.ndarray) -> None:
    """Show probabilities, the most probable class in colour; bars stand on figures and lie beside names.

    Args:
        key: of the component.
        classes: names, in network order.
        probabilities: float32 (classes,), adding up to 1.
    """
    _mount(key=key, data=pack({"classes": classes}, {"probabilities": probabilities}))
