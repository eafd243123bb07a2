"""All runs: settings and results side by side, curves laid over each other, what differs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import streamlit as st

from cnnviz import access, settings
from cnnviz.figures.training import COLOURS
from cnnviz.run_view import LOOK, clock, plain, show_curves, show_downloads
from cnnviz.session import selected_model
from cnnviz.sidebar import open_form
from cnnviz.training import runs
from cnnviz.training.config import differences
from cnnviz.workers import TRAINERS

EMPTY = "There are no runs yet. Open *Retrain* in the sidebar and start one, or `python -m cnnviz train`."

NO_NAME = "A name needs a letter or a figure at least: the run keeps the one that it has."
OFFERED = 5  # runs at most that are offered for deletion at once

state = st.session_state
selected_model()


def row(run: runs.Run, told: runs.Story) -> dict[str, object]:
    """A run as a line of the table."""
    config = run.config
    return {
        "name": run.title,
        "whose": "yours" if access.mine(run) else "",
        "published": run.published,
        "state": told.state,
        **({"place": told.started.get("place")} if TRAINERS.where.address else {}),
        "test accuracy": told.end.get("test_accuracy"),
        "test loss": told.end.get("test_loss"),
        "validation": told.best.get("val_accuracy"),
        "epochs": len(told.epochs),
        "of": config.epochs,
        "seconds": round(sum(epoch["seconds"] for epoch in told.epochs), 1),
        "data": config.dataset,
        "share": config.share,
        "network": config.preset or said("blocks", config.blocks),
        "dense layers": "" if config.preset else said("hidden", config.hidden),
        "parameters": sum(run.network.parameters()),
        "optimizer": config.optimizer,
        "learning rate": config.learning_rate,
        "schedule": config.schedule,
        "batch": config.batch_size,
        "weight decay": config.weight_decay,
        "augmentation": config.augmentation,
        "first weights": config.initializer,
        "seed": config.seed,
        "batches an epoch": config.steps or None,
        "precision": config.precision,
        "device": told.started.get("device", config.device),
        "started": datetime.fromtimestamp(run.created),
        "id": run.id,
    }


def story(run: runs.Run) -> runs.Story:
    """What a run has said; of one that can't be read, why."""
    try:
        return runs.story(run)
    except runs.RunError as error:
        return runs.Story("unreadable", str(error))


def columns() -> dict[str, object]:
    """How the table shows them."""
    kinds = st.column_config
    return {
        "name": kinds.TextColumn(pinned=True),
        "test accuracy": kinds.NumberColumn(format="percent"),
        "test loss": kinds.NumberColumn(format="%.4f"),
        "validation": kinds.NumberColumn(format="percent"),
        "share": kinds.NumberColumn(format="percent"),
        "parameters": kinds.NumberColumn(format="localized"),
        "learning rate": kinds.NumberColumn(format="%g"),
        "weight decay": kinds.NumberColumn(format="%g"),
        "batches an epoch": kinds.NumberColumn(help="Where it is not all of the images"),
        "started": kinds.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
    }


def said(name: str, value: object) -> str:
    """A setting in a few words."""
    if name in ("blocks", "hidden"):
        return " + ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value) or "own blocks"


def compare(chosen: list[runs.Run]) -> None:
    """Curves laid over each other, and what differs between the first and each of the others."""
    show_curves({f"{run.title} ({run.id[-4:]})": story(run) for run in chosen})
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
    told = story(run)
    with st.container(horizontal=True, vertical_alignment="bottom", key="run-actions"):
        if st.button("Open", icon=":material/monitoring:", key="open-run"):
            st.switch_page("pages/training.py", query_params={"run": run.id})
        st.button(
            "Settings into the form", icon=":material/tune:", key="fill-run", on_click=open_form, args=(run.config,)
        )
        if access.may_publish(run):
            st.button("Unpublish" if run.published else "Publish", icon=":material/share:", key="publish",
                      on_click=publish, args=(run.id, not run.published),
                      help="Everybody who opens this app sees a published run, also by its link")  # fmt: skip
        if access.mine(run):
            with st.popover("Rename", icon=":material/edit:"):
                st.text_input("New name", run.title, max_chars=runs.MAX_TITLE, key=f"title-{run.id}")
                st.button("Rename", key="rename", on_click=rename, args=(run.id,))
            with st.popover("Delete", icon=":material/delete:", disabled=told.state == "running"):
                st.markdown(f"**{plain(run.title)}** and its weights will be gone. This can't be undone.")
                # With the run's name, so that it can't be another's by then, when somebody has started one.
                st.button("Delete for good", type="primary", key="delete", on_click=delete, args=(run.id,))
    if not access.mine(run):
        st.caption("Only who started a run can rename or delete it." if run.owner else
                   "From the command line: `python -m cnnviz runs` renames and deletes it there.")  # fmt: skip
    st.caption(f"{told.state}, {clock(sum(epoch['seconds'] for epoch in told.epochs))}. {plain(told.message)}")
    show_downloads(run, told)


