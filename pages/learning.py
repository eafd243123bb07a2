"""One step of learning: a batch, its loss, the gradient of every kernel, the update, the loss after it."""

import math
import re

import numpy as np
import streamlit as st

from cnnviz import data
from cnnviz.components import gallery, kernels
from cnnviz.components.kernels import Panel
from cnnviz.figures import losses_by_rate, losses_so_far
from cnnviz.session import START_UP, selected_model
from cnnviz.training.one_step import (
    LIMIT,
    NO_ANSWER,
    OPTIMIZERS,
    RATES,
    History,
    LayerStep,
    OneStep,
    as_link,
    from_link,
    moved,
    too_far,
)
from cnnviz.workers import LEARNER, WorkerError

RATES_OF = {"sgd": ("step_rate", 0.1), "adam": ("step_adam_rate", 0.001)}  # the slider's key, and where it begins
# What a link may say of a widget. Bound to it, Streamlit fails at a number that is infinite to a float, and takes
# nothing at all for a choice.
LINKED = {"step_seed": "[0-9]{1,4}", "step_filter": "[0-9]{1,4}", "step_by": "|".join(OPTIMIZERS),
          "step_layer": "conv[12]"}  # fmt: skip
PATIENCE = 1.5  # seconds after which a step that is being computed says so
WRONG = [1, 0.6, 0.27]  # red, green, blue: the ink of images that the network reads wrong
PLAIN = {"displayModeBar": False}

state = st.session_state
selected_model()


def take() -> None:
    """Take the step that is shown, and go on with the next batch."""
    if len(state.taken) < LIMIT:
        state.taken += (state[RATES_OF[state.step_by][0]],)


def undo() -> None:
    """Go back to the step before."""
    state.taken = state.taken[:-1]


def start_over() -> None:
    """From the first weights again."""
    state.taken = ()


def computed(history: History, slot) -> OneStep:
    """The step after a history; the last one again when nothing has changed. Raises WorkerError."""
    if "one_step" not in state or state.one_step.history != history:

        def waiting(seconds: float, steps: int) -> None:
            if steps:
                slot.progress(steps / len(history.rates), f"Taking the steps again: {steps} of {len(history.rates)}.")
            elif seconds > PATIENCE and LEARNER.warm:
                slot.progress(0.5, "Computing the gradients.")
            elif seconds > PATIENCE:
                text = f"TensorFlow is warming up: {seconds:.0f} s, usually about {START_UP}."
                slot.progress(min(seconds / START_UP, 0.99), text)

        state.one_step = LEARNER.one_step(history, waiting)
        slot.empty()
    return state.one_step


def exact(number: float) -> str:
    """The shortest text that stands for this float32 and no other."""
    return str(np.float32(number)).replace("-", "−") if math.isfinite(number) else "no number"


def rough(number: float) -> str:
    """Three digits are enough to compare norms."""
    return f"{number:.3g}" if math.isfinite(number) else "no number"


def show_losses(step: OneStep, rate: float) -> None:
    """Before and after."""
    with st.container(key="losses", gap=None):
        st.markdown(f"#### {exact(step.loss)} → {exact(step.loss_after(rate))}")
        st.caption("The batch's loss before and after this step: the mean cross-entropy of its images.")


def warn(step: OneStep, rate: float) -> None:
    """Say where the step is too far."""
    after = step.loss_after(rate)
    if not math.isfinite(step.loss):
        said = "The loss is no number any more: the weights have outgrown float32. Undo a step, or start over."
    elif not math.isfinite(after):
        said = "A step too far: after it the loss is no number, because the weights outgrow float32."
    elif too_far(step.loss, after):
        said = "A step too far: on the very same images the loss is larger after it."
    else:
        return
    st.warning(said, icon=":material/warning:")


def show_batch(step: OneStep) -> None:
    """The images, with their labels and, where it is another, the network's answer."""
    right = step.labels == step.answers
    st.markdown(
        f"**The batch.** Before the step the network reads **{right.sum()} of {len(right)}** images right (✓); "
        "where it is wrong, its answer stands behind the label and the ✗."
    )
    pictures = {}
    for number, (image, label, answer) in enumerate(zip(step.images, step.labels, step.answers, strict=True)):
        caption = f"{label} ✓" if label == answer else f"{label} ✗ {'?' if answer == NO_ANSWER else answer}"
        tinted = image if label == answer else (image[..., None] * WRONG).astype(np.uint8)
        pictures[str(number)] = caption, tinted
    with st.container(key="batch"):
        gallery("batch-images", pictures, size=32)


