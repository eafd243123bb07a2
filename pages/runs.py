"""All runs: settings and results side by side, curves laid over each other, what differs."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from cnnviz.components.visitor import visitor
from cnnviz.figures.training import COLOURS
from cnnviz.session import selected_model
from cnnviz.sidebar import clock, open_form, plain, show_curves
from cnnviz.training import runs
from cnnviz.training.config import differences
from cnnviz.workers import TRAINERS

EMPTY = "There are no runs yet. Open *Retrain* in the sidebar and start one, or `python -m cnnviz train`."

state = st.session_state
selected_model()


def row(run: runs.Run, told: runs.Story) -> dict[str, object]:
    """A run as a line of the table."""
    config = run.config
    return {
        "name": run.title,
        "whose": "yours" if run.owner == visitor() else "",
        "state": told.state,
        "test accuracy": told.end.get("test_accuracy"),
        "validation": told.best.get("val_accuracy"),
        "epochs": f"{len(told.epochs)}/{config.epochs}",
        "seconds": round(sum(epoch["seconds"] for epoch in told.epochs), 1),
        "data": config.dataset,
        "share": config.share,
        "network": config.preset or "own blocks",
        "parameters": sum(run.network.parameters()),
        "optimizer": config.optimizer,
        "learning rate": config.learning_rate,
        "schedule": config.schedule,
        "batch": config.batch_size,
        "weight decay": config.weight_decay,
        "augmentation": config.augmentation,
        "seed": config.seed,
        "started": datetime.fromtimestamp(run.created),
        "id": run.id,
    }


def columns() -> dict[str, object]:
    """How the table shows them."""
    kinds = st.column_config
    return {
        "name": kinds.TextColumn(pinned=True),
        "test accuracy": kinds.NumberColumn(format="percent"),
        "validation": kinds.NumberColumn(format="percent"),
        "share": kinds.NumberColumn(format="percent"),
        "parameters": kinds.NumberColumn(format="localized"),
        "learning rate": kinds.NumberColumn(format="%g"),
        "weight decay": kinds.NumberColumn(format="%g"),
        "started": kinds.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
    }


def said(name: str, value: object) -> str:
    """A setting in a few words."""
    if name in ("blocks", "hidden"):
        return f"{len(value)} {name}"
    return f"{value:g}" if isinstance(value, float) else str(value) or "own blocks"


def compare(chosen: list[runs.Run]) -> None:
    """Curves laid over each other, and what differs between the first and each of the others."""
    show_curves({f"{run.title} ({run.id[-4:]})": runs.story(run) for run in chosen})
    first, *others = chosen
    for other in others:
        found = differences(first.config, other.config)
        pairs = [f"{name.replace('_', ' ')} {said(name, a)} → {said(name, b)}" for name, (a, b) in found.items()]
        line = "; ".join(pairs) or "nothing: the same settings"
        st.markdown(f"**{plain(first.title)}** ({first.id[-4:]}) → **{plain(other.title)}** ({other.id[-4:]}): {line}")
    if len(chosen) > len(COLOURS):
        st.caption(f"Colours come again after {len(COLOURS)} runs.")


def act(run: runs.Run) -> None:
    """What can be done with one run."""
    told = runs.story(run)
    with st.container(horizontal=True, vertical_alignment="bottom", key="run-actions"):
        if st.button("Open", icon=":material/monitoring:", key="open-run"):
            st.switch_page("pages/training.py", query_params={"run": run.id})
        st.button(
            "Settings into the form", icon=":material/tune:", key="fill-run", on_click=open_form, args=(run.config,)
        )
        if run.owner != visitor():
            st.caption("Only who started a run can rename or delete it.")
            return
        with st.popover("Rename", icon=":material/edit:"):
            st.text_input("New name", run.title, max_chars=runs.MAX_TITLE, key=f"title-{run.id}")
            st.button("Rename", key="rename", on_click=rename, args=(run.id,))
        with st.popover("Delete", icon=":material/delete:", disabled=told.state == "running"):
            st.markdown(f"**{plain(run.title)}** and its weights will be gone. This can't be undone.")
            # With the run's name, so that it can't be another's by then, when somebody has started one.
            st.button("Delete for good", type="primary", key="delete", on_click=delete, args=(run.id,))
    st.caption(f"{told.state}, {clock(sum(epoch['seconds'] for epoch in told.epochs))}. {told.message}")


def rename(name: str) -> None:
    """Give one of the visitor's runs the name that was typed."""
    try:
        run = runs.find(name)
        if run.owner == visitor():
            run.rename(state[f"title-{name}"])
    except runs.RunError as error:
        state.trouble = str(error)


def delete(name: str) -> None:
    """Delete one of the visitor's runs that does not go on."""
    try:
        run = runs.find(name)
        if run.owner == visitor() and runs.story(run).state != "running":
            TRAINERS.withdraw(run)
            run.delete()
    except runs.RunError as error:
        state.trouble = str(error)


st.markdown(
    "Every run with its settings and results; click a heading to sort. "
    "Choose one to open, rename or delete it, or several, and look where their curves part."
)
if trouble := state.pop("trouble", ""):
    st.error(trouble, icon=":material/error:")
every = runs.all_runs()
with st.container(key="runs"):
    if not every:
        st.info(EMPTY, icon=":material/info:")
    else:
        try:
            # A table of other runs is another table: a choice is a place in it.
            table = st.dataframe(
                [row(run, runs.story(run)) for run in every], hide_index=True, column_config=columns(), placeholder="",
                key=f"table-{len(every)}-{every[0].id}", on_select="rerun", selection_mode="multi-row",
                height=min(420, 40 + 35 * len(every)),
            )  # fmt: skip
            chosen = [every[number] for number in table.selection.rows if number < len(every)]
            if len(chosen) == 1:
                act(chosen[0])
            if chosen:
                compare(chosen)
        except runs.RunError as error:
            st.error(str(error), icon=":material/error:")