def changed(allowed: Callable[[runs.Run], bool], name: str, change: Callable[[runs.Run], object]) -> None:
    """Do something to a run if the visitor may; what goes wrong is said when the page is built."""
    try:
        run = runs.find(name)
        if allowed(run):
            change(run)
    except runs.RunError as error:
        state.trouble = str(error)


def publish(name: str, published: bool) -> None:
    """Show a run to everybody, or no longer."""
    changed(access.may_publish, name, lambda run: run.publish(published))


def rename(name: str) -> None:
    """Give one of the visitor's runs the name that was typed."""
    if not runs.tidy(state[f"title-{name}"]):
        state.trouble = NO_NAME
        return
    changed(access.mine, name, lambda run: run.rename(state[f"title-{name}"]))


def delete(name: str, allowed: Callable[[runs.Run], bool] = access.mine) -> None:
    """Delete a run that does not go on."""
    changed(lambda run: allowed(run) and runs.story(run).state != "running", name, TRAINERS.delete)


def offer_room() -> None:
    """When the runs fill their part of the disk: the oldest unpublished ones, to delete."""
    st.warning(settings.DISK.sentence, icon=":material/hard_drive:")
    for run in access.offered()[:OFFERED]:
        with st.container(horizontal=True, vertical_alignment="center", key=f"offered-{run.id}"):
            title = f"**{plain(run.title)}**" if access.may_see(run) else "another visitor's"
            st.markdown(f"{title}, {datetime.fromtimestamp(run.created):%Y-%m-%d %H:%M}")
            st.button("Delete for good", icon=":material/delete:", key=f"room-{run.id}", on_click=delete,
                      args=(run.id, may_make_room))  # fmt: skip


def may_make_room(run: runs.Run) -> bool:
    """Whether the disk is still full, and the run still one of those that may go."""
    return runs.is_full() and run.id in [one.id for one in access.offered()]


@st.fragment(run_every=LOOK)
def show_cluster() -> None:
    """The workers of the cluster, and which run each of them does."""
    cluster = TRAINERS.where
    TRAINERS.start()
    st.subheader("The cluster", anchor=False)
    if cluster.trouble:
        st.error(cluster.trouble, icon=":material/error:")
    elif not cluster.looked:
        st.caption("Asking the scheduler who is there.")
    else:
        busy = sum(bool(worker.tasks) for worker in cluster.workers)
        count = f"{len(cluster.workers)} worker{'' if len(cluster.workers) == 1 else 's'}"
        st.caption(f"The scheduler at {plain(cluster.address)}: {count}, {busy} busy.")
    if cluster.workers:
        st.dataframe([
            {"worker": worker.name, "host": worker.host, "run": whose(worker.run), "threads": worker.threads,
             "memory, GB": worker.memory / 1e9, "of, GB": worker.limit / 1e9 or None,
             "resources": ", ".join(f"{name} {amount:g}" for name, amount in worker.resources.items())}
            for worker in sorted(cluster.workers, key=lambda worker: worker.name)
        ], hide_index=True, key="workers", placeholder="", column_config={
            "memory, GB": st.column_config.NumberColumn(format="%.1f"),
            "of, GB": st.column_config.NumberColumn(format="%.1f")})  # fmt: skip


def whose(name: str) -> str:
    """A run of the visitor's by its title; of another's only that there is one."""
    try:
        run = runs.find(name) if name else None
    except runs.RunError:
        return "deleted"
    return "" if not run else run.title if access.may_see(run) else "another visitor's"


st.markdown(
    "Every run with its settings and results; click a heading to sort. "
    "Choose one to open, rename or delete it, or several, and look where their curves part."
)
if trouble := state.pop("trouble", ""):
    st.error(trouble, icon=":material/error:")
if runs.is_full():
    offer_room()
if access.me().teacher and (waiting := TRAINERS.waiting()):
    st.button(f"Clear the queue ({waiting})", icon=":material/playlist_remove:", key="clear-queue",
              on_click=TRAINERS.clear)  # fmt: skip
every = access.visible_runs()
with st.container(key="runs"):
    if unreadable := runs.unreadable():
        st.error(unreadable, icon=":material/error:")
    elif not every:
        st.info(EMPTY, icon=":material/info:")
    else:
        try:
            # A table of other runs is another table: a choice is a place in it.
            table = st.dataframe(
                [row(run, story(run)) for run in every], hide_index=True, column_config=columns(), placeholder="",
                key=f"table-{len(every)}-{every[0].id}", on_select="rerun", selection_mode="multi-row",
                height=min(420, 40 + 35 * len(every)),
            )  # fmt: skip
            chosen = [every[number] for number in table.selection.rows if number in range(len(every))]
            if len(chosen) == 1:
                act(chosen[0])
            if chosen:
                compare(chosen)
        except runs.RunError as error:
            st.error(str(error), icon=":material/error:")
if TRAINERS.where.address:
    with st.container(key="cluster"):
        show_cluster()
