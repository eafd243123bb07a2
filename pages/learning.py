"""One step of learning: a batch, its loss, the gradient of every kernel, the update, the loss after it."""

import math
import re

import numpy as np
import streamlit as st

from cnnviz import data
from cnnviz.components import gallery, kernels
from cnnviz.components.kernels import Panel
from cnnviz.figures import chances, losses_by_rate, losses_so_far
from cnnviz.session import START_UP, selected_model
from cnnviz.training.one_step import (
    BATCH,
    LIMIT,
    NETWORK,
    NO_ANSWER,
    OPTIMIZERS,
    POOLED,
    RATES,
    History,
    LayerStep,
    OneStep,
    UnitStep,
    as_link,
    from_link,
    moved,
    too_far,
)
from cnnviz.workers import LEARNER, WorkerError

RATES_OF = {"sgd": ("step_rate", 0.1), "adam": ("step_adam_rate", 0.001)}  # the slider's key, and where it begins
# What a link may say of a widget. Bound to it, Streamlit fails at a number that is infinite to a float, and takes
# nothing at all for a choice.
LINKED = {"step_seed": "[0-9]{1,4}", "step_filter": "[0-9]{1,4}", "step_unit": "[0-9]{1,4}",
          "step_by": "|".join(OPTIMIZERS.values()), "step_layer": "conv1|conv2|dense1|logits"}  # fmt: skip
SHAPES = {
    "dense1": "All 3,136 weights of this unit: a 7×7 slice for each of the 64 maps of pool2.",
    "logits": "All 10,240 weights: of each of the ten units those of its 1,024 inputs, row by row in a square.",
}
UNITS = "Each cell is one of 1,024 units, row by row: of its 3,136 gradients the one farthest from 0. Choose one."
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


def computed(history: History, slot, unit: int | None = None) -> OneStep | UnitStep:
    """The step after a history, or what it does to a unit; the last one again when nothing has changed.

    Raises:
        WorkerError: it can't be computed.
    """
    kept, wanted = ("one_step", history) if unit is None else ("unit_step", (history, unit))
    if kept not in state or state[kept][0] != wanted:

        def waiting(seconds: float, steps: int) -> None:
            if steps:
                slot.progress(steps / len(history.rates), f"Taking the steps again: {steps} of {len(history.rates)}.")
            elif seconds > PATIENCE and LEARNER.warm:
                slot.progress(0.5, "Computing the gradients.")
            elif seconds > PATIENCE:
                text = f"TensorFlow is warming up: {seconds:.0f} s, usually about {START_UP}."
                slot.progress(min(seconds / START_UP, 0.99), text)

        state[kept] = wanted, LEARNER.one_step(history, waiting, unit)
        slot.empty()
    return state[kept][1]


def exact(number: float) -> str:
    """The shortest text that stands for this float32 and no other."""
    return str(np.float32(number)).replace("-", "−") if math.isfinite(number) else "no number"


def rough(number: float) -> str:
    """Three digits are enough to compare norms."""
    return f"{number:.3g}" if math.isfinite(number) else "no number"


def show_losses(step: OneStep, rate: float) -> None:
    """Before and after."""
    with st.container(key="losses", gap=None):
        st.markdown(f"#### {exact(step.before.loss)} → {exact(step.after(rate).loss)}")
        st.caption("The batch's loss before and after this step: the mean cross-entropy of its images.")


def warn(step: OneStep, rate: float) -> None:
    """Say where the step is too far."""
    before, after = step.before.loss, step.after(rate).loss
    if not math.isfinite(before):
        said = "The loss is no number any more: the weights have outgrown float32. Undo a step, or start over."
    elif not math.isfinite(after):
        said = "A step too far: after it the loss is no number, because the weights outgrow float32."
    elif too_far(before, after):
        said = "A step too far: on the very same images the loss is larger after it."
    else:
        return
    st.warning(said, icon=":material/warning:")


