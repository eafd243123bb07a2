"""One training run: its curves while it learns, and what it learned."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cnnviz import access, data
from cnnviz.components import deliver, gallery, kernels, network
from cnnviz.components.kernels import Panel
from cnnviz.figures import percent
from cnnviz.figures.training import confusion
from cnnviz.nets.weights import Weights, WeightsError, model_of, read_weights
from cnnviz.run_view import LOOK, plain, progress_line, show_curves, show_downloads, stop_button
from cnnviz.session import current_input, selected_model, test_part, traced
from cnnviz.sidebar import ONE, busy, go_on, open_form
from cnnviz.training import runs
from cnnviz.training.results import Results, results, verdict
from cnnviz.workers import WorkerError

PLAIN = {"displayModeBar": False}
MISTAKES = 24  # pictures at most
STATES = {"waiting": "waits", "running": "is learning", "interrupted": "was interrupted", "done": "is done",
          "stopped": "was stopped", "failed": "failed"}  # fmt: skip
GO_ON = """From its last finished epoch: on the same CPU to the same numbers, to the last digit, as if nothing had
happened. On another device, and on some GPUs, sums are made in another order, and the last digits differ."""
FINISH = """It learns no more, and is tested as its best epoch is. The test images are asked only once, so that
nothing is chosen by them: then it can't go on any more."""
THEN = "Your input's maps after epoch {epoch}. Point at a cell for its number; choose a map to see it large."
EMPTY = "There are no runs yet. Open *Retrain* in the sidebar, and start one."

state = st.session_state
selected_model()


def chosen() -> runs.Run | None:
    """The run that the address names, else the visitor's newest, else the newest of all."""
    every = access.visible_runs()
    wanted = st.query_params.get("run")
    for run in every:
        if run.id == wanted:
            return run
    if wanted:
        st.info(runs.GONE, icon=":material/info:")
        st.query_params.pop("run", None)
    elif not every:
        st.info(EMPTY, icon=":material/info:")
    run = next((run for run in every if access.mine(run)), every[0] if every else None)
    if run:
        st.query_params["run"] = run.id
    return run


def looked(name: str) -> tuple[runs.Run, runs.Story]:
    """A run and what it has said; the page ends with a sentence if it was deleted this moment."""
    try:
        run = access.find(name)
        return run, runs.story(run)
    except runs.RunError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()


def show_live(run: runs.Run, told: runs.Story) -> None:
    """How far it is, and what its first kernels and its answer to the drawing are now."""
    st.subheader(f"{plain(run.title)} {STATES[told.state]}", anchor=False)
    st.progress(told.done, progress_line(run, told))
    where = plain(f"{told.started['device']}, Keras on {told.started['backend']}") if told.started else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        stop_button(run, told, "stop-run")
        st.caption(where)


def show_now(run: runs.Run, slot) -> None:
    """The first layer's kernels before and now, and the answer to the visitor's drawing."""
    live = run.folder / "live.npz"
    now = live if live.exists() else run.weights()
    net = run.network
    try:
        before, model = model_of(net, run.folder / "epochs" / "000.npz"), model_of(net, now)
        kernels_then, kernels_now = before.weights(), model.weights()
        trace = traced(model, current_input(net).pixels, slot, keep=False)
    except (WeightsError, WorkerError):
        return  # not there yet, or just being written: the next look finds it
    left, right = st.columns([3, 1], gap="large")
    with left, st.container(key="first-kernels"):
        show_kernels(kernels_then, kernels_now, "now")
    with right, st.container(key="live-answer"):
        label = trace.network.classes[int(trace.probabilities.argmax())]
        st.markdown("**Its answer to your input now**")
        st.subheader(f"{label}, {percent(float(trace.probabilities.max()))}", anchor=False)
        image = (trace.image * 255).astype(np.uint8)
        gallery("live-input", {"now": ("your input", image[..., 0] if image.shape[2] == 1 else image)}, size=96)


