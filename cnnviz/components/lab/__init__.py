"""The labs: convolution and pooling with numbers, kernels and settings of one's own, recomputed in the browser."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnnviz.components.files import register
from cnnviz.components.packing import pack
from cnnviz.components.stepper import SCRIPTS

_mount = register("lab", *SCRIPTS, "lab/settings", style="stepper")


def lab(
    key: str,
    kind: str,
    pictures: Mapping[str, tuple[str, np.ndarray]],
    link: Mapping[str, str],
    kernels: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Show a lab. The browser computes, and keeps everything that was chosen in the address bar.

    Args:
        key: of the component.
        kind: "conv" or "pool".
        pictures: inputs to choose from, by name: (title, float32 (h, w, 1 or 3) in [0, 1]). One called "upload" is
            chosen as soon as it is another one.
        link: the query parameters that the page was opened with; what makes no sense there is ignored with a sentence.
        kernels: kernels to choose from besides the presets, by title: float32 (channels, k, k).
    """
    kernels = kernels or {}
    header = {
        "kind": kind,
        "pictures": [{"name": name, "title": title} for name, (title, _) in pictures.items()],
        "kernels": list(kernels),
        "link": dict(link),
    }
    arrays = {f"picture/{name}": picture for name, (_, picture) in pictures.items()}
    arrays |= {f"kernel/{title}": kernel for title, kernel in kernels.items()}
    _mount(key=key, data=pack(header, arrays))