def show_batch(step: OneStep, rate: float) -> int:
    """The images, with their labels and, where it is another, the network's answer. Returns the one that is chosen."""
    right = step.labels == step.before.answers
    st.markdown(
        f"**Forward: the batch.** The network reads **{right.sum()} of {len(right)}** right (✓), after the step "
        f"**{(step.labels == step.after(rate).answers).sum()}**. Behind ✗ stands its answer. "
        "Choose an image to see its numbers."
    )
    pictures = {}
    for number, (image, label, answer) in enumerate(zip(step.images, step.labels, step.before.answers, strict=True)):
        caption = f"{label} ✓" if label == answer else f"{label} ✗ {'?' if answer == NO_ANSWER else answer}"
        tinted = image if label == answer else (image[..., None] * WRONG).astype(np.uint8)
        pictures[str(number)] = caption, tinted
    with st.container(key="batch"):
        # The worst, until another one is picked: of this step's images, as the next step has others.
        shown = chosen_image(step)
        picked = gallery("batch-images", pictures, size=32, pick=True, chosen=str(shown))
    if picked is not None and int(picked) != shown:
        state.step_image = step.history, int(picked)
        st.query_params["step_image"] = picked
        st.rerun()
    return shown


def chosen_image(step: OneStep) -> int:
    """The image that was picked of this step's batch, or that a link names, else the one with the largest loss."""
    if state.linked_image is not None:
        state.step_image, state.linked_image = (step.history, state.linked_image), None
    history, number = state.get("step_image", (None, 0))
    if history == step.history:
        return number
    st.query_params.pop("step_image", None)
    return int(step.before.losses.argmax())


def show_image(step: OneStep, rate: float, number: int) -> None:
    """One image's logits, probabilities and cross-entropy before and after the step, and its share of the loss."""
    before, after = step.before, step.after(rate)
    label = NETWORK.classes[step.labels[number]]
    probability, loss = before.probabilities[number][step.labels[number]], before.losses[number]
    words, chart, table = st.columns([5, 5, 8], gap="medium")
    with words, st.container(key="image-loss"):
        st.markdown(f"**Forward: one image of the batch, a {label}**")
        answer = before.answers[number]
        caption = "no answer" if answer == NO_ANSWER else f"read as {NETWORK.classes[answer]}"
        gallery("chosen-image", {str(number): (caption, step.images[number])}, size=84)
        # Computed from the logits, so that it is there where float32 holds no such probability.
        spelt = f"−ln {exact(probability)}" if probability else "here one too small for float32"
        st.markdown(
            f"Its cross-entropy is −ln of the probability of its label, {spelt}:"
            f"\n#### {exact(loss)} → {exact(after.losses[number])}\n"
            f"The batch's loss is the mean of {len(step.labels)} such numbers. This image adds "
            f"{rough(loss)} / {len(step.labels)} = {rough(loss / len(step.labels))} to the {rough(before.loss)} before "
            "the step."
        )
    with chart:
        st.markdown("**Its probabilities, before and after**")
        figure = chances(before.probabilities[number], after.probabilities[number], NETWORK.classes, label)
        st.plotly_chart(figure, key="chances", config=PLAIN)
    with table, st.container(key="image-table"):
        head = ["class", "logit", "probability", "logit after", "probability after"]
        rows = zip(NETWORK.classes, before.logits[number], before.probabilities[number], after.logits[number],
                   after.probabilities[number], strict=True)  # fmt: skip
        lines = [f"| {f'**{name}**' if name == label else name} | {' | '.join(map(exact, numbers))} |"
                 for name, *numbers in rows]  # fmt: skip
        st.markdown("\n".join([f"| {' | '.join(head)} |", "|---" + "|--:" * 4 + "|", *lines]))


def as_maps(name: str, kernel: np.ndarray, number: int) -> np.ndarray:
    """A layer's kernel as maps (n, k, k): of conv2 what belongs to one filter, of dense1 one unit's (inputs,)."""
    if name == "conv1":
        return kernel[:, :, 0].transpose(2, 0, 1)
    if name == "conv2":
        return kernel[..., number].transpose(2, 0, 1)
    if name == "dense1":
        return kernel.reshape(POOLED).transpose(2, 0, 1)
    return kernel.T.reshape(-1, 32, 32)