def show_kernels(step: OneStep, rate: float) -> None:
    """The kernels of a convolution before, their gradients, and the kernels after."""
    conv1, conv2 = step.layers[:2]
    with st.container(horizontal=True):
        chosen = st.segmented_control(
            "Kernels",
            ["conv1", "conv2"],
            default="conv1",
            required=True,
            key="step_layer",
            bind=state.step_bind["step_layer"],
        )
        if chosen == "conv1":
            layer, maps = conv1, np.s_[:, :, 0, :]
            names = [f"filter {number}" for number in range(conv1.shape[3])]
        else:
            number = st.number_input("Filter", 0, conv2.shape[3] - 1, 0, key="step_filter",
                                     bind=state.step_bind["step_filter"], width=130)  # fmt: skip
            layer, maps = conv2, np.s_[:, :, :, number]
            names = [f"filter {number}, channel {channel}" for channel in range(conv2.shape[2])]
    arrays = {"old": layer.kernel, "gradient": layer.gradient}
    titles = {"old": "Kernels before", "gradient": "Gradient of the loss", "new": "Kernels after"}
    if step.history.optimizer == "adam":
        arrays["direction"], titles["direction"] = layer.direction, "Adam's direction"
    arrays["new"] = moved(layer.kernel, rate, layer.direction)
    panels = [Panel(part, titles[part], array[maps].transpose(2, 0, 1)) for part, array in arrays.items()]
    kernels("kernel-maps", panels, names, rate)


def as_row(layer: LayerStep, rate: float) -> str:
    """A layer's norms as a row of the table."""
    update, entry = rate * layer.direction_norm, layer.largest
    place = ", ".join(map(str, entry.index))
    norms = (layer.kernel_norm, layer.gradient_norm, update, update / layer.kernel_norm)
    cells = [layer.name, "×".join(map(str, layer.shape)), *map(rough, norms), f"{exact(entry.gradient)} at [{place}]",
             f"{exact(entry.weight)} → {exact(moved(entry.weight, rate, entry.direction))}"]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def show_layers(step: OneStep, rate: float) -> None:
    """How large weights, gradient and update of every layer are."""
    st.markdown("**Every layer's kernel**, as norms (the root of the sum of squares), and its steepest weight:")
    head = ["layer", "kernel", "weights", "gradient", "update", "update / weights", "largest gradient", "that weight"]
    with st.container(key="step-table"):
        st.markdown("\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(
            as_row(layer, rate) for layer in step.layers)]))  # fmt: skip
    st.caption(
        "Update / weights is what practitioners look at: by a rule of thumb about a thousandth. "
        "In brackets: row, column, channel and filter of a convolution, input and unit of a dense layer."
    )


@st.fragment
def page() -> None:
    """The step that comes next, and what has been learned so far."""
    slot = st.empty()
    controls, by_rate, so_far = st.columns(3, gap="medium")
    with controls:
        heading = st.empty()
        chosen_rate = st.container()
        numbers = st.container()
        with st.container(horizontal=True):
            full = len(state.taken) >= LIMIT
            st.button("Take the step", on_click=take, type="primary", shortcut="N", disabled=full)
            st.button("Undo", on_click=undo, shortcut="U", disabled=not state.taken)
            st.button("Start over", on_click=start_over, disabled=not state.taken)
        with st.container(horizontal=True):
            by = st.segmented_control("Optimizer", OPTIMIZERS, format_func=OPTIMIZERS.get, default="sgd", required=True,
                                      key="step_by", bind=state.step_bind["step_by"], on_change=start_over)  # fmt: skip
            seed = st.number_input("Seed", 0, 9_999, 1, key="step_seed", bind=state.step_bind["step_seed"],
                                   on_change=start_over, width=110)  # fmt: skip
    with chosen_rate:
        key, default = RATES_OF[by]
        rate = st.select_slider("Learning rate", RATES, default, "{:g}".format, key=key, bind="query-params")
    if state.taken:
        st.query_params["steps"] = as_link(state.taken)
    else:
        st.query_params.pop("steps", None)
    try:
        step = computed(History(seed, by, state.taken), slot)
    except WorkerError as error:
        slot.error(str(error), icon=":material/error:")
        return
    heading.subheader(f"Step {len(state.taken) + 1}", anchor=False)
    with numbers:
        show_losses(step, rate)
    with controls:
        warn(step, rate)
        if full:
            st.info(f"{LIMIT} steps are taken: this page takes no more. Undo, or start over.", icon=":material/info:")
    with by_rate:
        st.markdown("**The loss after this step, by the learning rate**")
        st.plotly_chart(losses_by_rate(RATES, step.loss, step.losses, rate), key="by-rate", config=PLAIN)
    with so_far:
        st.markdown("**The losses so far**")
        st.plotly_chart(losses_so_far(step.past, step.loss), key="so-far", config=PLAIN)
    show_batch(step)
    show_kernels(step, rate)
    show_layers(step, rate)


if "taken" not in state:
    state.taken = from_link(st.query_params.get("steps", ""))
    state.step_bind = dict.fromkeys(LINKED, "query-params")
    for name, pattern in LINKED.items():
        if name in st.query_params and not re.fullmatch(pattern, st.query_params[name]):
            state.step_bind[name] = None
            del st.query_params[name]
st.markdown(
    "The network *low-level*, with random weights, sees 128 images; each weight then moves against its gradient, and "
    "the loss falls. Try larger rates until a step goes too far, then take step after step (key **N**): it learns."
)
if data.is_here("mnist"):
    page()
else:
    st.info("This page learns from MNIST, which is not on this computer yet. Run `python -m cnnviz datasets mnist`, "
            "then reload the page.", icon=":material/download:")  # fmt: skip
