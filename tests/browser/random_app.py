"""The stepper (`?page=step`) or the network view for a preset with random weights."""

import streamlit as st
from random_network import random_trace

from cnnviz.components import deliver, network, stepper
from cnnviz.nets.presets import PRESETS

st.set_page_config("cnnviz", layout="wide")
trace = st.cache_resource(random_trace)(PRESETS[st.query_params.get("model", "book-cifar")])


@st.fragment
def page() -> None:
    """As the pages of the app have it."""
    if st.query_params.get("page") == "step":
        stepper("walk", trace, st.query_params)
    else:
        with st.container(key="network"):
            chosen, _ = network("maps", trace, "A hint.", ("conv1", 0))
            st.write(f"Chosen: {chosen}")


deliver("network")
page()
