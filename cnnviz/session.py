"""What a visitor's pages share."""

from __future__ import annotations

import runpy
from pathlib import Path

import streamlit as st

from cnnviz.nets.presets import PRESETS, Network

APP = Path(__file__).resolve().parents[1] / "app.py"


def selected_network() -> Network:
    """The network that is chosen in the sidebar."""
    if "model" not in st.session_state:
        # The first visit to a fresh server, by a link to a page: Streamlit finds a folder called pages and runs the
        # page without app.py. So run it now; it shows this page in its frame, and Streamlit knows better afterwards.
        runpy.run_path(str(APP))
        st.stop()
    return PRESETS[st.session_state.model]
