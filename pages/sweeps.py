"""Sweeps: one network trained with many settings, which of them learn best, and how far it is."""

from __future__ import annotations

import streamlit as st

from cnnviz import access
from cnnviz.figures.sweeps import Scale, parallel
from cnnviz.run_view import LOOK, plain
from cnnviz.session import selected_model
from cnnviz.sidebar import BATCHES, DECAYS, KEEP, ONE, RATES, busy, one_at_a_time, own_sweep, sweep_line
from cnnviz.sweeping import CONDUCTOR
from cnnviz.training import runs, sweeps
from cnnviz.training.config import LIMITS, ConfigError, TrainingConfig
from cnnviz.training.sweeps import HYPERPARAMETERS, METHODS, OF_BLOCKS, POWERS, Axis, Standing, Sweep
from cnnviz.workers import TRAINERS

EMPTY = "You have no sweeps yet. Choose below what to search: the sidebar's form says what else is trained with."
RULE = (
    "Successive halving ([Jamieson and Talwalkar 2016](https://arxiv.org/abs/1502.07943)): after {first} of {all} "
    "epochs only the better half by validation accuracy goes on, from where it stopped."
)
# What a range may begin and end with, and where it is at first.
LADDERS = {
    "learning_rate": (RATES, (1e-4, 1e-1)),
    "batch_size": ([batch for batch in BATCHES if batch in POWERS], (32, 512)),
    "weight_decay": ([decay for decay in DECAYS if decay], (1e-5, 1e-2)),
    "seed": (list(range(1, 21)), (1, 8)),
    "filters": ([power for power in POWERS if power <= LIMITS["filters"][1]], (4, 32)),
    "units": ([power for power in POWERS if 8 <= power <= LIMITS["units"][1]], (16, 256)),
    "dropout": ([number / 20 for number in range(19)], (0.0, 0.5)),
}

state = st.session_state
selected_model()
state.follow_form = True


def chosen(every: list[Sweep]) -> Sweep:
    """The sweep that the address names, else the newest."""
    ids = {sweep.id: sweep for sweep in every}
    if st.query_params.get("sweep") not in ids:
        st.query_params["sweep"] = every[0].id
    if len(every) == 1:
        return every[0]
    name = st.selectbox("Sweep", ids, list(ids).index(st.query_params["sweep"]),
                        format_func=lambda name: f"{ids[name].title} ({name[-4:]})")  # fmt: skip
    st.query_params["sweep"] = name
    return ids[name]


def show_actions(sweep: Sweep, now: Standing) -> None:
    """Stop it, go on, delete it, see its best run."""
    with st.container(horizontal=True, key="sweep-actions"):
        if now.state == "running":
            st.button("Stop", icon=":material/stop:", key="stop-sweep", help="It can go on later", on_click=stop,
                      args=(sweep,), disabled=sweep.stopping)  # fmt: skip
        elif now.state != "done" and st.button("Go on", icon=":material/resume:", key="go-on-sweep", type="primary",
                                               disabled=busy(), help="With what is left to do"):  # fmt: skip
            with one_at_a_time(0):
                CONDUCTOR.conduct(sweep)
            st.rerun()
        if now.best:
            run = now.best[0]
            if st.button("Watch the best run", icon=":material/monitoring:", key="watch-best"):
                st.switch_page("pages/training.py", query_params={"run": run.id})
            if st.button("Look at this network", icon=":material/draw:", key="use-best"):
                state.wanted = f"run-{run.id}", None
                st.switch_page("pages/draw.py")
        if now.state != "running":
            with st.popover("Delete", icon=":material/delete:"):
                st.markdown(f"**{plain(sweep.title)}** will be gone. This can't be undone.")
                st.checkbox(f"Its {len(now.stories)} runs and their weights too", key="sweep-runs-too")
                if st.button("Delete for good", type="primary", key="delete-sweep"):
                    delete(sweep, now)


def stop(sweep: Sweep) -> None:
    """Have a sweep stop; a word of why it can't is for the page."""
    try:
        sweep.stop()
    except runs.RunError as error:
        state.sweep_trouble = str(error)


def delete(sweep: Sweep, now: Standing) -> None:
    """Delete the sweep, and first its runs if that was asked for: what one of them keeps from it can be tried again."""
    for run, told in now.stories.values():
        if state["sweep-runs-too"] and told.state != "running":
            TRAINERS.delete(run)
    sweep.delete()
    st.query_params.pop("sweep", None)
    st.rerun(scope="app")