def show_kernels(before: Weights, now: Weights, when: str) -> None:
    """conv1's kernels; of images in colour, as pictures in colour."""
    panels = [Panel("old", "Kernels of conv1, before training", before["conv1"][0].transpose(3, 0, 1, 2)),
              Panel("new", when, now["conv1"][0].transpose(3, 0, 1, 2))]  # fmt: skip
    kernels("live-kernels", panels, [f"filter {i}" for i in range(len(panels[0].maps))])


@st.fragment(run_every=LOOK)
def watch(name: str) -> None:
    """A run that goes on, looked at again and again; built anew when it ends."""
    run, told = looked(name)
    if told.state not in ("waiting", "running"):
        st.rerun()
    show_live(run, told)
    for note in told.notes:
        st.caption(plain(note))
    if told.started:
        show_curves({run.title: told}, live=True)
        show_now(run, st.empty())


def show_end(run: runs.Run, told: runs.Story) -> None:
    """What became of it, in a sentence, and what can be done now."""
    st.subheader(f"{plain(run.title)} {STATES[told.state]}", anchor=False)
    if told.state == "failed":
        st.error(plain(told.message), icon=":material/error:")
    elif told.message:
        st.warning(plain(told.message), icon=":material/info:")
    may = told.state in ("interrupted", "failed", "stopped") and access.may_go_on(run)
    waits = may and busy()
    with st.container(horizontal=True):
        on = may and not told.end.get("hopeless") and st.button(
            "Go on", icon=":material/resume:", key="go-on", help=GO_ON, disabled=waits)  # fmt: skip
        finish = may and bool(told.epochs) and st.button(
            "Finish here", icon=":material/flag:", key="finish", help=FINISH, disabled=waits)  # fmt: skip
        if on or finish:
            try:
                go_on(run, finish)
            except runs.RunError as error:
                st.error(str(error), icon=":material/error:")
            else:
                st.rerun()
        if run.has_weights and st.button("Look at this network", icon=":material/draw:", key="use-run"):
            use(run)
        st.button("Settings into the form", icon=":material/tune:", key="fill", on_click=open_form, args=(run.config,),
                  help="Start again from the settings of this run: they go into the sidebar's form")  # fmt: skip
    if waits:
        st.caption(ONE)


def use(run: runs.Run, epoch: int | None = None, **more: str) -> None:
    """Make the run's network the one that every page shows."""
    state.wanted = f"run-{run.id}", epoch
    st.switch_page("pages/step.py" if more else "pages/draw.py", query_params=more)


def show_numbers(told: runs.Story) -> None:
    """The results that count."""
    numbers = {}
    if "test_accuracy" in told.end:
        numbers |= {"Test accuracy": f"{told.end['test_accuracy']:.2%}", "Test loss": f"{told.end['test_loss']:.4f}"}
    if told.best:
        spent = sum(epoch["seconds"] for epoch in told.epochs)
        numbers |= {"Best validation": f"{told.best['val_accuracy']:.2%}",
                    f"{len(told.epochs)} of {told.started.get('epochs', 0)} epochs":
                    f"{spent:.0f} s" if spent < 60 else f"{spent / 60:.1f} min"}  # fmt: skip
    with st.container(horizontal=True, key="run-numbers"):  # two by two on a phone
        for name, value in numbers.items():
            st.metric(name, value, border=True, width=168)
    if said := verdict(told):
        st.markdown(said)