def show_kernels(step: OneStep, rate: float) -> None:
    """The kernels of a layer before, their gradients, and the kernels after."""
    adam = step.history.optimizer == "adam"
    moves = "Adam's direction, which is made of this gradient and those before" if adam else "its gradient"
    st.markdown(f"**Backward, and the update.** Each weight moves by −rate · {moves}.")
    layers = {layer.name: layer for layer in step.layers}
    with st.container(horizontal=True):
        name = st.segmented_control("Kernels", layers, default="conv1", required=True, key="step_layer",
                                    bind=state.step_bind["step_layer"])  # fmt: skip
        chooser = st.container(width=130)
    layer, room, number, cell = layers[name], st.container(), 0, ""
    if name == "conv1":
        names = [f"filter {filter}" for filter in range(layer.shape[3])]
    elif name == "conv2":
        number = chooser.number_input("Filter", 0, layer.shape[3] - 1, 0, key="step_filter",
                                      bind=state.step_bind["step_filter"])  # fmt: skip
        names = [f"filter {number}, channel {channel}" for channel in range(layer.shape[2])]
    elif name == "dense1":
        overview, room = st.columns([1, 3], gap="medium")
        number = chosen_unit(layer, chooser, overview)
        names = [f"unit {number}, channel {channel}" for channel in range(POOLED[2])]
        slot = room.empty()
        try:
            layer = computed(step.history, slot, number)
        except WorkerError as error:
            slot.error(str(error), icon=":material/error:")
            return
    else:
        names, cell = [f"unit {unit}" for unit in range(layer.shape[1])], "input"
    arrays = {"old": layer.kernel, "gradient": layer.gradient}
    titles = {"old": "Kernels before", "gradient": "Gradient of the loss", "new": "Kernels after"}
    if adam:
        arrays["direction"], titles["direction"] = layer.direction, "Adam's direction"
    arrays["new"] = moved(layer.kernel, rate, layer.direction)
    panels = [Panel(part, titles[part], as_maps(name, array, number)) for part, array in arrays.items()]
    with room:
        if name in SHAPES:
            st.caption(SHAPES[name])
        kernels("kernel-maps", panels, names, rate, cell)


def chosen_unit(layer: LayerStep, chooser, overview) -> int:
    """A unit of a layer with too many weights to show them all: by its number, or picked from a picture of all."""
    if "picked_unit" in state:
        state.step_unit = state.pop("picked_unit")
    elif "step_unit" not in state and "step_unit" not in st.query_params:
        state.step_unit = layer.largest.index[1]
    number = chooser.number_input("Unit", 0, layer.shape[1] - 1, key="step_unit", bind=state.step_bind["step_unit"])
    with overview:
        st.caption(UNITS)
        panel = Panel("gradient", "Gradients, unit by unit", layer.units.reshape(1, 32, 32))
        picked = kernels("units", [panel], [""], cell="unit", chosen=number)
    if picked not in (None, number):
        state.picked_unit = picked
        st.rerun()
    return number


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
        figure = losses_by_rate(RATES, step.before.loss, [after.loss for after in step.afters], rate)
        st.plotly_chart(figure, key="by-rate", config=PLAIN)
    with so_far:
        st.markdown("**The losses so far**")
        st.plotly_chart(losses_so_far(step.past, step.before.loss), key="so-far", config=PLAIN)
    show_image(step, rate, show_batch(step, rate))
    show_kernels(step, rate)
    show_layers(step, rate)


if "taken" not in state:
    state.taken = from_link(st.query_params.get("steps", ""))
    state.step_bind = dict.fromkeys(LINKED, "query-params")
    linked = st.query_params.get("step_image", "")
    state.linked_image = int(linked) if re.fullmatch("[0-9]{1,3}", linked) and int(linked) < BATCH else None
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