def show_best(sweep: Sweep, now: Standing) -> None:
    """The best run so far in numbers."""
    run, told = now.best
    columns = st.columns(3)
    columns[0].metric("Best validation accuracy", f"{told.best['val_accuracy']:.2%}", border=True)
    columns[1].metric("After epoch", f"{told.best['epoch']} of {sweep.base.epochs}", border=True)
    if "test_accuracy" in told.end:
        columns[2].metric("Its test accuracy", f"{told.end['test_accuracy']:.2%}", border=True)
    said = "The best" if now.state == "done" else "The best so far"
    st.markdown(f"**{said}**: {plain(', '.join(words(run, axis) for axis in sweep.axes))}")


def words(run: runs.Run, axis: Axis) -> str:
    """A run's place on an axis: learning rate 0.01."""
    value = sweeps.value_of(run.config, axis.name)
    return f"{HYPERPARAMETERS[axis.name].title} {value if isinstance(value, str) else f'{value:g}'}"


def show_lines(sweep: Sweep, now: Standing) -> None:
    """A line for each run that has learned."""
    learned = [(run, told) for run, told in now.stories.values() if told.epochs]
    if len(learned) < 2:
        return
    scales = []
    for axis in sweep.axes:
        about = HYPERPARAMETERS[axis.name]
        kind = "words" if about.words else "log" if about.scale in ("log", "power") else "linear"
        scales.append(Scale(about.title, [sweeps.value_of(run.config, axis.name) for run, _ in learned], kind))
    if sweep.halving:
        scales.append(Scale("epochs", [told.epochs[-1]["epoch"] for _, told in learned]))
    with st.container(key="sweep-lines"):
        figure = parallel(scales, [told.best["val_accuracy"] for _, told in learned])
        st.plotly_chart(figure, key="parallel", config={"displayModeBar": False})
        st.caption("A line is a run. Drag along an axis: only the runs that pass there; a click on it shows all again.")


def fate(now: Standing, run: runs.Run, told: runs.Story) -> str:
    """What became of a run, in a few words."""
    if run.id in now.halved:
        return f"left behind after epoch {now.halved[run.id]}"
    if told.state == "done" and len(told.epochs) < run.config.epochs:
        return f"finished after epoch {len(told.epochs)}"
    if told.state != "done" and sweeps.out(run, told):
        return f"{told.state}: {told.message}" if told.message else told.state
    if run not in now.needed:
        return "best of all" if now.state == "done" and now.best and run.id == now.best[0].id else "came through"
    return "waits for its turn" if told.state == "waiting" else told.state


def show_runs(sweep: Sweep, now: Standing) -> None:
    """All runs with what they have come to, the best first."""
    ranked = sorted(now.stories.values(), key=lambda one: sweeps.value(one[1], sweep.base.epochs), reverse=True)
    rows = [
        {**{HYPERPARAMETERS[axis.name].title: sweeps.value_of(run.config, axis.name) for axis in sweep.axes},
         "validation": told.best.get("val_accuracy"), "epochs": f"{len(told.epochs)}/{sweep.base.epochs}",
         "state": fate(now, run, told), "id": run.id}
        for run, told in ranked
    ]  # fmt: skip
    kinds = st.column_config
    st.dataframe(rows, hide_index=True, placeholder="", key="sweep-runs", column_config={
        "validation": kinds.NumberColumn(format="percent"), "learning rate": kinds.NumberColumn(format="%g"),
        "weight decay": kinds.NumberColumn(format="%g")})  # fmt: skip


def show(name: str) -> None:
    """A sweep: how far it is, its best run, all its runs."""
    try:
        sweep = sweeps.find(name)
        now = sweeps.standing(sweep)
        st.subheader(f"{plain(sweep.title)}: {now.state}", anchor=False)
        if now.state != "done":
            st.progress(now.done, sweep_line(now))
        if trouble := state.pop("sweep_trouble", "") or now.message:
            st.error(trouble, icon=":material/error:")
        elif now.state == "interrupted":
            st.warning("Nobody brings it on any more. Go on: what is done is kept.", icon=":material/info:")
        show_actions(sweep, now)
        if now.best:
            show_best(sweep, now)
        elif now.state == "done":
            st.info("None of its runs has learned anything.", icon=":material/info:")
        show_lines(sweep, now)
        show_runs(sweep, now)
        if len(now.rungs) > 1:
            st.caption(RULE.format(first=", ".join(map(str, now.rungs[:-1])), all=now.rungs[-1]))
    except runs.RunError as error:
        st.error(str(error), icon=":material/error:")