def pictures(run: runs.Run, found: Results, numbers: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    """Test images by the name that `start_with` takes: (what it is and was taken for, picture)."""
    images, _ = test_part(run.config.dataset)
    classes = run.network.classes
    return {f"{run.config.dataset}:{i}": (
        f"{classes[found.labels[i]]}, taken for {classes[found.answers[i]]}, {percent(found.probabilities[i].max())}",
        images[i]) for i in numbers.tolist()}  # fmt: skip


def chosen_cell(picked, classes: tuple[str, ...]) -> tuple[int, int] | None:
    """The numbers of the classes shown and taken for, in the cell that the browser says was chosen; None without."""
    try:
        point = picked.selection.points[0]
        return classes.index(point["y"]), classes.index(point["x"])
    except (AttributeError, LookupError, TypeError, ValueError):
        return None


def show_results(run: runs.Run) -> None:
    """Which classes were taken for which, the worst mistakes, and the numbers for each class."""
    try:
        found = results(run)
        test_part(run.config.dataset)
    except (runs.RunError, data.DataError) as error:
        st.info(str(error), icon=":material/info:")
        return
    classes = run.network.classes
    counts = found.confusion()
    left, right = st.columns(2, gap="large")
    with left, st.container(key="confusion"):
        st.markdown("**Confusion matrix**: choose a cell, and see its images.")
        picked = st.plotly_chart(confusion(counts, classes), key="confusion-chart", config=PLAIN, on_select="rerun",
                                 selection_mode="points")  # fmt: skip
    with right:
        cell = chosen_cell(picked, classes)
        if cell:
            shown, taken = cell
            numbers, kind = found.cell(shown, taken, MISTAKES), f"{classes[shown]} taken for {classes[taken]}"
            total = int(counts[shown, taken])
        else:
            numbers, kind = found.worst(MISTAKES), "Worst mistakes"
            total = int((found.answers != found.labels).sum())
        with st.container(key="mistakes"):
            st.markdown(f"**{kind}**: {len(numbers)} of {total:,}, the surest first. Click one to step through it.")
            if len(numbers):
                clicked = gallery("mistake-pictures", pictures(run, found, numbers), size=56, pick=True)
                if clicked:
                    use(run, sample=clicked)
            else:
                st.caption("There is none.")
        with st.container(key="class-table"):
            rows = "\n".join(f"| {name} | {n:,} | {precision:.1%} | {recall:.1%} | {f1:.3f} |" for name, (
                n, precision, recall, f1) in zip(classes, found.per_class(), strict=True))  # fmt: skip
            st.markdown(f"| class | images | precision | recall | F1 |\n| --- | ---: | ---: | ---: | ---: |\n{rows}")


def show_time_machine(run: runs.Run, best: int | None) -> None:
    """Kernels, answer and maps after any epoch."""
    kept = run.epochs()
    if len(kept) < 2:
        return
    st.subheader("Time machine", anchor=False)
    epoch = st.select_slider("After epoch", kept, value=best if best in kept else kept[-1], key=f"time-{run.id}")
    net = run.network
    slot = st.empty()
    try:
        first, then = (read_weights(net, run.weights(number)) for number in (0, epoch))
        trace = traced(model_of(net, run.weights(epoch)), current_input(net).pixels, slot, keep=False)
    except (WeightsError, WorkerError) as error:
        slot.error(str(error), icon=":material/error:")
        return
    slot.empty()
    left, right = st.columns([3, 1], gap="large")
    with left:
        show_kernels(first, then, f"After epoch {epoch}")
    with right, st.container(key="time-answer"):
        st.markdown(f"**Its answer after epoch {epoch}**")
        st.subheader(f"{trace.label}, {percent(float(trace.probabilities.max()))}", anchor=False)
        if st.button("This epoch on every page", icon=":material/draw:"):
            use(run, epoch)
    _, step = network("time-network", trace, THEN.format(epoch=epoch), (net.layers[0].name, 0))
    if step:
        use(run, epoch, **step)


@st.fragment
def look_back(name: str) -> None:
    """The part of the page that reacts to clicks by itself."""
    run, told = looked(name)
    if told.epochs:
        show_curves({run.title: told})
    show_time_machine(run, told.best.get("epoch"))
    if "test_accuracy" in told.end:
        st.subheader("On the test images", anchor=False)
        show_results(run)
    show_downloads(run, told)


st.markdown(
    "Watch the curves: thin is the loss of what it learns from, thick what it has not seen. "
    "Try a learning rate ten times as high, or a twentieth of the images, and see where the two part."
)
if run := chosen():
    with st.container(key="train-progress"):
        _, told = looked(run.id)
        if told.state in ("waiting", "running"):
            watch(run.id)
        else:
            show_end(run, told)
            show_numbers(told)
            deliver("network")
            look_back(run.id)
