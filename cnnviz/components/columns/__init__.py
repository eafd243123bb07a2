"""Columns of dense kernels that are too large to be sent whole: only those of the units that somebody looks at."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import streamlit as st

from cnnviz.components.files import register
from cnnviz.components.packing import pack
from cnnviz.trace import Trace

WHOLE = 300_000
"""Weights of the largest dense kernel that is sent whole: 1.2 MB."""

MOST = 16
"""Columns that can be asked for at once."""

_mount = register("columns", "unpack", "columns")


def wide(trace: Trace) -> dict[str, np.ndarray]:
    """The kernels (inputs, units), by layer, of which single columns are sent."""
    return {record.layer.name: record.kernel for record in trace.layers
            if record.layer.kind == "dense" and record.kernel.size > WHOLE}  # fmt: skip


def digest(kernel: np.ndarray) -> int:
    """What tells a kernel from another one of the same size, like that of the epoch before: of every 16th row."""
    return zlib.crc32(np.ascontiguousarray(kernel[::16]))


@st.fragment
def columns(key: str, trace: Trace) -> None:
    """Answer the browser's questions for columns. A fragment: the trace itself is not sent again."""
    wanted = st.session_state.get(key, {}).get("wanted")
    _mount(key=key, data=pack(*answer(trace, wanted)), on_wanted_change=lambda: None)


def answer(trace: Trace, wanted: Any) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """Header and arrays for what a message asks for; nothing for a message that makes no sense here."""
    try:
        kernel, number = wide(trace)[wanted["layer"]], wanted["number"]
        asked, unit, count = wanted["kernel"], wanted["unit"], wanted["count"]
    except (TypeError, KeyError):
        return {}, {}
    whole = all(type(value) is int for value in (asked, unit, count, number)) and 0 <= number < 2**53
    if not whole or unit < 0 or not 1 <= count <= min(MOST, kernel.shape[1] - unit) or asked != digest(kernel):
        return {}, {}
    return {"number": number, "unit": unit}, {"columns": kernel[:, unit : unit + count].T}
