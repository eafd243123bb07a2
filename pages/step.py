"""Walk through a layer cell by cell: the window slides, the products light up, the sum lands."""

import streamlit as st

from cnnviz.components import gallery, stepper
from cnnviz.nets.weights import WeightsError
from cnnviz.session import current_input, selected_model, start_with, starts, traced
from cnnviz.workers import WorkerError

MODEL = selected_model()


@st.fragment
def page() -> None:
    """The walk, and drawings to walk through."""
    slot = st.empty()
    walk = st.container(key="stepper")
    st.markdown("**Walk through another drawing**, or draw your own on the page *Draw*:")
    picked = gallery("step-samples", starts(MODEL.network), size=42, pick=True)
    if picked:
        start_with(picked)
    try:
        trace = traced(MODEL, current_input(MODEL.network).pixels, slot)
    except (WorkerError, WeightsError) as error:
        slot.error(str(error), icon=":material/error:")
        return
    slot.empty()
    with walk:
        stepper("walk", trace, st.query_params)


st.markdown(
    "Press play and watch how every number of a layer comes about from the network's own weights. "
    "Click a cell of the output map to go there; keys: space, arrows, Home, End, and [ ] for the filter."
)
page()
