"""cnnviz: draw a digit and see how a convolutional network reads it. Start with `streamlit run app.py`."""

from pathlib import Path

import streamlit as st

from cnnviz import settings
from cnnviz.crowd import write_theme_once
from cnnviz.memory import tidy
from cnnviz.run_view import plain
from cnnviz.sidebar import sidebar
from cnnviz.training import runs
from cnnviz.workers import TRACER

ASSETS = Path(__file__).parent / "assets"
st.set_page_config("cnnviz", ASSETS / "icon.png", layout="wide", initial_sidebar_state=280)
if wrong := settings.wrong():
    st.error(wrong, icon=":material/error:")
    st.stop()
tidy()
write_theme_once()
TRACER.start()  # TensorFlow warms up while the page is already there

page = st.navigation(
    [
        st.Page("pages/draw.py", title="Draw", icon=":material/draw:", default=True),
        st.Page("pages/step.py", title="Step through", icon=":material/footprint:"),
        st.Page("pages/convolution.py", title="Convolution lab", icon=":material/grid_on:"),
        st.Page("pages/pooling.py", title="Pooling lab", icon=":material/compress:"),
        st.Page("pages/learning.py", title="One step of learning", icon=":material/trending_down:"),
        st.Page("pages/layers.py", title="Layers", icon=":material/layers:"),
        st.Page("pages/training.py", title="Training", icon=":material/monitoring:"),
        st.Page("pages/runs.py", title="Runs", icon=":material/table_rows:"),
        st.Page("pages/sweeps.py", title="Sweeps", icon=":material/tune:"),
    ],
    position="top",
)
st.html(ASSETS / "style.css")
with st.sidebar:
    sidebar()
if asked := st.session_state.pop("no_model", None):
    said = runs.GONE if asked.startswith("run-") else f"There is no network {plain(runs.tidy(asked))}."
    st.info(f"{said} What you see is {plain(st.session_state.model)}.", icon=":material/info:")
page.run()
