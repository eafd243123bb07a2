"""The network as a table: sizes, parameters, receptive fields, and where its weights come from."""

import streamlit as st

from cnnviz.nets.describe import table
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import load_card
from cnnviz.run_view import plain, show_curves
from cnnviz.session import selected_model
from cnnviz.training import runs
from cnnviz.training.results import verdict

MODEL = selected_model()
PRESET = MODEL.network


def as_markdown(rows: list[dict]) -> str:
    """Rows of equal keys as a table."""
    cells = [[f"{value:,}" if isinstance(value, int) else value for value in row.values()] for row in rows]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def card() -> tuple[dict, runs.Story]:
    """What is known of the weights, and how they were learned: by a preset's card, or a run's settings and results."""
    if PRESET.name in PRESETS:
        known = load_card(PRESET)
        epochs = known.pop("epochs", [])
        means = [{"batch": 1, **epoch} for epoch in epochs]
        return known, runs.Story("done", started={"epochs": len(epochs), "batches": 1}, batches=means, epochs=epochs)
    run = runs.find(PRESET.name.removeprefix("run-"))
    told = runs.story(run)
    accuracy = {"validation images, the best epoch": told.best["val_accuracy"]} if told.best else {}
    if "test_accuracy" in told.end:
        accuracy = {"test images": told.end["test_accuracy"], **accuracy}
    return {"accuracy": accuracy, "recipe": run.config.as_json(), "versions": told.started.get("versions", {})}, told


def show_card(card: dict) -> None:
    """What the weights were trained on, and how well they read."""
    if not card:
        st.info("These weights have no card. Run `make weights` to train them anew, with one.", icon=":material/info:")
        return
    for column, (name, value) in zip(st.columns(max(1, len(card["accuracy"]))), card["accuracy"].items(), strict=False):
        column.metric(name, f"{value:.2%}", border=True)
    st.json(card, expanded=False)


st.markdown(
    "How large each layer's output is, how many weights it has, and how much of the image one of its cells sees. "
    "Try another network in the sidebar, and look which of its layers holds most of the weights."
)
st.subheader(f"{plain(PRESET.title)}: {sum(PRESET.parameters()):,} parameters", anchor=False)
with st.container(key="layer-table"):
    st.markdown(as_markdown(table(PRESET)))
st.caption(
    "Height: ⌊(n + p − d(k − 1) − 1)/s⌋ + 1 for n input cells, p zeros of padding, dilation d, kernel k and stride s. "
    "Sees: the receptive field, the square of the image that one cell is computed from."
)
st.subheader("Where the weights come from", anchor=False)
try:
    KNOWN, TOLD = card()
except runs.RunError as error:  # deleted this moment, or what it has said can't be read
    st.error(str(error), icon=":material/error:")
    st.stop()
with st.container(key="card"):
    show_card(KNOWN)
weights = MODEL.file
if weights.exists():
    st.download_button("Download the weights", weights.read_bytes, weights.name, icon=":material/download:",
                       help="A NumPy .npz file: one kernel and one bias for each layer that has any")  # fmt: skip
if TOLD.epochs:
    with st.container(key="how-learned"):
        st.subheader("How it learned", anchor=False)
        st.markdown(verdict(TOLD))
        show_curves({PRESET.title: TOLD})
