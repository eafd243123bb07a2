"""The convolution lab: an input, a kernel and settings of one's own, and what comes of them, cell by cell."""

import streamlit as st

from cnnviz.components import lab
from cnnviz.nets.presets import Network
from cnnviz.nets.weights import WeightsError, shipped_weights
from cnnviz.session import lab_pictures, selected_network

PRESET = selected_network()


def first_kernels(network: Network) -> dict:
    """The first layer's kernels, one channel each, by title; none without weights."""
    layer = network.layers[0]
    try:
        kernel, _ = shipped_weights(network)[layer.name]
    except WeightsError:
        return {}
    return {f"{network.name}, {layer.name} filter {number}": kernel[..., 0, number] for number in range(layer.filters)}


@st.fragment
def page() -> None:
    """The lab, and pictures to put into it."""
    bench = st.container(key="lab")
    pictures = lab_pictures()
    with bench:
        lab("convolution", "conv", pictures, st.query_params, first_kernels(PRESET))


st.markdown(
    "Change any number of the input or the kernel, or a setting, and watch how the output follows. "
    "Try a kernel for edges on your drawing, or three channels of colour: they still give one map."
)
page()
