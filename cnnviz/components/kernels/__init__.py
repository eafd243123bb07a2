"""Kernels before and after, side by side; of one step with the gradient, and one number of it worked through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cnnviz.components.files import register
from cnnviz.components.packing import pack

_mount = register("kernels", "elements", "unpack", "colours", "numbers", "maps", style="stepper")


class Panel(NamedTuple):
    """One picture of all kernels.

    Attributes:
        part: old, gradient, direction or new.
        maps: float32 (n, k, k) or, for kernels on one channel or on red, green and blue, (n, k, k, channels).
    """

    part: str
    title: str
    maps: np.ndarray


def kernels(
    key: str,
    panels: Sequence[Panel],
    names: Sequence[str],
    rate: float = 0.0,
    cell: str = "",
    chosen: int | None = None,
) -> int | None:
    """Show panels of equally many maps. A cell that is clicked is worked through.

    Args:
        key: of the component.
        panels: in order of reading.
        names: of each map.
        rate: what the last of gradient and direction is multiplied with, where there is one.
        cell: what a cell is, for maps whose rows and columns mean nothing: "input" makes "input 37".
        chosen: of a panel without a kernel before, whose cells can only be picked: the cell that is.

    Returns:
        The number of the cell that was picked just now, else None.
    """
    header = {"panels": [{"part": part, "title": title} for part, title, _ in panels], "names": names, "rate": rate,
              "cell": cell, "chosen": chosen}  # fmt: skip
    arrays = {part: maps for part, _, maps in panels}
    picked = _mount(key=key, data=pack(header, arrays), on_picked_change=lambda: None).picked
    # A browser may send anything.
    return picked if isinstance(picked, int) and 0 <= picked < panels[0].maps.size else None
