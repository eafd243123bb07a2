"""What a visitor's pages share: the chosen network, the drawing, and what the network makes of it."""

from __future__ import annotations

import re
import runpy
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from cnnviz import access, data, settings
from cnnviz.components.sketchpad import EMPTY, replaced, strokes
from cnnviz.crowd import TURN
from cnnviz.inputs import Input, InputError, Step, fit, normalise, parse_strokes, rasterise
from cnnviz.inputs.links import from_link
from cnnviz.inputs.normalise import as_pixels
from cnnviz.inputs.pictures import MAX_BYTES, TYPES, as_map
from cnnviz.inputs.samples import COLOURS, samples
from cnnviz.nets.layers import Network
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import Model, model_of, shipped
from cnnviz.trace import Trace, assemble
from cnnviz.training.runs import RunError
from cnnviz.workers import TRACER

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

APP = Path(__file__).resolve().parents[1] / "app.py"
START_UP = 6  # seconds that TensorFlow usually takes to start
FIRST_SAMPLE = "crossed-seven"


def selected_model() -> Model:
    """The network that is chosen in the sidebar, with its weights; the visitor's drawing is there from then on."""
    state = st.session_state
    if "model" not in state:
        # The first visit to a fresh server, by a link to a page: Streamlit finds a folder called pages and runs the
        # page without app.py. So run it now; it shows this page in its frame, and Streamlit knows better afterwards.
        runpy.run_path(str(APP))
        st.stop()
    if "sketch" not in state:
        state.sketch, state.sketch_revision, state.input, state.sample = EMPTY, 0, None, None
        state.drawing = None  # the sketch as a link holds it, where that is what the pages show
        state.example = None  # an image of a data set, where that is what the pages show
        start_with_link()
    asked = st.query_params.get("sample")
    if asked and asked != state.sample and not start_with(asked):
        st.query_params.pop("sample", None)
    # So that every page's link shows the same drawing.
    elif state.sample and not asked:
        st.query_params["sample"] = state.sample
    elif state.drawing and "drawing" not in st.query_params:
        st.query_params["drawing"] = state.drawing
    if state.model not in PRESETS:
        try:
            run = access.find(state.model.removeprefix("run-"))
            return model_of(run.network, run.weights(state.get("epoch")))
        except RunError as error:  # deleted since the sidebar was built
            st.info(str(error), icon=":material/info:")
            return shipped(next(iter(PRESETS.values())))
    return shipped(PRESETS[state.model])


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


def start_with(name: str) -> bool:
    """Take a sample, or an image of a data set's test part ("cifar10:17"), as if it had been drawn, and put its name
    into the address. A sample can be drawn on. Returns whether there is such a thing.
    """
    state = st.session_state
    lines = samples()[name].strokes if name in samples() else []
    example = None if lines else test_image(name)
    if not lines and not example:
        return False
    state.sketch = state.sketch_shown = replaced(state.sketch, lines)
    state.sketch_revision += 1
    state.sample, state.drawing, state.example = name, None, example
    state.input = from_sketch()
    st.query_params.pop("drawing", None)
    st.query_params["sample"] = name
    return True


def test_image(name: str) -> Input | None:
    """The image of a data set that "mnist:17" names; None where there is no such data set here, or image."""
    dataset, _, number = name.partition(":")
    if dataset not in data.DATASETS or not re.fullmatch("[0-9]{1,5}", number):
        return None
    try:
        images, labels = test_part(dataset)
    except data.DataError:
        return None
    if int(number) >= len(images):
        return None
    image, title = images[int(number)], data.DATASETS[dataset].classes[labels[int(number)]]
    return Input(image.reshape(*image.shape[:2], -1) / np.float32(255), (Step(title, image),))


@st.cache_resource(max_entries=4)
def test_part(dataset: str) -> data.Split:
    """A data set's test images and labels, read once. Raises DataError: it is not here."""
    return data.load(dataset)[1]


EXAMPLES = 12
"""How many images of a data set are offered to start from."""


def examples(dataset: str) -> dict[str, tuple[str, np.ndarray]]:
    """Test images to start from, by the name that `start_with` takes: (class, picture). Empty if it is not here."""
    try:
        images, labels = test_part(dataset)
    except data.DataError:
        return {}
    classes = data.find(dataset).classes
    # One of each class first, then those that come next.
    firsts = [int(np.flatnonzero(labels == number)[0]) for number in range(len(classes)) if (labels == number).any()]
    chosen = [*firsts, *(i for i in range(len(images)) if i not in firsts)][:EXAMPLES]
    return {f"{dataset}:{i}": (classes[labels[i]], images[i]) for i in chosen}


