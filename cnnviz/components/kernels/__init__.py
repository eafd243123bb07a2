"""Kernels before and after, side by side; of one step with the gradient, and one number of it worked through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cnnviz.components.files import register
from cnnviz.components.packing import pack

_mount = register("kernels", "elements", "unpack", "colours", "numbers", "maps", style="stepper")


class Panel(NamedTuple):
    """One picture of all kernels. `part`: old, gradient, direction or new; maps: float32 (n, k, k)."""

    part: str
    title: str
    maps: np.ndarray


def kernels(key: str, panels: Sequence[Panel], names: Sequence[str], rate: float) -> None:
    """Show panels of equally many maps. A cell that is clicked is worked through.

    Args:
        key: of the component.
        panels: in order of reading.
        names: of each map.
        rate: what the last of gradient and direction is multiplied with, where there is one.
    """
    header = {"panels": [{"part": part, "title": title} for part, title, _ in panels], "names": names, "rate": rate}
    _mount(key=key, data=pack(header, {part: maps for part, _, maps in panels}))
