"""The form, a run's page and the page of all runs, without a browser."""

import csv
import io
import os
import time
from dataclasses import replace

import numpy as np
import pytest
from opening import opened
from streamlit.testing.v1 import AppTest

from cnnviz import access
from cnnviz.nets.blocks import Block
from cnnviz.nets.weights import read_weights, write_weights
from cnnviz.training import runs
from cnnviz.training.config import TrainingConfig, from_json
from cnnviz.workers import TRAINERS

TOKEN = "0123456789abcdef" * 2


def said(app) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.error])


@pytest.fixture
def grown(finished):
    """A run whose every epoch has weights of its own: larger by a tenth each."""
    weights = read_weights(finished.network, finished.weights())
    for epoch in finished.epochs():
        larger = {name: tuple(part * np.float32(1 + epoch / 10) for part in pair) for name, pair in weights.items()}
        write_weights(finished.folder / "epochs" / f"{epoch:03d}.npz", larger)
    return finished


def form(**settings) -> AppTest:
    """The sidebar's form by itself, with these settings at first: AppTest opens no expander."""
    return AppTest.from_string(f"""
from dataclasses import replace

import streamlit as st
from cnnviz.sidebar import OURS, RECIPES, form

st.session_state.setdefault("form_says", replace(RECIPES[OURS[0]], **{settings}))
form()
""", default_timeout=60).run()  # fmt: skip


def kernel(run: runs.Run, epoch: int | None) -> np.ndarray:
    return read_weights(run.network, run.weights(epoch))["conv1"][0]


def test_blocks_that_can_not_be_built_say_which_number_to_change_and_can_not_be_started():
    app = form()
    app.selectbox(key="t_preset").set_value("blocks of your own").run()
    assert not app.button(key="t_start").disabled
    for number in 1, 2:
        app.number_input(key=f"t_{number}_stride").set_value(4).run()
    assert "Block 2 can't be built: its pooling window is 2x2" in app.error[0].value
    assert app.button(key="t_start").disabled
    app.selectbox(key="t_2_pool").set_value("none").run()
    assert not app.error
    assert not app.button(key="t_start").disabled


def test_the_recipe_s_published_accuracy_stands_there_until_a_setting_is_changed():
    app = form()
    app.selectbox(key="t_preset").set_value("tf-tutorial").run()
    assert "Its recipe; published test accuracy 99 %." in said(app)
    app.number_input(key="t_epochs").set_value(6).run()
    assert "Not its recipe any more; published test accuracy 99 %." in said(app)


def test_of_two_gpus_of_one_name_the_chosen_one_is_taken(monkeypatch):
    monkeypatch.setattr(TRAINERS.where, "gpus", lambda: ["A100", "A100"])
    app = form()
    options = app.selectbox(key="t_device").options
    assert options == ["automatic", "CPU", "A100 (gpu:0)", "A100 (gpu:1)"]
    for device in "gpu:0", "gpu:1", "gpu:0":
        app.selectbox(key="t_device").set_value(device).run()
        assert app.session_state["form_says"].device == device
    # Settings that a run brings along.
    assert form(device="gpu:0").session_state["form_says"].device == "gpu:0"


def test_the_place_in_the_queue_is_shown(finished, monkeypatch):
    before, own = (runs.create(finished.config, owner=access.identity("cookie", TOKEN)) for _ in range(2))
    monkeypatch.setattr(TRAINERS, "_waiting", [before, before, own])
    monkeypatch.setattr(runs, "DEAD", 1_000)  # nobody gives signs of life here
    app = opened(run=own.id)
    app.session_state["visitor"] = TOKEN
    app.switch_page("pages/training.py").run()
    assert "Waiting: 2 runs are before it." in [bar.proto.text for bar in app.get("progress")]


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_the_time_machine_shows_each_epoch_s_own_numbers(grown, epoch):
    app = opened(sample="two", model=f"run-{grown.id}", epoch=str(epoch))
    trace = app.session_state["trace"]
    assert np.array_equal(trace.layers[0].kernel, kernel(grown, epoch))
    assert not np.array_equal(trace.layers[0].kernel, kernel(grown, (epoch + 1) % 3))
    app.query_params["run"] = grown.id
    app.switch_page("pages/training.py").run()
    app.select_slider(key=f"time-{grown.id}").set_value(epoch).run()
    beside = app.session_state["beside_trace"]
    assert np.array_equal(beside.layers[0].kernel, kernel(grown, epoch))
    assert np.array_equal(beside.layers[0].pre_activation, trace.layers[0].pre_activation)
    assert f"after epoch {epoch}" in said(app)


