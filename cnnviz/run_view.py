"""What several pages show of a run: its curves, how far it is, the button that stops it, its files."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping

import streamlit as st

from cnnviz import access
from cnnviz.figures.training import curves
from cnnviz.training import runs
from cnnviz.workers import TRAINERS

LOOK = 0.4
"""Seconds between two looks at what a run says."""


def show_curves(stories: Mapping[str, runs.Story], live: bool = False) -> None:
    """Loss and accuracy, side by side where there is room."""
    for column, name in zip(st.columns(2, gap="medium"), ("loss", "accuracy"), strict=True):
        figure = curves(stories, name, live)
        column.plotly_chart(figure, key=f"curves-{name}", config={"displayModeBar": False})


def clock(seconds: float) -> str:
    """Seconds as people say them."""
    seconds = round(seconds)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60:02d} s"


def progress_line(run: runs.Run, told: runs.Story) -> str:
    """Where a run is, in a few words."""
    if told.state == "waiting":
        held = TRAINERS.holds(run)
        if run.sweep and not held:
            return "Waiting for its turn in the sweep."
        if held and (lacking := TRAINERS.where.lacking(run)):
            return lacking
        place = TRAINERS.place(run)
        if place:
            return f"Waiting: {place} {'run is' if place == 1 else 'runs are'} before it."
        if told.download:
            got, of = told.download["done"], told.download["of"]
            return f"Getting {plain(told.download['what'])}: {got / of:.0%}"
        if not held:
            return "Waiting on another server, or begun from a command line."
        if run.finishing:
            return "Being tested, as it is now."
        return "Starting: Keras is being loaded, about 5 s."
    last = told.batches[-1] if told.batches else {}
    parts = [f"Epoch {last.get('epoch', 1)} of {told.started['epochs']}",
             f"batch {last.get('batch', 0):,} of {told.started['batches']:,}"]  # fmt: skip
    if last:
        parts.append(f"{last['images_per_second']:,.0f} images/s")
    if told.done >= 1:
        parts.append("testing")
    elif told.seconds_left is not None:
        parts.append(f"{clock(told.seconds_left)} left")
    return " · ".join(parts)


def plain(title: str) -> str:
    """A run's name in Markdown, with nothing in it that Markdown would take for its own.

    Every sign is written as an entity; an invisible joiner behind those of addresses keeps them from becoming links.
    """
    return re.sub(r"[!-/:-@[-`{-~](?=(\S?))", lambda sign: f"&#{ord(sign[0])};" + "\u2060" * (
        sign[0] in ".:/@" and sign[1] != ""), title)  # fmt: skip


def stop_button(run: runs.Run, told: runs.Story, key: str) -> None:
    """Asks one of the visitor's runs to stop; one that has not begun is taken out of the queue."""
    if not access.mine(run):
        return
    stopping = run.stopping
    if not st.button("Stopping" if stopping else "Stop", icon=":material/stop:", key=key, disabled=stopping,
                     help="Keeps the best epoch so far"):  # fmt: skip
        return
    try:
        run.stop()
        if told.state == "waiting" and TRAINERS.withdraw(run):
            runs.say_stopped(run, runs.STOPPED_WAITING)
    except runs.RunError as error:
        st.error(f"It can't be stopped: {error}", icon=":material/error:")
    else:
        st.rerun()


def show_downloads(run: runs.Run, told: runs.Story) -> None:
    """The network, the history and the settings as files."""
    text = io.StringIO()
    names = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    table = csv.DictWriter(text, names, extrasaction="ignore")
    table.writeheader()
    table.writerows(told.epochs)
    with st.container(horizontal=True, key="downloads"):
        model = run.folder / "model.keras"
        if model.exists():
            st.download_button("Network (.keras)", model.read_bytes, f"{run.id}.keras", icon=":material/download:")
        st.download_button("History (.csv)", text.getvalue(), f"{run.id}.csv", icon=":material/download:")
        st.download_button("Settings (.json)", json.dumps(run.config.as_json(), indent=2), f"{run.id}.json",
                           icon=":material/download:", help="For `python -m cnnviz train --config FILE`")  # fmt: skip
