"""Draw a digit, get the answer, see every map of every layer."""

import numpy as np
import streamlit as st

from cnnviz.components import deliver, gallery, learned, network, outcome, sketchpad
from cnnviz.components.network import Learned, as_choice
from cnnviz.components.outcome import SIZE, title
from cnnviz.components.sketchpad import link
from cnnviz.crowd import TURN
from cnnviz.figures import percent
from cnnviz.inputs import Input, InputError, fit
from cnnviz.inputs.pictures import MAX_BYTES, TYPES, for_network
from cnnviz.nets.weights import WeightsError
from cnnviz.session import from_sketch, reading, selected_model, start_with, starts, traced
from cnnviz.trace import Trace
from cnnviz.workers import TRACER, WorkerError

SURE = 0.8  # from this probability on, an answer is given without a second guess beside it
FIRST = {"Draw": "Draw a digit", "Picture": "Choose a picture", "Camera": "Take a photo"}
OTHER = FIRST | {"Draw": "Choose a sample or a picture"}  # for a network that reads no digits
POINT = "Point at a cell for its number; choose a map to see it large."
NOTHING_DRAWN = "Nothing is drawn yet: what you see comes from the biases alone."
READINGS = {"photo": "Photo", "sketch": "Drawing", "raw": "As it is"}
READINGS_HELP = """Photo: ink on paper, a board or a screen, in uneven light. Drawing: clean strokes on a plain
background. As it is: squeezed to 28×28 and nothing else, for pictures that are in MNIST's form already."""

state = st.session_state
MODEL = selected_model()
PRESET = MODEL.network
READS_DIGITS = "0" in PRESET.classes


def drawn() -> Input | None:
    """What is on the sketchpad; None while it is empty."""
    seen = state.get("sketch_seen")
    sketch = sketchpad("sketchpad", state.sketch_shown, state.sketch_revision, seen)
    if sketch is not None and sketch != seen:
        state.sketch = state.sketch_seen = sketch
        state.sample, state.drawing, state.example = None, link(sketch), None
        if "sample" in st.query_params:
            del st.query_params["sample"]
            if state.drawing:
                st.query_params["drawing"] = state.drawing
    return from_sketch()


def pictured(source: str) -> Input | None:
    """An uploaded or photographed picture; None while there is none."""
    with st.container(key="picture"):
        if source == "Camera":
            file, how = st.camera_input("Hold a digit on paper into the camera", key="camera"), "photo"
        else:
            file = st.file_uploader("A picture of one digit", TYPES, key="upload",
                                    max_upload_size=MAX_BYTES // 1_000_000)  # fmt: skip
            how = st.segmented_control(
                "Read it as",
                READINGS,
                format_func=READINGS.get,
                default="photo",
                required=True,
                key="reading",
                help=READINGS_HELP,
            )
    return reading(file, for_network, how, PRESET.input_shape) if file else None


def given(source: str) -> tuple[Input | None, str]:
    """The input that the visitor chose; after a bad one the last good one, and a sentence on what was wrong."""
    wrong = ""
    try:
        if source == "Draw":
            state.input = drawn()
        else:
            state.sketch_shown = state.sketch  # for when the sketchpad comes back
            picture = pictured(source)
            if picture:
                state.input, state.sample, state.drawing, state.example = picture, None, None, None
                st.query_params.pop("sample", None)
                st.query_params.pop("drawing", None)
    except InputError as error:
        wrong = str(error)
    return state.input, wrong


def fitted(data: Input) -> np.ndarray:
    """The picture as the network is given it, where it takes another size, or colours: uint8 (h, w) or (h, w, 3)."""
    pixels = np.rint(255 * fit(data.pixels, PRESET.input_shape)).astype(np.uint8)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def show_answer(trace: Trace) -> None:
    """The most probable class, large, and how sure the network is."""
    first, second = np.argsort(trace.probabilities)[::-1][:2]
    sure = trace.probabilities[first]
    if sure >= SURE:
        how = f"**{percent(sure)}** sure"
    else:
        other, chance = trace.network.classes[second], trace.probabilities[second]
        how = f"Not sure: **{percent(sure)}**. It could be **{other}** ({percent(chance)})."
    st.markdown(f"# {trace.network.classes[first]}\n\n{how}", anchors=False)  # one message, not two


def chosen_map() -> tuple[str, int]:
    """The layer and filter that the address names, else those that were chosen last, if the network has them."""
    layer, filter = state.get("chosen_seen") or (PRESET.layers[0].name, 0)
    last = as_choice(PRESET, {"layer": layer, "filter": filter})
    return as_choice(PRESET, st.query_params) or last or (PRESET.layers[0].name, 0)


@st.fragment
def page(source: str) -> None:
    """What a stroke changes and nothing else, in the order in which it should reach the screen. assets/style.css says
    where it stands: columns and containers would be sent, and cost the server as much as what is in them."""
    answer = st.container(key="prediction")
    data, wrong = given(source)
    pictures = {step.name: (step.name, step.picture) for step in data.steps} if data else {}
    if data and data.pixels.shape != PRESET.input_shape:
        pictures["fitted"] = f"as {'×'.join(map(str, PRESET.input_shape))}", fitted(data)
    meanwhile = None
    if data and not TRACER.warm:  # something to look at until the answer comes
        meanwhile = st.empty()
        with meanwhile:
            gallery("steps", pictures, SIZE, title=title(pictures))
    try:
        trace = traced(MODEL, data.pixels if data else np.zeros(PRESET.input_shape, np.float32), answer)
    except (WorkerError, WeightsError) as error:
        answer.error(str(error), icon=":material/error:")
        return
    if meanwhile:
        meanwhile.empty()
    with TURN:
        with answer:
            if data:
                show_answer(trace)
            else:
                st.markdown(f"{FIRST[source] if READS_DIGITS else OTHER[source]}, and the answer appears here.")
            if wrong:
                st.error(wrong, icon=":material/error:")
        chosen, step = network("network", trace, POINT if data else NOTHING_DRAWN, chosen_map(), LEARNED.name)
        if step:
            st.switch_page("pages/step.py", query_params=step)
        if data:
            outcome("outcome", PRESET.classes, trace.probabilities, pictures)
    if chosen and chosen != state.get("chosen_seen"):
        state.chosen_seen = chosen
        st.query_params.update(layer=chosen[0], filter=str(chosen[1]))


try:
    LEARNED = learned(MODEL)
except WeightsError:  # which the page tells where its answer would be
    LEARNED = Learned("", None)
deliver("sketchpad", "network", "outcome", network=LEARNED.data)
state.sketch_shown = state.sketch
if READS_DIGITS:
    st.markdown(
        "Draw a digit: the pictures below are what the trained network computes from it. "
        "Try a 7 with and without a bar, and watch which maps change."
    )
else:
    st.markdown(
        "Choose a sample or a picture: the maps below are what the network computes from it. "
        f"It knows {', '.join(PRESET.classes)} and nothing else: try a photo of your own, and a digit."
    )
with st.container(key="draw" if max(map(len, PRESET.classes)) < 3 else "draw-names"):
    SOURCE = st.segmented_control(
        "Input", list(FIRST), default="Draw", required=True, key="source", label_visibility="collapsed"
    )
    if SOURCE == "Draw":
        PICKED = gallery("samples", starts(PRESET), size=42, pick=True, title="Start from a sample")
        if PICKED:
            start_with(PICKED)
    page(SOURCE)
