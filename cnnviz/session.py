"""What a visitor's pages share: the chosen network, the drawing, and what the network makes of it."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import streamlit as st

from cnnviz.components.sketchpad import EMPTY, replaced, strokes
from cnnviz.inputs import Input, InputError, normalise, parse_strokes, rasterise
from cnnviz.inputs.links import from_link
from cnnviz.inputs.normalise import as_pixels
from cnnviz.inputs.pictures import MAX_BYTES, TYPES, as_map
from cnnviz.inputs.samples import COLOURS, samples
from cnnviz.nets.presets import PRESETS, Network
from cnnviz.nets.weights import shipped_weights
from cnnviz.trace import Trace, assemble
from cnnviz.workers import TRACER

APP = Path(__file__).resolve().parents[1] / "app.py"
START_UP = 6  # seconds that TensorFlow usually takes to start
FIRST_SAMPLE = "crossed-seven"


def selected_network() -> Network:
    """The network that is chosen in the sidebar; the visitor's drawing is there from then on."""
    state = st.session_state
    if "model" not in state:
        # The first visit to a fresh server, by a link to a page: Streamlit finds a folder called pages and runs the
        # page without app.py. So run it now; it shows this page in its frame, and Streamlit knows better afterwards.
        runpy.run_path(str(APP))
        st.stop()
    if "sketch" not in state:
        state.sketch, state.sketch_revision, state.input, state.sample = EMPTY, 0, None, None
        state.drawing = None  # the sketch as a link holds it, where that is what the pages show
        start_with_link()
    asked = st.query_params.get("sample")
    if asked in samples() and asked != state.sample:
        start_with_sample(asked)
    # So that every page's link shows the same drawing.
    elif state.sample and not asked:
        st.query_params["sample"] = state.sample
    elif state.drawing and "drawing" not in st.query_params:
        st.query_params["drawing"] = state.drawing
    return PRESETS[state.model]


def start_with_link() -> None:
    """Put the drawing that the address holds on the sketchpad; nothing where it holds none, or a damaged one."""
    state = st.session_state
    text = st.query_params.get("drawing", "")
    try:
        drawn = replaced(EMPTY, from_link(text))
        state.input = normalise(rasterise(strokes(drawn)))
        state.sketch, state.drawing = drawn, text
    except InputError:
        st.query_params.pop("drawing", None)


def start_with_sample(name: str) -> None:
    """Put a sample on the sketchpad, so that one can undo it or go on drawing, and its name into the address."""
    state = st.session_state
    state.sketch = state.sketch_shown = replaced(state.sketch, samples()[name].strokes)
    state.sketch_revision += 1
    state.sample, state.drawing = name, None
    state.input = from_sketch()
    st.query_params.pop("drawing", None)
    st.query_params["sample"] = name


def from_sketch() -> Input | None:
    """What is on the sketchpad; None while it is empty.

    Raises:
        InputError: the sketch is none, or past a limit.
    """
    lines = strokes(st.session_state.sketch)
    return normalise(rasterise(lines)) if lines else None


def current_input() -> Input:
    """What the visitor drew or chose last, for pages that always show something: else a sample."""
    state = st.session_state
    if not state.input:
        start_with_sample(FIRST_SAMPLE)
    return state.input


@st.cache_data
def thumbnails() -> dict[str, tuple[str, np.ndarray]]:
    """Every sample's title and its picture, as the network is given it."""
    return {
        name: (sample.title, normalise(rasterise(parse_strokes(sample.strokes))).steps[-1].picture)
        for name, sample in samples().items()
    }


def traced(network: Network, image: np.ndarray, slot) -> Trace:
    """The network's numbers for an image; the last ones again when nothing has changed.

    Args:
        image: float32 (height, width, channels) in [0, 1].
        slot: an empty place on the page that says how long TensorFlow is still starting.

    Raises:
        WorkerError, WeightsError: with a sentence for the page.
    """
    state = st.session_state
    asked = network.name, image.tobytes()
    if state.get("asked") != asked:

        def waiting(seconds: float) -> None:
            text = f"TensorFlow is warming up: {seconds:.0f} s, usually about {START_UP}. Your drawing is kept."
            slot.progress(min(seconds / START_UP, 0.99), text)

        values = TRACER.trace(network.name, image, waiting)
        state.trace = assemble(network, shipped_weights(network), image, values)
        state.asked = asked
    return state.trace


def lab_pictures() -> dict[str, tuple[str, np.ndarray]]:
    """Ask for a picture of the visitor's own, and give all that a lab can slide over.

    Returns:
        By name: (title, float32 (h, w, 1 or 3) in [0, 1]).
    """
    state = st.session_state
    file = st.file_uploader("A picture of your own", TYPES, key="lab_upload", max_upload_size=MAX_BYTES // 2**20)
    if file:
        try:
            state.lab_picture = as_map(file.getvalue())
        except InputError as error:
            st.error(str(error), icon=":material/error:")
    pictures = {}
    if "lab_picture" in state:
        pictures["upload"] = "your picture", state.lab_picture
    if state.input:
        pictures["drawing"] = "your drawing", state.input.pixels
    pictures["colours"] = "shapes in colour", colours()
    return pictures | {name: (f"sample: {title}", as_pixels(pixels)) for name, (title, pixels) in thumbnails().items()}


@st.cache_data
def colours() -> np.ndarray:
    """The colour sample: float32 (h, w, 3) in [0, 1]."""
    return as_map(COLOURS.read_bytes())
