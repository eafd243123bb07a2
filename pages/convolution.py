"""The convolution lab: an input, a kernel and settings of one's own, and what comes of them, cell by cell."""

import streamlit as st

from cnnviz.components import lab
from cnnviz.nets.weights import Model, WeightsError
from cnnviz.session import lab_pictures, selected_model

MODEL = selected_model()


def first_kernels(model: Model) -> dict:
    """The first layer's kernels by title, a slice for each channel; none without weights."""
    layer = model.network.layers[0]
    try:
        kernel, _ = model.weights()[layer.name]
    except WeightsError:
        return {}
    names = (f"{model.network.title}, {layer.name} filter {number}" for number in range(layer.filters))
    return dict(zip(names, kernel.transpose(3, 2, 0, 1), strict=True))


@st.fragment
def page() -> None:
    """The lab, and pictures to put into it."""
    bench = st.container(key="lab")
    pictures = lab_pictures()
    with bench:
        lab("convolution", "conv", pictures, st.query_params, first_kernels(MODEL))


st.markdown(
    "Change any number of the input or the kernel, or a setting, and watch how the output follows. "
    "Try a kernel for edges on your drawing, or three channels of colour: they still give one map."
)
page()