@st.fragment(run_every=LOOK)
def watch(name: str) -> None:
    """A sweep that goes on, looked at again and again; the page is built anew when it ends."""
    if not own_sweep():
        st.rerun()
    show(name)


def axis(name: str) -> Axis:
    """Ask what a hyperparameter may be."""
    about = HYPERPARAMETERS[name]
    label = f"{about.title[:1].upper()}{about.title[1:]}"
    if about.words:
        return Axis(name, tuple(st.multiselect(label, about.words, about.words[:2], key=f"s_{name}", **KEEP)))
    ladder, first = LADDERS[name]
    low, high = st.select_slider(label, ladder, first, format_func="{:g}".format, key=f"s_{name}", **KEEP)
    return Axis(name, (low, high))


def form(base: TrainingConfig) -> None:
    """Ask for a sweep, say what it comes to, and start it."""
    what = base.preset or "your own blocks"
    st.markdown(
        f"From the sidebar's form: **{what}** on {base.dataset}, {base.share:.0%} of the images, {base.epochs} epochs, "
        f"{base.optimizer}, learning rate {base.learning_rate:g}, batch size {base.batch_size}."
    )
    names = [name for name in HYPERPARAMETERS if not (name in OF_BLOCKS and base.preset)]
    state.setdefault("s_axes", ["learning_rate", "batch_size"])
    state.s_axes = [name for name in state.s_axes if name in names]
    picked = st.multiselect("Two or three hyperparameters to search", names, key="s_axes",
                            max_selections=LIMITS["sweep_axes"][1],
                            format_func=lambda name: HYPERPARAMETERS[name].title, **KEEP)  # fmt: skip
    axes = [axis(name) for name in dict.fromkeys(picked)]  # a forged message may name one twice
    left, right = st.columns(2, vertical_alignment="bottom")
    method = left.radio("How", METHODS, format_func=METHODS.get, horizontal=True, key="s_method", **KEEP)
    count = points = seed = 0
    if method == "grid":
        points = right.number_input("Values of each range", *LIMITS["sweep_points"], 3, key="s_points", **KEEP)
    else:
        count = right.number_input("Runs", *LIMITS["sweep_runs"], 8, key="s_count", **KEEP)
        seed = base.seed
    halving = st.checkbox("Stop the hopeless ones early (successive halving)", True, key="s_halving", **KEEP)
    wrong, number = "", 0
    try:
        number = len(sweeps.planned(base, axes, method, count, points, seed))
        learned = sweeps.epochs_in_all(number, base.epochs, halving)
        instead = f" instead of {number * base.epochs:,}" if learned < number * base.epochs else ""
        st.caption(f"{number} runs, {learned:,} epochs together{instead}.")
    except ConfigError as error:
        wrong = str(error)
        st.error(wrong, icon=":material/error:")
    title = st.text_input("Name of the sweep", key="s_title", max_chars=runs.MAX_TITLE, placeholder="optional", **KEEP)
    if st.button("Start the sweep", type="primary", icon=":material/play_arrow:", key="s_start",
                 disabled=bool(wrong) or busy()):  # fmt: skip
        try:
            with one_at_a_time(number):
                sweep = sweeps.create(base, axes, method, count, points, seed, halving, title, access.me().id)
                CONDUCTOR.conduct(sweep)
        except (runs.RunError, ConfigError) as error:
            st.error(str(error), icon=":material/error:")
            return
        st.query_params["sweep"] = sweep.id
        st.rerun()
    if busy():
        st.caption(ONE)


st.markdown(
    "Many runs that differ in a few settings: look which lines end high, and through which values they all pass. "
    "Try the learning rate and the batch size together: what suits one depends on the other."
)
every = sweeps.all_sweeps(access.me().id)
with st.container(key="sweep"):
    if every:
        sweep = chosen(every)
        if running := own_sweep():
            watch(sweep.id)
        else:
            show(sweep.id)
    else:
        st.info(EMPTY, icon=":material/info:")
with st.container(key="sweep-form"), st.expander("A new sweep", icon=":material/add:", expanded=not every):
    form(state.form_says)
