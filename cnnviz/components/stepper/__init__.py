"""The stepper: one cell of one layer at a time, with every term of its sum."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from cnnviz.components.columns import MOST, columns, digest, wide
from cnnviz.components.files import register
from cnnviz.components.layers import layer_table, trace_arrays
from cnnviz.components.packing import pack
from cnnviz.trace import Trace

SCRIPTS = (
    *("elements", "unpack", "colours", "numbers", "windows", "maps"),
    *("formulas", "charts", "columns", "stages", "gifenc", "saving", "stepper"),
)
"""What the stepper is made of, here and in the labs, in the order in which the scripts need one another."""

_mount = register("stepper", *SCRIPTS, style="stepper")


def stepper(key: str, trace: Trace, link: Mapping[str, str]) -> None:
    """Walk through a trace. The browser keeps layer, filter and cell in the address bar by itself.

    Args:
        key: of the component.
        trace: what is shown; all of it is sent, so that no further message is needed, except the kernels of wide
            dense layers: of those the browser asks for the columns that it shows.
        link: the query parameters `layer`, `filter` and `cell` that the page was opened with; others are ignored,
            and what the network does not have is replaced by what it has.
    """
    wanted = {name: link[name] for name in ("layer", "filter", "cell") if name in link}
    left_out = wide(trace)
    header = {
        "model": trace.network.name,
        "layers": layer_table(trace.network),
        "link": wanted,
        "wide": {
            name: {"kernel": digest(kernel), "largest": float(max(kernel.max(), -kernel.min()))}
            for name, kernel in left_out.items()
        },
        "most": MOST,
    }
    arrays = trace_arrays(trace, ["conv", "dense"])
    for name in left_out:
        del arrays[f"{name}/kernel"]
    with st.container(gap=None):
        _mount(key=key, data=pack(header, arrays))
        if left_out:
            columns(f"{key}-columns", trace)
