"""The stepper (`?page=step`), conv1's kernels (`?page=kernels`) or the network view; a preset with random weights."""

import numpy as np
import streamlit as st
from random_network import random_trace

from cnnviz.components import deliver, kernels, network, stepper
from cnnviz.components.kernels import Panel
from cnnviz.nets.presets import PRESETS

st.set_page_config("cnnviz", layout="wide")
trace = st.cache_resource(random_trace)(PRESETS[st.query_params.get("model", "book-cifar")])


@st.fragment
def page() -> None:
    """As the pages of the app have it."""
    if st.query_params.get("page") == "step":
        stepper("walk", trace, st.query_params)
    elif st.query_params.get("page") == "kernels":
        maps = trace.layers[0].kernel.transpose(3, 0, 1, 2)
        panels = [Panel("old", "Before", maps), Panel("new", "After", maps * np.float32(0.5))]
        kernels("kernels", panels, [f"filter {number}" for number in range(len(maps))])
    else:
        with st.container(key="network"):
            chosen, _ = network("maps", trace, "A hint.", ("conv1", 0))
            st.write(f"Chosen: {chosen}")


deliver("network")
page()
