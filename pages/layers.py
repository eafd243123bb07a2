"""The network as a table: sizes, parameters, receptive fields, and where its weights come from."""

import streamlit as st

from cnnviz.nets.presets import PRESETS

PRESET = PRESETS[st.session_state.model]
st.markdown("stub")
