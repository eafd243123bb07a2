"""The pooling lab: what a window keeps of the numbers in it, and what a shift by a pixel does."""

import streamlit as st

from cnnviz.components import lab
from cnnviz.session import lab_pictures, selected_model

selected_model()


@st.fragment
def page() -> None:
    """The lab, and pictures to put into it."""
    bench = st.container(key="lab")
    pictures = lab_pictures()
    with bench:
        lab("pooling", "pool", pictures, st.query_params)


st.markdown(
    "Each window becomes one number: its largest, or its mean. "
    "Try a sample with stride 2 and shift it by a pixel: the input changes much, the pooled map less."
)
page()