def starts(network: Network) -> dict[str, tuple[str, np.ndarray]]:
    """What there is to start from: drawings for a network that reads digits, else images of its data set."""
    if network.dataset in ("mnist", "digits"):
        return thumbnails()
    return examples(network.dataset) or thumbnails()


def from_sketch() -> Input | None:
    """What is on the sketchpad, else the image that was chosen instead; None where there is neither.

    Raises:
        InputError: the sketch is none, or past a limit.
    """
    lines = strokes(st.session_state.sketch)
    if not lines:
        return st.session_state.example
    with TURN:
        return normalise(rasterise(lines))


def current_input(network: Network) -> Input:
    """What the visitor drew or chose last, for pages that always show something: else what there is to start from,
    which stays out of the sketchpad."""
    if st.session_state.input:
        return st.session_state.input
    name = FIRST_SAMPLE if FIRST_SAMPLE in (first := starts(network)) else next(iter(first))
    return test_image(name) or normalise(rasterise(parse_strokes(samples()[name].strokes)))


@st.cache_data
def thumbnails() -> dict[str, tuple[str, np.ndarray]]:
    """Every sample's title and its picture, as the network is given it."""
    return {
        name: (sample.title, normalise(rasterise(parse_strokes(sample.strokes))).steps[-1].picture)
        for name, sample in samples().items()
    }


def traced(model: Model, image: np.ndarray, slot, keep: bool = True) -> Trace:
    """The network's numbers for an image; the last ones again when nothing has changed.

    Args:
        image: float32 (height, width, channels) in [0, 1]; brought to the size and colours that the network takes.
        slot: where it says how long TensorFlow is still starting.
        keep: whether it is what the pages show.

    Raises:
        WorkerError, WeightsError: with a sentence for the page.
    """
    state = st.session_state
    image = fit(image, model.network.input_shape)
    asked = model, image.tobytes()
    shown = "" if keep else "beside_"
    if state.get(f"{shown}asked") != asked:
        place = None

        def waiting(seconds: float) -> None:
            nonlocal place
            if TRACER.warm:  # then it is others who are being answered: no word is worth a message
                return
            place = place or slot.empty()
            text = f"TensorFlow is warming up: {seconds:.0f} s, usually about {START_UP}. Your drawing is kept."
            place.progress(min(seconds / START_UP, 0.99), text)

        keep_pace(slot)
        weights = model.weights()
        try:
            state[f"{shown}trace"] = assemble(model.network, weights, image, TRACER.trace(model, image, waiting))
        finally:
            if place:
                place.empty()
        state[f"{shown}asked"] = asked
    return state[f"{shown}trace"]


def keep_pace(slot) -> None:
    """Hold back who asks faster than the server allows. Nothing is lost: meanwhile Streamlit joins what comes."""
    times = st.session_state.setdefault("asked_at", deque())
    most = settings.STROKES.value
    while len(times) >= most and (early := times[-most] + 1 - time.monotonic()) > 0:
        place = slot.empty()
        place.info(settings.STROKES.sentence, icon=":material/hourglass:")
        time.sleep(early)
        place.empty()
    times.append(time.monotonic())
    while len(times) > most:
        times.popleft()


def reading(file: UploadedFile, read: Callable, *how) -> Any:
    """What `read(content, *how)` makes of an upload; what it made of it last when nothing has changed, because a large
    picture takes a second and the page runs at every click.

    Raises:
        InputError: as `read` does.
    """
    state = st.session_state
    asked = file.file_id, read, *how
    if state.get("read_asked") != asked:
        try:
            result = read(file.getvalue(), *how)
        except InputError as error:
            result = str(error)  # the error itself would keep what was decoded
        state.read_asked, state.read_result = asked, result
    if isinstance(state.read_result, str):
        raise InputError(state.read_result)
    return state.read_result


def lab_pictures() -> dict[str, tuple[str, np.ndarray]]:
    """Ask for a picture of the visitor's own, and give all that a lab can slide over.

    Returns:
        By name: (title, float32 (h, w, 1 or 3) in [0, 1]).
    """
    state = st.session_state
    try:
        file = st.file_uploader("A picture of your own", TYPES, key="lab_upload",
                                max_upload_size=MAX_BYTES // 1_000_000)  # fmt: skip
        if file:
            state.lab_picture = reading(file, as_map)
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