def test_who_asks_for_a_network_gets_its_best_epoch_and_not_the_one_of_the_last_look(grown):
    app = opened(sample="two", model=f"run-{grown.id}", epoch="0", run=grown.id)
    app.switch_page("pages/training.py").run()
    assert app.session_state["epoch"] == 0
    app.button(key="use-run").click().run()
    assert not app.exception
    assert app.session_state["epoch"] == runs.story(grown).best["epoch"] > 0


def chosen(app, *run: runs.Run):
    """The Runs page with these of all its runs chosen."""
    every = runs.all_runs()
    rows = [[one.id for one in every].index(wanted.id) for wanted in run]
    app.session_state[f"table-{len(every)}-{every[0].id}"] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    return app.switch_page("pages/runs.py").run()


def test_what_differs_between_two_runs_is_told_in_a_line(finished):
    blocks = replace(finished.config, preset="", blocks=(Block(8, 3), Block(16, 5, pool="none")))
    one = runs.create(blocks, "one")
    other = runs.create(replace(blocks, blocks=(Block(8, 3), Block(16, 3, stride=2, dropout=0.2)), epochs=3), "other")
    line = said(chosen(opened(), one, other))
    assert "blocks 8 of 3x3 same, relu, max + 16 of 5x5 same, relu → 8 of 3x3 same, relu, max + 16 of 3x3 same" in line
    assert "stride 2, relu, max, dropout 0.2; epochs 2 → 3" in line
    assert "preset quick-mnist → own blocks" in said(chosen(opened(), finished, one))


@pytest.mark.parametrize("page", ["training", "runs"])
def test_a_run_s_files_can_be_downloaded(finished, page):
    (finished.folder / "model.keras").write_bytes(b"the network")
    app = opened(run=finished.id)
    if page == "runs":
        chosen(app, finished)
    else:
        app.switch_page("pages/training.py").run()
    assert not app.exception
    assert {"Network (.keras)", "History (.csv)", "Settings (.json)"} <= {
        button.proto.label for button in app.get("download_button")}  # fmt: skip


def test_the_history_and_the_settings_hold_what_the_run_has(finished, monkeypatch):
    from cnnviz import run_view

    kept = {}
    monkeypatch.setattr(run_view.st, "download_button", lambda label, data, name, **more: kept.update({name: data}))
    run_view.show_downloads(finished, runs.story(finished))
    assert from_json(kept[f"{finished.id}.json"]) == finished.config
    rows = list(csv.DictReader(io.StringIO(kept[f"{finished.id}.csv"])))
    assert [(row["epoch"], row["val_accuracy"]) for row in rows] == [("1", "0.9"), ("2", "0.9")]


def test_a_run_that_would_fail_again_is_not_gone_on_with(finished):
    run = runs.create(TrainingConfig("digits", preset="small-digits"), "diverged")
    runs.Log(run.folder).say("failed", message="The loss became nan.", hopeless=True)
    app = opened(run=run.id)
    app.switch_page("pages/training.py").run()
    assert "go-on" not in {button.key for button in app.button}
    assert "fill" in {button.key for button in app.button}
    other = runs.create(run.config, "killed")
    os.utime(other.folder / "alive", (time.time() - runs.DEAD - 1,) * 2)
    app.query_params["run"] = other.id
    app.switch_page("pages/training.py").run()
    assert "go-on" in {button.key for button in app.button}
    assert "finish" not in {button.key for button in app.button}, "there is nothing yet that could be tested"
